"""``python -m tests.gpu``: the programs of ``tests/libraries`` whose model can stand on a GPU, run on one."""

from __future__ import annotations

import sys

from .libraries.__main__ import main as run
from .libraries.table import PROGRAMS

NAMES = ("transformers_trainer", "trl_", "bitsandbytes", "torchao", "quanto")


def main() -> int:
    """Run them, or say that there is no GPU. The exit code is 0 if all is as it should be, 1 if not, 2 without one."""
    import torch

    if not torch.cuda.is_available():
        print("There is no GPU here that torch can use, so nothing was run.", file=sys.stderr)
        return 2
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", file=sys.stderr)
    chosen = [each for each in PROGRAMS if each.name.startswith(NAMES) and not each.launcher]
    return run("cuda", chosen)


if __name__ == "__main__":
    sys.exit(main())
