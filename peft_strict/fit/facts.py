"""The facts about a live model and a config that the misfit rule asks for.

Which parameters are new, `evidence` tells from the marks of transformers >= 5. Without such marks
``config.architectures`` tells: it keeps the class that the checkpoint was saved from.

Nothing here raises: models are foreign code, so each access is guarded, and what cannot be read counts as unknown.
Only the direct children outside of the base model are walked, so the cost does not grow with the model.
"""

from __future__ import annotations

import inspect
import itertools
import sys
from typing import TYPE_CHECKING, Optional

from ..releases.live import added_modules, is_own, live_release
from . import evidence, rule
from .evidence import inside, is_loaded, parameters, read
from .forward import collides, forward_of, parameters_of
from .kinds import kinds_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_GENERATING = {"PeftModelForCausalLM", "PeftModelForSeq2SeqLM"}
# What building these classes may read from the model; which of it varies with the release.
_READ = {"prepare_inputs_for_generation", "_prepare_encoder_decoder_kwargs_for_generation"}
# Where the configs of transformers' quantisers name the modules to leave alone (read in 5.23).
_SKIPPING = ("llm_int8_skip_modules", "modules_to_not_convert", "skip_modules")
# A quantised or offloaded base may have lost some marks; one that has none among its first ones has none at all.
_ENOUGH = 64


def find_misfit(
    model: object, config: object, *, wrapper: Optional[type], adds: Sequence[str], supported: Sequence[str]
) -> Optional[rule.Misfit]:
    """Say whether this config's task type does not fit this model.

    Args:
        model: The base model; it may already carry the layers of an earlier adapter.
        config: The PEFT config; its task type is valid or ``None``.
        wrapper: The ``PeftModel`` class that is being built or added to; ``None`` where adapters are injected without
            one, or where ``get_peft_model`` finds no class for the task type.
        adds: The names that building ``wrapper`` adds to ``modules_to_save``.
        supported: The task types of the installed PEFT.

    Returns:
        The first misfit of the decision table, or ``None``. Unknown models get no opinion, and nothing raises.
    """
    return rule.judge(gather(model, config, wrapper=wrapper, adds=adds, supported=supported))


def gather(
    model: object, config: object, *, wrapper: Optional[type], adds: Sequence[str], supported: Sequence[str]
) -> rule.Facts:
    """Collect the facts; the arguments are those of `find_misfit`."""
    kinds, exact = kinds_of(type(model))
    head, marked = _head_of(model) if kinds & rule.CLASSIFIERS and _saves_as_peft(wrapper, config) else ((), False)
    listed = _listed(config)
    reach = _has(config, "modules_to_save") or _adds_always_reach()
    passed = _passed(wrapper, model, config)
    forward = forward_of(model)
    names = forward.names or frozenset()
    textless = passed and kinds and kinds <= rule.TEXTLESS and not {"inputs"} & names
    return rule.Facts(
        model_class=type(model).__name__,
        config_class=type(config).__name__,
        task_type=_text(read(config, "task_type")),
        supported=tuple(supported),
        kinds=kinds,
        exact=exact,
        encoder_decoder=read(read(model, "config"), "is_encoder_decoder") is True,
        prompt_learning=_is_prompt_learning(config),
        untyped=wrapper is None or wrapper.__name__ == "PeftModel",
        training=read(config, "inference_mode") is not True,
        lacks=_lacks(wrapper, model),
        head=head,
        marked=marked,
        keeps_out=_keeps_out(model) if head else "",
        saved=(*listed, *(adds if reach else ()), *_whole_layers(config)),
        automatic=_automatic() if head and reach and wrapper is not None else {},
        listed=tuple(name for name in listed if name not in adds),
        can_save=_has(config, "modules_to_save"),
        refused=forward.refuses(passed),
        text_inputs={"input_ids", "inputs_embeds"} <= names,
        collides=bool(textless) and collides(model, passed),
    )


def _has(thing: object, name: str) -> bool:
    """Whether the attribute is there; also if it is but fails otherwise than by being absent."""
    try:
        return hasattr(thing, name)
    except Exception:  # PEFT, which reads it next, is the one to raise this
        return True


def _text(value: object) -> Optional[str]:
    return str.__str__(value) if issubclass(type(value), str) else None


def _names(cls: type) -> set[str]:
    return {base.__name__ for base in cls.__mro__}


def _package(thing: object) -> str:
    return str(read(thing, "__module__")).partition(".")[0]


