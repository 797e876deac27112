"""What a save or a load loses, and the words that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_LONGEST_LIST = 2


class Loss(NamedTuple):
    """Something that was trained and is not in what is written, or that was written and did not find its place.

    Attributes:
        code: The rule that spoke.
        message: The whole text; starts with ``peft-strict <code>: `` and ends with ``fix``.
        fix: What to do about it.
        keys: The names of the tensors or parameters in question.
        said: Whether PEFT or the library that called it says so by itself, so that there is nothing to warn of.
    """

    code: str
    message: str
    fix: str
    keys: tuple[str, ...]
    said: bool = False


def in_words(code: str, where: str, what: str, fix: str, keys: Sequence[str], *, said: bool = False) -> Loss:
    """Put a loss into words.

    Args:
        code: The rule.
        where: What was saved or loaded.
        what: What is lost, and why where that is known: a sentence.
        fix: The advice; its lines stand below, indented.
        keys: The names it is about.
        said: As in `Loss`.
    """
    advice = "".join(f"\n  {line}" for line in fix.splitlines())
    return Loss(code, f"peft-strict {code}: {where}: {what}{advice}", fix, tuple(keys), said)


def listing(names: Collection[str]) -> str:
    """Return the first of these names, and how many more there are."""
    first = [f"`{name}`" for name in list(names)[:_LONGEST_LIST]]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
