"""The value rule and its messages, without PEFT."""

from __future__ import annotations

import enum
import fractions
import functools
import unittest.mock
from typing import Any

import numpy
import pytest
import wrapt

from peft_strict import InvalidTaskTypeError
from peft_strict.releases.vocabulary import Vocabulary
from peft_strict.values.rule import invalid, lookup, misplaced, missing, replaced, short


class TaskType(str, enum.Enum):
    """Laid out as PEFT's."""

    SEQ_CLS = "SEQ_CLS"
    CAUSAL_LM = "CAUSAL_LM"
    TOKEN_CLS = "TOKEN_CLS"


MEANINGS = {"CAUSAL_LM": "Causal language modeling", "SEQ_CLS": "Text classification"}
WORDS = Vocabulary(
    members={member.value: member for member in TaskType},
    registered={"Vector_LM", *TaskType},
    meanings=MEANINGS,
    methods=["LORA", "PREFIX_TUNING", 3],
)
OTHERWISE = "leave task_type out, and name a new head, if the model has one, in modules_to_save."
SENTENCE = "Must be one of the following task types: SEQ_CLS, CAUSAL_LM, TOKEN_CLS."


class Task(str, enum.Enum):
    CHAT = "CAUSAL_LM"
    JUDGE = "JUDGE"


class Text(str):
    pass


class Liar(str):
    """A string that claims to be equal to nothing, and hashes and shows itself badly."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __str__(self) -> str:
        raise RuntimeError("str")

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    def __format__(self, spec: str) -> str:
        raise RuntimeError("format")

    def __len__(self) -> int:
        raise RuntimeError("len")


class Hostile:
    """Raises whatever is asked of it."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    def __str__(self) -> str:
        raise RuntimeError("str")

    def __len__(self) -> int:
        raise RuntimeError("len")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class Shapeless:
    """Raises when it is asked what it is."""

    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError("class")

    def __repr__(self) -> str:
        return "a\nb" * 1000


class NamelessMeta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("name")

    def __repr__(cls) -> str:
        raise RuntimeError("repr")


class EqualToAll:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


class EqualToOne:
    def __eq__(self, other: object) -> bool:
        return getattr(other, "value", None) == "SEQ_CLS"

    __hash__ = object.__hash__


class FailsOnOne:
    def __eq__(self, other: object) -> bool:
        if getattr(other, "value", None) == "SEQ_CLS":
            raise RuntimeError("eq")
        return False

    __hash__ = object.__hash__


class OddAnswer:
    """Its ``==`` gives something that is neither true nor false, as numpy's does for arrays."""

    def __eq__(self, other: object) -> Any:
        return Hostile()

    __hash__ = object.__hash__


class Quits:
    """Its ``__eq__`` ends the program: not ours to swallow."""

    def __eq__(self, other: object) -> bool:
        raise KeyboardInterrupt

    __hash__ = object.__hash__


RECURSIVE: list[Any] = []
RECURSIVE.append(RECURSIVE)

RIGHT = {
    "none": (None, None),
    "member": (TaskType.SEQ_CLS, TaskType.SEQ_CLS),
    "text": ("CAUSAL_LM", TaskType.CAUSAL_LM),
    "another enum": (Task.CHAT, TaskType.CAUSAL_LM),
    "subclass": (Text("CAUSAL_LM"), TaskType.CAUSAL_LM),
    "numpy": (numpy.str_("TOKEN_CLS"), TaskType.TOKEN_CLS),
    "lying subclass": (Liar("SEQ_CLS"), TaskType.SEQ_CLS),
    "equal to one": (EqualToOne(), TaskType.SEQ_CLS),
    "proxy": (wrapt.ObjectProxy("CAUSAL_LM"), TaskType.CAUSAL_LM),
    "registered": ("Vector_LM", "Vector_LM"),
}
WRONG: dict[str, Any] = {
    "misspelt": "CASUAL_LM",
    "empty": "",
    "case": "causal_lm",
    "blank": "CAUSAL_LM ",
    "nul": "CAUSAL_LM\0",
    "lines": "CAUSAL_LM\nSEQ_CLS",
    "surrogate": "\ud800",
    "huge": "CAUSAL_LM" * 200_000,
    "another enum": Task.JUDGE,
    "lying subclass": Liar("JUDGE"),
    "false": False,
    "zero": 0,
    "number": 3.25,
    "nan": float("nan"),
    "huge number": 10**5000,
    "fraction": fractions.Fraction(1, 3),
    "bytes": b"CAUSAL_LM",
    "huge bytes": b"x" * 1_000_000,
    "list": ["CAUSAL_LM"],
    "tuple": ("SEQ_CLS", "CAUSAL_LM"),
    "set": {"CAUSAL_LM"},
    "dict": {"task_type": "CAUSAL_LM"},
    "huge list": list(range(1_000_000)),
    "recursive": RECURSIVE,
    "deep": functools.reduce(lambda inner, _: [inner], range(100_000), []),
    "array": numpy.array(["SEQ_CLS", "CAUSAL_LM"]),
    "class": dict,
    "enum class": TaskType,
    "function": print,
    "module": enum,
    "hostile": Hostile(),
    "hostile class": Hostile,
    "shapeless": Shapeless(),
    "nameless class": NamelessMeta("Named", (), {}),
    "equal to all": EqualToAll(),
    "fails on one": FailsOnOne(),
    "odd answer": OddAnswer(),
    "mock": unittest.mock.MagicMock(),
    "any": unittest.mock.ANY,
    "mock of str": unittest.mock.MagicMock(spec=str),
    "proxy": wrapt.ObjectProxy("CASUAL_LM"),
}


