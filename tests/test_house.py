"""The plan of the package: which wing may import which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import peft_strict

PACKAGE = Path(peft_strict.__file__).parent
FACE = ("__init__", "__main__")
# From the roof to the ground; a wing may import what stands below it, and the modules beside it in its own folder. The
# start of Python stands on the guards, which it has PEFT patched by.
FLOORS = ("commands", "switch", "_standby", "guards", "roundtrip", "fit", "values", "releases", "_errors")


def _floor(path: Path) -> str:
    """Return the wing of a module; of one that lies in none, its own name."""
    first, *rest = path.relative_to(PACKAGE).parts
    return first if rest else path.stem


def _imports(path: Path) -> Iterator[Path]:
    """Yield what a module imports of the package, for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            home = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for alias in node.names:
                found = (home / alias.name, home / alias.name / "__init__", home, home / "__init__")
                yield next(file for file in (each.with_suffix(".py") for each in found) if file.is_file())
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if any(name.partition(".")[0] == "peft_strict" for name in names):
                yield PACKAGE / "__init__.py"


def test_imports_lead_downwards() -> None:
    """A module imports from its own wing and from those below, for type checkers too: so there is no circle of wings.

    The face of the package stands on top, and nothing imports that but its own version.
    """
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        wing = _floor(path)
        for other in map(_floor, _imports(path) if wing not in FACE else ()):
            if other != wing and (other in FACE or FLOORS.index(other) < FLOORS.index(wing)):
                wrong.append((str(path.relative_to(PACKAGE)), other))
    assert wrong == [("commands/cli.py", "__init__")]


def test_every_module_stands_on_a_floor() -> None:
    """No module lies outside of the plan."""
    assert {_floor(path) for path in PACKAGE.rglob("*.py")} == {*FLOORS, *FACE}


def test_one_importer_of_wrapt() -> None:
    """wrapt is imported in one module."""
    found = [path.name for path in PACKAGE.rglob("*.py") if "import wrapt" in path.read_text()]
    assert found == ["patching.py"]


def test_pins_are_for_the_pythons_that_have_them() -> None:
    """The pinned versions leave Python 3.9 and 3.10 alone: many are not for these, and pip would give up on them."""
    lines = Path(__file__).with_name("constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not pin.endswith('; python_version >= "3.11"')] == []
