"""Finds where the values of a JSON object stand in its text, so that one can be replaced and every other byte kept."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE = re.compile(r"[ \t\n\r]*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_decode = json.JSONDecoder().raw_decode


class Member(NamedTuple):
    """One value of the object.

    Attributes:
        value: The value, as `json.loads` gives it.
        start: The index of its first character in the text.
        end: The index after its last.
    """

    value: object
    start: int
    end: int


class NotAnObjectError(ValueError):
    """The text is JSON, but no object."""


def top_level_values(text: str) -> dict[str, object]:
    """Return the values of the JSON object that ``text`` holds, without their places, which takes a part of the time.

    Where a name comes twice, its value is the last one, as PEFT reads it.

    Raises:
        NotAnObjectError: if the text is another JSON value.
        ValueError: if it is not JSON (``json.JSONDecodeError``), or holds a number too long for Python.
        RecursionError: if it is nested too deeply for Python.
    """
    values = json.loads(text)
    if not isinstance(values, dict):
        raise NotAnObjectError
    return values


def top_level_members(text: str) -> dict[str, Member]:
    """Return the members of the JSON object that ``text`` holds, as `top_level_values` does, with their places."""
    top_level_values(text)
    return dict(_members(text))


def member_at(text: str, first: str, *inner: str) -> Member:
    """Return the member that the names lead to, from one object into the next.

    Raises:
        KeyError: if there is none of one of the names; else as `top_level_members`.
    """
    member = top_level_members(text)[first]
    for name in inner:
        member = dict(_members(text, member.start))[name]
    return member


def line_of(text: str, index: int) -> int:
    """Return the line that a character stands on, from 1."""
    return len(_LINE_END.findall(text, 0, index)) + 1


def _members(text: str, start: int = 0) -> Iterator[tuple[str, Member]]:
    """Walk the object that is known to start there."""
    here = _skip(text, _skip(text, start) + 1)
    while text[here] != "}":
        name, here = _decode(text, here)
        start = _skip(text, _skip(text, here) + 1)  # behind the colon
        value, end = _decode(text, start)
        yield name, Member(value, start, end)
        here = _skip(text, end)
        if text[here] == ",":
            here = _skip(text, here + 1)


def _skip(text: str, index: int) -> int:
    """Return the index of the next character that is no space."""
    match = _SPACE.match(text, index)
    return match.end() if match else index