def _head_of(model: object) -> tuple[tuple[rule.Weight, ...], bool]:
    """Return the parameters outside of the base model, and whether each one is known to be new or not.

    Empty where the base model is not a direct child under its usual name: what is head is then unknown.
    """
    children = inside(model, "_modules")
    base = _text(read(model, "base_model_prefix"))
    if base is None or base not in children:
        return (), False
    found = [one for name, child in children.items() if name != base for one in parameters(child, name)]
    first = [*found, *itertools.islice(parameters(children[base], base), _ENOUGH)]
    marked = any(is_loaded(one.parameter) for one in first)
    if marked and not any(read(one.parameter, "is_meta") and not is_loaded(one.parameter) for one in found):
        rewritten = evidence.is_rewritten(first)
        return tuple(_weight(one, evidence.is_new(one, rewritten=rewritten)) for one in found), True
    fresh = _not_in_checkpoint(model)
    return tuple(_weight(one, fresh) for one in found), False


def _weight(found: evidence.Found, fresh: Optional[bool]) -> rule.Weight:
    return rule.Weight(found.path, fresh, evidence.is_quantised(found.module))


def _keeps_out(model: object) -> str:
    """Return how to keep modules out of quantisation where the model is loaded, as far as its config tells."""
    config = read(read(model, "config"), "quantization_config")
    named = next((name for name in _SKIPPING if _has(config, name)), "") if config is not None else ""
    return f"{type(config).__name__}({named}=[{{}}])" if named else ""


def _not_in_checkpoint(model: object) -> Optional[bool]:
    """Whether the checkpoint was saved from another class than this one, so that it has no head for it."""
    classes = read(read(model, "config"), "architectures")
    if not isinstance(classes, (list, tuple)) or not classes:
        return None
    return _names(type(model)).isdisjoint(name for name in classes if isinstance(name, str))


def _saves_as_peft(wrapper: Optional[type], config: object) -> bool:
    """Whether training and saving is PEFT's own, and all of the adapter's.

    Not so for a user's subclass of ``PeftModel``, which may do either by itself, and for X-LoRA, which loads adapters
    that may bring the head.
    """
    return (wrapper is None or _package(wrapper) == "peft") and _text(read(config, "peft_type")) != "XLORA"


def _listed(config: object) -> tuple[str, ...]:
    """Return ``modules_to_save``; a text counts by its characters, as PEFT takes it."""
    names = read(config, "modules_to_save")
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, (str, list, tuple, set)) else ()


def _whole_layers(config: object) -> tuple[str, ...]:
    """Return the layers that the method itself saves whole.

    Measured over all methods of PEFT 0.13, 0.17 and 0.21 by targeting a new head: only LN tuning does. A regular
    expression may reach anything, and so counts as reaching all.
    """
    if _text(read(config, "peft_type")) != "LN_TUNING":
        return ()
    targets = read(config, "target_modules")
    return ("",) if isinstance(targets, str) else tuple(targets or ())


def _adds_always_reach() -> bool:
    """Whether PEFT saves the names it adds also for configs without ``modules_to_save``: so up to 0.14."""
    function = read(sys.modules.get("peft.utils.other"), "_set_trainable")
    parameters = parameters_of(function)
    return parameters is not None and "module_names" not in parameters


def _automatic() -> dict[str, tuple[str, ...]]:
    return {str.__str__(task): added_modules(cls) for task, cls in live_release().tasks.items()}


def _is_prompt_learning(config: object) -> bool:
    return "PromptLearningConfig" in _names(type(config)) or read(config, "is_prompt_learning") is True


def _lacks(wrapper: Optional[type], model: object) -> Optional[str]:
    """Return the attribute that building this wrapper reads from the model and the model does not have."""
    for cls in wrapper.__mro__ if wrapper else ():
        if "__init__" in vars(cls) and not is_own(cls):
            return None  # a constructor of the user's, which may build it in another way
        if cls.__name__ in _GENERATING:
            code = read(inspect.unwrap(cls.__init__), "__code__")  # type: ignore[misc]
            return next(
                (name for name in read(code, "co_names") or () if name in _READ and not _has(model, name)), None
            )
    return None


def _passed(wrapper: Optional[type], model: object, config: object) -> tuple[str, ...]:
    """Return the keywords that the wrapper passes to the model in each forward, given or not.

    They are the named parameters of its own ``forward``, with these exceptions; tests/fit/test_facts.py measures it.
    """
    forward = read(wrapper, "forward")
    if wrapper is None or _package(forward) != "peft":
        return ()
    never = {"self", "task_ids", "token_type_ids", "position_ids"}
    if _is_prompt_learning(config):
        never.add("input_ids")  # their embeddings are passed
    if read(read(model, "config"), "model_type") == "mpt":
        never.add("inputs_embeds")  # PeftModelForCausalLM leaves it out for this one
    parameters = parameters_of(forward) or {}
    return tuple(p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in never)
