"""What switching costs, and what the looks at fit and names add to ``get_peft_model`` on the layout of a 70B model.

CPU time of one process; the model lies on the meta device, so that only structure is built.
"""

from __future__ import annotations

import json
import subprocess
import sys

WORKER = """
import json, statistics, sys, time, warnings
import peft, torch, transformers
import peft_strict
warnings.simplefilter("ignore")
def timed(action):
    start = time.thread_time()
    action()
    return (time.thread_time() - start) * 1e3
peft_strict.enable(); peft_strict.disable()
cycles = [timed(lambda: (peft_strict.enable(), peft_strict.disable())) for _ in range(101)]
config = transformers.LlamaConfig(
    hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64, num_key_value_heads=8,
    vocab_size=128256, num_labels=2,
)
def wrap(kind, task_type, targets):
    with torch.device("meta"):
        model = kind(config)
    lora = peft.LoraConfig(r=8, task_type=task_type, target_modules=targets)
    # on the meta device, as the model: the adapters' weights would take gigabytes
    return timed(lambda: peft.get_peft_model(model, lora, low_cpu_mem_usage=True))
peft_strict.enable()
from peft_strict.guards import naming, watch
def measured(owner, name, spent):
    plain = getattr(owner, name)
    def wrapper(*args, **kwargs):
        start = time.thread_time()
        try:
            return plain(*args, **kwargs)
        finally:
            spent[-1] += (time.thread_time() - start) * 1e3
    setattr(owner, name, wrapper)
fit, names = [], []
measured(watch.Watch, "meet", fit)
measured(naming.NameLook, "before", names)
measured(naming.NameLook, "after", names)
rows = {}
right = ["q_proj", "k_proj", "v_proj", "o_proj"]
for name, kind, task, targets in (
    ("LlamaForCausalLM, CAUSAL_LM", transformers.LlamaForCausalLM, "CAUSAL_LM", right),
    ("LlamaForSequenceClassification, no task type", transformers.LlamaForSequenceClassification, None, right),
    ("LlamaForCausalLM, a dead name", transformers.LlamaForCausalLM, "CAUSAL_LM", [*right, "gate_prj"]),
):
    whole = []
    fit.clear()
    names.clear()
    for _ in range(5):
        fit.append(0)
        names.append(0)
        whole.append(wrap(kind, task, targets))
    rows[name] = [statistics.median(times) for times in (whole, fit, names)]
json.dump({"cycle": statistics.median(cycles), "rows": rows}, sys.stdout)
"""


def table() -> list[str]:
    """Return the lines of the Markdown table."""
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    lines = ["| what | time | share |", "|---|--:|--:|", f"| `enable()` and `disable()` | {found['cycle']:.2f} ms | |"]
    for name, (whole, fit, names) in found["rows"].items():
        lines.append(f"| `get_peft_model`, Llama-70B layout, {name} | {whole:.0f} ms | |")
        lines.append(f"| ... of which the fit check | {fit:.2f} ms | {fit / whole:.2%} |")
        lines.append(f"| ... of which the look at names | {names:.2f} ms | {names / whole:.2%} |")
    return lines


if __name__ == "__main__":
    print("\n".join(table()))
