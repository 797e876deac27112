"""The picture at the top of the README: a terminal with the program and what is said of it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from . import page, running, svg

COLUMNS = 120
_SIZE, _ADVANCE, _LEADING = 13, 7.83, 19  # pixels; the fonts of the list are 0.602 em wide
_LEFT, _TOP, _BAR = 18, 24, 34
_WRONG, _RIGHT = "v_prj", "v_proj"

_LOOKS = {
    "error": re.compile(r"\w+Warning(?=: peft-strict)|peft-strict [A-Z]\d"),
    "bad": re.compile(rf"""["'`]{_WRONG}["'`]|none of its \d+ tensors"""),
    "good": re.compile(rf"""(?<=Did you mean )`{_RIGHT}`|(?<=Write ).*"""),
    "faint": re.compile(r"^\$"),
}


def pictures() -> dict[str, str]:
    """Return the pictures by their file names, from the README's first program and what it prints."""
    first = next(block for block in page.blocks(page.README.read_text()) if block.kind == "python")
    lines = list(screen(first.text, first.shown or ""))
    return {f"error-{name}.svg": _drawn(lines, palette) for name, palette in svg.PALETTES.items()}


def screen(code: str, output: str) -> Iterator[str]:
    """Yield the lines of the terminal, wrapped between words."""
    yield f"$ cat {running.SCRIPT}"
    yield from code.rstrip().splitlines()
    yield ""
    yield f"$ python {running.SCRIPT}"
    for line in output.rstrip().splitlines():
        yield from textwrap.wrap(line, COLUMNS, break_on_hyphens=False) if len(line) > COLUMNS else [line]


def _drawn(lines: list[str], palette: svg.Palette) -> str:
    width = round(2 * _LEFT + COLUMNS * _ADVANCE)
    height = _BAR + _TOP + _LEADING * len(lines)
    looks: dict[str, dict[str, object]] = {
        "error": {"fill": palette.bad, "font_weight": "bold"},
        "bad": {"fill": palette.bad},
        "good": {"fill": palette.good, "font_weight": "bold"},
        "faint": {"fill": palette.faint},
    }
    frame = {"width": width - 1, "height": height - 1, "rx": 8, "fill": palette.window, "stroke": palette.border}
    parts = [svg.tag("rect", x=0.5, y=0.5, **frame)]
    parts += [svg.tag("circle", cx=_LEFT + 6 + 20 * i, cy=18, r=6, fill=palette.border) for i in range(3)]
    rows = [
        svg.line_of(
            _LEFT, _BAR + _TOP - 6 + _LEADING * index, [(words, looks.get(look, {})) for look, words in _cut(line)]
        )
        for index, line in enumerate(lines)
    ]
    group = {"font_family": svg.MONOSPACE, "font_size": _SIZE, "fill": palette.text}
    parts.append(svg.tag("g", "\n" + "\n".join(rows) + "\n", **group))
    title = f"{running.SCRIPT}, and what is said of it: did you mean {_RIGHT}? None of its tensors will be in the file"
    return svg.document(width, height, title, parts)


def _cut(line: str) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a line, each with the name of its look."""
    found = [(match.start(), match.end(), look) for look, rule in _LOOKS.items() for match in rule.finditer(line)]
    end = 0
    for start, stop, look in sorted(found):
        if start >= end:
            yield "", line[end:start]
            yield look, line[start:stop]
            end = stop
    yield "", line[end:]
