"""All that is generated, as the text of files."""

from __future__ import annotations

from pathlib import Path

from . import house, page, task_types, terminal, ways_map
from .page import REPOSITORY

ASSETS = REPOSITORY / ".github" / "assets"


def files() -> dict[Path, str]:
    """Return every generated file, the README with its sections among them, as it should be."""
    pictures = {**terminal.pictures(), **ways_map.pictures()}
    return {page.README: readme(), **{ASSETS / name: text for name, text in pictures.items()}}


def readme() -> str:
    """Return the README with its generated sections as they should be."""
    text = page.README.read_text()
    text = page.with_section(text, "task-types", task_types.markdown())
    return page.with_section(text, "house", house.markdown())


def is_current(path: Path, text: str) -> bool:
    """Whether that file is there as it should be."""
    return path.exists() and path.read_text() == text