@pytest.fixture(name="value", params=WRONG)
def _value(request: pytest.FixtureRequest) -> Any:
    return WRONG[request.param]  # by name: pytest itself does not get along with all of them


@pytest.mark.parametrize("name", RIGHT)
def test_right_values(name: str) -> None:
    """``None``, whatever equals one member, and registered names are right; members are what is stored."""
    value, stored = RIGHT[name]
    right, found = lookup(value, WORDS)
    assert right
    assert found is stored


def test_wrong_values(value: object) -> None:
    """Everything else is wrong, and is handed back as it came."""
    right, found = lookup(value, WORDS)
    assert not right
    assert found is value


def test_any_wrong_value_has_a_message(value: object) -> None:
    """Whatever the value, the error is a short, clean text that starts with PEFT's sentence, and holds the value."""
    error = invalid(value, WORDS, where="LoraConfig(task_type={})", config_class="LoraConfig")
    text = str(error)
    assert text.startswith("Invalid task type: '")
    assert text.splitlines()[-2].startswith("  in LoraConfig(task_type=")
    assert len(text) < 1000
    assert len(text.splitlines()) <= 4
    assert error.value is value


def test_interrupts_pass() -> None:
    """Only a value's own exceptions are overlooked."""
    with pytest.raises(KeyboardInterrupt):
        lookup(Quits(), WORDS)


def test_registered_names_are_live() -> None:
    """A name counts from the moment it is registered."""
    names: set[str] = set()
    words = WORDS._replace(registered=names)
    assert lookup("Vector_LM", words) == (False, "Vector_LM")
    names.add("Vector_LM")
    assert lookup("Vector_LM", words) == (True, "Vector_LM")


