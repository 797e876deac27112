"""The rule for the fields whose value comes from a finite set, as pure functions: nothing here knows PEFT.

Only a text or ``None`` is ever wrong, and only in four places:

- F1: a text that is not a plain yes where only a bool is declared: any text counts as true.
- F1: a text that is not in the declared set. Where there is doubt (a release that nobody has
  verified): F2.
- F1: a text where only a list is declared: it is taken letter by letter.
- F2, what works by chance: a plain yes as a text for a bool, an empty text for a bool or a list, and ``None`` where
  the set of texts has none.

Numbers, lists, classes and everything else are never judged, and neither is what equals the default: PEFT's own
annotations are wrong in too many places for that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Optional

from ..releases.fields import LIST, SWITCH, TEXTS, Kind
from .rule import short

if TYPE_CHECKING:
    from collections.abc import Mapping

_YES = frozenset({"true", "yes", "on", "1", "t", "y"})
_NO = frozenset({"false", "no", "off", "0", "f", "n", "none", "null"})
_NONE = frozenset({"none", "null"})
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_NOT_NAMES = _YES | _NO | {"all", "all-linear"}  # texts that say something, but not the name of a module
_LONGEST = 200  # characters; nothing longer is a slip of the pen
_NEAR = 0.75  # difflib's ratio: "gausian" has 0.93, "lora" and "lora_only" 0.62


class Finding(NamedTuple):
    """What is wrong with the value of a field.

    Attributes:
        code: ``"F1"`` or ``"F2"``.
        field: The name of the field.
        value: The value.
        lost: What comes of it.
        advice: What to write, as one or more sentences.
        allowed: The texts that the field takes.
        suggestion: What was probably meant, where ``fix`` says so.
        fix: The text to write, such as ``use_rslora=False``, or ``""`` where that is not known.
    """

    code: str
    field: str
    value: object
    lost: str
    advice: str
    allowed: tuple[str, ...] = ()
    suggestion: object = None
    fix: str = ""


def judge(field: str, value: object, kind: Kind) -> Optional[Finding]:
    """Say what is wrong with the value of a field, or return ``None``.

    Never raises, and runs none of the value's code.

    Args:
        field: The name of the field.
        value: Its value, of any type.
        kind: What is declared of it.
    """
    if value is None:
        wrong = kind.form == TEXTS and not kind.takes_none and kind.default is not None
        return _no_none(field, kind) if wrong else None
    if not issubclass(type(value), str):
        return None
    text = str.__str__(value)  # the characters, whatever a subclass makes of == and hash()
    if issubclass(type(kind.default), str) and str.__str__(kind.default) == text:
        return None
    if kind.form == SWITCH:
        return _switch(field, text, kind)
    if kind.form == TEXTS:
        return _member(field, text, kind)
    return _list(field, text, kind) if kind.form == LIST else None


def plain(value: object) -> Optional[bool]:
    """Return what a text for a bool says, if it is a plain yes or no; ``"none"`` is neither."""
    word = value.strip().lower() if isinstance(value, str) and len(value) <= _LONGEST else ""
    return word in _YES if word in _YES | _NO - _NONE else None


def message(finding: Finding, where: str, source: Optional[str] = None) -> str:
    """Return the text of a report.

    Args:
        finding: What is wrong.
        where: The place, as an expression with ``{}`` where field and value stand, such as ``LoraConfig({})``.
        source: The file that the value was read from.
    """
    place = where.replace("{}", f"{finding.field}={short(finding.value)}", 1)
    read = f"  read from {source}\n" if source is not None else ""
    return f"peft-strict {finding.code}: {place}: {finding.lost}.\n{read}  {finding.advice}"


def _switch(field: str, text: str, kind: Kind) -> Optional[Finding]:
    word = text.strip().lower() if len(text) <= _LONGEST else text
    if not text:
        lost = "an empty text counts as False, which is so by chance"
        return _finding("F2", field, text, lost, _write(field, False), suggestion=False, fix=f"{field}=False")
    if word in _YES:
        lost = 'any text counts as true, "False" as well: this works by chance'
        return _finding("F2", field, text, lost, _write(field, True), suggestion=True, fix=f"{field}=True")
    lost = "a text is true whatever it says: this switches it on"
    if word not in _NO:
        return _finding("F1", field, text, lost, f"Write {field}=True or {field}=False.")
    meant = None if kind.takes_none and word in _NONE else False
    return _finding("F1", field, text, lost, _write(field, meant), suggestion=meant, fix=f"{field}={meant}")


def _member(field: str, text: str, kind: Kind) -> Optional[Finding]:
    if text in kind.texts or (kind.beyond is not None and re.fullmatch(kind.beyond, text, re.DOTALL)):
        return None
    lost = "there is no such value"
    if kind.doubt:
        lost = f"this value is not declared (but {kind.doubt})"
    found, meant = _meant(text, kind)
    fix = f"{field}={_shown(meant)}" if found else ""
    advice = f"Did you mean {_shown(meant)}? Write {fix}. It takes {_choices(kind)}." if found else ""
    advice = advice or f"Write one of {_choices(kind)}."
    code = "F2" if kind.doubt else "F1"
    return _finding(code, field, text, lost, advice, allowed=kind.texts, suggestion=meant, fix=fix)


def _list(field: str, text: str, kind: Kind) -> Optional[Finding]:
    if not text:
        lost = "an empty text counts as an empty list, which is so by chance"
        meant: object = None if kind.takes_none else []
        return _finding("F2", field, text, lost, _write(field, meant), suggestion=meant, fix=f"{field}={meant}")
    lost = "a list belongs here, and a text is taken letter by letter"
    word = text.strip().lower() if len(text) <= _LONGEST else text
    if word in _NONE and kind.takes_none:
        return _finding("F1", field, text, lost, _write(field, None), fix=f"{field}=None")
    names = [name.strip(" \t\n\"'") for name in text.strip("[]() \t\n").split(",")] if len(text) <= _LONGEST else []
    if not kind.takes_names or not names or not all(_is_name(name) for name in names):
        advice = f'Write a list, such as {field}=["...", "..."].' if kind.takes_names else "Write a list."
        return _finding("F1", field, text, lost, advice)
    fix = f"{field}=[{', '.join(map(_shown, names))}]"
    return _finding("F1", field, text, lost, f"Write {fix}.", suggestion=names, fix=fix)


def _no_none(field: str, kind: Kind) -> Finding:
    lost = "None is not one of its values: what it does is chance"
    default = kind.default
    if not issubclass(type(default), (str, bool)):
        return _finding("F2", field, None, lost, f"Write one of {_choices(kind)}.", allowed=kind.texts)
    fix = f"{field}={_shown(default)}"
    advice = f"Leave it out, or write {fix}, for the default; it takes {_choices(kind)}."
    return _finding("F2", field, None, lost, advice, allowed=kind.texts, suggestion=default, fix=fix)


def _finding(code: str, field: str, value: object, lost: str, advice: str, **more: object) -> Finding:
    return Finding(code, field, value, lost, advice, **more)  # type: ignore[arg-type]


def _write(field: str, value: object) -> str:
    return f"Write {field}={_shown(value)}."


def _shown(value: object) -> str:
    """Return a value as one writes it."""
    return f'"{str.__str__(value)}"' if issubclass(type(value), str) else repr(value)


def _choices(kind: Kind) -> str:
    """Return what a field takes, as words."""
    others = (True, False) if kind.takes_bool else ()
    *most, last = map(_shown, (*kind.texts, *others, *((None,) if kind.takes_none else ())))
    return f"{', '.join(most)} or {last}" if most else last


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and text.lower() not in _NOT_NAMES


def _meant(text: str, kind: Kind) -> tuple[bool, object]:
    """Return whether it is known what was meant, and that."""
    if len(text) > _LONGEST:
        return False, None
    word = text.strip().strip("\"'").rpartition(".")[2].lower()  # of "PromptTuningInit.TEXT" only the last
    letters = _letters(word)
    members = {member: _letters(member) for member in kind.texts}
    for near in (
        [member for member in members if members[member] == letters],
        [member for member in members if sorted(members[member]) == sorted(letters)],
        [member for member in members if len(letters) >= 3 and members[member].startswith(letters)],
        _nearest(letters, members),
    ):
        if len(near) == 1 and letters:
            return True, near[0]
        if kind.takes_bool and word in ("true", "false"):
            return True, word == "true"
        if kind.takes_none and word in _NONE:
            return True, None
    return False, None


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text.lower())


def _nearest(letters: str, members: Mapping[str, str]) -> list[str]:
    """Return the member that a text is nearest to; more than one where it is as near to another."""
    import difflib

    ratios = {member: difflib.SequenceMatcher(None, letters, other).ratio() for member, other in members.items()}
    best = max(ratios.values(), default=0.0)
    return [member for member, ratio in ratios.items() if ratio >= max(_NEAR, best - 0.1)]
