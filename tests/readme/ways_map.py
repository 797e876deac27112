"""The map in the README: ways in by PEFT release, plain PEFT beside strict, drawn from the results of the matrix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from . import page, svg

RESULTS = page.REPOSITORY / "tests" / "matrix" / "results.json"

_LABELS, _CELL, _GAP = 416, 10.5, 14
_TOP, _BOTTOM, _ROW, _SIDE = 66, 44, 15, 12
_MARK = 8.5

_LEGEND = {
    "refused": "refused",
    "silent": "silent, in one case at least",
    "other": "fails elsewhere, with another error",
    "missing": "the release has no such way",
}


class Results(NamedTuple):
    """What the matrix found.

    Attributes:
        ways: What each way in is, in words, by name.
        releases: What each way ends in, with plain PEFT and with strict, by release of PEFT and by its name; it is
            ``None`` where the release has no such way.
    """

    ways: dict[str, str]
    releases: dict[str, dict[str, dict[str, str] | None]]


def pictures() -> dict[str, str]:
    """Return the pictures by their file names."""
    return {f"map-{name}.svg": _drawn(results(), palette) for name, palette in svg.PALETTES.items()}


def results() -> Results:
    """Return what ``python -m tests.matrix`` found, of each release of PEFT the first cell."""
    data = json.loads(RESULTS.read_text())
    releases: dict[str, dict[str, dict[str, str] | None]] = {}
    for cell in data["cells"]:
        if "ways" in cell:
            met = {name: None if "missing" in way else way for name, way in cell["ways"].items()}
            releases.setdefault(cell["peft"], met)
    return Results(data["ways"], releases)


def state(met: dict[str, str] | None, side: str) -> str:
    """Return how what a way ended in is drawn: one of the keys of the legend."""
    if met is None:
        return "missing"
    return met[side] if met[side] in _LEGEND else "other"


def _drawn(results: Results, palette: svg.Palette) -> str:
    block = len(results.releases) * _CELL
    lefts = {"plain": _LABELS, "strict": _LABELS + block + _GAP}
    width = round(lefts["strict"] + block + _SIDE)
    height = _TOP + _ROW * len(results.ways) + _BOTTOM
    parts = [svg.tag("rect", width=width, height=height, rx=8, fill=palette.page)]
    for side, left in lefts.items():
        parts.append(_heads(side, left, list(results.releases), palette))
        parts.extend(_marks(side, left, results, palette))
    labels = [svg.text(_SIDE, _TOP + _ROW * row + 8.5, says) for row, says in enumerate(results.ways.values())]
    parts.append(svg.tag("g", "\n" + "\n".join(labels) + "\n", font_family=svg.SANS, font_size=11, fill=palette.text))
    parts.append(_legend(height - 18, palette))
    title = "Where a wrong task_type is refused: every way in by PEFT release, plain PEFT beside peft-strict"
    return svg.document(width, height, title, parts)


def _heads(side: str, left: float, releases: list[str], palette: svg.Palette) -> str:
    name = {"plain": "plain PEFT", "strict": "with peft-strict"}[side]
    words = [svg.text(left, 18, name, font_size=13, font_weight="bold", fill=palette.text)]
    for column, release in enumerate(releases):
        x, y = left + column * _CELL + 7.5, _TOP - 6
        turned = {"transform": f"rotate(-90 {x} {y})", "font_size": 9.5, "fill": palette.faint}
        words.append(svg.text(x, y, release, **turned))
    return svg.tag("g", "\n" + "\n".join(words) + "\n", font_family=svg.SANS)


def _marks(side: str, left: float, results: Results, palette: svg.Palette) -> Iterator[str]:
    """Yield one path for each kind of mark."""
    outlines: dict[str, list[str]] = {}
    for row, name in enumerate(results.ways):
        for column, met in enumerate(results.releases.values()):
            kind = state(met[name], side)
            outlines.setdefault(kind, []).append(_outline(kind, left + column * _CELL, _TOP + row * _ROW))
    for kind, outline in outlines.items():
        yield svg.tag("path", d="".join(outline), **_look(kind, palette))


def _outline(kind: str, x: float, y: float) -> str:
    """Return the path of one mark; the kinds differ in form too, not only in colour."""
    if kind == "missing":
        return f"M{x + 3:g} {y + _MARK / 2:g}h2.5"
    if kind == "silent":
        return f"M{x + 1:g} {y + 1:g}l{_MARK - 2} {_MARK - 2}m0 -{_MARK - 2}l-{_MARK - 2} {_MARK - 2}"
    if kind == "other":
        return f"M{x + _MARK / 2:g} {y:g}l{_MARK / 2} {_MARK}h-{_MARK}z"
    return f"M{x:g} {y:g}h{_MARK}v{_MARK}h-{_MARK}z"


def _look(kind: str, palette: svg.Palette) -> dict[str, object]:
    return {
        "refused": {"fill": palette.good},
        "silent": {"fill": "none", "stroke": palette.bad, "stroke_width": 2},
        "other": {"fill": palette.other},
        "missing": {"fill": "none", "stroke": palette.faint, "stroke_width": 1},
    }[kind]


def _legend(y: float, palette: svg.Palette) -> str:
    x, parts = float(_SIDE), []
    for kind, words in _LEGEND.items():
        parts.append(svg.tag("path", d=_outline(kind, x, y - 8), **_look(kind, palette)))
        parts.append(svg.text(x + 14, y, words))
        x += 14 + 5.6 * len(words) + 18
    return svg.tag("g", "\n" + "\n".join(parts) + "\n", font_family=svg.SANS, font_size=11, fill=palette.faint)
