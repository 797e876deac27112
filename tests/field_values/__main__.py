"""Tries the cells on releases of PEFT, each in a process of its own: ``python -m tests.field_values [RELEASE ...]``.

Without a release: on all. With ``--here``: on the installed one, in this process, with the result as JSON.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from typing import Any

from ..command_line import REPOSITORY, environment
from ..matrix.cells import OLDER_TRANSFORMERS, PEFTS
from ..upstream.compare import installed_copy

# What transformers 4 wants in place of what is installed; it has no other needs of its own.
BESIDE_OLDER_TRANSFORMERS = {"huggingface-hub": "0.36.0", "tokenizers": "0.22.1"}


def tried_on(version: str) -> dict[str, Any]:
    """Return what the cells say on a release."""
    wanted = {} if version == importlib.metadata.version("peft") else {"peft": version}
    if version in OLDER_TRANSFORMERS:
        wanted.update(transformers=OLDER_TRANSFORMERS[version], **BESIDE_OLDER_TRANSFORMERS)
    path = [*(str(installed_copy(*each)) for each in wanted.items()), str(REPOSITORY)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.field_values", "--here"],
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
    if "--here" in sys.argv:
        from .cells import table

        print(json.dumps(table()))
        return 0
    bad = 0
    for version in sys.argv[1:] or PEFTS:
        found = tried_on(version)
        print(f"{version}: {found['classes']} classes, {found['declared']} fields, {found['counts']}", flush=True)
        for kind in ("alarms", "missed", "apart", "unmade"):
            print(*(f"  {kind}: {each}" for each in found[kind]), sep="\n", end="\n" if found[kind] else "")
        bad += sum(len(found[kind]) for kind in ("alarms", "missed", "apart"))
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
