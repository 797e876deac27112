"""``enable(children=True)``: what becomes of ``PEFT_STRICT``. The children themselves: ``tests/test_children.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from peft_strict._standby import parse_variable, text_of

from ..interpreters import HERE, World, environ, execute, on_a_few_small_pefts, with_small_peft

SHOW = """
import os, peft_strict
def shown(): return os.environ.get("PEFT_STRICT")
"""
ALL = "invalid=raise,misfit=warn,roundtrip=warn"


@pytest.mark.parametrize("invalid", ["raise", "warn"])
@pytest.mark.parametrize("misfit", ["warn", "raise", "ignore"])
@pytest.mark.parametrize("roundtrip", ["warn", "raise", "ignore"])
def test_every_mode_can_be_said(invalid: str, misfit: str, roundtrip: str) -> None:
    """The variable says all modes there are."""
    assert parse_variable(text_of(invalid, misfit, roundtrip)) == ((invalid, misfit, roundtrip), None)


@on_a_few_small_pefts
@pytest.mark.parametrize("before", [None, "", "warn"])
def test_the_variable_is_set_back(world: World, tmp_path: Path, before: str | None) -> None:
    """It says the modes for as long as children are to be guarded, then what it said before."""
    script = f"""{SHOW}
assert shown() == {before!r}
peft_strict.enable(children=True)
assert shown() == {ALL!r}
peft_strict.enable(misfit="ignore", children=True)
assert shown() == "invalid=raise,misfit=ignore,roundtrip=warn"
peft_strict.enable()
assert shown() == {before!r}
peft_strict.enable(children=True)
for _ in range(2):
    peft_strict.disable()
    assert shown() == {before!r}
assert repr(peft_strict.status()) == "<peft_strict: off>"
"""
    world.passes(script, tmp_path, **({} if before is None else {"PEFT_STRICT": before}))


@on_a_few_small_pefts
def test_a_variable_of_somebody_else(world: World, tmp_path: Path) -> None:
    """What somebody has set, or taken away, since is left alone."""
    script = f"""{SHOW}
peft_strict.enable(children=True)
os.environ["PEFT_STRICT"] = "raise"
peft_strict.disable()
assert shown() == "raise"
peft_strict.enable(children=True)
del os.environ["PEFT_STRICT"]
peft_strict.enable()
assert shown() is None
"""
    world.passes(script, tmp_path)


def test_nobody_reads_the_variable() -> None:
    """Where no interpreter like this one would read it, ``enable()`` says so at the caller's line."""
    environment = with_small_peft(HERE)
    path = f"{environment.site_packages}:{(environment.site_packages / 'a_paths.pth').read_text().split()[0]}"
    code = "import peft_strict\npeft_strict.enable(children=True)"
    result = execute(environment.python, "-S", "-c", code, env=environ(PYTHONPATH=path))
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.startswith("<string>:2: PeftStrictWarning: peft-strict: children=True: no peft_strict.pth ")


@on_a_few_small_pefts
def test_a_fork_server_that_runs_already(world: World, tmp_path: Path) -> None:
    """Children of a fork server that was started before are not guarded, and the user is told; once is enough."""
    script = """
import multiprocessing, warnings, peft_strict, scenario

if __name__ == "__main__":
    peft_strict.enable()
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                peft_strict.enable(children=True)
        (warning,) = caught
        assert warning.category is peft_strict.PeftStrictWarning
        assert "the fork server of multiprocessing runs already" in str(warning.message), warning
        assert (warning.filename, warning.lineno) == (__file__, 10), warning
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        assert pool.map(scenario.refused, [None]) == [False]
"""
    world.passes(script, tmp_path)
