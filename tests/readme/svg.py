"""A small writer of SVG: text in a monospace grid, shapes, and two palettes that are GitHub's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import escape

MONOSPACE = "ui-monospace, SFMono-Regular, Menlo, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
SANS = "-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, 'Liberation Sans', sans-serif"


class Palette(NamedTuple):
    """Colours by what they mean."""

    page: str
    window: str
    border: str
    text: str
    faint: str
    bad: str
    good: str
    other: str


PALETTES = {
    "light": Palette("#ffffff", "#f6f8fa", "#d1d9e0", "#1f2328", "#59636e", "#cf222e", "#1a7f37", "#9a6700"),
    "dark": Palette("#0d1117", "#151b23", "#3d444d", "#f0f6fc", "#9198a1", "#ff7b72", "#3fb950", "#d29922"),
}


def document(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    """Return a picture with a name for those who do not see it."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img">\n<title>{escape(title)}</title>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def tag(name: str, content: str = "", **attributes: object) -> str:
    """Return one element; ``_`` in the names of attributes stands for ``-``."""
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{value}"' for key, value in attributes.items())
    return f"<{name}{words}>{content}</{name}>" if content else f"<{name}{words}/>"


def text(x: float, y: float, words: str, **attributes: object) -> str:
    """Return a piece of text that stands on ``y``."""
    return tag("text", escape(words), x=_short(x), y=_short(y), **attributes)


def line_of(x: float, y: float, pieces: Iterable[tuple[str, dict[str, object]]]) -> str:
    """Return a line of text in pieces of several looks, with its blanks kept."""
    spans = "".join(tag("tspan", escape(words), **look) if look else escape(words) for words, look in pieces)
    return tag("text", spans, x=_short(x), y=_short(y), style="white-space:pre", xml_space="preserve").replace(
        "xml-space", "xml:space"
    )


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
