"""Tries the cells on releases of PEFT, each in a process of its own: ``python -m tests.field_values [RELEASE ...]``.

Without a release: on all. With ``--losses``: how many wrong values lose something without a word in plain PEFT, and
how many of those are told. With ``--here``: on the installed release, in this process, with the result as JSON.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

from ..command_line import REPOSITORY, environment
from ..matrix.cells import OLDER_TRANSFORMERS, PEFTS
from ..upstream.compare import installed_copy

# What transformers 4 wants in place of what is installed; it has no other needs of its own.
BESIDE_OLDER_TRANSFORMERS = {"huggingface-hub": "0.36.0", "tokenizers": "0.22.1"}


def tried_on(version: str, *options: str) -> dict[str, Any]:
    """Return what the cells say on a release, or with ``"--losses"`` and perhaps a method, what is lost."""
    wanted = {} if version == importlib.metadata.version("peft") else {"peft": version}
    if version in OLDER_TRANSFORMERS:
        wanted.update(transformers=OLDER_TRANSFORMERS[version], **BESIDE_OLDER_TRANSFORMERS)
    path = [*(str(installed_copy(*each)) for each in wanted.items()), str(REPOSITORY)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.field_values", "--here", *options],
        cwd=REPOSITORY,
        env=environment(PYTHONPATH=os.pathsep.join(path), HF_HUB_OFFLINE="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"PEFT {version}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["peft"] == version
    return found


def main() -> int:
    """Print a line for each release, and each cell that is not as it must be."""
    arguments = sys.argv[1:]
    options = [each for each in arguments if each.startswith("--")]
    if "--here" in options:
        print(json.dumps(_here(arguments)))
        return 0
    versions = [each for each in arguments if each not in options] or PEFTS
    wrong = [_print_losses(each) if "--losses" in options else _print_cells(each) for each in versions]
    return any(wrong)


def _here(arguments: list[str]) -> dict[str, Any]:
    if "--losses" in arguments:
        import torch

        from .losses import table as losses

        torch.set_num_threads(1)
        return losses(*[each for each in arguments if not each.startswith("--")])
    from .cells import table

    return table()


def _print_cells(version: str) -> bool:
    found = tried_on(version)
    print(f"{version}: {found['classes']} classes, {found['declared']} fields, {found['counts']}", flush=True)
    for kind in ("alarms", "missed", "apart", "unmade"):
        print(*(f"  {kind}: {each}" for each in found[kind]), sep="\n", end="\n" if found[kind] else "")
    return any(found[kind] for kind in ("alarms", "missed", "apart"))


def _print_losses(version: str) -> bool:
    found = tried_on(version, "--losses")
    lost, untold = len(found["losses"]), len(found["untold"])
    classes = {field.partition(".")[0] for field in found["fields"]}
    where = f"{len(found['fields'])} fields of {len(classes)} classes"
    print(f"{version}: {lost - untold} of {lost} losses told, in {where} ({found['cells']} wrong values tried)")
    for field, count in Counter(each.partition("=")[0] for each in found["untold"]).items():
        print(f"  not told: {field} ({count})", flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main())
