"""The misfit rule, as a table of facts and answers; no torch, no transformers, no PEFT."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Optional

import pytest

from peft_strict.fit import rule
from peft_strict.fit.misfit import Facts, Weight

NEW = (Weight("score.weight", True),)
LOADED = (Weight("score.weight", False),)
UNKNOWN = (Weight("score.weight", None),)
DEEP = tuple(Weight(f"classifier.{path}", True) for path in ("dense.weight", "dense.bias", "out_proj.weight"))
BY_TASK = {
    "SEQ_CLS": ("classifier", "score"),
    "TOKEN_CLS": ("classifier", "score"),
    "QUESTION_ANS": ("qa_outputs",),
    "CAUSAL_LM": (),
}


_USUAL = {
    **dict.fromkeys(("exact", "training", "can_save", "text_inputs"), True),
    **dict.fromkeys(("encoder_decoder", "prompt_learning", "collides", "beside", "homeless"), False),
    **dict.fromkeys(("head", "listed", "refused"), ()),
    **dict.fromkeys(("lacks", "ineffective", "source", "base_name", "auto_class")),
    "keeps_out": "",
    "also": {},
}


def facts(kinds: str = "", task: Optional[str] = None, **extra: Any) -> Facts:
    """Facts as `gather` would collect them for LoRA through get_peft_model."""
    automatic = BY_TASK if extra.get("head") else {}
    defaults: dict[str, Any] = {
        "model_class": "Model",
        "config_class": "LoraConfig",
        "supported": (*BY_TASK, "SEQ_2_SEQ_LM", "FEATURE_EXTRACTION"),
        **_USUAL,
        "task_type": task,
        "kinds": frozenset(kinds.split()),
        "automatic": automatic,
        "saved": (*extra.get("listed", ()), *BY_TASK.get(task or "", ())),
        "marked": bool(extra.get("head")) and all(weight.fresh is not None for weight in extra["head"]),
        "untyped": task is None,
    }
    return Facts(**{**defaults, **extra})


def answer(given: Facts) -> Optional[str]:
    """The code and what to write, or ``None``."""
    found = rule.judge(given)
    return f"{found.code}: {found.fix}" if found else None


POOLER = Weight("bert.pooler.dense.weight", True, unit="bert.pooler")
PACKED = (Weight("score.weight", True, quantised=True),)
_SPAN = 'H1: task_type="QUESTION_ANS"'
_QUANTISED = "quantisation, since a quantised head cannot be trained, and write "
NEW_HEADS = " (a new head then has to stand in modules_to_save)"
PROMPT = {"prompt_learning": True}
NO_GENERATION = {"lacks": "prepare_inputs_for_generation"}
TEXTLESS = {"text_inputs": False, "collides": True}

ROWS: list[tuple[Facts, Optional[str]]] = [
    # M1
    (facts("CAUSAL_LM", **PROMPT), 'M1: task_type="CAUSAL_LM"'),
    (facts("SEQ_CLS", head=NEW, **PROMPT), 'M1: task_type="SEQ_CLS"'),
    (facts("HEADLESS", **PROMPT), 'M1: task_type="FEATURE_EXTRACTION"'),
    (
        facts("OTHER_CLS", head=NEW, **PROMPT),
        'M1: use LoraConfig without task_type and write modules_to_save=["score"]',
    ),
    (facts("", supported=("A", "B"), **PROMPT), "M1: task_type as one of A, B"),
    (facts("CAUSAL_LM", **PROMPT, untyped=False), None),
    (facts("CAUSAL_LM", "CAUSAL_LM", **PROMPT, untyped=True), None),
    (facts("CAUSAL_LM", **PROMPT, training=False), 'M1: task_type="CAUSAL_LM"'),
    # M2
    (facts("SEQ_CLS", "CAUSAL_LM", head=NEW, **NO_GENERATION), 'M2: task_type="SEQ_CLS"'),
    (facts("SEQ_CLS", "CAUSAL_LM", head=LOADED, **NO_GENERATION, training=False), 'M2: task_type="SEQ_CLS"'),
    (facts("", "SEQ_2_SEQ_LM", **NO_GENERATION), f"M2: leave task_type out{NEW_HEADS}"),
    (facts("HEADLESS", "CAUSAL_LM", **NO_GENERATION), 'M2: task_type="FEATURE_EXTRACTION"'),
    (facts("HEADLESS", "CAUSAL_LM", **NO_GENERATION, text_inputs=False), f"M2: leave task_type out{NEW_HEADS}"),
    (
        facts("OTHER_CLS", "CAUSAL_LM", head=NEW, **NO_GENERATION),
        'M2: leave task_type out and write modules_to_save=["score"]',
    ),
    (facts("MASKED_LM", "SEQ_2_SEQ_LM", lacks="_private"), f"M2: leave task_type out{NEW_HEADS}"),
    (facts("SEQ_2_SEQ_LM", "SEQ_2_SEQ_LM", lacks="_private"), None),
    (facts("", "SEQ_2_SEQ_LM", lacks="_private"), None),
    (facts("", "SEQ_2_SEQ_LM", **NO_GENERATION, marked=True), "M2: leave task_type out"),
    (facts("", "CAUSAL_LM", **NO_GENERATION, training=False), "M2: leave task_type out"),
    (
        facts("HEADLESS", "CAUSAL_LM", **NO_GENERATION, auto_class="AutoModelForCausalLM", base_name="some/base"),
        'M2: load the model with AutoModelForCausalLM.from_pretrained("some/base"), which has the head for it; or, to '
        'train another, write task_type="FEATURE_EXTRACTION"',
    ),
    (
        facts("HEADLESS", "CAUSAL_LM", **NO_GENERATION, auto_class="AutoModelForX", text_inputs=False),
        "M2: load the model with AutoModelForX, which has the head for it; or, to train another, leave task_type out",
    ),
    # unknown classes
    (facts("", "SEQ_CLS"), None),
    (facts("", "CAUSAL_LM"), None),
    (facts("", None), None),
    # H1
    (facts("SEQ_CLS", "QUESTION_ANS", head=NEW), 'H1: task_type="SEQ_CLS"'),
    (facts("SEQ_CLS", "CAUSAL_LM", head=NEW), 'H1: task_type="SEQ_CLS"'),
    (facts("TOKEN_CLS", "SEQ_2_SEQ_LM", head=NEW), 'H1: task_type="TOKEN_CLS"'),
    (
        facts("QUESTION_ANS", "SEQ_CLS", head=(Weight("qa_outputs.bias", True),)),
        'H1: task_type="QUESTION_ANS"',
    ),
    (
        facts("OTHER_CLS", "QUESTION_ANS", head=NEW),
        'H1: leave task_type out and write modules_to_save=["score"]',
    ),
    (
        facts("SEQ_CLS", "QUESTION_ANS", head=(Weight("classification_head.weight", True),)),
        'H1: task_type="SEQ_CLS", modules_to_save=["classification_head"]',
    ),
    (facts("SEQ_CLS", "QUESTION_ANS", head=NEW, marked=False), 'H1: task_type="SEQ_CLS"'),
    (facts("SEQ_CLS", "QUESTION_ANS", head=UNKNOWN), 'H2: task_type="SEQ_CLS"'),
    (facts("SEQ_CLS", "QUESTION_ANS", head=LOADED), 'L1: task_type="SEQ_CLS"'),
    (facts("SEQ_CLS", "QUESTION_ANS", head=NEW, listed=("score",)), 'L1: task_type="SEQ_CLS"'),
    (facts("SEQ_CLS", "QUESTION_ANS", head=NEW, training=False), 'L1: task_type="SEQ_CLS"'),
    # H2
    (facts("SEQ_CLS", None, head=NEW), 'H2: task_type="SEQ_CLS"'),
    (facts("SEQ_CLS", None, head=UNKNOWN), 'H2: task_type="SEQ_CLS"'),
    (facts("SEQ_CLS", "FEATURE_EXTRACTION", head=NEW), 'H2: task_type="SEQ_CLS"'),
    (facts("SEQ_CLS", None, head=LOADED), None),
    (facts("SEQ_CLS", None, head=NEW, training=False), None),
    (facts("SEQ_CLS", None, head=()), None),
    (facts("SEQ_CLS", None, head=NEW, listed=("score",)), None),
    (facts("SEQ_CLS", "SEQ_CLS", head=NEW), None),
    (facts("SEQ_CLS", "TOKEN_CLS", head=NEW), None),
    (facts("OTHER_CLS", None, head=NEW), 'H2: modules_to_save=["score"]'),
    (facts("OTHER_CLS", "SEQ_CLS", head=NEW), None),
    (facts("OTHER_CLS", None, head=NEW, listed=("embed",)), 'H2: modules_to_save=["embed", "score"]'),
    (
        facts("SEQ_CLS", "SEQ_CLS", head=(*DEEP, Weight("pooler.weight", True))),
        'H2: modules_to_save=["pooler"]',
    ),
    (
        facts("SEQ_CLS", "SEQ_CLS", head=(Weight("a.weight", True), Weight("b.weight", True))),
        'H2: modules_to_save=["a", "b"]',
    ),
    (
        facts("OTHER_CLS", "TOKEN_CLS", head=(Weight("lm_head.weight", True),)),
        'H2: leave task_type out and write modules_to_save=["lm_head"]',
    ),
    (
        facts("QUESTION_ANS", "QUESTION_ANS", head=(Weight("span_head.bias", True),)),
        'H2: modules_to_save=["span_head"]',
    ),
    (facts("SEQ_CLS", None, head=NEW, automatic={}), 'H2: modules_to_save=["score"]'),
    (facts("SEQ_CLS", "SEQ_CLS", head=NEW, automatic={}, saved=()), 'H2: modules_to_save=["score"]'),
    (
        facts("SEQ_CLS", "SEQ_CLS", head=NEW, automatic={}, saved=(), can_save=False),
        'H2: use LoraConfig with modules_to_save=["score"]',
    ),
    (
        facts("OTHER_CLS", "FEATURE_EXTRACTION", head=NEW, refused=("labels",)),
        'H2: leave task_type out and write modules_to_save=["score"]',
    ),
    (facts("CAUSAL_LM MASKED_LM", None, head=NEW), None),
    (facts("MULTIMODAL OTHER_CLS", None, head=NEW), None),
    (facts("SPEECH OTHER_CLS", None, head=NEW), None),
    (facts("OTHER", None, head=NEW), None),
    # new modules beside what was loaded, whatever the kind
    (facts("CAUSAL_LM", "CAUSAL_LM", head=NEW, beside=True), 'H2: modules_to_save=["score"]'),
    (
        facts("CAUSAL_LM", "QUESTION_ANS", head=NEW, beside=True),
        'H2: task_type="CAUSAL_LM", modules_to_save=["score"]',
    ),
    (facts("CAUSAL_LM", "SEQ_CLS", head=NEW, beside=True), 'L1: task_type="CAUSAL_LM", modules_to_save=["score"]'),
    (facts("OTHER", None, head=DEEP, beside=True), 'H2: modules_to_save=["classifier"]'),
    (facts("", None, head=NEW, beside=True), 'H2: modules_to_save=["score"]'),
    (facts("", "TOKEN_CLS", head=DEEP[:1], beside=True), None),
    (facts("", "CAUSAL_LM", head=NEW, beside=True), 'H2: modules_to_save=["score"]'),
    (
        facts("", "FEATURE_EXTRACTION", head=NEW, beside=True, refused=("labels",)),
        'H2: leave task_type out and write modules_to_save=["score"]',
    ),
    (facts("QUESTION_ANS", "CAUSAL_LM", head=(Weight("qa_outputs.bias", True),), beside=True), _SPAN),
    (facts("CAUSAL_LM", None, head=NEW, beside=True, training=False), None),
    (
        facts("", None, head=NEW, beside=True, also={"score": "model.old_score"}),
        'H2: modules_to_save=["score"] (rename `score` before: "score" also reaches `model.old_score`)',
    ),
    # a pooler inside of the base model
    (facts("SEQ_CLS", "SEQ_CLS", head=(*NEW, POOLER)), 'H2: modules_to_save=["bert.pooler"]'),
    (facts("SEQ_CLS", None, head=(*NEW, POOLER)), 'H2: task_type="SEQ_CLS", modules_to_save=["bert.pooler"]'),
    (facts("SEQ_CLS", "SEQ_CLS", head=(*NEW, POOLER), listed=("pooler",)), None),
    (
        facts("SEQ_CLS", "QUESTION_ANS", head=(*NEW, POOLER)),
        'H1: task_type="SEQ_CLS", modules_to_save=["bert.pooler"]',
    ),
    # quantised heads
    (facts("SEQ_CLS", None, head=PACKED), f'H2: keep `score` out of {_QUANTISED}task_type="SEQ_CLS"'),
    (
        facts("SEQ_CLS", None, head=PACKED, keeps_out="Config(skip=[{}])"),
        f'H2: load the model with Config(skip=["score"]), {_QUANTISED[14:]}task_type="SEQ_CLS"',
    ),
    # P1
    (facts("CAUSAL_LM", "SEQ_CLS", **PROMPT), 'P1: task_type="CAUSAL_LM"'),
    (facts("SEQ_2_SEQ_LM MASKED_LM", "CAUSAL_LM", **PROMPT), 'P1: task_type="SEQ_2_SEQ_LM"'),
    (facts("MASKED_LM", "QUESTION_ANS", **PROMPT), f"P1: use LoraConfig without task_type{NEW_HEADS}"),
    (facts("CAUSAL_LM", "SEQ_CLS", **PROMPT, training=False), 'P1: task_type="CAUSAL_LM"'),
    (facts("CAUSAL_LM", "SEQ_CLS", **PROMPT, exact=False), None),
    (facts("CAUSAL_LM", "FEATURE_EXTRACTION", **PROMPT), None),
    (facts("MULTIMODAL", "CAUSAL_LM", **PROMPT), None),
    # S1
    (facts("", "SEQ_CLS", refused=("labels",)), f"S1: leave task_type out{NEW_HEADS}"),
    (facts("CAUSAL_LM", "QUESTION_ANS", refused=("start_positions",)), 'S1: task_type="CAUSAL_LM"'),
    (facts("HEADLESS", "SEQ_CLS", refused=("labels",)), 'S1: task_type="FEATURE_EXTRACTION"'),
    (facts("CAUSAL_LM", "CAUSAL_LM", refused=("inputs_embeds",)), f"S1: leave task_type out{NEW_HEADS}"),
    (facts("", "SEQ_CLS", refused=("labels",), **PROMPT), f"S1: use LoraConfig without task_type{NEW_HEADS}"),
    (facts("", "SEQ_CLS", refused=("labels",), training=False), None),
    # T1
    (facts("SPEECH", "SEQ_2_SEQ_LM", encoder_decoder=True, **TEXTLESS), f"T1: leave task_type out{NEW_HEADS}"),
    (facts("DUAL", "FEATURE_EXTRACTION", **TEXTLESS), f"T1: leave task_type out{NEW_HEADS}"),
    (facts("SPEECH", "SEQ_2_SEQ_LM", encoder_decoder=True, **TEXTLESS, training=False), None),
    (facts("SPEECH MULTIMODAL", "CAUSAL_LM", **TEXTLESS), None),
    (facts("SPEECH", "SEQ_2_SEQ_LM", text_inputs=False), None),
    (facts("SPEECH", "SEQ_2_SEQ_LM", collides=True), None),
    (facts("HEADLESS", "SEQ_CLS", **TEXTLESS), None),
    # L1
    (facts("CAUSAL_LM", "SEQ_CLS"), 'L1: task_type="CAUSAL_LM"'),
    (facts("CAUSAL_LM", "SEQ_2_SEQ_LM", training=False), 'L1: task_type="CAUSAL_LM"'),
    (facts("SEQ_2_SEQ_LM", "CAUSAL_LM"), 'L1: task_type="SEQ_2_SEQ_LM"'),
    (facts("QUESTION_ANS", "TOKEN_CLS"), 'L1: task_type="QUESTION_ANS"'),
    (facts("CAUSAL_LM", "SEQ_CLS", exact=False), None),
    (facts("CAUSAL_LM MULTIMODAL", "SEQ_CLS"), None),
    (facts("CAUSAL_LM", "FEATURE_EXTRACTION"), None),
    (facts("CAUSAL_LM", None), None),
    (facts("CAUSAL_LM", "Vector_LM"), None),
    (facts("CAUSAL_LM", "CAUSAL_LM"), None),
    (facts("MULTIMODAL", "SEQ_CLS"), None),
    (facts("MASKED_LM", "TOKEN_CLS"), None),
    (facts("SEQ_CLS", "TOKEN_CLS", head=LOADED), None),
    (facts("TOKEN_CLS", "SEQ_CLS", head=LOADED), None),
    (facts("HEADLESS", "SEQ_CLS"), None),
]


@pytest.mark.parametrize(("given", "expected"), ROWS, ids=[f"{i}-{row[1]}" for i, row in enumerate(ROWS)])
def test_judge(given: Facts, expected: Optional[str]) -> None:
    """The decision table: the first rule that applies speaks, and says what to write."""
    assert answer(given) == expected


SAVED = {"source": "out", "auto_class": "AutoModelForX", "base_name": "some/base"}
_THERE = 'load it on AutoModelForX.from_pretrained("some/base")'
_ANYWHERE = "load it on the class that it was trained on"
_MERGED = "merge it there first (merge_and_unload, save_pretrained) and load Model from the result"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (facts("CAUSAL_LM", **PROMPT, **SAVED), 'M1: task_type="CAUSAL_LM"'),
        (
            facts("SEQ_CLS", "CAUSAL_LM", **NO_GENERATION, **SAVED),
            f"M2: {_THERE}; for a classifier on top of it, {_MERGED}",
        ),
        (facts("MASKED_LM", "CAUSAL_LM", **NO_GENERATION, **SAVED), f"M2: {_THERE}"),
        (
            facts("SEQ_CLS", "QUESTION_ANS", head=NEW, **SAVED),
            f'H1: {_THERE}; for a new head on top of it, {_MERGED}, for a new adapter with task_type="SEQ_CLS"',
        ),
        (
            facts("SEQ_CLS", None, head=NEW, **SAVED),
            f'H2: {_ANYWHERE}; for a new head on top of it, {_MERGED}, for a new adapter with task_type="SEQ_CLS"',
        ),
        (facts("SEQ_CLS", "QUESTION_ANS", refused=("labels",), **SAVED), f"S1: {_THERE}"),
        (facts("CAUSAL_LM", "CAUSAL_LM", refused=("labels",), **SAVED), f"S1: {_ANYWHERE}"),
        (facts("CAUSAL_LM", "SEQ_CLS", **SAVED), f"L1: {_THERE}, unless it was trained on Model itself"),
        (
            facts("CAUSAL_LM", "SEQ_CLS", source="out"),
            f"L1: {_ANYWHERE}, unless it was trained on Model itself",
        ),
    ],
    ids=lambda value: value[:2] if isinstance(value, str) else "",
)
def test_where_an_adapter_is_loaded(given: Facts, expected: str) -> None:
    """The advice is what to load the adapter on, never another type to write; but prompt learning without one."""
    assert answer(given) == expected
    found = rule.judge(given)
    assert found is not None
    assert f" from out: the adapter was trained as {given.task_type}. " in found.message


@pytest.mark.parametrize("homeless", [True, False])
def test_a_head_without_a_place(homeless: bool) -> None:
    """Where an adapter is loaded on a model for another task it is said if its head has no place there."""
    found = rule.judge(facts("CAUSAL_LM", "SEQ_CLS", homeless=homeless, **SAVED))
    assert found is not None
    assert ("a head that it brings has no place in it, and AutoPeftModel" in found.message) is homeless


def test_message() -> None:
    """A message names the classes, the task type and the module, says what is lost, and ends with what to write."""
    found = rule.judge(facts("SEQ_CLS", None, head=NEW, model_class="LlamaForSequenceClassification"))
    assert found is not None
    assert found.message == (
        "peft-strict H2: LlamaForSequenceClassification with LoraConfig(task_type=None): its head (`score`) was not "
        'loaded from the checkpoint, and PEFT will neither train nor save it.\n  Write task_type="SEQ_CLS"'
    )
    assert (found.task_type, found.model_class, found.config_class) == (
        None,
        "LlamaForSequenceClassification",
        "LoraConfig",
    )


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (facts("CAUSAL_LM", "SEQ_CLS"), 'Write task_type="CAUSAL_LM"'),
        (facts("OTHER_CLS", None, head=NEW), 'Write modules_to_save=["score"]'),
        (facts("", "SEQ_CLS", refused=("labels",)), f"Instead, leave task_type out{NEW_HEADS}"),
        (facts("MASKED_LM", "QUESTION_ANS", **PROMPT), f"Instead, use LoraConfig without task_type{NEW_HEADS}"),
    ],
    ids=["a type", "modules", "no type", "another method"],
)
def test_the_last_line(given: Facts, advice: str) -> None:
    """What can be written down as it is, is said with "Write"; the report carries the config's task type."""
    found = rule.judge(given)
    assert found is not None
    assert found.message.splitlines()[-1].strip() == advice
    assert found.task_type == given.task_type


