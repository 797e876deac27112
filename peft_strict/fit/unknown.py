"""What is said of names in a config that the model does not have: pure functions of the names and their hints.

- N1: at least one of them has a near name in the model, which was meant.
- N2: there is none for any of them, and what was listed to be saved is neither trained nor saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

from .names import EXCLUDED, FEEDFORWARD, FIELDS, SAVED, TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .names import Near

_OF_IA3 = (TARGETS, FEEDFORWARD)
_LONGEST_LIST = 12  # entries that are written out
_MOST = 3


class Unknown(NamedTuple):
    """An entry that names nothing.

    Attributes:
        field: The field of the config.
        entry: The entry.
        near: What was meant, or ``None``.
    """

    field: str
    entry: str
    near: Optional[Near]


class Misnamed(NamedTuple):
    """What is said of all entries of one config that name nothing.

    Attributes:
        code: ``"N1"`` or ``"N2"``.
        message: The whole text; starts with ``peft-strict <code>: ``.
        fix: What to write instead.
    """

    code: str
    message: str
    fix: str


def in_words(
    unknown: Sequence[Unknown], lists: Mapping[str, Sequence[str]], *, model_class: str, config_class: str
) -> Misnamed:
    """Put the entries of a config that name nothing into words.

    Args:
        unknown: The entries, at least one.
        lists: The whole lists, by field, without the names that PEFT adds.
        model_class: The name of the base model's class.
        config_class: The name of the config's class.
    """
    code = "N1" if any(each.near for each in unknown) else "N2"
    fields = [field for field in FIELDS if any(each.field == field for each in unknown)]
    losses = "; ".join(_loss([each for each in unknown if each.field == field]) for field in fields)
    fix = ", ".join(_fixes(unknown, lists))
    lines = [f"peft-strict {code}: {model_class} with {config_class}: {losses}."]
    lines += _hints(unknown)
    nameless = [each.entry for each in unknown if not each.near]
    if nameless:
        lines.append(f"Leave {_listing(nameless)} out, or write the name that this model has for it")
    lines.append(f"Write {fix}")
    return Misnamed(code, "\n  ".join(lines), fix)


def _loss(unknown: Sequence[Unknown]) -> str:
    names = _listing([each.entry for each in unknown])
    it = "it" if len(unknown) == 1 else "them"
    field = unknown[0].field
    lost = f"nothing is trained for {it}"
    if field == SAVED:
        lost = f"nothing is trained or saved for {it}"
    elif field == EXCLUDED:
        meant = _meant(unknown)
        lost = f"{_listing(meant)} {'is' if len(meant) == 1 else 'are'} adapted all the same"
    elif field == FEEDFORWARD:
        meant = _meant(unknown)
        lost = f"the outputs of {_listing(meant)} are scaled, not the inputs"
    return f"`{field}` names {names}, which this model does not have: {lost}"


def _meant(unknown: Sequence[Unknown]) -> list[str]:
    return list(dict.fromkeys(name for each in unknown if each.near for name in each.near.names))


def _hints(unknown: Sequence[Unknown]) -> list[str]:
    """Return a line for each of the first entries that have a hint."""
    known = [(each.entry, each.near) for each in unknown if each.near]
    lines = []
    for entry, near in known[:_MOST]:
        if near.role:
            line = f"this model's {near.role} is {_listing(near.names)}{'.' if len(known) == 1 else ''}"
        else:
            line = f"did you mean {_listing(near.names)}?"
        lines.append(line[0].upper() + line[1:] if len(known) == 1 else f"For `{_printed(entry)}`, {line}")
    return lines


def _fixes(unknown: Sequence[Unknown], lists: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the list to write for each field.

    IA3 takes no feedforward module that is not among the targets: what is written for one is written for both.
    """
    for field in FIELDS:
        entries = lists.get(field, ())
        same = _OF_IA3 if field in _OF_IA3 else (field,)
        meant = {each.entry: each.near.names if each.near else () for each in unknown if each.field in same}
        meant = {entry: names for entry, names in meant.items() if entry in entries}
        if meant:
            yield _fix(field, meant, entries)


def _fix(field: str, meant: Mapping[str, Sequence[str]], entries: Sequence[str]) -> str:
    written = list(dict.fromkeys(name for entry in entries for name in meant.get(entry, (entry,))))
    if len(written) > _LONGEST_LIST:
        return f"{_exchanges(meant)} in {field}"
    return f"{field}=[{', '.join(map(_quoted, written))}]" if written else f"{field}=None"


def _exchanges(meant: Mapping[str, Sequence[str]]) -> str:
    pairs = [f"{', '.join(map(_quoted, names))} for {_quoted(entry)}" for entry, names in meant.items() if names]
    if not pairs:
        return f"no {_listing(list(meant))}"
    more = len(pairs) - _MOST
    return ", ".join(pairs[:_MOST]) + (f" and {more} more" if more > 0 else "")


def _quoted(name: str) -> str:
    return f'"{name}"' if '"' not in name and name.isprintable() else repr(name)


def _printed(name: str) -> str:
    return (name if name.isprintable() else repr(name)[1:-1])[:60]


def _listing(names: Sequence[str]) -> str:
    first = [f"`{_printed(name)}`" for name in names[:_MOST]]
    more = len(names) - len(first)
    if more > 0:
        return ", ".join(first) + f" and {more} more"
    return " and ".join([", ".join(first[:-1]), first[-1]] if len(first) > 1 else first)
