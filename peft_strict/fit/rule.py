"""The misfit rule, as pure functions of a few facts: nothing here knows torch, transformers or PEFT.

A misfit is a valid ``task_type`` that does not fit the base model. The codes, in the order in which they are asked:

- M1: prompt learning without a task type. PEFT fails (``KeyError: None``).
- M2: a task type for generation on a model that cannot generate. PEFT fails (``AttributeError``).
- H1: a wrong task type loses a head that is known to be new.
- H2: the head is neither trained nor saved, and it is new or may be.
- P1: a soft prompt under a wrong task type: training fails, or ``generate`` ignores the prompt.
- S1, T1: PEFT passes inputs that ``forward`` does not take: the first step fails.
- L1: the adapter would name the wrong task; training is not affected.

The rule was shaped on 581 measured combinations and checked on model kinds it had not seen
(``tests/fit/test_measured.py`` repeats the measurement). What is new inside of the base model is not seen, but for
poolers, and neither is a head that is trained or saved by other means than PEFT.
"""

from __future__ import annotations

from typing import Optional

from .advice import advice, is_line
from .misfit import (
    CLASSIFIERS,
    GENERATORS,
    LANGUAGE,
    MULTIMODAL,
    QUESTION_ANS,
    SEQ_CLS,
    TEXTLESS,
    TOKEN_CLS,
    TYPED,
    Facts,
    Misfit,
    fits,
    fitting,
    listing,
    lost,
    modules,
)

_NEW = "was not loaded from the checkpoint"  # what is known; it may have got its weights in another way


def judge(facts: Facts) -> Optional[Misfit]:
    """Return the first misfit there is, or ``None``."""
    for code, rule in _RULES:
        loss = rule(facts)
        if loss:
            return _misfit(code, loss, facts)
    return None


def _m1(facts: Facts) -> str:
    if facts.prompt_learning and facts.untyped and facts.task_type is None:
        return "prompt learning needs a task type: PEFT picks the model class by it and fails (KeyError: None)."
    return ""


def _m2(facts: Facts) -> str:
    # Where the type is right, a missing private attribute is a matter between the releases, not of this model.
    if facts.lacks and not (facts.lacks.startswith("_") and (fits(facts) or not facts.kinds)):
        return (
            "PEFT's class for this task type is for models that generate text. This one has no "
            f"`{facts.lacks}`, so PEFT would fail with an AttributeError."
        )
    return ""


def _head_at_risk(facts: Facts) -> list[str]:
    looked_at = facts.beside or (facts.kinds & CLASSIFIERS and not facts.kinds & GENERATORS)
    return lost(facts, facts.saved) if facts.training and looked_at else []


def _h1(facts: Facts) -> str:
    gone = _head_at_risk(facts)
    wrong = not fits(facts) and (facts.task_type in (*LANGUAGE, QUESTION_ANS) or QUESTION_ANS in facts.kinds)
    if gone and wrong and facts.kinds & CLASSIFIERS and _known_new(facts):
        return f"{_naming(facts, gone)} {_NEW}; with this task type PEFT will neither train nor save it."
    return ""


def _h2(facts: Facts) -> str:
    gone = _head_at_risk(facts)
    if not gone:
        return ""
    if _known_new(facts):
        return f"{_naming(facts, gone)} {_NEW}, and PEFT will neither train nor save it."
    return (
        f"PEFT will neither train nor save {_naming(facts, gone)}, which is lost if it did not come from a checkpoint."
    )


def _p1(facts: Facts) -> str:
    if facts.prompt_learning and facts.exact and facts.kinds & LANGUAGE and not fits(facts):
        return "PEFT will place the soft prompt wrongly: training fails, or `generate` ignores the prompt."
    return ""


def _s1(facts: Facts) -> str:
    if facts.training and facts.refused:
        return f"PEFT will pass {listing(facts.refused)}, which `forward` does not take: the first step fails."
    return ""


def _t1(facts: Facts) -> str:
    if facts.training and facts.kinds and facts.kinds <= TEXTLESS and facts.collides and not facts.text_inputs:
        return "PEFT will pass the inputs of a text model, which this is not: the first step fails."
    return ""


def _l1(facts: Facts) -> str:
    typed = facts.exact and facts.kinds & set(TYPED) and MULTIMODAL not in facts.kinds
    # Both save heads of the same names, and critics and reward models mix them on purpose.
    twins = facts.task_type in (SEQ_CLS, TOKEN_CLS) and facts.kinds & {SEQ_CLS, TOKEN_CLS}
    if typed and not twins and not fits(facts):
        if facts.source is not None:
            head = "a head that it brings has no place in it, and " if facts.homeless else ""
            return f"this model is for another task: {head}AutoPeftModel fails on it or loads another class."
        return "the adapter will name the wrong task, so that AutoPeftModel fails on it or loads another class later."
    return ""


_RULES = (("M1", _m1), ("M2", _m2), ("H1", _h1), ("H2", _h2), ("P1", _p1), ("S1", _s1), ("T1", _t1), ("L1", _l1))


def _known_new(facts: Facts) -> bool:
    return facts.marked or all(weight.fresh is not None for weight in facts.head)


def _misfit(code: str, loss: str, facts: Facts) -> Misfit:
    fix = advice(code, facts)
    given = f"{facts.config_class}(task_type={facts.task_type!r})"
    if facts.source is not None:
        given += f" from {facts.source}"
        loss = f"the adapter was trained as {facts.task_type}. {loss[0].upper()}{loss[1:]}"
    elif facts.ineffective is not None:
        loss += f" The {facts.ineffective} in its class is no field of it, and has no effect."
    instead = f"Write {fix}" if is_line(fix) else f"Instead, {fix}"
    return Misfit(
        code=code,
        message=f"peft-strict {code}: {facts.model_class} with {given}: {loss}\n  {instead}",
        fix=fix,
        fitting=fitting(facts),
        task_type=facts.task_type,
        model_class=facts.model_class,
        config_class=facts.config_class,
        source=facts.source,
        of_users=not facts.kinds,
    )


def _naming(facts: Facts, gone: list[str]) -> str:
    named = listing(modules(facts, gone))
    if facts.beside:
        return named
    return f"{'its head' if len(gone) == len(facts.head) else 'part of its head'} ({named})"
