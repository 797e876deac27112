"""What the misfit rule is told and what it says: the kinds of model, the facts about one, and what follows from them.

Pure: nothing here knows torch, transformers or PEFT.
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
FEATURE = "FEATURE_EXTRACTION"

TYPED = (CAUSAL_LM, SEQ_2_SEQ_LM, SEQ_CLS, TOKEN_CLS, QUESTION_ANS)
TEXTLESS = frozenset({SPEECH, DUAL})
CLASSIFIERS = frozenset({SEQ_CLS, TOKEN_CLS, QUESTION_ANS, OTHER_CLS})
LANGUAGE = frozenset({CAUSAL_LM, SEQ_2_SEQ_LM, MASKED_LM})
GENERATORS = LANGUAGE | {MULTIMODAL, SPEECH}
_LONGEST_LIST = 3


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


def fitting(facts: Facts) -> Optional[str]:
    """Return the task type that fits the model, or ``None`` if PEFT has none for it."""
    if MULTIMODAL in facts.kinds and not facts.encoder_decoder:
        best = CAUSAL_LM
    else:
        best = next((kind for kind in TYPED if kind in facts.kinds), "")
    if facts.kinds == {HEADLESS} and facts.text_inputs:
        best = FEATURE
    return best if best in facts.supported else None


def kinds_for(task: Optional[str]) -> tuple[str, ...]:
    """Return the kinds of model that this task type is for, the first one before all."""
    if task == CAUSAL_LM:
        return CAUSAL_LM, MULTIMODAL
    if task == SEQ_2_SEQ_LM:
        return SEQ_2_SEQ_LM, SPEECH, MULTIMODAL
    if task == FEATURE:
        return (HEADLESS,)
    return (task,) if task in TYPED else ()


def fits(facts: Facts) -> bool:
    """Whether the task type is right for the model; ``None``, FEATURE_EXTRACTION and names not of PEFT always are."""
    task, kinds = facts.task_type, facts.kinds
    if task == CAUSAL_LM:
        return bool(kinds & {CAUSAL_LM, MULTIMODAL})
    if task == SEQ_2_SEQ_LM:
        return SEQ_2_SEQ_LM in kinds or (facts.encoder_decoder and bool(kinds & {MULTIMODAL, SPEECH}))
    return task not in TYPED or task in kinds


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


def modules(facts: Facts, gone: list[str]) -> list[str]:
    """Return the fewest modules that hold these parameters and no others of the head."""
    units = {weight.path: weight.unit or weight.path.partition(".")[0] for weight in facts.head}
    kept = {unit for path, unit in units.items() if path not in gone}
    return list(dict.fromkeys(path.rpartition(".")[0] if units[path] in kept else units[path] for path in gone))


def listing(names: Collection[str]) -> str:
    """Return the first of these names, and how many more there are."""
    first = [f"`{name}`" for name in list(names)[:_LONGEST_LIST]]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")
