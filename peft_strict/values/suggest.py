"""What was probably meant by a wrong ``task_type``: a pure rule, told the task types PEFT has and nothing else.

The text is cleaned (look-alike letters, quotes, ``TaskType.`` and its reprs) and cut into words, and the words are
mapped to concepts (``classification``, ``classifier`` and ``cls`` are one). The concepts either spell a task type or
contain a phrase that names a task; failing that, the text is compared with the task types letter by letter. Task types
are never named here: a task finds its own through the concepts in both names, so one that a later PEFT adds is found
too. Two readings, or a known word too many, give no suggestion: a wrong one is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Optional

from . import lexicon

_LONGEST = 200  # characters; nothing longer is a slip of the pen
_FAR = 9  # more than any slips of the pen cost


class Hint(NamedTuple):
    """What a wrong ``task_type`` probably meant.

    Attributes:
        task_type: The name of the task type to write, or ``None`` if there is no safe answer.
        leave_out: A recognised task that PEFT has no task type for, in words: leaving ``task_type`` out is right.
        is_none: The text says ``None`` (or ``null``, ``nil``): the value ``None`` was meant.
    """

    task_type: Optional[str] = None
    leave_out: Optional[str] = None
    is_none: bool = False


def hint(value: object, supported: Sequence[str]) -> Hint:
    """Say what was meant by ``value`` where PEFT's task types are ``supported``.

    Never raises, whatever ``value`` is, and runs none of its code. Texts above 200 characters get no answer.
    """
    answers = {_read(text, supported) for text in _texts(value)} - {Hint()}
    return answers.pop() if len(answers) == 1 else Hint()


def misspelled(value: object, supported: Sequence[str]) -> Optional[str]:
    """Return the task type that ``value`` is, apart from its spelling, or ``None``.

    Stricter than `hint`, for places where other words are legitimate (``peft_type``): case, separators, enum reprs
    and slips of the pen are seen through, other names for the same task are not.
    """
    answers: set[Optional[str]] = set()
    for raw in _texts(value):
        text = _unwrap(_clean(raw))
        near = [name for name in supported if _edits(_squash(text), _squash(name)) <= 1 + (len(name) > 12)]
        answers.add(_exact(text, supported) or (near[0] if len(near) == 1 else None))
    answers.discard(None)
    return answers.pop() if len(answers) == 1 else None


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


def _squash(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def _exact(text: str, supported: Sequence[str]) -> Optional[str]:
    """Return the member that ``text`` is but for case and separators."""
    squashed = _squash(text)
    return next((name for name in supported if squashed and _squash(name) == squashed), None)


@lru_cache(maxsize=1)
def _vocabulary() -> dict[str, str]:
    """Return word -> concept, over everything the tables above say. Fillers are ``""``, negations ``"!"``."""
    phrases = "|".join([*lexicon.TASKS.values(), *lexicon.OTHER_TASKS.values(), *lexicon.TASKS, *lexicon.OTHER_TASKS])
    words = {word: word for word in re.findall(r"[a-z0-9]+", phrases)}
    words.update(dict.fromkeys(lexicon.FILLERS.split(), ""))
    words.update(dict.fromkeys(lexicon.NEGATIONS.split(), "!"))
    for line in lexicon.SYNONYMS.strip().splitlines():
        group = line.split()
        words.update(dict.fromkeys(group, group[0]))
    return words


@lru_cache(maxsize=1)
def _phrases() -> list[tuple[str, tuple[str, ...]]]:
    """Return (task, concepts of a phrase that names it) for every phrase of the tables."""
    tasks = {**lexicon.TASKS, **lexicon.OTHER_TASKS}
    return [(task, tuple(_meaning(phrase))) for task in tasks for phrase in tasks[task].split("|")]


def _split(text: str) -> list[str]:
    """Return the words of ``text`` in lower case: cut at separators, between known words, and at camel humps."""
    words: list[str] = []
    for chunk in re.findall(r"[^\W\d_]+|\d+", text):
        cut = _cut(chunk.lower())
        words += cut
        for part in [] if cut else re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^A-Za-z]+", chunk):
            words += _cut(part.lower()) or [part.lower()]
    return words


@lru_cache(maxsize=256)
def _words_of(name: str) -> tuple[str, ...]:
    """Return the words of a task's or a task type's name."""
    return tuple(_split(name))


@lru_cache(maxsize=256)
def _meaning(name: str) -> list[str]:
    """Return the concepts of a task's or a task type's name."""
    return _concepts(_split(name))


def _cut(word: str) -> tuple[str, ...]:
    """Return the known words that make up ``word`` (what stands before a last ``for`` is a name), or nothing.

    Found from the end on, so that a part which can be cut in two ways is read once for all that stands before it.
    """
    if word in _vocabulary():
        return (word,)
    cuts: list[tuple[str, ...]] = [()] * (len(word) + 1)
    for start in reversed(range(len(word))):
        cuts[start] = _first_cut(word[start:], cuts[start:])
    return cuts[0]


def _first_cut(word: str, cuts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return what `_cut` is to return, given how what stands behind each letter is cut."""
    words = _vocabulary()
    if word in words:
        return (word,)
    for i in range(min(len(word), 40) - 2, 1, -1):
        if words.get(word[:i], "!") != "!" and (i > 2 or word[:i] in ("lm", "to")):
            rest = cuts[i]
            if rest and words[rest[-1]] != "!":
                return (word[:i], *rest)
    name, _, task = word.rpartition("for")
    return cuts[len(word) - len(task)] if name else ()


