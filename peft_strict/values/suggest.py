"""What was probably meant by a wrong ``task_type``: a pure rule, told the task types PEFT has and nothing else.

The text is cleaned (look-alike letters, quotes, ``TaskType.`` and its reprs) and looked up, first among the task types
themselves (case and separators aside), then in a table of phrases that name tasks, each in all its spellings. Words
that change nothing (``my``, ``lora``, the name of an architecture) are left out; beside any other word a phrase is no
phrase of the table. Failing that, one letter too many, missing or swapped is overlooked in a phrase, and a few slips
of the pen in the name of a task type. Two readings give no suggestion: a wrong one is worse than none.

Task types are linked to the phrases by their own words, so one that a later PEFT adds is found, too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Optional

from . import lexicon
from .texts import squash, texts_in, words_of


class Hint(NamedTuple):
    """What a wrong ``task_type`` probably meant.

    Attributes:
        task_type: The name of the task type to write, or ``None`` if there is no safe answer.
        leave_out: A recognised task that PEFT has no task type for, in words: leaving ``task_type`` out is right.
        is_none: The text says ``None`` (or ``null``, ``nil``): the value ``None`` was meant.
        choices: The task types that share a word which is all the text says (``classification``, ``LM``).
    """

    task_type: Optional[str] = None
    leave_out: Optional[str] = None
    is_none: bool = False
    choices: tuple[str, ...] = ()


def hint(value: object, supported: Sequence[str]) -> Hint:
    """Say what was meant by ``value`` where PEFT's task types are ``supported``.

    Never raises, whatever ``value`` is, and runs none of its code. Texts above 200 characters get no answer.
    """
    answers = {_understood(text, tuple(supported)) for text in texts_in(value)} - {Hint()}
    return answers.pop() if len(answers) == 1 else Hint()


def misspelled(value: object, supported: Sequence[str]) -> Optional[str]:
    """Return the task type that ``value`` is, apart from its spelling, or ``None``.

    Stricter than `hint`, for places where other words are legitimate (``peft_type``): case, separators, enum reprs
    and slips of the pen are seen through, other names for the same task are not.
    """
    answers = {_exact(text, supported) or _slip_of_a_member(words_of(text), supported) for text in texts_in(value)}
    return answers.pop() if len(answers) == 1 else None


def _exact(text: str, supported: Sequence[str]) -> Optional[str]:
    """Return the member that ``text`` is but for case and separators."""
    squashed = squash(text)
    return next((name for name in supported if squashed and squash(name) == squashed), None)


def _understood(text: str, supported: tuple[str, ...]) -> Hint:
    """Return the hint for one text."""
    if squash(text) in lexicon.NONE:
        return Hint(is_none=True)
    if re.match(r"[!~\u00ac]", text):
        return Hint()
    member = _exact(text, supported)
    if member or re.search(r"\w\W*[,;|+]\W*\w", text):
        return Hint(member)
    task, is_text = _of_class(text)
    words = words_of(task)
    found = _looked_up(words, supported)
    if not is_text:
        plain = _looked_up(words, ())
        return found if found and plain and plain.leave_out in lexicon.OTHER_TASKS else _about(words) or Hint()
    if found is None and _may_be_guessed(words):
        member = _slip_of_a_member(words, supported)
        found = Hint(member) if member else _slip_of_a_phrase(words, supported)
        found = found or _sharing(words, supported) or _about(words)
    return found or Hint()


def _may_be_guessed(words: Sequence[str]) -> bool:
    return lexicon.OWN_WORDS.isdisjoint((*words, "".join(words)))


def _of_class(text: str) -> tuple[str, bool]:
    """Return what the name of a model class says about its task, and whether it may be about text at all."""
    found = re.search(r"(\w+)For([A-Z]\w*)", text) or re.search(r"(\w*(?<!With))(LMHeadModel)\b", text)
    if not found and squash(text) not in _table(()):
        found = re.fullmatch(r"([a-z\d]+)for([a-z\d]+)", text, re.IGNORECASE)
    if not found:
        return text, True
    name, task = found.group(1).lower(), found.group(2)
    if task == "LMHeadModel":
        task = "CausalLM"
    elif task == "ConditionalGeneration" and lexicon.TEXT_SEQ2SEQ.fullmatch(name):
        task = "Seq2SeqLM"
    return task, not lexicon.NOT_TEXT.search(f"{name}for{task.lower()}")


@lru_cache(maxsize=1)
def _fillers() -> frozenset[str]:
    return frozenset(lexicon.FILLERS.split())


def _bare(words: Sequence[str]) -> list[str]:
    """Return ``words`` without those that change nothing, and without the number of a version at the end."""
    bare = [word for word in words if word not in _fillers()]
    while bare and (bare[-1].isdigit() or bare[-1] == "v"):
        bare.pop()
    return bare


@lru_cache(maxsize=1)
def _phrases() -> list[tuple[str, str]]:
    """Return (task, phrase that names it) for every phrase of the tables."""
    tasks = (*lexicon.TASKS.items(), *lexicon.OTHER_TASKS.items())
    return [(task, " ".join(phrase.split())) for task, phrases in tasks for phrase in phrases.split("|")]


@lru_cache(maxsize=1)
def _forms() -> dict[str, tuple[str, ...]]:
    """Return word -> all its spellings."""
    lines = [tuple(line.split()) for line in lexicon.FORMS.strip().splitlines()]
    return {word: line for line in lines for word in line}


def _spellings(phrase: str) -> Iterator[str]:
    """Yield ``phrase`` in all spellings of its words, joined."""
    return map("".join, itertools.product(*(_forms().get(word, (word,)) for word in phrase.lower().split())))


@lru_cache(maxsize=8)
def _table(supported: tuple[str, ...]) -> dict[str, Hint]:
    """Return what each phrase means, by its letters in each of its spellings."""
    keys: dict[str, set[str]] = {}
    for task, phrase in _phrases():
        keys.setdefault(task, set()).update(_spellings(phrase))
    table: dict[str, Hint] = {}
    for task, found in keys.items():
        member = next((name for name in supported if squash(name) in found), None)
        table.update(dict.fromkeys(found, Hint(member) if member else Hint(leave_out=task)))
    for name in supported:
        table.update(dict.fromkeys(_spellings(name.replace("_", " ")), Hint(name)))
    return table


def _looked_up(words: Sequence[str], supported: tuple[str, ...]) -> Optional[Hint]:
    """Return what the phrase means that ``words`` are, whether its words are parted or not."""
    table, bare = _table(supported), _bare(words)
    if re.fullmatch(r"\w \w\w|\w\w \w", " ".join(words)):  # C_LM, T_TS: pieces of an abbreviation are none
        return None
    if re.fullmatch(lexicon.TRANSLATION, " ".join(bare)):
        bare = bare[:1]
    return table.get("".join(words)) or table.get("".join(bare))


def _slip_of_a_phrase(words: Sequence[str], supported: tuple[str, ...]) -> Optional[Hint]:
    """Return what the one phrase means that is one letter too many, missing or swapped away."""
    keys = {"".join(words), "".join(_bare(words))}
    long = [phrase for _, phrase in _phrases() if len(phrase) > (8 if " " in phrase else 5)]
    written = [squash(phrase) for phrase in long]
    found = {_table(supported)[phrase] for phrase in written if any(_is_slip(key, phrase) for key in keys)}
    return found.pop() if len(found) == 1 else None


def _is_slip(text: str, phrase: str) -> bool:
    """Whether one letter is too many, missing, or swapped with the next: another letter may be another word."""
    return _edits(text, phrase) == 1 and (len(text) != len(phrase) or sorted(text) == sorted(phrase))


def _slip_of_a_member(words: Sequence[str], supported: Sequence[str]) -> Optional[str]:
    """Return the one member that ``words`` misspell, or ``None``."""
    slips = {name: _slips(words, name.lower().split("_")) for name in supported if _may_be_guessed(words)}
    likely = {name: count for name, count in slips.items() if count <= (3 if len(name) > 13 else 2)}
    best = [name for name, count in likely.items() if count == min(likely.values())]
    return best[0] if len(best) == 1 else None


def _slips(words: Sequence[str], parts: Sequence[str]) -> int:
    """Return the slips of the pen between a text and a member's name; 9 for another word."""
    letters = sum(map(len, parts))
    whole = _edits("".join(words), "".join(parts))
    if whole <= (letters > 3) or len(words) != len(parts):
        return whole if whole <= (letters > 3) + (letters > 13) else 9
    each = [0 if word in _forms().get(part, ()) else _edits(word, part) for word, part in zip(words, parts)]
    allowed = [1 + (len(part) > 5 and word[0] == part[0]) for word, part in zip(words, parts)]
    return sum(each) if all(map(int.__le__, each, allowed)) else 9


def _sharing(words: Sequence[str], supported: tuple[str, ...]) -> Optional[Hint]:
    """Return the members that share the one word that ``words`` are, if there are several."""
    key = "".join(_bare(words))
    sharing = [name for name in supported if any(key in _spellings(part) for part in name.split("_"))]
    return Hint(choices=tuple(sharing)) if len(sharing) > 1 else None


def _about(words: Sequence[str]) -> Optional[Hint]:
    """Return that a text is not about text at all."""
    for about, senses in lexicon.SENSES.items():
        if re.search(rf"\b(?:{senses})\b", " ".join(words)):
            return Hint(leave_out=about)
    return None


def _edits(a: str, b: str) -> int:
    """Return how many letters must be put in, left out, changed or swapped with their neighbour (at most 4)."""
    if abs(len(a) - len(b)) > 3:
        return 4
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                row[-1] = min(row[-1], rows[-2][j - 2] + 1)
        rows.append(row)
    return min(rows[-1][-1], 4)
