"""Good adapters of every method, from PEFT's own test cases: ``python -m tests.roundtrip`` runs all of them."""

from __future__ import annotations

from .__main__ import run


def test_no_report_and_the_same_files() -> None:
    """Saving and loading an adapter of each method reports nothing and writes the bytes that PEFT writes alone."""
    found = run(sample=True)
    assert found["reports"] == []
    assert len(found["adapters"]) >= 38
