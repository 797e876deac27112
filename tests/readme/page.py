"""The README as data: its fenced blocks and its generated sections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """One fenced block.

    Attributes:
        kind: The word behind the fence: ``python``, ``text`` or ``console``.
        text: What stands in it.
        line: The number of its first line.
        shown: The ``text`` block that follows with nothing between, or ``None``: what running this one prints.
    """

    kind: str
    text: str
    line: int
    shown: str | None


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page in order."""
    found = list(_FENCED.finditer(page))
    for match, following in zip(found, [*found[1:], None]):
        between = page[match.end() : following.start()] if following else "end"
        is_shown = following is not None and following[1] == "text" and not between.strip()
        line = page.count("\n", 0, match.start(2)) + 1
        yield Block(match[1], match[2], line, following[2] if following and is_shown else None)


def with_section(page: str, name: str, body: str) -> str:
    """Return the page with this between the markers of a generated section."""
    section = re.compile(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
    return section.sub(lambda match: f"{match[1]}\n{body.strip()}\n{match[2]}", page)


def rows(table: str) -> list[list[str]]:
    """Return the cells of the body of a Markdown table."""
    lines = [line.strip() for line in table.strip().splitlines()]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def table_after(page: str, heading: str) -> str:
    """Return the Markdown table whose head line starts with this text."""
    return re.search(rf"^{re.escape(heading)}.*?(?=\n\n|\Z)", page, re.MULTILINE | re.DOTALL)[0]
