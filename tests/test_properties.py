"""The rule, the attributes of configs and the reading of files, on values that hypothesis makes up.

``PEFT_STRICT_EXAMPLES=20`` tries twenty times as many.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import decimal
import enum
import functools
import inspect
import io
import json
import os
import pickle
import reprlib
import unittest.mock
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import numpy
import peft
import pytest
import wrapt
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, TaskType

import peft_strict
from peft_strict import InvalidTaskTypeError, TaskTypeWarning, _standby
from peft_strict.commands import check
from peft_strict.releases import source

from .ways_in.rows import registered_classes

TIMES = int(os.environ.get("PEFT_STRICT_EXAMPLES", "1"))
NAMES = [member.value for member in TaskType]
REGISTERED = "Vector_LM"
LONGEST = 1500  # characters of a message
SLOW = list(HealthCheck)  # the machine may be busy, and fixtures hold for all examples of a test


def tries(examples: int) -> settings:
    """Try as many examples, the same ones in every run."""
    return settings(
        max_examples=examples * TIMES, derandomize=True, deadline=None, database=None, suppress_health_check=SLOW
    )


# -- values -----------------------------------------------------------------------------------------------------------


class Specimen:
    """A value, with how it was made: its own repr may raise."""

    def __init__(self, value: Any, made: Optional[str] = None) -> None:
        self.value = value
        self.made = made

    def __repr__(self) -> str:
        return self.made or reprlib.repr(self.value)


class Sulky(str):
    """A string whose methods all raise. What the C code of ``str`` does with it works."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    __len__ = __getitem__ = __iter__ = __eq__ = __hash__ = __format__ = __contains__ = lambda *_: 1 / 0  # type: ignore


def raises(error: type[Exception]) -> Callable[..., Any]:
    def raising(*_: Any, **__: Any) -> Any:
        raise error("hostile")

    return raising


BEHAVIOURS: dict[str, Callable[..., Any]] = {
    **{error.__name__: raises(error) for error in (RuntimeError, TypeError, AttributeError, RecursionError)},
    **{
        repr(answer)[:9]: (lambda *_, answer=answer: answer)
        for answer in (True, False, None, NotImplemented, 0, 10**9, "CAUSAL_LM", "x" * 10_000, [], {})
    },
    "Sulky": lambda *_: Sulky("CASUAL_LM"),
    "another": lambda *_: Specimen(None),
}
METHODS = [
    *["__eq__", "__ne__", "__hash__", "__bool__", "__len__", "__iter__", "__getitem__", "__contains__"],
    *["__str__", "__repr__", "__format__", "__getattr__", "__getattribute__", "__reduce_ex__", "__lt__", "__index__"],
]
PROPERTIES = ["__class__", "__dict__", "__name__", "__module__", "__qualname__", "__doc__"]
BASES = [object, str, bytes, int, float, list, tuple, dict, set, frozenset, Exception]
one_behaviour = st.sampled_from(sorted(BEHAVIOURS))
behaviours = st.one_of(
    st.dictionaries(st.sampled_from([*METHODS, *PROPERTIES]), one_behaviour, min_size=1, max_size=6),
    st.builds(
        lambda name, behaviour: {name: behaviour}, st.sampled_from(["__eq__", "__repr__", *PROPERTIES]), one_behaviour
    ),
    st.builds(dict.fromkeys, st.just(METHODS), one_behaviour),
)


def body(chosen: dict[str, str]) -> dict[str, Any]:
    """Return the body of a class that behaves as chosen."""
    made = {name: BEHAVIOURS[behaviour] for name, behaviour in chosen.items()}
    return {name: property(how) if name in PROPERTIES else how for name, how in made.items()}


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Any text, or a member's with slips of the pen."""
    kind = draw(st.sampled_from(["any", "slip", "slip", "unprintable", "long"]))
    if kind == "any":
        return draw(st.text(max_size=60))
    if kind == "unprintable":
        return draw(st.sampled_from("\U000e0001\x00\ud800\n\u202e'")) * draw(st.integers(100, 260))
    if kind == "long":
        return draw(st.text("aCL_ \u0130", min_size=1, max_size=9)) * draw(st.sampled_from([30, 1000, 100_000]))
    text = draw(st.sampled_from([*NAMES, REGISTERED, "None", "text-generation", "AutoModelForCausalLM"]))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = draw(
            st.sampled_from(
                [
                    text[:at] + text[at + 1 :],
                    text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
                    text[:at] + draw(st.sampled_from("_ -.\x00\u00e9\u212a")) + text[at:],
                    text.lower(),
                    text.replace("_", "-"),
                    f" {text}",
                    f"TaskType.{text}",
                    f"{text},{text}",
                ]
            )
        )
    return text