@pytest.mark.parametrize(
    ("value", "first", "place", "advice"),
    [
        ("CASUAL_LM", "CASUAL_LM", "'CASUAL_LM'", "Did you mean 'CAUSAL_LM' (causal language modeling)?"),
        ("TOKEN_CLSS", "TOKEN_CLSS", "'TOKEN_CLSS'", "Did you mean 'TOKEN_CLS'?"),
        ("image-classification", "image-classification", "'image-classification'",
         f"PEFT has no task type for image classification: {OTHERWISE}"),
        ("LORA", "LORA", "'LORA'", f"LORA is a PEFT method, no task: LoraConfig sets the method by itself. "
         f"If none of these is your task, {OTHERWISE}"),
        ("PeftType.PREFIX_TUNING", "PeftType.PREFIX_TUNING", "'PeftType.PREFIX_TUNING'",
         f"PREFIX_TUNING is a PEFT method, no task: LoraConfig sets the method by itself. "
         f"If none of these is your task, {OTHERWISE}"),
        ("classification", "classification", "'classification'", f"Did you mean 'SEQ_CLS' (text classification) or "
         f"'TOKEN_CLS'? If none of these is your task, {OTHERWISE}"),
        ("None", "None", "'None'", "Did you mean None, without quotes?"),
        ("xyz", "xyz", "'xyz'", f"If none of these is your task, {OTHERWISE}"),
        ("", "", "''", f"If none of these is your task, {OTHERWISE}"),
        (3, "3", "3", f"If none of these is your task, {OTHERWISE}"),
        (["CAUSAL_LM"], "['CAUSAL_LM']", "['CAUSAL_LM']", "Did you mean 'CAUSAL_LM' (causal language modeling)?"),
        (Task.JUDGE, "JUDGE", "'JUDGE'", f"If none of these is your task, {OTHERWISE}"),
        (dict, "<class dict>", "<class dict>", f"If none of these is your task, {OTHERWISE}"),
        ("{}", "{}", "'{}'", f"If none of these is your task, {OTHERWISE}"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 22 else "",
)  # fmt: skip
def test_the_message(value: object, first: str, place: str, advice: str) -> None:
    """PEFT's sentence, then the place, then the advice; nothing else."""
    error = invalid(value, WORDS, where="LoraConfig(task_type={})", config_class="LoraConfig")
    assert str(error).splitlines() == [
        f"Invalid task type: '{first}'. {SENTENCE}",
        f"  in LoraConfig(task_type={place})",
        f"  {advice}",
    ]


def attributes(**given: object) -> dict[str, object]:
    """Return what `vars` gives of an error that read no file."""
    fix = f'task_type="{given["suggestion"]}"' if given["suggestion"] else ""
    return {"supported": ("SEQ_CLS", "CAUSAL_LM", "TOKEN_CLS"), "source": None, "fix": fix, **given}


def test_the_attributes() -> None:
    """The error carries what its message says, and the file, which the message names on a line of its own."""
    error = invalid("CASUAL_LM", WORDS, where="x {}", config_class="IA3Config", source="/a/adapter_config.json")
    assert vars(error) == {
        "value": "CASUAL_LM",
        "supported": ("SEQ_CLS", "CAUSAL_LM", "TOKEN_CLS"),
        "suggestion": "CAUSAL_LM",
        "fix": 'task_type="CAUSAL_LM"',
        "config_class": "IA3Config",
        "source": "/a/adapter_config.json",
    }
    assert "  read from /a/adapter_config.json" in str(error).splitlines()


@pytest.mark.parametrize(
    "value",
    ["CAUSAL_LM", TaskType.CAUSAL_LM, pytest.param(Liar("CAUSAL_LM"), id="liar"), "CASUAL_LM", "causal-lm"],
)
def test_misplaced(value: object) -> None:
    """A member, its text or a misspelling as ``peft_type`` is answered with the argument to use."""
    error = misplaced(value, WORDS, {"LORA", "IA3"}, config_class="LoraConfig")
    assert error is not None
    first, place, reason = str(error).splitlines()
    assert first == "`peft_type` got a task type; write `task_type='CAUSAL_LM'`."
    assert place == f"  in LoraConfig(peft_type={short(value)})"
    assert "LoraConfig sets by itself" in reason
    assert vars(error) == attributes(value=value, suggestion="CAUSAL_LM", config_class="LoraConfig")


@pytest.mark.parametrize(
    "value",
    [
        *("LORA", "lora", "ia3", "MY_METHOD", "", None, 3, b"CAUSAL_LM", ["CAUSAL_LM"]),
        *("CAUSAL_LMS", "causal_lms", "Token_CLSS"),
    ],
    ids=repr,
)
def test_not_misplaced(value: object) -> None:
    """Methods, registered names however alike, and all that is no task type are left alone."""
    assert misplaced(value, WORDS, {"LORA", "IA3", "CAUSAL_LMS", "Token_CLSS"}, config_class="LoraConfig") is None


@pytest.mark.parametrize("name", ["hostile", "shapeless", "mock of str", "proxy", "lying subclass", "nameless class"])
def test_odd_values_are_not_misplaced(name: str) -> None:
    """Whatever is given as ``peft_type``, looking at it does no harm."""
    misplaced(WRONG[name], WORDS, {"LORA"}, config_class="LoraConfig")


def test_a_member_is_misplaced_even_if_it_is_registered_as_a_method() -> None:
    """What is exactly a task type is one."""
    assert misplaced("SEQ_CLS", WORDS, {"SEQ_CLS"}, config_class="LoraConfig") is not None


def test_replaced() -> None:
    """A right value that the class does not keep: what it sets instead, and the two ways out."""
    error = replaced("SEQ_CLS", TaskType.CAUSAL_LM, WORDS, config_class="CPTConfig")
    first, place, reason = str(error).splitlines()
    assert first == f"Invalid task type: 'SEQ_CLS'. {SENTENCE}"
    assert place == "  in CPTConfig(task_type='SEQ_CLS')"
    assert "it has set task_type to 'CAUSAL_LM'." in reason
    assert vars(error) == attributes(value="SEQ_CLS", suggestion="CAUSAL_LM", config_class="CPTConfig")


@pytest.mark.parametrize(
    ("fitting", "end"),
    [
        ("CAUSAL_LM", " For MyModel write task_type='CAUSAL_LM' (causal language modeling)."),
        ("TOKEN_CLS", " For MyModel write task_type='TOKEN_CLS'."),
        (None, ""),
    ],
)
def test_missing(fitting: str | None, end: str) -> None:
    """Prompt learning without a task type: what fits the model, where that is known."""
    error = missing(WORDS, config_class="PromptTuningConfig", model_class="MyModel", fitting=fitting)
    assert str(error).splitlines() == [
        "peft-strict M1: PromptTuningConfig without a task_type, used on MyModel: its prompt would not be used.",
        f"  Prompt learning needs a task type: only PEFT's class for a task adds the prompt.{end}",
    ]
    assert vars(error) == attributes(value=None, suggestion=fitting, config_class="PromptTuningConfig", code="M1")


@pytest.mark.parametrize(
    ("fitting", "loader", "fix", "end"),
    [
        (
            "TOKEN_CLS",
            "ItsClass",
            'write "task_type": "TOKEN_CLS" into its adapter_config.json, or load it with ItsClass.from_pretrained',
            "If it was trained as TOKEN_CLS, ",
        ),
        (None, None, "load it with PEFT's class for the task that it was trained for", "Instead, "),
    ],
    ids=["fitting", "unknown"],
)
def test_missing_at_load(fitting: str | None, loader: str | None, fix: str, end: str) -> None:
    """Where an adapter is loaded, it is named, and its type is what it was trained as."""
    error = missing(WORDS, config_class="A", model_class="B", fitting=fitting, source="/its/folder", loader=loader)
    first, second = str(error).splitlines()
    assert first == "peft-strict M1: A without a task_type from /its/folder, used on B: its prompt would not be used."
    assert second.endswith(f"adds the prompt. {end}{fix}.")
    assert (error.fix, error.source) == (fix, "/its/folder")


def test_short(value: object) -> None:
    """Any value has a text of one line, of bounded length, and of its own characters if it is a string."""
    text = short(value)
    assert len(text) <= 230
    assert "\n" not in text
    if type(value) is str and len(value) <= 200:
        assert text == repr(value)


def test_short_says_how_long_a_text_was() -> None:
    """A long text is cut, and its length given."""
    assert short("x" * 201) == "'" + "x" * 59 + "...' (201 characters)"
    assert short("x" * 1_234_567).endswith("' (1,234,567 characters)")
    assert short("x" * 200) == repr("x" * 200)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("\t" * 198 + "xx", repr("\t" * 198 + "xx")),
        ("\t" * 199 + "x", "'" + "\\t" * 29 + "\\...' (200 characters)"),
        ("\U000e0001" * 200, "'" + "\\U000e0001" * 5 + "\\U000e000...' (200 characters)"),
    ],
    ids=["fits", "one too many", "long escapes"],
)
def test_short_counts_escapes(value: str, shown: str) -> None:
    """A text whose escapes take more than twice the longest one's space is cut like one that is too long."""
    assert short(value) == shown


def test_the_sentence_holds_short_texts_whole() -> None:
    """PEFT's sentence shows a text of up to 200 characters as PEFT does, and the start of a longer one."""
    for text, shown in (("x" * 200, "x" * 200), ("x" * 201, "x" * 60 + "...")):
        assert str(invalid(text, WORDS, where="{}")).splitlines()[0] == f"Invalid task type: '{shown}'. {SENTENCE}"


def test_errors_of_the_rule_are_value_errors(value: object) -> None:
    """Whoever catches PEFT's ``ValueError`` catches ours."""
    with pytest.raises(ValueError, match="Invalid task type") as caught:
        raise invalid(value, WORDS, where="{}")
    assert type(caught.value) is InvalidTaskTypeError
