"""The misfit rule and its messages, as pure functions of a few facts: nothing here knows torch, transformers or PEFT.

A misfit is a valid ``task_type`` that does not fit the base model. The codes, in the order in which they are asked:

- M1: prompt learning without a task type. PEFT fails (``KeyError: None``).
- M2: a task type for generation on a model that cannot generate. PEFT fails (``AttributeError``).
- H1: a wrong task type loses a head that is known to be new.
- H2: the head is neither trained nor saved, and it is new or may be.
- P1: a soft prompt under a wrong task type: training fails, or ``generate`` ignores the prompt.
- S1, T1: PEFT passes inputs that ``forward`` does not take: the first step fails.
- L1: the adapter would name the wrong task; training is not affected.

The rule was shaped on 581 measured combinations and checked on model kinds it had not seen
(``tests/fit/test_misfit.py`` repeats the measurement). What is new inside of the base model is not seen, but for
poolers, and neither is a head that is trained or saved by other means than PEFT.

Where an adapter is loaded, its task type is not the user's to write: the advice is what to load it on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# The kinds of model. Those that PEFT has a task type for carry its name.
CAUSAL_LM, SEQ_2_SEQ_LM = "CAUSAL_LM", "SEQ_2_SEQ_LM"
SEQ_CLS, TOKEN_CLS, QUESTION_ANS = "SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"
MASKED_LM, MULTIMODAL, SPEECH, DUAL = "MASKED_LM", "MULTIMODAL", "SPEECH", "DUAL"
OTHER_CLS, HEADLESS, OTHER = "OTHER_CLS", "HEADLESS", "OTHER"
_FEATURE = "FEATURE_EXTRACTION"

_TYPED = (CAUSAL_LM, SEQ_2_SEQ_LM, SEQ_CLS, TOKEN_CLS, QUESTION_ANS)
TEXTLESS = frozenset({SPEECH, DUAL})
CLASSIFIERS = frozenset({SEQ_CLS, TOKEN_CLS, QUESTION_ANS, OTHER_CLS})
_LANGUAGE = frozenset({CAUSAL_LM, SEQ_2_SEQ_LM, MASKED_LM})
GENERATORS = _LANGUAGE | {MULTIMODAL, SPEECH}
_LONGEST_LIST = 3
_NEW = "was not loaded from the checkpoint"  # what is known; it may have got its weights in another way


class Weight(NamedTuple):
    """One parameter of the head.

    Attributes:
        path: Its name in the model, such as ``classifier.dense.weight``.
        fresh: Whether it is newly initialised (``True``), came with the checkpoint (``False``), or neither is known.
        quantised: Whether its module is stored in a way that cannot be trained.
        unit: The module to save it with; empty for the direct child of the model that it is in.
    """

    path: str
    fresh: Optional[bool]
    quantised: bool = False
    unit: str = ""


class Facts(NamedTuple):
    """What the rule looks at.

    Attributes:
        model_class: The name of the base model's class.
        config_class: The name of the config's class.
        task_type: The task type of the config.
        ineffective: A task type that stands in the config's class and does not reach its configs.
        supported: The task types of the installed PEFT.
        kinds: What the model is, from transformers' registries; empty if it is in none.
        exact: Whether its own class is in a registry, not only one it derives from.
        encoder_decoder: Whether its config says so.
        prompt_learning: Whether the method learns a soft prompt.
        untyped: Whether no ``PeftModel`` class for one task is around the model.
        training: Whether the adapter is to be trained.
        source: Where the adapter is being loaded from; ``None`` where a new one is made.
        base_name: What the base model is loaded from.
        auto_class: The class that loads a model for this task type, where that is asked for and transformers has one.
        lacks: What PEFT's class for this task type reads from the model at once and the model does not have.
        head: The parameters outside of the base model, of classifiers; of other models the new modules beside what was
            loaded.
        marked: Whether ``fresh`` is about each parameter on its own, not about the head as a whole.
        beside: Whether the head is such new modules.
        keeps_out: How to keep modules out of quantisation, with ``{}`` for their names; empty if that is not known.
        saved: The module names under which this config and PEFT train and save whole modules.
        automatic: The names each task type adds to them by itself.
        also: For modules of the head, another module, one of PEFT's own perhaps, that their names reach in
            ``modules_to_save``.
        listed: What the user has put into ``modules_to_save``.
        can_save: Whether the config has ``modules_to_save`` at all.
        refused: The keywords that PEFT always passes and ``forward`` is certain not to take.
        text_inputs: Whether ``forward`` names the inputs of a text model, ``input_ids`` and ``inputs_embeds``.
        collides: Whether ``forward`` takes what PEFT passes but hands it on to a call that does not.
        homeless: Whether the heads that the task type saves by itself are no modules of the model.
    """

    model_class: str
    config_class: str
    task_type: Optional[str]
    ineffective: Optional[str]
    supported: Collection[str]
    kinds: frozenset[str]
    exact: bool
    encoder_decoder: bool
    prompt_learning: bool
    untyped: bool
    training: bool
    source: Optional[str]
    base_name: Optional[str]
    auto_class: Optional[str]
    lacks: Optional[str]
    head: tuple[Weight, ...]
    marked: bool
    beside: bool
    keeps_out: str
    saved: tuple[str, ...]
    automatic: Mapping[str, tuple[str, ...]]
    also: Mapping[str, str]
    listed: tuple[str, ...]
    can_save: bool
    refused: tuple[str, ...]
    text_inputs: bool
    collides: bool
    homeless: bool


class Misfit(NamedTuple):
    """One report.

    Attributes:
        code: The rule that spoke.
        message: The whole text; starts with ``peft-strict <code>: `` and ends with ``fix``.
        fix: What to write instead.
        fitting: The task type that fits the model, or ``None``.
        task_type: The task type of the config.
        model_class: The name of the base model's class.
        config_class: The name of the config's class.
        source: Where the adapter is being loaded from, or ``None``.
        of_users: Whether the model is of a class that transformers does not know.
    """

    code: str
    message: str
    fix: str
    fitting: Optional[str]
    task_type: Optional[str]
    model_class: str
    config_class: str
    source: Optional[str] = None
    of_users: bool = False

    @property
    def always_error(self) -> bool:
        """Whether PEFT itself would fail here and now, so that there is nothing to warn of."""
        return self.code in ("M1", "M2")

    @property
    def warn_only(self) -> bool:
        """Whether it is never more than a warning.

        So it is where nothing that runs today is lost, and where the user, whose class it is, may train and save the
        head in another way.
        """
        return self.code == "L1" or (self.code == "H2" and self.of_users)


def judge(facts: Facts) -> Optional[Misfit]:
    """Return the first misfit there is, or ``None``."""
    for code, rule in _RULES:
        loss = rule(facts)
        if loss:
            return _misfit(code, loss, facts)
    return None


def fitting(facts: Facts) -> Optional[str]:
    """Return the task type that fits the model, or ``None`` if PEFT has none for it."""
    if MULTIMODAL in facts.kinds and not facts.encoder_decoder:
        best = CAUSAL_LM
    else:
        best = next((kind for kind in _TYPED if kind in facts.kinds), "")
    if facts.kinds == {HEADLESS} and facts.text_inputs:
        best = _FEATURE
    return best if best in facts.supported else None


def kinds_for(task: Optional[str]) -> tuple[str, ...]:
    """Return the kinds of model that this task type is for, the first one before all."""
    if task == CAUSAL_LM:
        return CAUSAL_LM, MULTIMODAL
    if task == SEQ_2_SEQ_LM:
        return SEQ_2_SEQ_LM, SPEECH, MULTIMODAL
    if task == _FEATURE:
        return (HEADLESS,)
    return (task,) if task in _TYPED else ()


def fits(facts: Facts) -> bool:
    """Whether the task type is right for the model; ``None``, FEATURE_EXTRACTION and names not of PEFT always are."""
    task, kinds = facts.task_type, facts.kinds
    if task == CAUSAL_LM:
        return bool(kinds & {CAUSAL_LM, MULTIMODAL})
    if task == SEQ_2_SEQ_LM:
        return SEQ_2_SEQ_LM in kinds or (facts.encoder_decoder and bool(kinds & {MULTIMODAL, SPEECH}))
    return task not in _TYPED or task in kinds


def lost(facts: Facts, names: Collection[str]) -> list[str]:
    """Return the parameters of the head that are new, or may be, and that saving ``names`` would not reach.

    PEFT takes every module whose full name ends with one of the names (``_set_trainable``). Where the evidence is only
    about the head as a whole, a head that is reached at all counts as reached: which part is new is not known.
    """
    out = [weight for weight in facts.head if not _reached(weight.path, names)]
    if facts.marked:
        return [weight.path for weight in out if weight.fresh]
    return [weight.path for weight in out if weight.fresh is not False] if len(out) == len(facts.head) else []


def _reached(path: str, names: Collection[str]) -> bool:
    modules = path.split(".")[:-1]
    return any(".".join(modules[: end + 1]).endswith(name) for end in range(len(modules)) for name in names)


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
    wrong = not fits(facts) and (facts.task_type in (*_LANGUAGE, QUESTION_ANS) or QUESTION_ANS in facts.kinds)
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
    if facts.prompt_learning and facts.exact and facts.kinds & _LANGUAGE and not fits(facts):
        return "PEFT will place the soft prompt wrongly: training fails, or `generate` ignores the prompt."
    return ""


def _s1(facts: Facts) -> str:
    if facts.training and facts.refused:
        return f"PEFT will pass {_listing(facts.refused)}, which `forward` does not take: the first step fails."
    return ""


def _t1(facts: Facts) -> str:
    if facts.training and facts.kinds and facts.kinds <= TEXTLESS and facts.collides and not facts.text_inputs:
        return "PEFT will pass the inputs of a text model, which this is not: the first step fails."
    return ""


def _l1(facts: Facts) -> str:
    typed = facts.exact and facts.kinds & set(_TYPED) and MULTIMODAL not in facts.kinds
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
    fix = _fix(code, facts)
    if code in ("M2", "H1", "H2"):
        fix = _unquantised(fix, facts)
    if facts.source is not None and code != "M1":
        fix = _load(code, facts, fix)
    given = f"{facts.config_class}(task_type={facts.task_type!r})"
    if facts.source is not None:
        given += f" from {facts.source}"
        loss = f"the adapter was trained as {facts.task_type}. {loss[0].upper()}{loss[1:]}"
    elif facts.ineffective is not None:
        loss += f" The {facts.ineffective} in its class is no field of it, and has no effect."
    advice = f"Write {fix}" if _is_line(fix) else f"Instead, {fix}"
    return Misfit(
        code=code,
        message=f"peft-strict {code}: {facts.model_class} with {given}: {loss}\n  {advice}",
        fix=fix,
        fitting=fitting(facts),
        task_type=facts.task_type,
        model_class=facts.model_class,
        config_class=facts.config_class,
        source=facts.source,
        of_users=not facts.kinds,
    )


def _fix(code: str, facts: Facts) -> str:
    """Return what to write: a task type, or none, and the ``modules_to_save`` that keeps the head under it."""
    best = fitting(facts)
    best_keeps = facts.automatic.get(best or "", ())
    fine = fits(facts) or (facts.beside and not facts.kinds)
    helps = best and len(lost(facts, (*facts.saved, *best_keeps))) < len(lost(facts, facts.saved))
    if code == "H2" and fine and not facts.refused and not helps:
        return _writing(facts, "", lost(facts, facts.saved))
    if code == "M2" and facts.kinds == {HEADLESS} and facts.auto_class:
        other = f'write task_type="{best}"' if best else "leave task_type out"
        return f"load the model with {_loading(facts)}, which has the head for it; or, to train another, {other}"
    if best and best != facts.task_type:
        return _writing(facts, f'task_type="{best}"', lost(facts, (*facts.listed, *best_keeps)))
    if code == "M1" and not facts.kinds:
        return f"task_type as one of {', '.join(facts.supported)}"
    saving = _saving(facts, lost(facts, facts.listed))
    # no task type makes prompt learning work with such a model
    leaving = "use LoraConfig without task_type" if facts.prompt_learning else "leave task_type out"
    if saving:
        return f"{leaving} and write {saving}"
    known = facts.head or facts.marked or not facts.training
    return leaving if known else f"{leaving} (a new head then has to stand in modules_to_save)"


def _load(code: str, facts: Facts, fix: str) -> str:
    """Return the advice where an adapter is loaded: what to load it on, whose type is what it was trained as."""
    right = facts.auto_class is not None and not fits(facts)
    best = f"load it on {_loading(facts)}" if right else "load it on the class that it was trained on"
    merging = f"merge it there first (merge_and_unload, save_pretrained) and load {facts.model_class} from the result"
    if code in ("H1", "H2"):
        return f"{best}; for a new head on top of it, {merging}, for a new adapter with {fix}"
    if facts.kinds & CLASSIFIERS and code == "M2":
        return f"{best}; for a classifier on top of it, {merging}"
    return f"{best}, unless it was trained on {facts.model_class} itself" if code == "L1" else best


def _loading(facts: Facts) -> str:
    return f'{facts.auto_class}.from_pretrained("{facts.base_name}")' if facts.base_name else str(facts.auto_class)


def _unquantised(fix: str, facts: Facts) -> str:
    """Return the advice for a head that has to be trained and is quantised, which PEFT would fail on."""
    gone = lost(facts, facts.listed) if facts.training else []
    if not any(weight.quantised for weight in facts.head if weight.path in gone):
        return fix
    names = _modules(facts, gone)
    how = f"load the model with {facts.keeps_out}" if facts.keeps_out else "keep {} out of quantisation"
    named = ", ".join(f'"{name}"' for name in names) if facts.keeps_out else _listing(names)
    return f"{how.format(named)}, since a quantised head cannot be trained, and {'write ' * _is_line(fix)}{fix}"


def _is_line(fix: str) -> bool:
    return fix.startswith(("task_type", "modules_to_save"))


def _writing(facts: Facts, line: str, gone: list[str]) -> str:
    saving = _saving(facts, gone)
    lines = ", ".join(text for text in (line, saving) if text)
    return lines if facts.can_save or not saving else f"use LoraConfig with {lines}"


def _saving(facts: Facts, gone: list[str]) -> str:
    if not gone or not facts.training:
        return ""
    parts = _modules(facts, gone)
    names = ", ".join(f'"{name}"' for name in dict.fromkeys((*facts.listed, *parts)))
    clash = next((name for name in parts if name in facts.also), None)
    rename = f' (rename `{clash}` before: "{clash}" also reaches `{facts.also[clash]}`)' if clash else ""
    return f"modules_to_save=[{names}]{rename}"


def modules(facts: Facts) -> list[str]:
    """Return the modules of the head that ``modules_to_save`` would have to name."""
    return _modules(facts, lost(facts, ()))


def _modules(facts: Facts, gone: list[str]) -> list[str]:
    """Return the fewest modules that hold these parameters and no others of the head."""
    units = {weight.path: weight.unit or weight.path.partition(".")[0] for weight in facts.head}
    kept = {unit for path, unit in units.items() if path not in gone}
    return list(dict.fromkeys(path.rpartition(".")[0] if units[path] in kept else units[path] for path in gone))


def _naming(facts: Facts, gone: list[str]) -> str:
    named = _listing(_modules(facts, gone))
    if facts.beside:
        return named
    return f"{'its head' if len(gone) == len(facts.head) else 'part of its head'} ({named})"


def _listing(names: Collection[str]) -> str:
    first = [f"`{name}`" for name in list(names)[:_LONGEST_LIST]]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")
