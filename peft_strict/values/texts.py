"""The text of a value, cleaned of what stands around it and cut into words."""

from __future__ import annotations

import re

from . import lexicon

_LONGEST = 200  # characters; nothing longer is a slip of the pen
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")


def texts_in(value: object) -> list[str]:
    """Return the short texts that ``value`` is or holds, cleaned.

    Read by the built-in types' own methods, so that none of the value's code runs; never raises.
    """
    return [_unwrap(_clean(text)) for text in _texts(value)]


def _texts(value: object, depth: int = 3) -> list[str]:
    """Return the short texts that ``value`` is or holds, by the built-in types' own methods."""
    from enum import Enum

    kind = type(value)
    found: list[object] = []
    for collection in (list, tuple, set, frozenset):
        if issubclass(kind, collection) and depth and collection.__len__(value) == 1:  # type: ignore[arg-type]
            return _texts(next(collection.__iter__(value)), depth - 1)  # type: ignore[arg-type]
    if issubclass(kind, str):
        found.append(str.__getitem__(value, slice(_LONGEST + 1)))  # type: ignore[index]
    elif issubclass(kind, bytes):
        start: bytes = bytes.__getitem__(value, slice(_LONGEST + 1))  # type: ignore[call-overload]
        found.append(start.decode("utf-8", "replace"))
    elif issubclass(kind, type):
        found.append(type.__dict__["__name__"].__get__(value))
    if issubclass(kind, Enum):
        try:
            state = object.__getattribute__(value, "__dict__")
        except Exception:  # an enum whose __dict__ is a property of its own: nothing to read
            state = {}
        found += [state.get("_value_"), state.get("_name_")] if type(state) is dict else []
    return [text for text in found if type(text) is str and len(text) <= _LONGEST]


def _clean(text: str) -> str:
    """Return ``text`` in plain letters: full-width forms, accents, look-alikes and invisible characters resolved."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", text).translate(lexicon.LOOKALIKES)
    return "".join(c for c in plain if unicodedata.category(c) not in ("Mn", "Cf", "Cs", "Co"))[: 2 * _LONGEST]


def _unwrap(text: str) -> str:
    """Return what an enum repr, a class repr, a bytes repr or a ``task_type=`` prefix stands around."""
    text = text.strip()
    for pattern in (r"<([\w.]+): .*>", r"<class ['\"]([\w.<>]+)['\"]>", r"b['\"](.*)['\"]"):
        found = re.fullmatch(pattern, text, re.DOTALL)
        if found:
            text = found.group(1)
    text = re.sub(r"^\W*(?:[\w.]*\.)?(?:peft_?)?task_?(?:type)?s?(?:[\W_]+|$)", "", text, flags=re.IGNORECASE)
    return re.sub(r"\.(?:value|name|from_pretrained|__name__)\b\W*$", "", text)


def squash(text: str) -> str:
    """Return the letters and digits of ``text`` in lower case."""
    return re.sub(r"[\W_]+", "", text).lower()


def words_of(text: str) -> list[str]:
    """Return the words of ``text`` in lower case, cut at separators and camel humps, without architectures' names."""
    chunks = re.findall(r"[^\W_]+", lexicon.FILLING.sub(" ", text))
    chunks = [chunk for chunk in chunks if not lexicon.NAMES.fullmatch(chunk.lower())]
    return [word.lower() for chunk in chunks for word in _HUMPS.findall(chunk)]
