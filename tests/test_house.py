"""The plan of the package: which wing may import which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import peft_strict

PACKAGE = Path(peft_strict.__file__).parent
# From the roof to the ground; a wing may import what stands below it, and the modules beside it in its own folder.
FLOORS = ("commands", "switch", "guards", "roundtrip", "fit", "values", "releases", "")


def _imports(path: Path) -> Iterator[str]:
    """Yield the wing of each relative import in a module; ``""`` for the modules at the top of the package."""
    above = len(path.relative_to(PACKAGE).parents) - 1
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            here = path.relative_to(PACKAGE).parts[:-1]
            names = [*here[: above + 1 - node.level], *(node.module or "").split(".")]
            folder = next((name for name in names if name), "")
            yield folder if (PACKAGE / folder).is_dir() else ""


def test_imports_lead_downwards() -> None:
    """A module imports from its own wing and from those below; the face of the package and the start stand on top."""
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        wing = path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else ""
        if path.parent == PACKAGE and path.name != "_errors.py":
            continue
        wrong += [
            (str(path.relative_to(PACKAGE)), other)
            for other in _imports(path)
            if other != wing and FLOORS.index(other) < FLOORS.index(wing)
        ]
    assert not wrong


def test_one_importer_of_wrapt() -> None:
    """wrapt is imported in one module."""
    found = [path.name for path in PACKAGE.rglob("*.py") if "import wrapt" in path.read_text()]
    assert found == ["patching.py"]


def test_pins_are_for_the_pythons_that_have_them() -> None:
    """The pinned versions leave Python 3.9 and 3.10 alone: many are not for these, and pip would give up on them."""
    lines = Path(__file__).with_name("constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not pin.endswith('; python_version >= "3.11"')] == []
