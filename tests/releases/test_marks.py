"""How PEFT's methods name their tensors, read from its source."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from peft_strict.releases import marks, source

from ..roundtrip import adapters


@pytest.mark.parametrize("method", adapters.MADE_ALONE)
def test_what_a_method_saves_has_its_mark(tmp_path: Path, method: str) -> None:
    """The installed PEFT names its tensors as its source was read; of two methods nothing is known."""
    found = marks.marks(source.installed().methods)
    if method not in found:
        assert method in ("ADAPTION_PROMPT", "ADALORA")
        return
    try:
        adapters.save(tmp_path, method)
    except ImportError as error:
        pytest.skip(f"PEFT needs another library for {method}: {error}")
    names = adapters.tensors(tmp_path)
    assert any(name.startswith(found[method]) or f".{found[method]}" in name for name in names)


def test_an_unknown_method_has_none() -> None:
    """A name that PEFT has no folder for is left out."""
    assert marks.marks(["LORA", "NO_SUCH_METHOD"]).keys() == {"LORA"}


def test_without_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no PEFT, nothing is known."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert marks.marks(["LORA"]) == {}
