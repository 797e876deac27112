"""PEFT's own tests end the same way with peft-strict switched on."""

from __future__ import annotations

import importlib.metadata

import pytest

from .upstream.__main__ import IN_CI
from .upstream.compare import differences, installed_copy, run_both, source_tests

INSTALLED = importlib.metadata.version("peft")


@pytest.mark.parametrize(
    ("version", "files", "at_least", "mistakes"),
    [
        pytest.param(INSTALLED, IN_CI, 1350, 0, id="newest"),
        pytest.param("0.13.2", ["test_config.py"], 150, 18, id="0.13.2"),
    ],
)
def test_peft_own_tests_end_the_same_way(version: str, files: list[str], at_least: int, mistakes: int) -> None:
    """Each test of PEFT's own suites ends the same way with and without us, but for those that make the mistake."""
    folder = source_tests("peft", version)
    older = installed_copy("peft", version) if version != INSTALLED else None
    plain, strict = run_both(folder, files, extra_path=older, options=[])
    assert (plain.guarded, strict.guarded) == ("absent", "guarding")
    found = differences(plain, strict)
    assert [each for each in found if not each.is_the_mistake] == []
    assert len(found) == mistakes
    assert plain.counts()["passed"] >= at_least