@lru_cache(maxsize=256)
def _concept(word: str) -> str:
    """Return the concept of ``word`` or of the one word it is a slip of; ``?word`` if there is none."""
    words = _vocabulary()
    if word in words:
        return words[word]
    near = {concept for known, concept in words.items() if _alike(word, known)}
    return near.pop() if len(near) == 1 else "?" + word


def _alike(word: str, known: str) -> bool:
    """Tell whether ``word`` is evidently ``known``: short words are too close to others for more than a swap."""
    if min(len(word), len(known)) < 5:
        return known == "text" and len(word) > 3 and set(word) == set("text") and _edits(word, known) == 1
    head = word[0] == known[0] or word[1::-1] == known[:2] or (word == known[1:] and len(word) > 6)
    return head and _edits(word, known) <= (2 if len(known) >= 12 else 1)


def _concepts(words: Sequence[str]) -> list[str]:
    """Return the concepts of ``words``, idioms merged and fillers dropped."""
    text = " ".join(_concept(word) or "-" for word in words)
    for pattern, merged in lexicon.IDIOMS:
        text = re.sub(rf"(?<!\S)(?:{pattern})(?!\S)", merged, text)
    return [concept for concept in text.split() if concept not in ("-", "model")]


def _task(concepts: Sequence[str]) -> Optional[str]:
    """Return the one task that ``concepts`` name, in words, or ``None``.

    A phrase of one concept ("chat") must stand alone; a longer one may stand beside two unknown words (the name of an
    architecture, a prefix of the user's own), but never beside a known one that does not belong to the task.
    """
    known = {concept for concept in concepts if not concept.startswith("?")}
    if "text" not in known:
        known.discard("to")  # the 2 of a version, the "to" of a sentence
    unknown = len([concept for concept in concepts if concept.startswith("?")])
    if "!" in known or unknown > 2:
        return None
    found = [(task, set(phrase)) for task, phrase in _phrases() if _holds(concepts, phrase)]
    found = [(task, phrase) for task, phrase in found if not any(phrase < other for _, other in found)]
    said: dict[str, set[str]] = {}
    for task, phrase in found:
        said.setdefault(task, set()).update(phrase)
    fits = [
        task
        for task, phrase in said.items()
        if known <= phrase.union(_meaning(task)) and (len(phrase - {"to"}) > 1 or not unknown)
    ]
    if len(fits) == 1:
        return fits[0]
    others = [(len(phrase), task) for task, phrase in found if task in lexicon.OTHER_TASKS]
    return max(others, key=lambda other: other[0])[1] if others and known & lexicon.SENSES else None


def _holds(concepts: Sequence[str], phrase: Sequence[str]) -> bool:
    """Tell whether ``phrase`` occurs in ``concepts`` in its order, gaps allowed."""
    rest = iter(concepts)
    return all(concept in rest for concept in phrase)


