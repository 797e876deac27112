"""The facts of a save that the rule asks for, from a live model and what is about to be written.

Models and what is passed for a state dict are foreign: whoever calls this takes an exception for no opinion.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Optional

from ..fit.reach import also_reached, is_container
from ..releases import adapters
from . import inventory, wrappers
from .adapted import FRONT, base_of, config_of, has_own_state_dict, is_exempt, listed, member, saved_names
from .saved import Saved, modules_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from .inventory import Held, Inventory


def gather(
    model: Any,
    adapter: str,
    state_dict: Optional[Mapping[str, Any]],
    written: Mapping[str, Any],
    *,
    to_file: bool,
    headless: bool,
) -> Optional[Saved]:
    """Collect the facts of a save.

    Args:
        model: The ``PeftModel``, or the model that adapters were injected into.
        adapter: The name of the adapter that is saved.
        state_dict: The state dict that was passed, if one was.
        written: What PEFT has chosen to write.
        to_file: Whether it is known to go into a file, and nothing else will.
        headless: Whether it has been said before that the head of this model will not be saved.

    Returns:
        ``None`` where nothing is lost, or nothing can be said.
    """
    kinds, config = adapters.layers(), config_of(model, adapter)
    if kinds is None or config is None or is_exempt(config) or not isinstance(written, dict):
        return None
    found = inventory.take(model, adapter, kinds, known=written)  # of a good save next to nothing
    missing = _missing(model, found.held, adapter, written)
    method = member(config, "peft_type")
    looked_at = {} if method in adapters.MAY_BE_EMPTY else written
    hollow = tuple(name for name, tensor in looked_at.items() if _is_hollow(tensor))
    loose = _loose(model, found, adapter, written, headless=headless) if to_file and found.loose else ()
    if written and not (hollow or missing or loose):
        return None
    expected = inventory.take(model, adapter, kinds).held
    names = [held.name(adapter) for held in missing or expected]
    return Saved(
        model_class=type(model).__name__,
        adapter=adapter,
        expected=saved_names(expected, adapter),
        written=len(written),
        hollow=hollow,
        missing=saved_names(missing, adapter) if written else (),
        loose=loose,
        nameless=any(_is_nameless(base_of(model), module) for module in modules_of(loose))
        or (adapters.is_wrapped(model) and not all(name.startswith("base_model.") for name in loose)),
        also=also_reached(base_of(model), modules_of(loose)) if loose else {},
        passed=None if state_dict is None else len(state_dict),
        sharded=any(hasattr(held.tensor, "ds_id") for held in expected[:1]),
        unloaded=not found.layers and bool(getattr(config, "target_modules", None)) and adapters.is_wrapped(model),
        swapped=method == "ADAPTION_PROMPT",
        between=wrappers.between(names),
        difference=wrappers.difference(state_dict, names) if missing and state_dict else None,
        rivals=_rivals(model, adapter, missing),
        replaced=state_dict is None and has_own_state_dict(model),
        listed=listed(config),
        warned=state_dict is None and adapters.warns_of_hollow(method) and all(map(_is_matrix, hollow)),
    )


def _is_hollow(tensor: Any) -> bool:
    return hasattr(tensor, "numel") and tensor.numel() == 0


def _missing(model: Any, held: Sequence[Held], adapter: str, written: Mapping[str, Any]) -> list[Held]:
    """Return those of these tensors of the adapter that are not written, under whatever name.

    Methods write some tensors in another form: VB-LoRA the largest entries only, DoRA's vector without the name of its
    module. Such a name starts as that of the dict which holds the tensor. What several layers share is written once.
    """
    gone = [each for each in held if not _is_written(each.name(adapter), adapter, written)]
    if gone:
        names, others = sorted(written), {name for name in model.peft_config if name != adapter}
        gone = [each for each in gone if not _starts_one(_dict_name(each, adapter), names, others)]
    if gone:
        places = _places(written.values())
        gone = [each for each in gone if _place(each.tensor) not in places]
    if gone:
        also = inventory.names_of(model, [each.tensor for each in gone])
        gone = [each for each in gone if not any(_is_written(n, adapter, written) for n in also[id(each.tensor)])]
    return gone


def _is_written(name: str, adapter: str, written: Mapping[str, Any]) -> bool:
    """Whether the tensor of this name in the model is in the file, where the parts of wrappers have gone."""
    saved = adapters.saved_name(name, adapter)
    return saved in written or wrappers.strip(saved) in written


def _dict_name(held: Held, adapter: str) -> str:
    """Return the name of the dict in which a layer keeps this tensor, as the file would have it."""
    return adapters.saved_name(f"{held.layer}{held.entries}", adapter)


def _starts_one(name: str, names: Sequence[str], others: Collection[str]) -> bool:
    """Whether one of these sorted names starts with this one, which may have parts of wrappers in it.

    Not where the name of another adapter follows: PEFT 0.21 writes those of another one for lack of its own.
    """
    for start in {name, wrappers.strip(name)}:
        for place in range(bisect_left(names, start), len(names)):
            if not names[place].startswith(start):
                break
            behind, _, rest = names[place][len(start) :].partition(".")
            if behind or rest.partition(".")[0] not in others:
                return True
    return False


def _place(tensor: Any) -> int:
    """Return where the values of a tensor start; 0 where it has none of its own, or none that can be told."""
    try:
        return int(tensor.data_ptr())
    except Exception:  # tensors of other makers than torch, and wrappers around several
        return 0


def _places(tensors: Iterable[Any]) -> set[int]:
    return {_place(tensor) for tensor in tensors} - {0}


def _loose(
    model: Any, found: Inventory, adapter: str, written: Mapping[str, Any], *, headless: bool
) -> tuple[str, ...]:
    """Return the parameters that require gradients and are not written.

    Not counted: biases where another adapter's config trains them, the flat parameters of FSDP, which hold others, and
    what is tied to the untrained copy of a module that is saved whole: while adapters are disabled, PEFT up to 0.18
    lets it require gradients.
    """
    places = _places(written.values())
    others = [config for name, config in model.peft_config.items() if name != adapter]
    biased = any(getattr(config, "bias", "none") != "none" for config in others)
    head = _outside_of_base(model) if headless else ()
    names = inventory.names_of(model, [parameter for _, parameter in found.loose])
    return tuple(
        name
        for name, parameter in found.loose
        if not {name, wrappers.strip(name), name.replace(f".{adapter}", "")} & written.keys()
        and _place(parameter) not in places
        and not name.endswith("_flat_param")
        and not (biased and name.endswith(".bias"))
        and not name.startswith(head)
        and not any(".original_module." in each for each in names[id(parameter)])
    )


def _is_nameless(base: Any, path: str) -> bool:
    """Whether a module cannot stand in ``modules_to_save``: it is the model itself, or a list of parameters."""
    module = inventory.module_at(base, filter(None, path.split(".")))
    return module is base or (module is not None and is_container(module))  # not there: in a wrapper


def _outside_of_base(model: Any) -> tuple[str, ...]:
    """Return how the names of the parameters start that are the head's."""
    inner, path = base_of(model), FRONT if adapters.is_wrapped(model) else ""
    return tuple(f"{path}{name}." for name in inner.__dict__["_modules"] if name != inner.base_model_prefix)


def _rivals(model: Any, adapter: str, missing: Sequence[Held]) -> tuple[str, ...]:
    """Return the names of other adapters that explain why these are missing; nothing if one of them has none in it."""
    others = [name for name in model.peft_config if name != adapter]
    within = [[name for name in others if f".{name}." in f"{held.name(adapter)}."] for held in missing]
    return tuple(dict.fromkeys(name for names in within for name in names)) if all(within) else ()


def _is_matrix(name: str) -> bool:
    return ".lora_A" in name or ".lora_B" in name
