"""The facts of a save or a load that the rules ask for, from live models and state dicts.

Nothing here raises: models and what is passed for a state dict are foreign, and what cannot be read gets no opinion.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Optional

from ..fit.kinds import auto_class, kinds_of
from ..fit.misfit import kinds_for
from ..fit.reach import also_reached, is_container
from ..releases import adapters
from . import inventory, wrappers
from .loaded import Loaded
from .saved import Saved, modules_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from .inventory import Held, Inventory

# Saves what other adapters bring, in a way of its own.
_EXEMPT = ("XLORA",)
_FRONT = "base_model.model."


def gather_saved(
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
    kinds, config = adapters.layers(), _config(model, adapter)
    if kinds is None or config is None or is_exempt(config) or not isinstance(written, dict):
        return None
    found = inventory.take(model, adapter, kinds, known=written)  # of a good save next to nothing
    missing = _missing(model, found.held, adapter, written)
    method = _member(config, "peft_type")
    hollow = tuple(
        name for name, tensor in written.items() if method not in adapters.MAY_BE_EMPTY and _is_hollow(tensor)
    )
    loose = _loose(model, found, adapter, written, headless=headless) if to_file and found.loose else ()
    if written and not (hollow or missing or loose):
        return None
    expected = inventory.take(model, adapter, kinds).held
    names = [held.name(adapter) for held in missing or expected]
    return Saved(
        model_class=type(model).__name__,
        adapter=adapter,
        expected=_saved_names(expected, adapter),
        written=len(written),
        hollow=hollow,
        missing=_saved_names(missing, adapter) if written else (),
        loose=loose,
        nameless=any(_is_nameless(_base(model), module) for module in modules_of(loose))
        or (adapters.is_wrapped(model) and not all(name.startswith("base_model.") for name in loose)),
        also=also_reached(_base(model), modules_of(loose)) if loose else {},
        passed=None if state_dict is None else len(state_dict),
        sharded=any(hasattr(held.tensor, "ds_id") for held in expected[:1]),
        unloaded=not found.layers and bool(getattr(config, "target_modules", None)) and adapters.is_wrapped(model),
        between=wrappers.between(names),
        difference=wrappers.difference(state_dict, names) if missing and state_dict else None,
        rivals=_rivals(model, adapter, missing),
        replaced=state_dict is None and _has_own_state_dict(model),
        listed=_listed(config),
        warned=state_dict is None and adapters.warns_of_hollow(method) and all(map(_is_matrix, hollow)),
    )


def _config(model: Any, adapter: str) -> Any:
    configs = getattr(model, "peft_config", None)
    return configs.get(adapter) if isinstance(configs, dict) else None


def _member(config: Any, field: str) -> str:
    """Return the text of a field that holds a member of an enum; ``""`` for ``None``."""
    return str.__str__(getattr(config, field, None) or "").rpartition(".")[2]


def _saved_names(held: Sequence[Held], adapter: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(wrappers.strip(adapters.saved_name(each.name(adapter), adapter)) for each in held))


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

    Not counted: biases where another adapter's config trains them, and the flat parameters of FSDP, which hold others.
    """
    places = _places(written.values())
    others = [config for name, config in model.peft_config.items() if name != adapter]
    biased = any(getattr(config, "bias", "none") != "none" for config in others)
    head = _outside_of_base(model) if headless else ()
    return tuple(
        name
        for name, parameter in found.loose
        if not {name, wrappers.strip(name), name.replace(f".{adapter}", "")} & written.keys()
        and _place(parameter) not in places
        and not name.endswith("_flat_param")
        and not (biased and name.endswith(".bias"))
        and not name.startswith(head)
    )


def _is_nameless(base: Any, path: str) -> bool:
    """Whether a module cannot stand in ``modules_to_save``: it is the model itself, or a list of parameters."""
    module = base
    for part in filter(None, path.split(".")):
        module = module.__dict__["_modules"].get(part)
        if module is None:  # in a wrapper, whose name has been taken out
            return False
    return module is base or is_container(module)


def _outside_of_base(model: Any) -> tuple[str, ...]:
    """Return how the names of the parameters start that are the head's."""
    inner, path = _base(model), _FRONT if adapters.is_wrapped(model) else ""
    return tuple(f"{path}{name}." for name in inner.__dict__["_modules"] if name != inner.base_model_prefix)