numbers = st.one_of(
    *[st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.decimals(), st.fractions()],
    *[st.integers(400, 6000).map(lambda digits: 10**digits), st.just(decimal.Decimal("sNaN"))],
)
things = st.sampled_from(
    [TaskType, peft.PeftType.LORA, LoraConfig, enum, print, numpy.array(NAMES), numpy.float32(1), iter([]), range(3)]
)
atoms = st.one_of(
    st.none(), texts(), texts(), st.binary(max_size=30), numbers, st.sampled_from(list(TaskType)), things
)
contained = st.recursive(
    atoms,
    lambda inner: st.one_of(
        *[
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(texts(), inner, max_size=2),
        ],
        *[st.sets(texts(), max_size=2), st.frozensets(texts(), max_size=2)],
    ),
    max_leaves=4,
)


@st.composite
def hostile(draw: st.DrawFn) -> Specimen:
    """An object that behaves as no object should, also as a subclass of a builtin or with a metaclass of that kind."""
    base = draw(st.sampled_from(BASES))
    chosen = draw(behaviours)
    meta_chosen = draw(st.one_of(st.just({}), behaviours))
    content = draw(texts()) if base is str else None
    made = f"{base.__name__}({content!r}) with {chosen}, its class with {meta_chosen}"
    try:
        meta = type("Meta", (type,), body(meta_chosen))
        cls = meta("Made", (base,), body(chosen))
        value = base.__new__(cls) if content is None else base.__new__(cls, content)
    except Exception:  # Python itself will not have such a class
        return Specimen(Sulky(draw(texts())), "Sulky")
    return Specimen(cls if draw(st.integers(0, 4)) == 0 else value, made)


@st.composite
def enumerated(draw: st.DrawFn) -> Specimen:
    """A member of somebody else's enum."""
    mixin = draw(st.sampled_from([None, str, int]))
    content = draw({None: contained, str: texts(), int: st.integers()}[mixin])
    name = draw(st.sampled_from(["CHAT", *NAMES]))
    chosen = draw(st.one_of(st.just({}), behaviours))
    bases = (enum.Enum,) if mixin is None else (mixin, enum.Enum)
    try:
        scope = type(enum.Enum).__prepare__("Task", bases)
        for key, value in {**body(chosen), name: content}.items():
            scope[key] = value
        member = type(enum.Enum)("Task", bases, scope)._member_map_[name]
    except Exception:  # not every content or behaviour is allowed
        return Specimen(TaskType.SEQ_CLS)
    return Specimen(member, f"enum {bases} {name} = {content!r:.300} with {chosen}")


class Text(str):
    pass


class EqualTo:
    """Equal to one member, or to several."""

    def __init__(self, *members: str) -> None:
        self.members = members

    def __eq__(self, other: object) -> bool:
        return other in self.members

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"EqualTo{self.members}"


FORMS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "member": TaskType,
    "subclass": Text,
    "numpy": numpy.str_,
    "proxy": wrapt.ObjectProxy,
    "equal": EqualTo,
    "enum": lambda name: enum.Enum("Task", {"CHAT": name}, type=str).CHAT,  # type: ignore[misc]
}
right_values = st.builds(
    lambda form, name: Specimen(FORMS[form](name), f"{form} {name}"),
    st.sampled_from(sorted(FORMS)),
    st.sampled_from(NAMES),
)
registered_names = st.sampled_from([REGISTERED, Text(REGISTERED), [REGISTERED]]).map(Specimen)
equal_to_some = st.lists(st.sampled_from(NAMES), unique=True).map(lambda names: Specimen(EqualTo(*names)))
sulky = st.builds(lambda text: Specimen(Sulky(text), f"Sulky {text!r:.300}"), texts())
specimens = st.one_of(
    *[contained.map(Specimen), contained.map(Specimen), hostile(), hostile(), enumerated(), sulky],
    *[right_values, registered_names, equal_to_some, texts().map(Text).map(Specimen), texts().map(Specimen)],
)


