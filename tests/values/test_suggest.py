"""The suggestion rule: what was meant by a wrong task_type, and when to say nothing."""

from __future__ import annotations

import ast
import enum
import functools
import importlib.util
import itertools
import json
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from peft_strict.values import suggest
from peft_strict.values.suggest import Hint, hint, misspelled

FOUR = ("SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS")  # PEFT 0.2 and 0.3
SIX = (*FOUR, "QUESTION_ANS", "FEATURE_EXTRACTION")
# Written before the rule was measured on them. "known" served to improve it (what it still leaves unanswered is listed
# there as "too_far_off"); "held_out" was measured first (95.6 % answered, 2 doubtful) and then changed it little.
VALUES = json.loads(Path(__file__).with_name("suggestion_values.json").read_text(encoding="ascii"))
# Names of tasks, and what lies near them, judged by hand before the rule was measured on them: 33 wrong suggestions by
# a rule that let a phrase stand beside unknown words, none by this one.
PHRASES = json.loads(Path(__file__).with_name("suggestion_phrases.json").read_text(encoding="ascii"))
METHODS = (
    "LORA|PROMPT_TUNING|P_TUNING|PREFIX_TUNING|MULTITASK_PROMPT_TUNING|ADALORA|ADAPTION_PROMPT|IA3|LOHA|LOKR|OFT|BOFT|"
    "POLY|VERA|FOURIERFT|CPT|BONE|MISS|XLORA|HRA|SHIRA|C3A|ROAD|OSF|LN_TUNING|TRAINABLE_TOKENS|RANDLORA|VBLORA|DELORA"
)


def wrong_suggestions(values, right=None):
    """Return value -> suggestion wherever a suggestion is made and is not ``right``."""
    said = {value: hint(value, SIX).task_type for value in values}
    return {value: name for value, name in said.items() if name not in (None, right)}


