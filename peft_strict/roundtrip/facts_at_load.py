"""The facts of a load that the rule asks for, from a live model and what ``load_state_dict`` has answered.

Models and state dicts are foreign: whoever calls this takes an exception for no opinion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from ..fit.kinds import auto_class, kinds_of
from ..fit.misfit import kinds_for
from ..releases import adapters
from . import inventory, wrappers
from .adapted import FRONT, base_of, config_of, has_own_state_dict, is_exempt, listed, member, saved_names
from .beside import end_of_way, is_beside, is_equal, is_kept, of_no_other, rest_of
from .loaded import Loaded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .inventory import Held


def gather(
    model: Any,
    adapter: str,
    given: Mapping[str, Any],
    result: Any,
    *,
    source: Optional[str],
    file: Optional[str],
    foreign: bool,
) -> Optional[Loaded]:
    """Collect the facts of a load.

    Args:
        model: The model that was loaded into.
        adapter: The name of the adapter.
        given: What was passed for its tensors.
        result: What ``load_state_dict`` returned.
        source: The folder or repository they are from, where it is known.
        file: The file they are from, where it is on this machine and can be written anew.
        foreign: Whether it has been said before that an adapter for this model is for one of another class.

    Returns:
        ``None`` where nothing can be said.
    """
    kinds, config = adapters.layers(), config_of(model, adapter)
    if kinds is None or config is None or is_exempt(config):
        return None
    held = inventory.take(model, adapter, kinds).held
    unfilled = _unfilled(model, held, adapter, set(result.missing_keys))
    empty = [each.name(adapter) for each in unfilled]
    unexpected = [name for name in result.unexpected_keys if not is_kept(model, name, adapter)]
    unexpected = [name for name in unexpected if not (name in given and is_equal(model, name, given[name]))]
    if not unfilled:
        unexpected = of_no_other(unexpected, adapter, held)
    rests = {rest_of(model, name, kinds) for name in unexpected} - {""}
    unexpected = [name for name in unexpected if not is_beside(model, name, adapter, kinds, empty, rests)]
    if not unfilled and not unexpected:
        return None
    unplaced = [_as_given(name, adapter, given) for name in unexpected]
    facts = Loaded(
        model_class=type(model).__name__,
        base_class=type(base_of(model)).__name__,
        adapter=adapter,
        source=source,
        file=file,
        given=len(given),
        unplaced=tuple(unplaced),
        held=len(saved_names(held, adapter)),
        unfilled=saved_names(unfilled, adapter),
    )
    if not unplaced:
        return facts
    names = [adapters.saved_name(each.name(adapter), adapter) for each in unfilled or held]
    replaced = not set(names).isdisjoint(unplaced) and has_own_state_dict(model)
    difference, reverse = wrappers.difference(unplaced, names), wrappers.difference(names, unplaced)
    in_model = bool(reverse is not None and reverse.between)
    walked, holder = end_of_way(model, unplaced[0])
    task_type, meant = _meant_for(base_of(model), config)
    leaf = isinstance(holder, kinds.tuner_layer) or (holder is not None and not holder.__dict__["_modules"])
    return facts._replace(
        difference=None if in_model else difference,
        model_between=reverse.between if reverse is not None else "",
        cut_out=wrappers.cut_out(unplaced, [each.nameless for each in unfilled[:4]]),
        told=foreign and not unfilled and all(_is_whole(name, model, config) for name in unplaced),
        bare=_in_base(walked[:-1]) if leaf else "",
        whole=not set(empty).isdisjoint(unplaced),
        replaced=replaced,
        absent=_in_base(walked) if holder is not None and not leaf else "",
        task_type=task_type,
        auto_class=meant,
    )


def _meant_for(base: Any, config: Any) -> tuple[str, str]:
    """Return the adapter's task type and the class that loads a model for it; empty where this may be one."""
    task_type = member(config, "task_type")
    wanted, kinds = kinds_for(task_type), kinds_of(type(base))[0]
    name = auto_class(getattr(base, "config", None), wanted) if kinds and kinds.isdisjoint(wanted) else None
    return (task_type, name) if name else ("", "")


def _unfilled(model: Any, held: Sequence[Held], adapter: str, missing: set[str]) -> list[Held]:
    """Return the tensors of the adapter that are missing under each name that they have in the model."""
    gone = [each for each in held if each.name(adapter) in missing]
    if gone:
        also = inventory.names_of(model, [each.tensor for each in gone])
        gone = [each for each in gone if missing.issuperset(also[id(each.tensor)])]
    return gone


def _as_given(name: str, adapter: str, given: Mapping[str, Any]) -> str:
    """Return the name that a tensor had before PEFT put the name of the adapter into it."""
    saved, once = adapters.saved_name(name, adapter), name.replace(f".{adapter}.{adapter}", f".{adapter}")
    return next((each for each in (saved, wrappers.strip(saved), once) if each in given), name)


def _is_whole(name: str, model: Any, config: Any) -> bool:
    """Whether a tensor is of a module that is saved as a whole; up to 0.14 only the model knows those that it adds."""
    modules = (*(listed(config) or ()), *(listed(model) or ()))
    return any(f".{module}." in f".{name}" for module in modules)


def _in_base(path: Sequence[str]) -> str:
    """Return a path as it is in the base model."""
    whole = ".".join(path)
    return whole[len(FRONT) :] if whole.startswith(FRONT) else whole