def _read(raw: str, supported: Sequence[str]) -> Hint:
    """Return the hint for one text."""
    text = _unwrap(_clean(raw))
    if _squash(text) in lexicon.NONE:
        return Hint(is_none=True)
    member = None if re.match(r"[!~\u00ac]", text) else _exact(text, supported)
    if member or re.match(r"[!~\u00ac]", text) or re.search(r"\w\W*[,;|+]\W*\w", text):
        return Hint(member)
    text, is_text = _of_class(text)
    words = _split(text)
    concepts = _concepts(words)
    task = _task(concepts)
    if not is_text:
        return _answer(task, supported) if task in lexicon.OTHER_TASKS else Hint()
    same = [name for name in supported if concepts and _meaning(name) == concepts]
    if len(same) == 1:
        return Hint(same[0])
    if task:
        return _answer(task, supported)
    nearest = _nearest(text, words, supported)
    squashed = _squash(text)
    glued = _cut(squashed)  # for separators in the wrong place
    if nearest or len(squashed) < 8 or "".join(glued) != squashed:
        return Hint(nearest)
    return _answer(_task(_concepts(glued)), supported)


def _answer(task: Optional[str], supported: Sequence[str]) -> Hint:
    """Return the member whose name says the same as ``task``, else that the task has none."""
    meant = _meaning(task or "")
    members = [name for name in supported if meant and _meaning(name) == meant]
    return Hint(task_type=members[0]) if len(members) == 1 else Hint(leave_out=task)


def _of_class(text: str) -> tuple[str, bool]:
    """Return what the name of a model class says about its task, and whether it may be about text at all."""
    found = re.search(r"(\w+)For([A-Z]\w*)", text) or re.search(r"(\w*(?<!With))(LMHeadModel)\b", text)
    if not found:
        squashed = _squash(text)
        return text, "for" not in squashed or not lexicon.NOT_TEXT.search(squashed)
    name, task = found.group(1).lower(), found.group(2)
    if task == "LMHeadModel":
        task = "CausalLM"
    elif task == "ConditionalGeneration" and lexicon.TEXT_SEQ2SEQ.fullmatch(name):
        task = "Seq2SeqLM"
    return task, not lexicon.NOT_TEXT.search(f"{name}for{task.lower()}")


def _nearest(text: str, words: Sequence[str], supported: Sequence[str]) -> Optional[str]:
    """Return the one member that ``text`` misspells, or ``None``."""
    costs = sorted((_cost(_squash(text), words, name), name) for name in supported)
    if not costs or costs[0][0] > (3 if len(costs[0][1]) > 12 else 2):
        return None
    return costs[0][1] if len(costs) == 1 or costs[0][0] < costs[1][0] else None


def _cost(squashed: str, words: Sequence[str], name: str) -> int:
    """Return how many slips of the pen lie between a text and a member's name; `_FAR` for another word."""
    target, parts = _squash(name), _words_of(name)
    allowed = {"", "to", *(_concept(part) for part in parts)}
    if any(not concept.startswith("?") and concept not in allowed for concept in map(_concept, words)):
        return _FAR
    edits = _edits(squashed, target)
    if edits <= 1:
        return edits
    if len(words) == len(parts):
        return sum(_slip(word, part) for word, part in zip(words, parts))
    if all(word in _vocabulary() for word in words):
        return _FAR  # words of the trade, no slip
    return edits if edits <= 1 + (len(target) > 8) + (len(target) > 13) else _FAR


def _slip(word: str, part: str) -> int:
    """Return the cost of reading ``word`` as ``part`` of a member's name; `_FAR` if it is no slip of it."""
    edits = _edits(word, part)
    if _concept(word) == _concept(part):
        return 0
    generous = len(part) > 7 or (len(part) > 5 and word[0] == part[0])
    if edits <= 1 + generous and edits < len(part):
        return edits
    rest = iter(part)
    abbreviation = len(part) > 4 and word[0] == part[0] and all(letter in rest for letter in word)
    missing = sum(word.count(letter) < part.count(letter) for letter in set(part))
    scrambled = len(word) == len(part) and missing <= (word[0] == part[0])
    return 2 if len(word) > 2 and (abbreviation or scrambled) else _FAR


def _edits(a: str, b: str) -> int:
    """Return how many letters must be put in, left out, changed or swapped with their neighbour (at most 4)."""
    if abs(len(a) - len(b)) > 3:
        return 4
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                row[-1] = min(row[-1], rows[-2][j - 2] + 1)
        if min(row) > 3:
            return 4
        rows.append(row)
    return min(rows[-1][-1], 4)
