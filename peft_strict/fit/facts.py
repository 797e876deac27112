"""The facts about a live model and a config that the misfit rule asks for.

Nothing here raises: models are foreign code, so each access is guarded, and what cannot be read counts as unknown.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Optional

from ..releases.adapters import parts_of_layers
from ..releases.live import added_modules, added_reach_always, is_own, live_release
from .foreign import attribute, text_of
from .forward import collides, forward_of, parameters_of
from .heads import Head, head_of
from .kinds import auto_class, kinds_of, library_of
from .misfit import TEXTLESS, Facts, Misfit, kinds_for, lost, modules
from .reach import also_reached, has_module
from .rule import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

_GENERATING = {"PeftModelForCausalLM", "PeftModelForSeq2SeqLM"}
# What building these classes may read from the model; which of it varies with the release.
_READ = {"prepare_inputs_for_generation", "_prepare_encoder_decoder_kwargs_for_generation"}
# Where the configs of transformers' quantisers name the modules to leave alone (read in 5.23).
_SKIPPING = ("llm_int8_skip_modules", "modules_to_not_convert", "skip_modules")

_LONGEST_NAME = 200


def find_misfit(
    model: object,
    config: object,
    *,
    wrapper: Optional[type],
    adds: Sequence[str],
    supported: Sequence[str],
    source: Optional[str] = None,
) -> Optional[Misfit]:
    """Say whether this config's task type does not fit this model.

    Args:
        model: The base model; it may already carry the layers of an earlier adapter.
        config: The PEFT config; its task type is valid or ``None``.
        wrapper: The ``PeftModel`` class that is being built or added to; ``None`` where adapters are injected without
            one, or where ``get_peft_model`` finds no class for the task type.
        adds: The names that building ``wrapper`` adds to ``modules_to_save``.
        supported: The task types of the installed PEFT.
        source: Where the adapter is being loaded from; ``None`` where a new one is made.

    Returns:
        The first misfit of the decision table, or ``None``. Unknown models get no opinion, and nothing raises.
    """
    facts = gather(model, config, wrapper=wrapper, adds=adds, supported=supported, source=source)
    found = judge(facts)
    if found is None or not facts.head:
        return found
    # only where there is a report: this walks the whole model
    also = also_reached(model, modules(facts, lost(facts, ())), parts_of_layers(config))
    return judge(facts._replace(also=also))


def gather(
    model: object,
    config: object,
    *,
    wrapper: Optional[type],
    adds: Sequence[str],
    supported: Sequence[str],
    source: Optional[str] = None,
) -> Facts:
    """Collect the facts; the arguments are those of `find_misfit`."""
    kinds, exact = kinds_of(type(model))
    training = attribute(config, "inference_mode") is not True
    # Who injects adapters into a module of their own sees to its head as well.
    looks = training and (kinds or wrapper is not None) and _saves_as_peft(wrapper, config)
    head = head_of(model, kinds) if looks else Head()
    task_type = text_of(attribute(config, "task_type"))
    lacks = _lacks(wrapper, model)
    listed = _listed(config)
    reach = _has(config, "modules_to_save") or added_reach_always()
    passed = _passed(wrapper, model, config)
    forward = forward_of(model)
    names = forward.names or frozenset()
    textless = passed and kinds and kinds <= TEXTLESS and not {"inputs"} & names
    return Facts(
        model_class=type(model).__name__,
        config_class=type(config).__name__,
        task_type=task_type,
        ineffective=_ineffective(config) if task_type is None else None,
        supported=tuple(supported),
        kinds=kinds,
        exact=exact,
        encoder_decoder=attribute(attribute(model, "config"), "is_encoder_decoder") is True,
        prompt_learning=_is_prompt_learning(config),
        untyped=wrapper is None or wrapper.__name__ == "PeftModel",
        training=training,
        source=source,
        base_name=_name_of_base(model, config),
        auto_class=auto_class(attribute(model, "config"), kinds_for(task_type)) if lacks or source else None,
        lacks=lacks,
        head=head.weights,
        marked=head.marked,
        beside=head.beside,
        keeps_out=_keeps_out(model) if head.weights else "",
        saved=(*listed, *(adds if reach else ()), *_whole_layers(config)),
        automatic=_automatic() if head.weights and reach and wrapper is not None else {},
        also={},
        listed=tuple(name for name in listed if name not in adds),
        can_save=_has(config, "modules_to_save"),
        refused=forward.refuses(passed),
        text_inputs={"input_ids", "inputs_embeds"} <= names,
        collides=bool(textless) and collides(model, passed),
        homeless=source is not None and bool(adds) and not has_module(model, adds),
    )


def _has(thing: object, name: str) -> bool:
    """Whether the attribute is there; also if it is but fails otherwise than by being absent."""
    try:
        return hasattr(thing, name)
    except Exception:  # PEFT, which reads it next, is the one to raise this
        return True


def _ineffective(config: object) -> Optional[str]:
    """Return the task type that stands in the config's class but is no field of it, so that configs do not have it."""
    cls = type(config)
    written = text_of(attribute(cls, "task_type"))
    parameter = (parameters_of(cls.__init__) or {}).get("task_type") if written else None
    return written if parameter is not None and parameter.default is None else None


