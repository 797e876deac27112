"""What a config with eight fields costs under each guard, and which silent mistakes and which right values it refuses.

Measured as in `construction`. The mistakes are those that PEFT takes without a word and that lose something; the right
values are ones that PEFT's own annotations do not have, and that its tests, its examples or other libraries pass.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import sys

from . import harness
from .construction import turn, worker

# Each defines ``guard``, which is put on the classes before anything is measured.
GUARDS = {
    "plain PEFT": "guard = lambda cls: cls",
    "peft-strict": "import peft_strict; peft_strict.enable(); guard = lambda cls: cls",
    "beartype": "from beartype import beartype as guard",
    "typeguard": "from typeguard import typechecked as guard",
    "huggingface_hub @strict": "from huggingface_hub.dataclasses import strict as guard",
    "pydantic dataclass": "from pydantic.dataclasses import dataclass as guard",
}

MISTAKES = (
    'LoraConfig(inference_mode="False")',
    'LoraConfig(use_rslora="False")',
    'LoraConfig(lora_bias="none")',
    'LoraConfig(modules_to_save="lm_head")',
    'LoraConfig(init_lora_weights="")',
    'LoraConfig(init_lora_weights="MiCA")',
    "LoraConfig(init_lora_weights=None)",
    "LoraConfig(init_lora_weights='lora_ga', lora_ga_config=LoraGAConfig(scale='stabel'))",
    'MissConfig(init_weights="bta")',
    'LoKrConfig(init_weights="Lycoris")',
    'PrefixTuningConfig(prefix_projection="False")',
    'PrefixTuningConfig(init_weights="Zero")',
    'PromptTuningConfig(prompt_tuning_init="text")',
    'MultitaskPromptTuningConfig(prompt_tuning_init="average_source_tasks")',
    'CPTConfig(task_type="CAUSAL_LM", opt_weighted_loss_type="Decay")',
)
RIGHT = (
    'LoraConfig(init_lora_weights="pissa_niter_16")',
    'LoraConfig(init_lora_weights="OLoRA")',
    'LoraConfig(init_lora_weights="lora_ga", lora_ga_config=LoraGAConfig())',
    "LoraConfig(lora_alpha=22.6)",
    "LoraConfig(fan_in_fan_out=None)",
    'LoraConfig(modules_to_save={"lm_head"})',
    'ShiraConfig(mask_type="mine")',
    "PromptTuningConfig(num_virtual_tokens=None)",
)
CLASSES = sorted({each.partition("(")[0] for each in MISTAKES + RIGHT})

WORKER = """
import json, os, sys, time, warnings
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
from peft import {names}, LoraGAConfig
{guard}
try:
    {guarded}
except Exception:
    sys.exit("not applicable")
def measure(count):
    start = time.thread_time()
    for _ in range(count):
        LoraConfig(
            task_type="CAUSAL_LM", r=16, lora_alpha=32, lora_dropout=0.05, bias="none", use_rslora=True,
            target_modules=["q_proj", "v_proj"], init_lora_weights="gaussian",
        )
    return (time.thread_time() - start) / count
def told(code):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            eval(code)
        except Exception:
            return True
    return any("peft-strict" in str(each.message) for each in caught)
measure(8000)
print(json.dumps([sum(map(told, {mistakes})), sum(map(told, {right}))]), flush=True)
for line in sys.stdin:
    print(measure(int(line)), flush=True)
"""


def table(rounds: int = 150) -> list[str]:
    """Return the lines of the Markdown table."""
    with contextlib.ExitStack() as stack:
        told, cases = {}, {}
        for name, guard in GUARDS.items():
            guarded = "; ".join(f"{cls} = guard({cls})" for cls in [*CLASSES, "LoraGAConfig"])
            code = WORKER.format(
                names=", ".join(CLASSES), guard=guard, guarded=guarded, mistakes=MISTAKES, right=RIGHT
            )
            process = stack.enter_context(worker(code))
            told[name] = json.loads(process.stdout.readline() or "null")
            if told[name] is None:
                print(f"{name} cannot be applied and is left out", file=sys.stderr)
            else:
                cases[name] = turn(process)
        rows = harness.side_by_side(cases, rounds)
    first, under, *lines = harness.table("`LoraConfig` with eight fields", rows)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("peft", "wrapt"))
    return [
        f"{first} silent mistakes told, of {len(MISTAKES)} | right values refused, of {len(RIGHT)} |",
        f"{under}--:|--:|",
        *(f"{line} {told[row.name][0]} | {told[row.name][1]} |" for line, row in zip(lines, rows)),
        "",
        f"{harness.machine()}, {versions}, {rounds} rounds.",
    ]
