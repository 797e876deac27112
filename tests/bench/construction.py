"""What a config costs: ``LoraConfig(task_type="CAUSAL_LM")`` under each guard, and what each guard catches.

Every variant has a process of its own, so that none meets the caches another one left. They take turns of some
milliseconds on one and the same processor, so that a machine that is faster now and slower then is so for all of them.
CPU time of the thread is measured, which other programs on the machine disturb least.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable

from . import harness

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
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
from peft import LoraConfig, PeftConfig
{setup}
def measure(count):
    start = time.thread_time()
    for _ in range(count):
        LoraConfig(task_type="CAUSAL_LM")
    return (time.thread_time() - start) / count
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
print(json.dumps([caught(lambda: LoraConfig(task_type="CASUAL_LM")), caught(assign), caught(load)]), flush=True)
for line in sys.stdin:
    print(measure(int(line)), flush=True)
"""
TURN = 1000  # constructions


def table(rounds: int = 150) -> list[str]:
    """Return the lines of the Markdown table."""
    with contextlib.ExitStack() as stack:
        caught, cases = {}, {}
        for variant in VARIANTS:
            process = stack.enter_context(worker(WORKER.format(setup=VARIANTS[variant])))
            caught[variant] = json.loads(process.stdout.readline() or "null")
            if caught[variant] is None:
                print(f"{variant} cannot be applied and is left out", file=sys.stderr)
            else:
                cases[variant] = turn(process)
        rows = harness.side_by_side(cases, rounds)
    first, under, *lines = harness.table('`LoraConfig(task_type="CAUSAL_LM")`', rows)
    marks = [" | ".join("caught" if mark else "silent" for mark in caught[row.name]) for row in rows]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("peft", "wrapt"))
    return [
        f"{first} typo | assignment | saved config |",
        f"{under}:-:|:-:|:-:|",
        *(f"{line} {mark} |" for line, mark in zip(lines, marks)),
        "",
        f"{harness.machine()}, {versions}, {rounds} rounds.",
    ]


def worker(code: str) -> subprocess.Popen[str]:
    """Start a process that runs a program and then measures as often as it is told."""
    return subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True)


def turn(process: subprocess.Popen[str]) -> Callable[[], float]:
    """Return a function that has the process measure once."""

    def run() -> float:
        process.stdin.write(f"{TURN}\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    return run
