"""The wings of the package with their rooms, from the docstrings of the wings themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import peft_strict

from ..test_house import FLOORS

PACKAGE = Path(peft_strict.__file__).parent
_GROUND = (
    "What a start of Python loads, with the import hook: it stands on `guards`. The errors, which all wings share."
)


def markdown() -> str:
    """Return the README's table: each wing, from the roof to the ground, what is in it, and its rooms."""
    lines = ["| wing | what is in it | rooms |", "|---|---|---|"]
    for wing in (floor for floor in FLOORS if not floor.startswith("_")):
        rooms = sorted(path.stem for path in (PACKAGE / wing).glob("*.py") if path.stem != "__init__")
        lines.append(f"| `{wing}/` | {_says(PACKAGE / wing / '__init__.py')} | {_listed(rooms)} |")
    ground = sorted(path.stem for path in PACKAGE.glob("_*.py") if path.stem not in ("__init__", "__main__"))
    lines.append(f"| beside them | {_GROUND} | {_listed(ground)} |")
    return "\n".join(lines)


def _says(path: Path) -> str:
    """Return the first paragraph of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("``", "`")


def _listed(rooms: list[str]) -> str:
    return ", ".join(f"`{room}`" for room in rooms)
