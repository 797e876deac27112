"""What a config costs: ``LoraConfig(task_type="CAUSAL_LM")`` under each guard, and what each guard catches.

Every variant runs in processes of its own, in turn, so that no variant meets the caches another one left. CPU time of
the thread is measured, which other programs on the machine disturb least.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

# How each variant is put on PEFT's own class before anything is measured.
VARIANTS = {
    "plain PEFT": "",
    "without PEFT's own check": (
        "from peft.config import PeftConfigMixin\n"
        "def __post_init__(self):\n"
        "    if self.peft_version is None:\n"
        "        self.peft_version = self._get_peft_version()\n"
        "PeftConfigMixin.__post_init__ = __post_init__\n"
    ),
    "peft-strict": "import peft_strict; peft_strict.enable()",
    "bare wrapt wrapper": (
        "import wrapt\n"
        "wrapt.wrap_function_wrapper(LoraConfig, '__init__', lambda wrapped, instance, args, kwargs: "
        "wrapped(*args, **kwargs))"
    ),
    "beartype": "import beartype; LoraConfig = beartype.beartype(LoraConfig)",
    "typeguard": "import typeguard; LoraConfig = typeguard.typechecked(LoraConfig)",
    "huggingface_hub @strict": "from huggingface_hub.dataclasses import strict; LoraConfig = strict(LoraConfig)",
    "pydantic dataclass": "import pydantic.dataclasses; LoraConfig = pydantic.dataclasses.dataclass(LoraConfig)",
}

WORKER = """
import json, os, sys, tempfile, time
from peft import LoraConfig, PeftConfig
{setup}
def measure(count):
    start = time.thread_time()
    for _ in range(count):
        LoraConfig(task_type="CAUSAL_LM")
    return (time.thread_time() - start) / count * 1e6
def caught(action):
    try:
        action()
    except Exception:
        return True
    return False
def assign():
    LoraConfig().task_type = "CASUAL_LM"
def load():
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "adapter_config.json"), "w") as file:
            json.dump({{"peft_type": "LORA", "task_type": "CASUAL_LM"}}, file)
        PeftConfig.from_pretrained(folder)
measure(8000)
found = {{"us": [measure(4000) for _ in range(15)]}}
found["caught"] = [caught(lambda: LoraConfig(task_type="CASUAL_LM")), caught(assign), caught(load)]
json.dump(found, sys.stdout)
"""


def _run(variant: str) -> dict[str, list[float]]:
    code = WORKER.format(setup=VARIANTS[variant])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
        return {"error": [reason]}  # type: ignore[list-item]
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def table(rounds: int = 3) -> list[str]:
    """Return the lines of the Markdown table; ``rounds`` processes for each variant, in turn."""
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    caught: dict[str, list[float]] = {}
    errors: dict[str, str] = {}
    for _ in range(rounds):
        for variant in VARIANTS:
            found = _run(variant)
            if "error" in found:
                errors[variant] = str(found["error"][0])
                continue
            times[variant] += found["us"]
            caught[variant] = found["caught"]
    plain = times["plain PEFT"]
    lines = [
        '| `LoraConfig(task_type="CAUSAL_LM")` | median | ratio | best | ratio | typo | assignment | saved config |',
        "|---|--:|--:|--:|--:|:-:|:-:|:-:|",
    ]
    for variant, measured in times.items():
        if not measured:
            lines.append(f"| {variant} | cannot be applied: {errors[variant][:80]} | | | | | | |")
            continue
        middle, best = statistics.median(measured), min(measured)
        marks = " | ".join("caught" if mark else "silent" for mark in caught[variant])
        lines.append(
            f"| {variant} | {middle:.2f} us | {middle / statistics.median(plain):.2f}x "
            f"| {best:.2f} us | {best / min(plain):.2f}x | {marks} |"
        )
    return lines