def _rivals(model: Any, adapter: str, missing: Sequence[Held]) -> tuple[str, ...]:
    """Return the names of other adapters that explain why these are missing; nothing if one of them has none in it."""
    others = [name for name in model.peft_config if name != adapter]
    within = [[name for name in others if f".{name}." in held.name(adapter)] for held in missing]
    return tuple(dict.fromkeys(name for names in within for name in names)) if all(within) else ()


def _listed(config: Any) -> Optional[tuple[str, ...]]:
    if not hasattr(config, "modules_to_save"):
        return None
    names = config.modules_to_save
    return tuple(names) if isinstance(names, (list, tuple, set)) else ()


def _is_whole(name: str, model: Any, config: Any) -> bool:
    """Whether a tensor is of a module that is saved as a whole; up to 0.14 only the model knows those that it adds."""
    modules = (*(_listed(config) or ()), *(_listed(model) or ()))
    return any(f".{module}." in f".{name}" for module in modules)


def _is_matrix(name: str) -> bool:
    return ".lora_A" in name or ".lora_B" in name


def gather_loaded(
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
    kinds, config = adapters.layers(), _config(model, adapter)
    if kinds is None or config is None or is_exempt(config):
        return None
    held = inventory.take(model, adapter, kinds).held
    unfilled = _unfilled(model, held, adapter, set(result.missing_keys))
    empty = [each.name(adapter) for each in unfilled]
    unexpected = [name for name in result.unexpected_keys if not _is_kept(model, name, adapter)]
    rests = {_rest(model, name, kinds) for name in unexpected} - {""}
    unexpected = [name for name in unexpected if not _is_beside(model, name, adapter, kinds, empty, rests)]
    if not unfilled and not unexpected:
        return None
    unplaced = [_as_given(name, adapter, given) for name in unexpected]
    facts = Loaded(
        model_class=type(model).__name__,
        base_class=type(_base(model)).__name__,
        adapter=adapter,
        source=source,
        file=file,
        given=len(given),
        unplaced=tuple(unplaced),
        held=len(_saved_names(held, adapter)),
        unfilled=_saved_names(unfilled, adapter),
    )
    if not unplaced:
        return facts
    names = [adapters.saved_name(each.name(adapter), adapter) for each in unfilled or held]
    replaced = not set(names).isdisjoint(unplaced) and _has_own_state_dict(model)
    difference, reverse = wrappers.difference(unplaced, names), wrappers.difference(names, unplaced)
    in_model = bool(reverse is not None and reverse.between)
    walked, holder = _end_of_way(model, unplaced[0])
    task_type, meant = _meant_for(_base(model), config)
    leaf = isinstance(holder, kinds.tuner_layer) or (holder is not None and not holder.__dict__["_modules"])
    return facts._replace(
        difference=None if in_model else difference,
        model_between=reverse.between if reverse is not None else "",
        cut_out=wrappers.cut_out(unplaced, [f"{each.layer}{each.entries}{each.inner}" for each in unfilled[:4]]),
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
    task_type = _member(config, "task_type")
    wanted, kinds = kinds_for(task_type), kinds_of(type(base))[0]
    name = auto_class(getattr(base, "config", None), wanted) if kinds and kinds.isdisjoint(wanted) else None
    return (task_type, name) if name else ("", "")


def _base(model: Any) -> Any:
    return getattr(model.base_model, "model", model.base_model) if adapters.is_wrapped(model) else model


def is_exempt(config: Any) -> bool:
    """Whether what is written of such an adapter is not what it has in the model: soft prompts, X-LoRA."""
    return getattr(config, "is_prompt_learning", False) or _member(config, "peft_type") in _EXEMPT


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


def _has_own_state_dict(model: Any) -> bool:
    """Whether somebody has put a ``state_dict`` onto this very model, as training scripts did for PEFT 0.2."""
    return "state_dict" in model.__dict__


def _end_of_way(model: Any, name: str) -> tuple[list[str], Any]:
    """Follow a name into the model: return the path up to the first module that is not there, and the one before it.

    The latter is ``None`` where all modules are there and only the tensor is not.
    """
    module, walked = model, []
    *parts, _ = name.split(".")
    for part in parts:
        walked.append(part)
        below = module.__dict__["_modules"].get(part)
        if below is None:
            return walked, module
        module = below
    return walked, None


def _is_kept(model: Any, name: str, adapter: str) -> bool:
    """Whether the model has this very tensor, which PEFT has looked for under another name.

    The place is there, then, and nobody can mend it: older releases do not put the adapter's name into that of VeRA's
    projections, which are drawn anew from the same seed; and they put it into that of BOFT's permutation (up to 0.12),
    a buffer of the layer that follows from its sizes.
    """
    *parts, last = name.removesuffix(f".{adapter}").split(".")
    module = model
    for part in parts:
        module = module.__dict__["_modules"].get(part)
        if module is None:
            return False
    if last in module.__dict__["_buffers"]:
        return True
    below = module.__dict__["_modules"].get(last)
    return below is not None and any(
        adapter in (below.__dict__.get(kind) or {}) for kind in ("_parameters", "_buffers")
    )


def _rest(model: Any, name: str, kinds: adapters.Layers) -> str:
    """Return what a tensor's name has behind that of a dict of its layer: ``0`` in ``lora_A0``; ``""`` if nothing."""
    walked, holder = _end_of_way(model, name)
    if not isinstance(holder, kinds.tuner_layer):
        return ""
    starts = [each for each in adapters.adapter_dicts(holder) if walked[-1].startswith(each)]
    return walked[-1][len(max(starts, key=len)) :] if starts else ""


def _is_beside(
    model: Any, name: str, adapter: str, kinds: adapters.Layers, unfilled: Sequence[str], rests: Collection[str]
) -> bool:
    """Whether a tensor without a place was only written beside those of the adapter here, which all have theirs.

    - Where PEFT saves embedding layers (by itself, if the vocabulary was resized), it writes the trained weight of one
      in ``modules_to_save`` under its own name, and also that and the untrained one by their names in the wrapper.
    - PEFT up to 0.19 takes a tensor for an adapter's that has the adapter's name anywhere in its own: with ``x`` and
      ``y`` the file of ``y`` also has the tensors of ``x``, as there is a ``y`` in ``layers``.
    - PEFT up to 0.17 cuts that name out of such tensors as well: with ``task1`` and ``task10`` the file of ``task1``
      has a ``lora_A0`` and, of a head in ``modules_to_save``, a ``score0``.

    Args:
        model: The model.
        name: The name of the tensor, with that of the adapter.
        adapter: The name of the adapter.
        kinds: The classes of the PEFT that is imported.
        unfilled: The names of the adapter's tensors without a value.
        rests: What is left behind the names of layers' own dicts of other adapters' names.
    """
    module, path, parts = model, "", name.split(".")
    for number, part in enumerate(parts):
        above, owner, module, path = path, module, module.__dict__["_modules"].get(part), f"{path}{part}."
        if module is None:
            named = [part[: -len(rest)] for rest in rests if part.endswith(rest)]
            wholes = [each for each in named if isinstance(owner.__dict__["_modules"].get(each), kinds.auxiliary)]
            dicts = adapters.adapter_dicts(owner) if isinstance(owner, kinds.tuner_layer) else ()
            known = [each for each in named if each in (*wholes, *dicts)]
            return bool(known) and not any(each.startswith(f"{above}{one}.") for each in unfilled for one in known)
        has_entries = isinstance(owner, kinds.tuner_layer) and part in adapters.adapter_dicts(owner)
        if isinstance(module, kinds.auxiliary) or (
            has_entries and _is_for_another(module, parts[number + 1 :], adapter)
        ):
            return not any(each.startswith(path) for each in unfilled)
    return False


def _is_for_another(entries: Any, rest: Sequence[str], adapter: str) -> bool:
    """Whether this is not of the entry for the adapter, in a dict that has one."""
    rest = rest[1:] if adapter in rest[:1] else rest
    entry = entries.__dict__["_modules"].get(adapter)
    if entry is not None:
        return len(rest) > 1 and rest[0] not in entry.__dict__["_modules"]
    return bool(rest) and adapter in entries.__dict__["_parameters"]


def _in_base(path: Sequence[str]) -> str:
    """Return a path as it is in the base model."""
    whole = ".".join(path)
    return whole[len(_FRONT) :] if whole.startswith(_FRONT) else whole
