"""The search for adapter configs, where a folder cannot be read whoever asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from peft_strict.commands import adapter_files


@pytest.fixture(name="too_deep")
def _too_deep(tmp_path: Path) -> Iterator[Path]:
    """Return a folder whose path is at the limit of the system, with another folder inside."""
    here, parts = os.getcwd(), []
    os.chdir(tmp_path)
    while len(str(tmp_path)) + sum(len(part) + 1 for part in parts) < 4096:
        parts.append("d" * 250)
        os.mkdir(parts[-1])
        os.chdir(parts[-1])
    yield tmp_path / parts[0]
    for part in reversed(parts):
        os.chdir("..")
        os.rmdir(part)
    os.chdir(here)


def test_a_folder_that_cannot_be_read(tmp_path: Path, too_deep: Path) -> None:
    """It is told, and the search goes on with the next folder."""
    behind = tmp_path / "z" / "adapter_config.json"
    behind.parent.mkdir()
    behind.touch()
    complaints: list[tuple[str, str]] = []
    found = list(adapter_files.find(str(tmp_path), lambda path, why: complaints.append((path, why))))
    assert [file for files in found for file in files] == [str(behind)]
    [(path, why)] = complaints
    assert path.startswith(str(too_deep))
    assert "name too long" in why