def one_letter_edits(name, letters="ACDEFGILMNOQSTUVX2_"):
    """Return every text that one deletion, insertion, substitution or swap makes of ``name``."""
    cuts = [(name[:i], name[i:]) for i in range(len(name) + 1)]
    edits = {a + c + b for a, b in cuts for c in letters}
    edits |= {a + b[1:] for a, b in cuts if b} | {a + c + b[1:] for a, b in cuts if b for c in letters}
    edits |= {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
    return sorted(edits - {name})


def constants(package, path, prefix):
    """Return assigned name -> strings for module-level names that start with ``prefix``, without importing."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not installed, so its registries are not read")
    tree = ast.parse(Path(spec.origin).parent.joinpath(path).read_text(encoding="utf-8"))
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            strings = [part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
            if node.targets[0].id.startswith(prefix):
                found[node.targets[0].id] = [part for part in strings if isinstance(part, str)]
    return found


@pytest.mark.parametrize("name", SIX)
def test_known_values_are_answered(name):
    """Slips, wrappings, pipeline names, class names and other libraries' names lead to their task type."""
    values = VALUES["known"]["answered"][name]
    assert {value: hint(value, SIX) for value in values if hint(value, SIX) != Hint(task_type=name)} == {}


@pytest.mark.parametrize("name", SIX)
def test_what_is_too_far_off_is_never_answered_wrongly(name):
    """A text too garbled to be read gets no answer rather than another task type."""
    assert wrong_suggestions(VALUES["known"]["too_far_off"][name], right=name) == {}


def test_ambiguous_and_foreign_values_get_no_suggestion():
    """Half a name, two tasks, negations, methods, trainers, models, plain words: a wrong answer is worse than none."""
    assert wrong_suggestions(VALUES["known"]["no_suggestion"]) == {}


@pytest.mark.parametrize("task", VALUES["known"]["leave_out"])
def test_tasks_without_a_task_type_are_recognised(task):
    """For a task PEFT has no task type for, the hint says which task it is and suggests none."""
    values = VALUES["known"]["leave_out"][task]
    assert {value: hint(value, SIX) for value in values if hint(value, SIX) != Hint(leave_out=task)} == {}


def test_held_out_values():
    """On values the rule was not tuned on: 95 % answered, and no wrong or false suggestion."""
    held_out = VALUES["held_out"]
    answered = total = 0
    for name, values in held_out["answered"].items():
        assert wrong_suggestions(values, right=name) == {}
        answered += sum(hint(value, SIX).task_type == name for value in values)
        total += len(values)
    assert wrong_suggestions(held_out["no_suggestion"]) == {}
    assert wrong_suggestions(value for values in held_out["leave_out"].values() for value in values) == {}
    assert total > 500
    assert answered >= 0.95 * total


def test_phrases():
    """Names of tasks are read as their task type and as no other; what only holds such a name is not read as it."""
    for name, values in PHRASES["answered"].items():
        assert {value: hint(value, SIX) for value in values if hint(value, SIX) != Hint(task_type=name)} == {}
    assert wrong_suggestions(PHRASES["no_suggestion"]) == {}
    assert len(PHRASES["no_suggestion"]) > 80


@pytest.mark.parametrize("word", ["evaluation", "dataset", "xyz", "graph", "linking", "of tables", "not"])
@pytest.mark.parametrize("phrase", ["causal lm", "text generation", "token_cls", "question answering", "chat", "NER"])
def test_a_phrase_beside_an_unknown_word(phrase, word):
    """A phrase beside a word that is neither an architecture's name nor an empty one may be another task's name."""
    assert hint(f"{phrase} {word}", SIX).task_type is None
    assert hint(f"{word}_{phrase}", SIX).task_type is None


@pytest.mark.parametrize("word", ["bert", "Llama3", "qwen2.5", "my", "flan_t5", "LORA", "task"])
@pytest.mark.parametrize(("phrase", "name"), [("causal lm", "CAUSAL_LM"), ("chat", "CAUSAL_LM"), ("NER", "TOKEN_CLS")])
def test_a_phrase_beside_a_name(phrase, name, word):
    """The name of an architecture and words that say nothing may stand beside a phrase."""
    assert hint(f"{word} {phrase}", SIX) == Hint(task_type=name)
    assert hint(f"{phrase}-{word}", SIX) == Hint(task_type=name)


@pytest.mark.parametrize(
    ("value", "choices"),
    [
        ("classification", ("SEQ_CLS", "TOKEN_CLS")),
        ("CLS", ("SEQ_CLS", "TOKEN_CLS")),
        ("my classifier", ("SEQ_CLS", "TOKEN_CLS")),
        ("LLM", ("SEQ_2_SEQ_LM", "CAUSAL_LM")),
        ("language_modeling", ("SEQ_2_SEQ_LM", "CAUSAL_LM")),
        ("seq", ("SEQ_CLS", "SEQ_2_SEQ_LM")),
        ("token", ()),
        ("question", ()),
        ("2", ()),
    ],
)
def test_a_word_that_several_task_types_share(value, choices):
    """Where the text says no more than what two task types have in common, these are the choices."""
    assert hint(value, SIX) == Hint(choices=choices)


@pytest.mark.parametrize("name", SIX)
def test_one_wrong_letter(name):
    """Of all texts one letter away from a task type none is read as another one, and 98 % are read.

    But for "acausal", which denies what it differs from.
    """
    edits = [edit for edit in one_letter_edits(name) if not edit.startswith("ACAUSAL")]
    assert wrong_suggestions(edits, right=name) == {}
    assert sum(hint(edit, SIX).task_type == name for edit in edits) > 0.98 * len(edits)
    assert [edit for edit in edits if misspelled(edit, SIX) != name] == []


@pytest.mark.parametrize("name", SIX)
def test_every_writing_of_a_name(name):
    """Case, separators, quotes, invisible and look-alike characters, and reprs do not hide a task type."""
    writings = [
        name.lower(),
        name.title(),
        name.title().replace("_", ""),
        name.swapcase(),
        name.replace("_", "-"),
        name.replace("_", "\u00a0"),
        name.replace("_", "\r\n"),
        "".join(chr(ord(letter) + 0xFEE0) for letter in name),
        "\u200b".join(name),
        name.replace("A", "\u0410").replace("E", "\u0415").replace("S", "\u0405"),
        name.replace("E", "\u00c9"),
        f"\x00{name}\x00",
        f"<TaskType.{name}: '{name}'>",
        f"peft.TaskType.{name}",
        f"TaskType[{name!r}]",
        f"{[name]}",
        f"{name.encode()}",
        f"PEFT_TASK_{name}",
        f"task_type={name!r}",
    ]
    assert {text: hint(text, SIX) for text in writings if hint(text, SIX) != Hint(task_type=name)} == {}
    assert {text: misspelled(text, SIX) for text in writings if misspelled(text, SIX) != name} == {}


def test_values_that_are_no_plain_strings():
    """Bytes, one-element collections, enum members and classes are read; other objects get no answer."""

    class LlamaForCausalLM:
        pass

    class Text(str):
        def __str__(self):
            raise RuntimeError

        __repr__ = __eq__ = __hash__ = __len__ = __iter__ = __getitem__ = __str__

    class ByValue(enum.Enum):
        GENERATE = "text-generation"

    class ByName(enum.Enum):
        CAUSAL_LM = 1

    class Both(str, enum.Enum):
        CASUAL_LM = "casual_lm"

    class AtOdds(str, enum.Enum):
        SEQ_CLS = "causal-lm"

    inside = "casual_lm", b"CAUSAL-LM", LlamaForCausalLM, ByValue.GENERATE, ByName.CAUSAL_LM, Both.CASUAL_LM
    nested = [["CAUSAL_lm"]], ("causal",), {"causal"}, frozenset({"causal"}), [b"causal"], [ByName.CAUSAL_LM]
    for value in (*inside, Text("casual_lm"), *nested):
        assert hint(value, SIX) == Hint(task_type="CAUSAL_LM")
    for value in (AtOdds.SEQ_CLS, ["CAUSAL_LM"] * 2, {"task_type": "CAUSAL_LM"}, 3, 2.5, None, True, object()):
        assert hint(value, SIX) == Hint()
        assert misspelled(value, SIX) is None


def test_hostile_objects():
    """Objects that raise from everything, contain themselves or are half made are met without an exception."""

    class Hostile:
        def __getattribute__(self, name):
            raise RuntimeError(name)

        __repr__ = __str__ = __eq__ = __hash__ = __len__ = __iter__ = __bool__ = __getattribute__

    class HostileMeta(type):
        @property
        def __name__(cls):
            raise RuntimeError

    class HostileClass(metaclass=HostileMeta):
        pass

    class HostileEnum(enum.Enum):
        A = 1

        @property
        def __dict__(self):
            raise RuntimeError

    class OddEnum(enum.Enum):
        A = 1

        @property
        def __dict__(self):
            return 3

    class HostileList(list):
        def __iter__(self):
            raise RuntimeError

        __len__ = __getitem__ = __iter__

    itself: list = []
    itself.append(itself)
    values = [Hostile(), HostileClass, HostileList(["x"]), itself, [itself], "\ud800\udfff", "\x00", b"\xff\xfe", ""]
    values += [HostileEnum.A, object.__new__(HostileEnum), OddEnum.A]
    values += ["<" * 200, "\ufdfa" * 200, "task_" * 40, "for" * 60]
    for value in values:
        assert hint(value, SIX) == Hint()
        assert misspelled(value, SIX) is None
    assert hint(HostileList(["seq-cls"]), SIX) == Hint(task_type="SEQ_CLS")


@pytest.mark.parametrize("value", ["CAUSAL_LM " * 10**6, b"CAUSAL_LM " * 10**6, [["x" * 10**7]]], ids=type)
def test_huge_values_cost_nothing(value):
    """A text of ten million characters is refused by its length, not read."""
    hint("warm up", SIX)
    tracemalloc.start()
    try:
        assert (hint(value, SIX), misspelled(value, SIX)) == (Hint(), None)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("word", ["automodel", "peftmodel", "multilabel"])
def test_words_with_two_readings_are_read_once(word):
    """A text that can be cut in many ways costs no more than another: the cuts are not tried one by one."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event == "call"
        assert calls < 200_000, "too many calls"

    sys.setprofile(count)
    try:
        assert hint((word * 100)[:198] + "qq", SIX).task_type is None
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("value", ["None", "null", " NULL\n", "nil", "'None'", "TaskType.NONE", type(None)])
def test_the_word_none(value):
    """A text that says None means the value None."""
    assert hint(value, SIX) == Hint(is_none=True)


@pytest.mark.parametrize("value", ["QUESTION_ANS", "question-answering", "QA", "BertForQuestionAnswering"])
def test_a_task_that_this_peft_does_not_have_yet(value):
    """On a PEFT without the task type, leaving it out is the answer, not the nearest one it has."""
    assert hint(value, FOUR) == Hint(leave_out="question answering")
    assert hint(value, ()) == Hint(leave_out="question answering")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("fill-mask", "MASKED_LM"),
        ("BertForMaskedLM", "MASKED_LM"),
        ("MAKSED_LM", "MASKED_LM"),
        ("image-classification", "IMAGE_CLS"),
        ("ViTForImageClassification", "IMAGE_CLS"),
        ("IMAEG_CLS", "IMAGE_CLS"),
        ("graph-classification", "GRAPH_CLS"),
        ("GRAPH_CSL", "GRAPH_CLS"),
        ("casual_lm", "CAUSAL_LM"),
        ("sentiment-analysis", "SEQ_CLS"),
        ("text-classification", "TEXT_CLS"),
    ],
)
def test_task_types_of_a_later_peft(value, name):
    """A task type that is added to PEFT is found by its words and by its letters, without a change here."""
    assert hint(value, (*SIX, "MASKED_LM", "IMAGE_CLS", "GRAPH_CLS", "TEXT_CLS")) == Hint(task_type=name)


@pytest.mark.parametrize(
    ("value", "task_type"),
    [
        pytest.param("FETAURE_EXTRCTON", "FEATURE_EXTRACTION", id="three in the longest name"),
        pytest.param("QUSTON_ANZ", None, id="three in a shorter name"),
        pytest.param("SEK_2_SQ_ML", None, id="three in a name of twelve letters"),
        pytest.param("FEATURXTRACTON", None, id="three in the longest name, cut elsewhere"),
        pytest.param("FEATUREXTRACTON", "FEATURE_EXTRACTION", id="two in the longest name, cut elsewhere"),
        pytest.param("XEATUE_EXTRACTION", None, id="another first letter and one more"),
        pytest.param("CORSUL_LM", None, id="three in a part"),
        pytest.param("BAURSAL_LM", None, id="two in a part, one of them the first letter"),
        pytest.param("CA_LM", None, id="two letters of a part"),
    ],
)
def test_how_many_slips_are_seen_through(value, task_type):
    """Two slips of the pen, three in a long name; a part may lose no more than leaves it recognisable."""
    assert hint(value, SIX) == Hint(task_type=task_type)


def test_edits():
    """The distance is the number of letters put in, left out, changed or swapped with the next one; 4 at most."""

    @functools.cache
    def plain(a, b):
        if not a or not b:
            return len(a) + len(b)
        ways = [plain(a[1:], b) + 1, plain(a, b[1:]) + 1, plain(a[1:], b[1:]) + (a[0] != b[0])]
        return min([*ways, plain(a[2:], b[2:]) + 1] if a[:2] == b[1::-1] and len(a) > 1 else ways)

    words = ["".join(letters) for size in range(5) for letters in itertools.product("abc", repeat=size)]
    draw = random.Random(0)
    words += ["".join(draw.choices("abcd", k=size)) for size in range(5, 9) for _ in range(15)]
    pairs = list(itertools.product(words, repeat=2))
    assert [pair for pair in pairs if suggest._edits(*pair) != min(plain(*pair), 4)] == []


def test_the_only_task_type():
    """A slip is seen through where PEFT has one task type only."""
    assert hint("CAZAL_LM", ["CAUSAL_LM"]) == Hint(task_type="CAUSAL_LM")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("au_diocls", Hint(leave_out="audio classification")),
        ("forecasting_generating", Hint()),
        ("nsp_doc", Hint()),
    ],
)
def test_known_words_in_odd_places(value, expected):
    """Separators in the wrong place are seen through; two tasks that do not go together are no task."""
    assert hint(value, SIX) == expected


def test_a_tie_gets_no_suggestion():
    """Where two task types are equally near there is no answer, in whatever order PEFT lists them."""
    assert hint("NODF_CLS", ("NODE_CLS", "NODS_CLS")) == hint("NODF_CLS", ("NODS_CLS", "NODE_CLS")) == Hint()
    assert misspelled("NODF_CLS", ("NODE_CLS", "NODS_CLS")) is None


def test_class_names_of_transformers():
    """Every class of transformers' registries leads to the task type of its registry, or to none, never to another."""
    tasks = {
        "CAUSAL_LM": "CAUSAL_LM",
        "SEQUENCE_CLASSIFICATION": "SEQ_CLS",
        "TOKEN_CLASSIFICATION": "TOKEN_CLS",
        "QUESTION_ANSWERING": "QUESTION_ANS",
        "SEQ_TO_SEQ_CAUSAL_LM": "SEQ_2_SEQ_LM",
    }
    right: dict = {}
    for registry, names in constants("transformers", "models/auto/modeling_auto.py", "MODEL_FOR_").items():
        task = registry[len("MODEL_FOR_") : -len("_MAPPING_NAMES")]
        for name in names:
            right.setdefault(name, set()).add(tasks.get(task))
    right = {name: found for name, found in right.items() if name[0].isupper()}
    assert len(right) > 500
    said = {name: hint(name, SIX).task_type for name in right}
    wrong = {name for name, task in said.items() if task not in right[name] | {None}}
    # A few multimodal models are called <Name>ForCausalLM: the task type their name says works for them too.
    assert {name for name in wrong if not name.endswith("ForCausalLM")} == set()
    text_only = [name for name, found in right.items() if None not in found]
    assert sum(said[name] is not None for name in text_only) > 0.95 * len(text_only)


def test_pefts_method_names_are_no_task_types():
    """PEFT's method names, in any case and with any one letter wrong, are neither suggested on nor misspellings."""
    methods = constants("peft", "utils/peft_types.py", "")
    methods = {*METHODS.split("|"), *(name for name in methods if name.isupper() and name not in SIX)}
    assert len(methods) > 25
    for name in sorted(methods):
        for text in (name, name.lower(), name.title(), f"PeftType.{name}", f"<PeftType.{name}: '{name}'>"):
            assert (hint(text, SIX), misspelled(text, SIX)) == (Hint(), None)
        assert [edit for edit in one_letter_edits(name, "ELSTQ_") if misspelled(edit, SIX)] == []


@pytest.mark.parametrize(
    "value",
    ["", "None", "CLS", "chat", "QA", "ner", "CAUSAL", "seq2seq", "questions", "text-generation", "LlamaForCausalLM"],
)
def test_misspelled_wants_the_name_itself(value):
    """Other names for a task are no misspellings of it: where a method is expected they may be anything."""
    assert misspelled(value, SIX) is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.text("SEQCLTOKNAUM_2 -.<>'", max_size=30) | st.binary(max_size=30))
