"""Imports that are put off until a name is used, as CPython 3.15 has them (PEP 810)."""

from __future__ import annotations

from pathlib import Path

import pytest

from .. import small_peft
from ..interpreters import World, on_pythons_with_lazy_imports

# Each of these is the beginning of a program.
BEFORE = "import peft_strict; peft_strict.enable()\nimport peft"
AFTER = "import peft, peft_strict\npeft.PeftType\npeft_strict.enable()"
ASKED_BY_KEYWORD = "import peft_strict; peft_strict.enable()\nlazy import peft\nlazy from peft import LoraConfig"

GUARDED = """
peft.PeftType  # by now it is imported
assert scenario.guarded()
assert len(scenario.config_classes()) == 3
assert peft_strict.disable().state == "off"
assert scenario.depths() == {0}
"""


@on_pythons_with_lazy_imports
@pytest.mark.parametrize("start", [BEFORE, AFTER, ASKED_BY_KEYWORD], ids=["before", "after", "keyword"])
@pytest.mark.parametrize("way", ["variable", "call", "not-asked"])
def test_all_imports_lazy(world: World, tmp_path: Path, way: str, start: str) -> None:
    """Where all imports are lazy every class is guarded, also those whose modules nobody has used yet."""
    lazy = "sys.set_lazy_imports('all')" if way == "call" else ""
    variables = {"PYTHON_LAZY_IMPORTS": "all"} if way == "variable" else {}
    world.passes(f"\nimport sys, scenario\n{lazy}\n{start}\n{GUARDED}", tmp_path, fresh=True, **variables)


@on_pythons_with_lazy_imports
def test_armed_by_the_variable(world: World, tmp_path: Path) -> None:
    """The same where ``PEFT_STRICT`` has switched us on."""
    script = f"\nimport scenario, peft, peft_strict\n{GUARDED}"
    world.passes(script, tmp_path, fresh=True, PYTHON_LAZY_IMPORTS="all", PEFT_STRICT=1)


@on_pythons_with_lazy_imports
@pytest.mark.parametrize("start", [BEFORE, AFTER], ids=["before", "after"])
def test_a_lazy_peft(world: World, tmp_path: Path, start: str) -> None:
    """A PEFT whose own modules declare their imports as lazy is guarded as a whole."""
    small_peft.write(tmp_path)
    for path in (tmp_path / "peft").rglob("__init__.py"):
        names = '["peft.config", "peft.mapping", "peft.peft_model", "peft.tuners", "peft.tuners.lora", "peft.utils"]'
        path.write_text(f"__lazy_modules__ = {names}\n{path.read_text()}")
    world.passes(f"\nimport scenario\n{start}\n{GUARDED}", tmp_path, fresh=True)


@on_pythons_with_lazy_imports
def test_a_part_that_cannot_be_imported(world: World, tmp_path: Path) -> None:
    """What fails to be imported is left to whoever uses it, and all the rest is guarded."""
    small_peft.write(tmp_path)
    with (tmp_path / "peft" / "__init__.py").open("a") as file:
        file.write("\nlazy from .missing import Gone\n")
    script = f"""
import scenario
{BEFORE}
{GUARDED}
try:
    peft.Gone
except ImportError:
    pass
else:
    raise AssertionError
"""
    world.passes(script, tmp_path, fresh=True, PYTHON_LAZY_IMPORTS="all")
