"""Names in a config that name nothing in the model, and the name that was meant: pure functions of names.

A name is *dead* if PEFT would find nothing under it. Most dead names are harmless: lists are written for several
architectures at once. What tells a mistake is a name of the live model close by that no other entry takes.

`nearest` is narrow on purpose: it knows spelling, one slip of the pen, one part more or less, several names in one
text, and what the model itself calls its embedding and its head. Two readings are no reading.

Shaped on 3,741 measured cells and 103 public lists; ``tests/fit/recipes.json`` holds lists that it had not seen.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, Optional

from . import words

TARGETS, SAVED, PARAMETERS, EXCLUDED = "target_modules", "modules_to_save", "target_parameters", "exclude_modules"
FEEDFORWARD = "feedforward_modules"  # of IA3
FIELDS = (TARGETS, SAVED, PARAMETERS, EXCLUDED, FEEDFORWARD)
_BY_TAIL = frozenset({SAVED, FEEDFORWARD})  # where an entry is any end of a name, with no dot before it

_LONGEST = 200  # characters; nothing longer is a slip of the pen
_BETWEEN = re.compile(r"[\s,;|]+")  # what parts the names of a list that is one text


class Embeddings(NamedTuple):
    """What the model calls its own input embedding and its output head; ``None`` if it has none, or does not say."""

    input: Optional[str] = None
    output: Optional[str] = None


NOT_ASKED = Embeddings()


class Near(NamedTuple):
    """The name of the live model that an entry is closest to, or the names that it has in one text.

    Attributes:
        names: What to write.
        role: ``"embedding"`` or ``"head"`` where the model was asked for it; else ``""``.
        taken: Whether other entries of the list reach the same modules, so that nothing is lost.
    """

    names: tuple[str, ...]
    role: str = ""
    taken: bool = False


class Names:
    """The dotted names of a model's modules or parameters, in order, with their last parts looked up once."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = dict.fromkeys(paths)
        self.by_last: dict[str, list[str]] = {}
        for path in self.paths:
            self.by_last.setdefault(path.rpartition(".")[2], []).append(path)
        self._tails: dict[int, dict[tuple[str, ...], list[tuple[str, ...]]]] = {}
        self._eligible: Optional[Callable[[str], bool]] = None

    def only(self, eligible: Callable[[str], bool]) -> Names:
        """Return the same names, of which only those may be meant for which ``eligible`` holds."""
        names = copy.copy(self)
        names._eligible = eligible
        return names

    def may_be(self, name: str) -> bool:
        """Whether something of this name may be meant."""
        paths = self.by_last.get(name.rpartition(".")[2], ())
        return self._eligible is None or any(
            self._eligible(path) for path in paths if path == name or path.endswith("." + name)
        )

    def tails(self, length: int, numbers: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Return the different ends of that many parts that hold these layer numbers, in order of appearance."""
        if length not in self._tails:
            ends = (parts[-length:] for path in self.paths if len(parts := path.split(".")) >= length)
            seen = dict.fromkeys(map(tuple, ends if length > 1 else ([last] for last in self.by_last)))
            by_numbers = self._tails[length] = {}
            for tail in seen:
                by_numbers.setdefault(_numbers(tail), []).append(tail)
        return self._tails[length].get(numbers, [])


def dead(entry: str, names: Names, field: str) -> bool:
    """Whether PEFT finds nothing under this entry.

    Args:
        entry: One entry of the list.
        names: The names of all modules, for ``target_parameters`` of all parameters.
        field: The field of the config; it decides how PEFT compares (``check_target_module_exists``,
            ``_set_trainable``, ``_inject_parameters`` and ``_check_target_module_feedforward`` in PEFT 0.21).
    """
    if field not in _BY_TAIL and entry in names.paths:
        return False
    last = entry.rpartition(".")[2]
    if field in _BY_TAIL:
        if last == entry:  # the entry has no dot, so it ends within the last part
            return not any(name.endswith(entry) for name in names.by_last)
        return not any(path.endswith(entry) for path in names.by_last.get(last, ()))
    if last == entry:
        return entry not in names.by_last
    return not any(path.endswith("." + entry) for path in names.by_last.get(last, ()))


def nearest(
    names: Names, entry: str, others: Collection[str], embeddings: Embeddings = NOT_ASKED, field: str = TARGETS
) -> Optional[Near]:
    """Return what a dead entry meant of the live model; ``None`` if that is not certain.

    Args:
        names: The names that may be meant.
        entry: The dead entry.
        others: The other entries of the list, dead or alive.
        embeddings: What the model calls its embedding and its head.
        field: The field of the config; see `dead`.
    """
    if len(entry) > _LONGEST:
        return None
    meant, role = _joined(names, entry, field), ""
    if not meant:
        name, role = _one_meant(names, entry, embeddings, field)
        meant = (name,) if name is not None else ()
    if not meant:
        return None
    taken = all(any(_takes(other, name, field) for other in others if other != entry) for name in meant)
    return Near(meant, role, taken or (bool(role) and any(_plays(other, role, names, field) for other in others)))


def _joined(names: Names, entry: str, field: str) -> tuple[str, ...]:
    """Return the names in a text that holds several, as of a command line: PEFT takes it for one.

    Each has to be a name of the model as it stands: else the text may be anything, such as a regular expression.
    """
    parts = tuple(dict.fromkeys(_clean(part, field) for part in _BETWEEN.split(entry) if part))
    live = all(part and not dead(part, names, field) and names.may_be(part) for part in parts)
    return parts if len(parts) > 1 and live else ()


def _one_meant(names: Names, entry: str, embeddings: Embeddings, field: str) -> tuple[Optional[str], str]:
    """Return the one name that a dead entry meant, or ``None``, and its role."""
    wanted = _clean(entry, field)
    parts = tuple(wanted.split("."))
    if not all(map(_tokens, parts)):
        return None, ""
    role = ""
    found = _exact(names, wanted, field) or _spelt(names, parts)
    if not found:
        found, role = _asked(parts, embeddings)
    found = found or _slipped(names, parts) or _shifted(names, parts)
    found = {name for name in found if names.may_be(name)}
    return (found.pop(), role) if len(found) == 1 else (None, "")


def asks_for_embeddings(entry: str, field: str) -> bool:
    """Whether what the model calls its embedding and its head may be the hint for an entry."""
    last = _clean(entry[:_LONGEST], field).rpartition(".")[2]
    return "_".join(_tokens(last)) in words.EMBEDDINGS | words.HEADS


def _plays(entry: str, role: str, names: Names, field: str) -> bool:
    """Whether an entry is itself a name for the embedding, or the head, and reaches something in this model.

    Then the list is one for several architectures. Models that share one embedding have several names for it.
    """
    known = words.EMBEDDINGS if role == "embedding" else words.HEADS
    last = _clean(entry[:_LONGEST], field).rpartition(".")[2]
    return "_".join(_tokens(last)) in known and not dead(entry, names, field)


def _takes(entry: str, name: str, field: str) -> bool:
    return name == entry or name.endswith(entry if field in _BY_TAIL else "." + entry)


def _clean(entry: str, field: str) -> str:
    """Take off what a command line, a regular expression, a wrapper or a state dict has put around a name."""
    text = re.sub(r"^[\s\"'`,;\[\](){}]+|[\s\"'`,;\[\](){}]+$", "", entry)
    text = re.sub(r"^\^?(?:\.\*)?(?:\\?\.)?|\$$", "", text)
    text = re.sub(r"^base_model\.model\.", "", text)
    return text if field == PARAMETERS else re.sub(r"\.weight$", "", text)


@lru_cache(maxsize=4096)
def _tokens(part: str) -> tuple[str, ...]:
    """Return the words and numbers of a part; nothing for one that holds anything else."""
    return tuple(re.findall(r"[a-z]+|\d+", part.lower())) if re.fullmatch(r"[A-Za-z0-9_\- ]+", part) else ()


def _numbers(parts: Sequence[str]) -> tuple[str, ...]:
    return tuple(part for part in parts if part.isdigit())


def _exact(names: Names, wanted: str, field: str) -> set[str]:
    """The name itself; a parameter may have been given as its module, or with a ``.weight`` that it does not have."""
    readings = (wanted, f"{wanted}.weight", re.sub(r"\.weight$", "", wanted)) if field == PARAMETERS else (wanted,)
    return set([name for name in readings if not dead(name, names, TARGETS)][:1])


def _spelt(names: Names, parts: tuple[str, ...]) -> set[str]:
    """Names that differ in case and separators only."""
    squashed = ["".join(_tokens(part)) for part in parts]
    tails = names.tails(len(parts), _numbers(parts))
    return {".".join(tail) for tail in tails if ["".join(_tokens(part)) for part in tail] == squashed}


def _asked(parts: tuple[str, ...], embeddings: Embeddings) -> tuple[set[str], str]:
    """What the model calls its embedding or head, for the names that other models have for it."""
    last = "_".join(_tokens(parts[-1]))
    if not words.ABOVE.issuperset(parts[:-1]):
        return set(), ""
    if last in words.EMBEDDINGS and embeddings.input:
        return {embeddings.input}, "embedding"
    if last in words.HEADS and embeddings.output:
        return {embeddings.output}, "head"
    return set(), ""


def _slipped(names: Names, parts: tuple[str, ...]) -> set[str]:
    """Names that differ in one slip of the pen."""
    tails = names.tails(len(parts), _numbers(parts))
    return {".".join(tail) for tail in tails if _one_differs(parts, tail, _slip)}


def _shifted(names: Names, parts: tuple[str, ...]) -> set[str]:
    """Names that have one part more or less, or ``o`` for ``out``.

    A part that tells things apart leaves a doubt, and so does a single letter: ``Conv2d`` is no ``conv2``.
    """
    numbers, length = _numbers(parts), len(parts)
    found = {}
    for tail in names.tails(length, numbers):
        found[tail] = _one_differs(parts, tail, _shift)
    for tail in names.tails(length + 1, numbers) if length > 1 else ():
        found[tail] = _one_more(tail, parts)
    for tail in names.tails(length - 1, numbers) if length > 1 else ():
        # Without its first part the entry would reach more than was asked for, unless that is a whole path.
        found[tail] = _one_more(parts, tail) if tail != parts[1:] or ".".join(tail) in names.paths else None
    near = {".".join(tail): extra for tail, extra in found.items() if extra is not None}
    near = {name: extra for name, extra in near.items() if names.may_be(name)}
    doubts = any(len(extra) == 1 or words.TELLING.intersection(_tokens(extra)) for extra in near.values())
    return {name for name in near if not doubts and _stands_well(names, parts[-1], name)}


def _one_differs(
    parts: tuple[str, ...], tail: tuple[str, ...], compare: Callable[[tuple[str, ...], tuple[str, ...]], Optional[str]]
) -> Optional[str]:
    """Return what ``compare`` says of the only two parts that differ."""
    pairs = [(one, other) for one, other in zip(parts, tail) if one != other]
    return compare(_tokens(pairs[0][0]), _tokens(pairs[0][1])) if len(pairs) == 1 else None


def _one_more(longer: tuple[str, ...], shorter: tuple[str, ...]) -> Optional[str]:
    """Return the part that, taken out of the longer path, leaves the shorter one, which ends alike."""
    taken_out = (longer[at] for at in range(len(longer) - 1) if longer[:at] + longer[at + 1 :] == shorter)
    return next(taken_out, None) if len(shorter) > 1 else None


def _slip(wrong: tuple[str, ...], right: tuple[str, ...]) -> Optional[str]:
    """Return the word that was meant, if two names differ in one letter of one word of three letters and more."""
    pairs = [(one, other) for one, other in zip(wrong, right) if one != other]
    if len(wrong) != len(right) or len(pairs) != 1 or words.WORDS.issuperset(pairs[0]):
        return None
    one, other = pairs[0]
    long = one.isalpha() and other.isalpha() and len(one) >= 3 <= len(other)
    return other if long and _one_edit(one, other) else None


def _one_edit(one: str, other: str) -> bool:
    """Whether one letter added, left out or replaced, or two neighbours swapped, make one word of the other."""
    if len(one) > len(other):
        one, other = other, one
    at = next((at for at, letter in enumerate(one) if letter != other[at]), len(one))
    if len(one) < len(other):
        return one[at:] == other[at + 1 :]
    swapped = one[at + 1 : at + 2] + one[at : at + 1] + one[at + 2 :]
    return one[at + 1 :] == other[at + 1 :] or swapped == other[at:]


def _shift(wrong: tuple[str, ...], right: tuple[str, ...]) -> Optional[str]:
    """Return the word that one name has more than the other, or that they spell in two ways.

    What they share must say enough.
    """
    if len(wrong) == len(right):
        pairs = [{one, other} for one, other in zip(wrong, right) if one != other]
        return "out" if len(pairs) == 1 and pairs[0] == {"o", "out"} and len(right) > 1 else None
    longer, shorter = (wrong, right) if len(wrong) > len(right) else (right, wrong)
    extra = next((at for at in range(len(longer)) if longer[:at] + longer[at + 1 :] == shorter), None)
    if extra is None or longer[extra].isdigit() or (len(shorter) == 1 and shorter[0] in words.VAGUE):
        return None
    return longer[extra]


def _stands_well(names: Names, wrong: str, name: str) -> bool:
    """Whether ``out`` for ``o`` is of an attention: state space models have an ``out_proj`` that is something else."""
    right = name.rpartition(".")[2]
    if right == wrong or len(_tokens(wrong)) != len(_tokens(right)):
        return True
    paths = [path.split(".")[:-1] for path in names.by_last.get(right, ())]
    return any(not above or any("att" in part.lower() for part in above) for above in paths)
