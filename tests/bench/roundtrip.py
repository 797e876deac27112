"""What the looks at save and load add to ``save_pretrained`` and ``from_pretrained`` on the layout of a 7B model.

CPU time of one process. The base model lies on the meta device; the adapter on all its linear layers is real (rank 8,
float32), so its tensors are written to disk and read from there.
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
def base():
    with torch.device("meta"):
        return transformers.LlamaForCausalLM(config)
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
lora = peft.LoraConfig(r=8, task_type="CAUSAL_LM", target_modules="all-linear")
model = peft.get_peft_model(base(), lora)
for layer in model.modules():
    if isinstance(layer, peft.tuners.lora.LoraLayer):  # PEFT has put them beside the base layers, on meta
        layer.lora_A.to_empty(device="cpu")
        layer.lora_B.to_empty(device="cpu")
rows = {}
with tempfile.TemporaryDirectory() as folder:
    actions = {
        "save_pretrained": lambda _: model.save_pretrained(folder),
        "from_pretrained": lambda base: peft.PeftModel.from_pretrained(
            base, folder, torch_device="cpu", low_cpu_mem_usage=True
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
    code = WORKER.replace("ROUNDS", str(rounds))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = ["| LoRA on all linear layers of a 7B layout | time | share |", "|---|--:|--:|"]
    for name, (whole, inside) in json.loads(done.stdout).items():
        lines.append(f"| `{name}` | {whole:.0f} ms | |")
        lines.append(f"| ... of which the look | {inside:.2f} ms | {inside / whole:.2%} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
