"""The rule for fields on its own, without PEFT."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import pytest

from peft_strict.releases.fields import LIST, NESTED, SWITCH, TEXTS, Kind
from peft_strict.values.fields import judge, message, plain


class Init(str, enum.Enum):
    """What a set of texts may come from."""

    TEXT = "TEXT"
    RANDOM = "RANDOM"


class Shouting(str):
    """A text that is equal to everything, and has no hash."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


KINDS = {
    "switch": Kind(SWITCH, takes_bool=True, default=False),
    "maybe": Kind(SWITCH, takes_bool=True, takes_none=True, default=None),
    "bias": Kind(TEXTS, ("none", "all", "lora_only"), default="none", beyond=r".*_only"),
    "init": Kind(TEXTS, ("gaussian", "olora", "pissa"), takes_bool=True, default=True, beyond=r"pissa_niter_\d+"),
    "loss": Kind(TEXTS, ("none", "decay"), takes_none=True, default="none"),
    "miss": Kind(TEXTS, ("bat", "mini"), takes_bool=True, default=True),
    "variant": Kind(TEXTS, ("road_1", "road_2", "road_4"), default="road_1"),
    "prompt": Kind(TEXTS, ("TEXT", "RANDOM"), default=Init.RANDOM),
    "optional": Kind(TEXTS, ("TEXT", "RANDOM"), default=None),
    "required": Kind(TEXTS, ("a_b", "c_d")),
    "names": Kind(LIST, takes_none=True, takes_names=True, default=None),
    "numbers": Kind(LIST, takes_none=True, default=None),
    "tokens": Kind(LIST),
    "part": Kind(NESTED),
    "new": Kind(TEXTS, ("bat", "mini"), takes_bool=True, default=True, doubt="this PEFT is new"),
}