def _name_of_base(model: object, config: object) -> Optional[str]:
    """Return what the base model is loaded from, as the adapter or the model itself tells."""
    names = (attribute(config, "base_model_name_or_path"), attribute(attribute(model, "config"), "_name_or_path"))
    return next((name for name in names if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME), None)


def _names(cls: type) -> set[str]:
    return {base.__name__ for base in cls.__mro__}


def _keeps_out(model: object) -> str:
    """Return how to keep modules out of quantisation where the model is loaded, as far as its config tells."""
    config = attribute(attribute(model, "config"), "quantization_config")
    named = next((name for name in _SKIPPING if _has(config, name)), "") if config is not None else ""
    return f"{type(config).__name__}({named}=[{{}}])" if named else ""


def _saves_as_peft(wrapper: Optional[type], config: object) -> bool:
    """Whether training and saving is PEFT's own, and all of the adapter's.

    Not so for a user's subclass of ``PeftModel``, which may do either by itself, and for X-LoRA, which loads adapters
    that may bring the head.
    """
    return (wrapper is None or library_of(wrapper) == "peft") and text_of(attribute(config, "peft_type")) != "XLORA"


def _listed(config: object) -> tuple[str, ...]:
    """Return ``modules_to_save``; a text counts by its characters, as PEFT takes it."""
    names = attribute(config, "modules_to_save")
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, (str, list, tuple, set)) else ()


def _whole_layers(config: object) -> tuple[str, ...]:
    """Return the layers that the method itself saves whole.

    Measured over all methods of PEFT 0.13, 0.17 and 0.21 by targeting a new head: only LN tuning does. A regular
    expression may reach anything, and so counts as reaching all.
    """
    if text_of(attribute(config, "peft_type")) != "LN_TUNING":
        return ()
    targets = attribute(config, "target_modules")
    return ("",) if isinstance(targets, str) else tuple(targets or ())


def _automatic() -> dict[str, tuple[str, ...]]:
    return {str.__str__(task): added_modules(cls) for task, cls in live_release().tasks.items()}


def _is_prompt_learning(config: object) -> bool:
    return "PromptLearningConfig" in _names(type(config)) or attribute(config, "is_prompt_learning") is True


def _lacks(wrapper: Optional[type], model: object) -> Optional[str]:
    """Return the attribute that building this wrapper reads from the model and the model does not have."""
    for cls in wrapper.__mro__ if wrapper else ():
        if "__init__" in vars(cls) and not is_own(cls):
            return None  # a constructor of the user's, which may build it in another way
        if cls.__name__ in _GENERATING:
            code = attribute(inspect.unwrap(cls.__init__), "__code__")  # type: ignore[misc]
            return next(
                (name for name in attribute(code, "co_names") or () if name in _READ and not _has(model, name)), None
            )
    return None


def _passed(wrapper: Optional[type], model: object, config: object) -> tuple[str, ...]:
    """Return the keywords that the wrapper passes to the model in each forward, given or not.

    They are the named parameters of its own ``forward``, with these exceptions; tests/fit/test_facts.py measures it.
    """
    forward = attribute(wrapper, "forward")
    if wrapper is None or library_of(forward) != "peft":
        return ()
    never = {"self", "task_ids", "token_type_ids", "position_ids"}
    if _is_prompt_learning(config):
        never.add("input_ids")  # their embeddings are passed
    if attribute(attribute(model, "config"), "model_type") == "mpt":
        never.add("inputs_embeds")  # PeftModelForCausalLM leaves it out for this one
    parameters = parameters_of(forward) or {}
    return tuple(p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in never)
