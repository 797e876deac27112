"""What the looks at save and load add to ``save_pretrained`` and ``from_pretrained`` on the layout of a 7B model.

CPU time of one process. The adapter on all linear layers is real (float32): its tensors are written to disk and read
from there. The base model is real where there is a GPU (bfloat16); else it lies on the meta device, which leaves out
the copies that a save from a GPU makes. The looks read no values: what they take does not grow with the rank.
"""

from __future__ import annotations

import json
import subprocess
import sys

WORKER = """
import json, statistics, sys, tempfile, time, warnings
import peft, torch, transformers
import peft_strict
warnings.simplefilter("ignore")
config = transformers.LlamaConfig(
    hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, vocab_size=32000,
)
on_gpu = torch.cuda.is_available()
def base():
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if on_gpu else "meta"):
        model = transformers.LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return model
def timed(action):
    start = time.process_time()
    action()
    return (time.process_time() - start) * 1e3
inside = []
def clocked(module, name):
    plain = vars(module)[name]
    def timing(*args, **words):
        start = time.process_time()
        try:
            return plain(*args, **words)
        finally:
            inside.append((time.process_time() - start) * 1e3)
    setattr(module, name, timing)
from peft_strict.guards import loading, saving
clocked(saving, "_losses")
clocked(loading, "_losses")
peft_strict.enable()
lora = peft.LoraConfig(r=RANK, task_type="CAUSAL_LM", target_modules="all-linear")
model = peft.get_peft_model(base(), lora)
for layer in model.modules():
    if not on_gpu and isinstance(layer, peft.tuners.lora.LoraLayer):  # PEFT has put them beside the base layers
        layer.lora_A.to_empty(device="cpu")
        layer.lora_B.to_empty(device="cpu")
rows = {}
with tempfile.TemporaryDirectory() as folder:
    actions = {
        "save_pretrained": lambda _: model.save_pretrained(folder),
        "from_pretrained": lambda base: peft.PeftModel.from_pretrained(
            base, folder, **({} if on_gpu else {"torch_device": "cpu", "low_cpu_mem_usage": True})
        ),
    }
    for name, action in actions.items():
        action(base())
        inside.clear()
        whole = []
        for _ in range(ROUNDS):
            prepared = base()
            whole.append(timed(lambda: action(prepared)))
        assert len(inside) == ROUNDS, name
        rows[name] = [statistics.median(whole), statistics.median(inside)]
json.dump(rows, sys.stdout)
"""


def table(rounds: int = 5) -> list[str]:
    """Return the lines of the Markdown table."""
    lines = ["| LoRA on all linear layers of a 7B layout | rank | time | of which the look | share |"]
    lines.append("|---|--:|--:|--:|--:|")
    for rank in (8, 16, 64):
        code = WORKER.replace("ROUNDS", str(rounds)).replace("RANK", str(rank))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for name, (whole, inside) in json.loads(done.stdout).items():
            lines.append(f"| `{name}` | {rank} | {whole:.0f} ms | {inside:.2f} ms | {inside / whole:.2%} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