# kind, value, and the code, the suggestion and the text to write
WRONG: dict[str, tuple[str, object, str, object, str]] = {
    **{
        f"no as {word!r}": ("switch", word, "F1", False, "it=False")
        for word in ("False", "false", " FALSE ", "no", "0", "off", "n", "f", "None", "none", "null")
    },
    **{
        f"yes as {word!r}": ("switch", word, "F2", True, "it=True") for word in ("True", "true", "yes", "on", "1", "y")
    },
    "another text for a bool": ("switch", "all", "F1", None, ""),
    "a long text for a bool": ("switch", "no" * 10**6, "F1", None, ""),
    "an empty text for a bool": ("switch", "", "F2", False, "it=False"),
    "None as a text where it is right": ("maybe", "None", "F1", None, "it=None"),
    "a text with tricks": ("switch", Shouting("False"), "F1", False, "it=False"),
    "a slip": ("init", "gausian", "F1", "gaussian", 'it="gaussian"'),
    "another case": ("init", "PiSSA", "F1", "pissa", 'it="pissa"'),
    "letters out of order": ("miss", "bta", "F1", "bat", 'it="bat"'),
    "the beginning": ("bias", "lora", "F1", "lora_only", 'it="lora_only"'),
    "None as a text where a text says so": ("bias", "None", "F1", "none", 'it="none"'),
    "None as a text that is not in the set": ("optional", "None", "F1", None, ""),
    "a member's full name": ("prompt", "Init.TEXT", "F1", "TEXT", 'it="TEXT"'),
    "quotes in quotes": ("prompt", "'TEXT'", "F1", "TEXT", 'it="TEXT"'),
    "spaces": ("prompt", " TEXT ", "F1", "TEXT", 'it="TEXT"'),
    "another separator": ("required", "a-b", "F1", "a_b", 'it="a_b"'),
    "true as a text": ("init", "True", "F1", True, "it=True"),
    "false as a text": ("init", "false", "F1", False, "it=False"),
    "as near to one as to another": ("variant", "road_3", "F1", None, ""),
    "near to nothing": ("init", "kaiming", "F1", None, ""),
    "an empty text": ("init", "", "F1", None, ""),
    "a million characters": ("init", "pissa" * 10**6, "F1", None, ""),
    "the placeholder": ("init", "pissa_niter_[number of iters]", "F1", None, ""),
    "what is taken beyond, and more": ("init", "pissa_niter_4\n", "F1", None, ""),
    "None": ("init", None, "F2", True, "it=True"),
    "None for a text": ("bias", None, "F2", "none", 'it="none"'),
    "None for a member": ("prompt", None, "F2", "RANDOM", 'it="RANDOM"'),
    "None without a default": ("required", None, "F2", None, ""),
    "in doubt": ("new", "bta", "F2", "bat", 'it="bat"'),
    "a name": ("names", "lm_head", "F1", ["lm_head"], 'it=["lm_head"]'),
    "names": ("names", "model.embed_tokens, lm_head", "F1", ["model.embed_tokens", "lm_head"], ""),
    "a list as a text": ("names", "['a', \"b\"]", "F1", ["a", "b"], 'it=["a", "b"]'),
    "None as a text for a list": ("names", "None", "F1", None, "it=None"),
    "a word that is no name": ("names", "all", "F1", None, ""),
    "a pattern": ("names", r".*\.lm_head", "F1", None, ""),
    "a long text for a list": ("names", "a," * 10**6, "F1", None, ""),
    "an empty text for a list": ("names", "", "F2", None, "it=None"),
    "an empty text for a list that has no None": ("tokens", "", "F2", [], "it=[]"),
    "a text for a list of numbers": ("numbers", "1,2", "F1", None, ""),
    "names for a list of numbers": ("numbers", "a,b", "F1", None, ""),
    "None as a text for a list that has no None": ("tokens", "None", "F1", None, ""),
    "no as a text where None is right": ("maybe", "no", "F1", False, "it=False"),
    "true as a text where no bool is right": ("required", "True", "F1", None, ""),
    "near to nothing where None is right": ("loss", "xyz", "F1", None, ""),
    "nothing but signs": ("init", "--", "F1", None, ""),
    "two letters of the beginning": ("bias", "lo", "F1", None, ""),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong(case: str) -> None:
    """Each wrong value has its code, what was meant, and what to write; where that is not sure, nothing."""
    kind, value, code, suggestion, fix = WRONG[case]
    finding = judge("it", value, KINDS[kind])
    assert finding is not None
    assert (finding.code, finding.field) == (code, "it")
    assert (finding.suggestion, type(finding.suggestion)) in ((suggestion, type(suggestion)), (Init.RANDOM, Init))
    assert finding.fix == (fix or finding.fix)
    assert bool(finding.fix) == bool(fix or suggestion)
    assert finding.fix in finding.advice
    assert len(message(finding, "Config({})")) < 1000


@pytest.mark.parametrize("case", [case for case, row in WRONG.items() if row[4]])
def test_advice_cures(case: str) -> None:
    """What the advice says to write is right."""
    kind, _, _, _, fix = WRONG[case]
    assert judge("it", eval(fix.partition("=")[2]), KINDS[kind]) is None


@pytest.mark.parametrize(
    ("kind", "advice"), [("names", 'Write a list, such as it=["...", "..."].'), ("tokens", "Write a list.")]
)
def test_how_a_list_is_written(kind: str, advice: str) -> None:
    """Where it is not known what was meant, a list of names is shown for a list of names only."""
    finding = judge("it", "all", KINDS[kind])
    assert finding is not None
    assert finding.advice == advice


class Raising:
    """A value whose every method raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


ANYTHING = [0, 1, 2, -1.5, True, False, [], ["a"], {"a": 1}, {"b"}, ("a",), b"False", object(), Raising(), int, len]


@pytest.mark.parametrize("kind", KINDS)
def test_only_texts_and_none_are_judged(kind: str) -> None:
    """Numbers, bools, lists, classes and whatever else are never wrong."""
    assert [value for value in ANYTHING if judge("it", value, KINDS[kind]) is not None] == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_declared_is_right(kind: str) -> None:
    """Members, the default, and what PEFT takes beyond are right; None is where it is declared, and the default."""
    declared = KINDS[kind]
    values: list[object] = [*declared.texts]
    if declared.default is not dataclasses.MISSING:
        values.append(declared.default)
    if declared.takes_none:
        values.append(None)
    if kind == "init":
        values += ["pissa_niter_4", "pissa_niter_16"]
    if kind == "bias":
        values.append("boft_only")
    if kind == "prompt":
        values += list(Init)
    assert [value for value in values if judge("it", value, declared) is not None] == []


@pytest.mark.parametrize("kind", ["switch", "names", "numbers", "part"])
def test_none_elsewhere_is_not_set(kind: str) -> None:
    """For a bool and a list ``None`` is the usual way to say that nothing was set."""
    assert judge("it", None, KINDS[kind]) is None


def test_texts_for_a_part_are_not_judged() -> None:
    """A text where a config inside of a config belongs is not in the rule."""
    assert judge("it", "False", KINDS["part"]) is None


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (
            "switch",
            "False",
            "peft-strict F1: LoraConfig(it='False'): a text is true whatever it says: this switches it on.\n"
            "  Write it=False.",
        ),
        (
            "switch",
            "all",
            "peft-strict F1: LoraConfig(it='all'): a text is true whatever it says: this switches it on.\n"
            "  Write it=True or it=False.",
        ),
        (
            "switch",
            "yes",
            "peft-strict F2: LoraConfig(it='yes'): any text counts as true, \"False\" as well: this works by chance.\n"
            "  Write it=True.",
        ),
        (
            "init",
            "gausian",
            "peft-strict F1: LoraConfig(it='gausian'): there is no such value.\n"
            '  Did you mean "gaussian"? Write it="gaussian". It takes "gaussian", "olora", "pissa", True or False.',
        ),
        (
            "variant",
            "road_3",
            "peft-strict F1: LoraConfig(it='road_3'): there is no such value.\n"
            '  Write one of "road_1", "road_2" or "road_4".',
        ),
        (
            "new",
            "bta",
            "peft-strict F2: LoraConfig(it='bta'): this value is not declared (but this PEFT is new).\n"
            '  Did you mean "bat"? Write it="bat". It takes "bat", "mini", True or False.',
        ),
        (
            "names",
            "lm_head",
            "peft-strict F1: LoraConfig(it='lm_head'): a list belongs here, and a text is taken letter by letter.\n"
            '  Write it=["lm_head"].',
        ),
        (
            "bias",
            None,
            "peft-strict F2: LoraConfig(it=None): None is not one of its values: what it does is chance.\n"
            '  Leave it out, or write it="none", for the default; it takes "none", "all" or "lora_only".',
        ),
    ],
    ids=["switched on", "unclear", "by chance", "slip", "no suggestion", "in doubt", "list", "none"],
)
def test_message(kind: str, value: object, text: str) -> None:
    """What, where, what is lost; then what to write."""
    finding = judge("it", value, KINDS[kind])
    assert finding is not None
    assert message(finding, "LoraConfig({})") == text


def test_message_names_the_file() -> None:
    """The file has a line of its own."""
    finding = judge("it", "False", KINDS["switch"])
    assert finding is not None
    assert message(finding, "LoraConfig({})", "a/b.json").splitlines()[1:] == [
        "  read from a/b.json",
        "  Write it=False.",
    ]


@pytest.mark.parametrize(
    ("value", "says"),
    [("yes", True), (" TRUE ", True), ("1", True), ("no", False), ("False", False), ("off", False)]
    + [(value, None) for value in ("none", "null", "", "maybe", "yes" * 100, 1, None, True, ["yes"])],
)
def test_plain(value: object, says: object) -> None:
    """A plain yes or no is one in any case; none and everything else is neither."""
    assert plain(value) is says
