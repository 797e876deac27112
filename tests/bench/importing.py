"""What ``import peft`` costs with peft-strict installed and switched on."""

from __future__ import annotations

import importlib.metadata
import sys

from .. import interpreters
from . import harness


def table(rounds: int = 15) -> list[str]:
    """Return the lines of the Markdown table."""
    without = interpreters.new_environment(interpreters.HERE, interpreters.scratch() / "without-us")
    without.see(*(path for path in sys.path if path.endswith("site-packages")))
    ours = interpreters.with_real_peft()
    cases = {
        "without peft-strict": (without, {}),
        "**peft-strict**, variable unset": (ours, {}),
        "**peft-strict**, `PEFT_STRICT=1`": (ours, {"PEFT_STRICT": "1"}),
    }
    commands = {
        name: harness.command((environment.python, "-c", "import peft"), interpreters.environ(**variables))
        for name, (environment, variables) in cases.items()
    }
    rows = harness.side_by_side(commands, rounds)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("peft", "transformers", "torch"))
    return [*harness.table("`import peft`", rows), "", f"{harness.machine()}, {versions}, {rounds} rounds."]