def expected(value: Any) -> tuple[bool, Any]:
    """Say what the rule makes of a value: whether it is right, and what is to be stored."""
    if value is None:
        return True, None
    if issubclass(type(value), str):
        text = "".join(str.__iter__(value))
        return (True, TaskType(text)) if text in NAMES else (text == REGISTERED, value)
    found = []
    for member in TaskType:
        with contextlib.suppress(Exception):
            found += [member] if value == member else []
    return (True, found[0]) if len(found) == 1 else (False, value)


def beginning(value: Any) -> str:
    """Return what the message must start with."""
    if type(value) is not str or len(value) > 200:
        return "Invalid task type: '"
    return f"Invalid task type: '{value}'. Must be one of the following task types: {', '.join(NAMES)}."


@pytest.fixture(name="registered")
def _registered() -> Iterator[None]:
    """Have a task type of the user's own in PEFT's mapping."""
    peft.MODEL_TYPE_TO_PEFT_MODEL_MAPPING[REGISTERED] = peft.PeftModelForCausalLM
    yield
    del peft.MODEL_TYPE_TO_PEFT_MODEL_MAPPING[REGISTERED]


def assigned(value: Any, cls: Any = LoraConfig) -> Any:
    config = cls()
    config.task_type = value
    return vars(config)["task_type"]


CONSTRUCTED: dict[str, Callable[[Any], Any]] = {
    "keyword": lambda value: LoraConfig(task_type=value).task_type,
    "positional": lambda value: peft.IA3Config(value).task_type,
    "base": lambda value: peft.PeftConfig(task_type=value).task_type,
    "dict": lambda value: peft.get_peft_config({"peft_type": "LORA", "task_type": value}).task_type,
    "replaced": lambda value: dataclasses.replace(peft.LoHaConfig(), task_type=value).task_type,
}
OTHERS: dict[str, Callable[[Any], Any]] = {"assigned": assigned, "parsed": peft_strict.parse_task_type}


def attempt(function: Callable[..., Any], *args: Any, **words: Any) -> tuple[Any, Optional[Exception]]:
    """Return what it answers and ``None``, or ``None`` and its ``ValueError``; no other error is expected."""
    try:
        return function(*args, **words), None
    except ValueError as error:
        return None, error


def is_clean(error: InvalidTaskTypeError, value: Any) -> bool:
    """Whether the error for a value is all that it should be."""
    text = str(error)
    assert len(text) < LONGEST
    assert text.startswith(beginning(value))
    assert f"Must be one of the following task types: {', '.join(NAMES)}." in text
    assert error.value is value
    assert error.supported == tuple(NAMES)
    assert error.suggestion in (None, *NAMES)
    assert str(pickle.loads(pickle.dumps(error))) == text
    return True


@tries(300)
@given(specimens)
def test_any_value(strict: None, registered: None, specimen: Specimen) -> None:
    """On each way a value is taken exactly if the rule says so, and as the member; else there is one clean error."""
    value = specimen.value
    right, stored = expected(value)
    event("right" if right else "wrong")
    for name, way in {**CONSTRUCTED, **OTHERS}.items():
        found, error = attempt(way, value)
        if not right:
            assert isinstance(error, InvalidTaskTypeError), name
            assert is_clean(error, value), name
        elif name in CONSTRUCTED and stored is not None and type(stored) is not TaskType:
            assert not isinstance(error, InvalidTaskTypeError), name
            assert str(error).startswith("Invalid task type: '"), name  # registered names: PEFT's own constructors
        else:
            assert error is None, name
            assert found is stored, name


@tries(100)
@given(specimens)
def test_any_value_with_warnings(off: None, registered: None, specimen: Specimen) -> None:
    """With ``invalid="warn"`` a wrong value gives one warning and is left as it is, a right one gives none."""
    peft_strict.enable(invalid="warn")
    right, stored = expected(specimen.value)
    config = LoraConfig()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        config.task_type = specimen.value
    assert vars(config)["task_type"] is stored
    assert [each.category for each in caught] == ([] if right else [TaskTypeWarning])