@example("TaskType.")
@example("<TaskType.: >")
def test_any_text(value):
    """Any text gets one kind of answer at most, from what PEFT has, and the same one each time."""
    answer = hint(value, SIX)
    assert answer == hint(value, SIX)
    assert sum((answer.task_type is not None, answer.leave_out is not None, answer.is_none)) <= 1
    assert answer.task_type in (*SIX, None)
    assert misspelled(value, SIX) in (*SIX, None)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SIX), st.sampled_from(SIX), st.sampled_from([" or ", ",", "|", "/", " and ", "+", ";", "\n"]))
def test_two_tasks_in_one_text(one, other, between):
    """Two different task types in one text get no suggestion, however they are joined."""
    if one != other:
        assert hint(one + between + other, SIX) == Hint()
        assert hint((one + between + other).lower(), SIX) == Hint()


@pytest.mark.parametrize("value", ["we once thought causal lm training broke it", "seq cls is what bob said he ran"])
def test_sentences(value):
    """A task type among many other words is talk about it, not the value that was meant."""
    assert hint(value, SIX) == Hint()


@pytest.mark.parametrize("value", ["CAUSAL_LM, mine", "['CAUSAL_LM', 'x']", "seq-cls|mine", "QA;", "summarization,"])
def test_lists_in_one_text(value):
    """A text that lists several things is not one of them; a comma at its end lists nothing."""
    assert (hint(value, SIX) == Hint()) == (value[-1] not in ",;")