def test_parts_are_named() -> None:
    """Of a head that is lost in part, only that part is named, by the fewest modules; long lists are cut off."""
    deep = facts("SEQ_CLS", None, head=DEEP, saved=("out_proj",), automatic={})
    found = rule.judge(deep)
    assert found is not None
    assert "part of its head (`classifier.dense`)" in found.message
    for count, more in ((3, ""), (4, " and 1 more"), (40, " and 37 more")):
        many = tuple(Weight(f"head_{i}.weight", True) for i in range(count))
        found = rule.judge(facts("OTHER_CLS", None, head=many))
        assert found is not None
        assert f"(`head_0`, `head_1`, `head_2`{more})" in found.message


def test_unknown_is_said() -> None:
    """Where it is not known whether the head is new, the message says so."""
    found = rule.judge(facts("SEQ_CLS", None, head=UNKNOWN))
    assert found is not None
    assert "if it did not come from a checkpoint" in found.message


@pytest.mark.parametrize(
    ("given", "always_error", "warn_only"),
    [
        (facts("CAUSAL_LM", **PROMPT), True, False),
        (facts("SEQ_CLS", "CAUSAL_LM", **NO_GENERATION), True, False),
        (facts("SEQ_CLS", None, head=NEW), False, False),
        (facts("CAUSAL_LM", "SEQ_CLS"), False, True),
        (facts("", None, head=NEW, beside=True), False, True),
        (facts("", "CAUSAL_LM", **NO_GENERATION), True, False),
    ],
)
def test_severity(given: Facts, always_error: bool, warn_only: bool) -> None:
    """M1 and M2 are errors in any mode; L1 is one in none, and H2 is not for a class of the user's own."""
    found = rule.judge(given)
    assert found is not None
    assert (found.always_error, found.warn_only) == (always_error, warn_only)


def test_imports_nothing() -> None:
    """The rule and the facts import neither torch, nor transformers, nor PEFT, and have no opinion without them."""
    code = (
        "import sys; from peft_strict.fit.facts import find_misfit\n"
        "assert find_misfit(object(), object(), wrapper=None, adds=(), supported=()) is None\n"
        "assert not {'torch', 'transformers', 'peft', 'wrapt'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