@tries(100)
@given(specimens)
def test_any_value_while_suspended(strict: None, specimen: Specimen) -> None:
    """While suspended, a value meets what it meets in plain PEFT."""

    def outcome() -> tuple[Any, Any]:
        config = LoraConfig()
        config.task_type = specimen.value
        try:
            LoraConfig(task_type=specimen.value)
        except Exception as error:
            return vars(config)["task_type"], type(error)
        return vars(config)["task_type"], None

    with peft_strict.suspended():
        here = outcome()
    peft_strict.disable()
    there = outcome()
    peft_strict.enable()
    assert here[1] is there[1]
    assert here[0] is there[0] or here[0] in NAMES


@tries(100)
@given(specimens)
def test_any_value_as_peft_type(strict: None, specimen: Specimen) -> None:
    """As ``peft_type`` a value is PEFT's business, unless it says a task type."""
    value = specimen.value
    config, error = attempt(LoraConfig, peft_type=value)
    if error is None:
        assert config.peft_type is peft.PeftType.LORA
        assert not issubclass(type(value), str) or str.__str__(value) not in NAMES
        return
    assert isinstance(error, InvalidTaskTypeError)
    assert issubclass(type(value), str)
    assert str.__str__(value).upper() not in [method.value for method in peft.PeftType]
    assert error.suggestion in NAMES
    assert str(error).startswith(f"`peft_type` got a task type; write `task_type={error.suggestion!r}`.")
    assert len(str(error)) < LONGEST


@tries(200)
@given(st.text(), st.sampled_from(["", "1", "on", "warn", "raise", "error", "off"]), st.sampled_from(["", " ", "\n"]))
def test_any_word_in_the_environment(text: str, word: str, blank: str) -> None:
    """Whatever the variable says, it is read, and what is unknown switches on and is complained about in short."""
    modes, complaint = _standby.parse_variable(text)
    assert complaint is None or (modes == ("raise", "warn", "warn") and len(complaint) < 1000)
    assert _standby.parse_variable(f"{blank}{word.upper()}{blank}") == _standby.parse_variable(word)
    assert _standby.parse_variable(word)[1] is None


@tries(100)
@given(contained, contained)
def test_any_mode(off: None, invalid: Any, misfit: Any) -> None:
    """A mode that is no mode is a ``ValueError``, and nothing is switched."""
    with pytest.raises(ValueError, match="is not a mode of peft-strict") as caught:
        peft_strict.enable(invalid=invalid, misfit=misfit)
    assert len(str(caught.value)) < LONGEST
    assert peft_strict.status().state == "off"


# -- the attributes of configs ----------------------------------------------------------------------------------------

CLASSES = [*registered_classes(), peft.PeftConfig, peft.PromptLearningConfig]
POOL: list[Any] = [None, True, 0, 3, -1, 0.5, "", "x", "all-linear", ["q_proj"], [], {}, {"a": 1}]


@st.composite
def arguments(draw: st.DrawFn, cls: Any) -> dict[str, Any]:
    """Arguments for a config class; few of them make sense."""
    names = [field.name for field in dataclasses.fields(cls) if field.name not in ("task_type", "peft_type")]
    few = st.sampled_from([*names, "nonsense"] if names else ["nonsense"])
    return draw(st.dictionaries(few, st.sampled_from(POOL), max_size=3))


def shown(value: Any) -> Any:
    """Return something that can be compared."""
    return repr(value) if type(value).__eq__ is object.__eq__ else value


def attributes(config: Any) -> list[tuple[str, Any]]:
    return [(name, shown(value)) for name, value in vars(config).items()]


