"""What ``peft-strict check`` costs on 1,000 adapters, next to a bare loop that opens the same files and parses them.

Each adapter is the LoRA of a model of 7B: a config, and a header of 448 tensors. The values are holes in the files.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from .. import interpreters
from . import harness

COUNT = 1000
LAYERS = 32
MODULES = {
    **dict.fromkeys(("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"), (4096, 4096)),
    **dict.fromkeys(("mlp.gate_proj", "mlp.up_proj"), (4096, 11008)),
    "mlp.down_proj": (11008, 4096),
}
BARE = """
import json, os, sys
for folder in sorted(os.scandir(sys.argv[1]), key=lambda entry: entry.name):
    with open(os.path.join(folder.path, "adapter_config.json"), "rb") as file:
        json.loads(file.read())
    with open(os.path.join(folder.path, "adapter_model.safetensors"), "rb") as file:
        json.loads(file.read(int.from_bytes(file.read(8), "little")))
"""


def table(rounds: int = 15) -> list[str]:
    """Return the lines of the Markdown table."""
    folder = interpreters.scratch() / "adapters"
    _make(folder)
    environment = interpreters.with_real_peft()
    commands = {
        "a bare loop with `json.loads`": ("-c", BARE, folder),
        "**peft-strict check**": ("-m", "peft_strict", "check", folder),
    }
    cases = {
        name: harness.command((environment.python, *words), interpreters.environ()) for name, words in commands.items()
    }
    rows = harness.side_by_side(cases, rounds)
    shutil.rmtree(folder)
    title = f"{COUNT:,} adapters of {2 * LAYERS * len(MODULES)} tensors"
    return [*harness.table(title, rows), "", f"{harness.machine()}, {rounds} rounds."]


def _make(folder: Path, rank: int = 16) -> None:
    """Write the adapters; the weights are one file with many names."""
    import peft

    config = peft.LoraConfig(
        r=rank, target_modules=[name.rpartition(".")[2] for name in MODULES], task_type="CAUSAL_LM"
    )
    config.inference_mode = True
    folder.mkdir()
    for number in range(COUNT):
        one = folder / f"{number:04}"
        config.save_pretrained(one)
        weights = one / "adapter_model.safetensors"
        if number:
            os.link(folder / "0000" / weights.name, weights)
        else:
            _write(weights, rank)


def _write(path: Path, rank: int) -> None:
    entries, here = {}, 0
    for layer in range(LAYERS):
        for module, (inputs, outputs) in MODULES.items():
            for half, shape in (("A", [rank, inputs]), ("B", [outputs, rank])):
                end = here + 2 * shape[0] * shape[1]
                name = f"base_model.model.model.layers.{layer}.{module}.lora_{half}.weight"
                entries[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [here, end]}
                here = end
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + here)