@pytest.mark.parametrize("name", [*SIX, "image-classification", "fill-mask"])
@pytest.mark.parametrize("pattern", ["not {}", "NOT_{}", "non-{}", "no {}", "!{}", "anything but {}", "without_{}"])
def test_negations(pattern, name):
    """What is said not to be meant is not suggested."""
    assert hint(pattern.format(name), SIX) == Hint()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("token-clas sification", "TOKEN_CLS"),
        ("quest ion-answering", "QUESTION_ANS"),
        ("text-classific-ation", "SEQ_CLS"),
        ("summa-rization", "SEQ_2_SEQ_LM"),
    ],
)
def test_separators_in_the_wrong_place(value, name):
    """A separator inside of a word does not hide the task."""
    assert hint(value, SIX) == Hint(task_type=name)


@pytest.mark.parametrize(
    ("value", "task"),
    [
        ("speech question answering", "audio processing"),
        ("speech token classification", "audio processing"),
        ("multimodal-question-answering", "vision-language modeling"),
        ("multimodal classification", "vision-language modeling"),
        ("multi-modal-qa", "vision-language modeling"),
        ("multi_modality_lm", "vision-language modeling"),
        ("cross-modal LM", "vision-language modeling"),
        ("diffusion classification", "diffusion"),
    ],
)
def test_tasks_that_are_not_about_text(value, task):
    """A word for sound, sight or the like rules out the tasks about text, whatever stands beside it."""
    assert hint(value, SIX) == Hint(leave_out=task)