def told(function: Callable[[], Any]) -> Any:
    """Return the answer, or the error as text."""
    try:
        return shown(function())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def seen(
    cls: Any, task_type: Any, words: dict[str, Any], *, again: dict[str, Any], preset: dict[str, Any]
) -> list[Any]:
    """Construct a config and return all that can be seen of it, also where that fails."""
    config = cls.__new__(cls)
    vars(config).update(preset)
    found = [told(lambda: config.__init__(task_type=task_type, **copy.deepcopy(words))), attributes(config)]
    config.more = "mine"
    names = [*vars(config), *[field.name for field in dataclasses.fields(cls)], "nonsense"]
    found += [[hasattr(config, name) for name in names]]
    for function in (
        dataclasses.asdict,
        vars,
        repr,
        dataclasses.replace,
        lambda it: it.to_dict(),
        lambda it: it == it,
    ):
        found.append(told(functools.partial(function, config)))
    for duplicate in (copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))):
        found.append(told(lambda duplicate=duplicate: attributes(duplicate(config))))
    found += [told(lambda: config.__init__(**copy.deepcopy(again))), attributes(config)]
    return found


def test_the_attributes_of_every_class(off: None) -> None:
    """For every class: the same attributes in the same order, whatever is done with the config."""
    for cls in CLASSES:
        for name in (None, TaskType.CAUSAL_LM):
            peft_strict.disable()
            plain = seen(cls, name, {}, again={}, preset={})
            peft_strict.enable()
            assert seen(cls, name and name.value, {}, again={}, preset={}) == plain


@tries(150)
@given(st.data(), st.sampled_from(CLASSES), st.sampled_from(sorted(FORMS)), st.sampled_from(NAMES))
def test_right_values_change_nothing(off: None, data: Any, cls: Any, form: str, name: str) -> None:
    """With whatever other arguments, unless the look at fields refuses one: PEFT's own outcome, but for the member."""
    words = data.draw(arguments(cls))
    more = {"again": data.draw(arguments(cls))}
    more["preset"] = data.draw(st.dictionaries(st.sampled_from(["more", "r", "_private", "peft_type"]), st.just(7)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peft_strict.disable()
        plain = seen(cls, TaskType(name), words, **more)
        peft_strict.enable()
        strict = seen(cls, FORMS[form](name), words, **more)
    assume(not any("InvalidFieldError" in str(each) for each in strict))
    assert strict == plain


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_in_the_middle_of_construction(off: None, cls: Any) -> None:
    """When ``__post_init__`` runs, and when it fails, the config looks as it does without us."""

    class Stop(Exception):
        pass

    def look() -> list[Any]:
        found: list[Any] = []

        def stop(self: Any) -> None:
            found.extend([attributes(self), told(lambda: repr(self)), hasattr(self, "nonsense")])
            raise Stop

        config = cls.__new__(cls)
        with unittest.mock.patch.object(cls, "__post_init__", stop), pytest.raises(Stop):
            config.__init__(task_type=TaskType.CAUSAL_LM)
        return [*found, attributes(config)]

    plain = look()
    peft_strict.enable()
    assert look() == plain


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_what_somebody_has_set_before(off: None, cls: Any) -> None:
    """What a config has before its ``__init__`` runs stays, and a call that does not fit leaves no trace."""

    def look() -> list[Any]:
        config = cls.__new__(cls)
        config.more = "mine"
        with contextlib.suppress(TypeError, ValueError, ImportError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config.__init__()
        bare = cls.__new__(cls)
        with pytest.raises(TypeError, match="nonsense"):
            bare.__init__(nonsense=1)
        return [attributes(config), attributes(bare)]

    plain = look()
    peft_strict.enable()
    assert look() == plain


# -- files ------------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts(), st.sampled_from(NAMES)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=3,
)
misspelt = st.sampled_from(["CASUAL_LM", "seq-cls", "TaskType.TOKEN_CLS", "question answering", "\u212aausal_lm"])
task_types = st.one_of(st.none(), st.sampled_from(NAMES), misspelt, misspelt, texts(), json_values)
methods = st.one_of(st.sampled_from([*[member.value for member in peft.PeftType], *NAMES]), texts(), json_values)
KEYS = [*inspect.signature(LoraConfig).parameters, "self", "cls", "args", "kwargs", "wrapped", "runtime_config", ""]


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """An adapter config, more or less."""
    methods_here = draw(st.one_of(st.just("LORA"), methods))
    members = [("peft_type", methods_here), ("task_type", draw(task_types))][draw(st.sampled_from([0, 0, 0, 0, 1])) :]
    members += draw(st.lists(st.tuples(st.sampled_from(KEYS), json_values), max_size=2))
    members += draw(
        st.lists(st.tuples(st.sampled_from(["task_type", "peft_type", "task_type "]), task_types), max_size=1)
    )
    members = draw(st.permutations(members))
    ascii_only, gap = draw(st.booleans()), draw(st.sampled_from(["", " ", "\n", "\r\n\t"]))
    parts = [f"{json.dumps(k)}:{gap}{json.dumps(v, ensure_ascii=ascii_only)}" for k, v in members]
    text = f"{gap}{{{gap}{f',{gap}'.join(parts)}{gap}}}"
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-8-sig", "utf-16", "latin-1"]))
    return text.encode(encoding, "replace")


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """A file: an adapter config, a damaged one, or anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.one_of(st.binary(max_size=40), json_values.map(lambda value: json.dumps(value).encode())))
    content = draw(documents())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(content)))
        patch = draw(st.sampled_from([b"", b"\x00", b'"', b"{", b"}", b",", b"\\", b"\xff", b"[" * 3000, b"9" * 5000]))
        content = content[:at] + patch + content[at + draw(st.integers(0, 3)) :]
    return content


def loaded(cls: Any, folder: Path) -> tuple[Any, Any, list[str]]:
    """Load a config; return the error or ``None``, the attributes, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            config = cls.from_pretrained(str(folder))
        except Exception as error:
            return error, None, [str(each.message) for each in caught]
    return None, (type(config), attributes(config)), [str(each.message) for each in caught]


@tries(150)
@given(content=contents(), cls=st.sampled_from([peft.PeftConfig, peft.PeftConfig, LoraConfig]))
def test_any_file_is_loaded_as_ever(off: None, tmp_path: Path, content: bytes, cls: Any) -> None:
    """With us on, ``from_pretrained`` ends as plain PEFT does, or in our error where the task type is wrong."""
    (tmp_path / "adapter_config.json").write_bytes(content)
    peft_strict.disable()
    error, attributes, warned = loaded(cls, tmp_path)
    peft_strict.enable()
    our_error, our_attributes, we_warned = loaded(cls, tmp_path)
    event(type(our_error).__name__)
    if isinstance(our_error, InvalidTaskTypeError):
        found = json.loads(content)
        assert not expected(found.get("task_type"))[0] or found.get("peft_type") in NAMES
        assert our_error.source == str(tmp_path / "adapter_config.json")
        assert error is not None
        return
    assert (type(our_error), str(our_error)) == (type(error), str(error))
    assert our_attributes == attributes
    assert we_warned == warned


def checked(*arguments: Any, **options: bool) -> tuple[int, str, str]:
    """Run ``peft-strict check`` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = check.run(
            [str(argument) for argument in arguments], **{"fix": False, "values": False, "as_json": False, **options}
        )
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(name="read_once")
def _read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read PEFT's source for all examples once."""
    monkeypatch.setattr(source, "installed", functools.cache(source.installed))


@tries(150)
@given(content=contents())
def test_any_file_is_checked(strict: None, read_once: None, tmp_path: Path, content: bytes) -> None:
    """A file is good, bad or unusable, as loading it shows, and ``--fix`` changes the one value or nothing."""
    path = tmp_path / "adapter_config.json"
    path.write_bytes(content)
    code, out, _ = checked(tmp_path, as_json=True)
    findings = json.loads(out)["findings"]
    event(f"exit code {code}")
    assert code in (0, 1, 2)
    assert (code == 1) == bool(findings)
    assert path.read_bytes() == content
    error, _, _ = loaded(peft.PeftConfig, tmp_path)
    if findings:
        assert error is not None
    elif code == 0:
        assert not isinstance(error, InvalidTaskTypeError)

    fixed, _, _ = checked(path, fix=True)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    if fixed == 0 and code == 1:
        before, after = json.loads(content.decode("utf-8-sig")), json.loads(path.read_bytes().decode("utf-8-sig"))
        assert expected(after["task_type"])[0]
        assert repr({**before, "task_type": after["task_type"]}) == repr(after)
        assert checked(path)[0] == 0
    elif code != 1:
        assert path.read_bytes() == content
        assert fixed == code