@pytest.mark.parametrize("value", ["QCLS", "sels", "EQCS", "usallm", "AUSALM"])
def test_two_letters_missing_from_a_short_name(value):
    """What is left of a short name without two of its letters is too little to know it by."""
    assert hint(value, SIX) == Hint()


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
@example("bcbabc", "acb")
def test_slips_are_counted(a, b):
    """Letters put in, left out, changed or swapped with their neighbour count one each, up to four."""

    @functools.cache
    def count(a, b):
        if not a or not b:
            return len(a) + len(b)
        ways = [count(a[1:], b) + 1, count(a, b[1:]) + 1, count(a[1:], b[1:]) + (a[0] != b[0])]
        if len(a) > 1 and len(b) > 1 and a[:2] == b[1::-1]:
            ways.append(count(a[2:], b[2:]) + 1)
        return min(ways)

    assert suggest._edits(a, b) == min(count(a, b), 4)


def test_import_is_light():
    """The module loads nothing that an interpreter with re, and typing with a named tuple, has not loaded."""
    code = (
        "import re, typing, functools, sys\nclass Pair(typing.NamedTuple):\n    first: str\n"
        "before = set(sys.modules)\n"
        "import peft_strict.values.suggest;"
        "print(*sorted(set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in out if not name.startswith(("peft_strict", "__future__"))] == []
