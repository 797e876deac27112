"""Tensors of a file that have no place in the model, where that is no loss: the model has them, or they are not its.

All of it is PEFT's doing: what it writes beside the tensors of an adapter, and under which names it looks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..releases import adapters
from .inventory import module_at

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .inventory import Held


def end_of_way(model: Any, name: str) -> tuple[list[str], Any]:
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


def is_kept(model: Any, name: str, adapter: str) -> bool:
    """Whether the model has this very tensor, which PEFT has looked for under another name.

    The place is there, then, and nobody can mend it: older releases do not put the adapter's name into that of VeRA's
    projections, which are drawn anew from the same seed; and they put it into that of BOFT's permutation (up to 0.12),
    a buffer of the layer that follows from its sizes.
    """
    *parts, last = name.removesuffix(f".{adapter}").split(".")
    module = module_at(model, parts)
    if module is None:
        return False
    if last in module.__dict__["_buffers"]:
        return True
    below = module.__dict__["_modules"].get(last)
    return below is not None and any(
        adapter in (below.__dict__.get(kind) or {}) for kind in ("_parameters", "_buffers")
    )


def is_equal(model: Any, name: str, tensor: Any) -> bool:
    """Whether the model has a tensor of this name and these values, in a layer with an adapter or in one without.

    Where PEFT saves embedding layers it takes them as they are in that model: one with an adapter, of whatever name,
    is in the file as ``base_layer``, also in the files of adapters that have none there.
    """
    *parts, last = name.replace(".base_layer.", ".").split(".")
    module = module_at(model, parts)
    if module is None:
        return False
    while "base_layer" in module.__dict__["_modules"]:
        module = module.__dict__["_modules"]["base_layer"]
    own = module.__dict__["_parameters"].get(last)
    return own is not None and own.shape == tensor.shape and bool(own.equal(tensor.to(own)))


def is_beside(
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


def of_no_other(names: Sequence[str], adapter: str, held: Sequence[Held]) -> list[str]:
    """Leave out the tensors that have the name of another adapter in theirs, as a file of PEFT up to 0.19 has it.

    Those write the tensors of all adapters into the file of each (LoRA's and AdaLoRA's only biases, and where the
    adapter's name is somewhere in theirs), and cut the name of the file's own adapter out. So ``ia3_l.other`` stands
    beside ``ia3_l``, and ``lora_A.other.weight`` beside ``lora_A.weight``, also in layers that are not the adapter's.
    What has such a name in one tensor has it in others, of which the adapter has none (RandLoRA's projections). With
    embedding layers that are saved PEFT writes all that is in them.

    Args:
        names: The names of tensors without a place, with that of the adapter.
        adapter: The name of the adapter.
        held: The tensors of the adapter in the model.
    """
    forms = {*((each.entries, each.inner) for each in held), *((entries, "") for entries in adapters.OF_EMBEDDINGS)}
    others = {_other_adapter(name.split("."), adapter, *form) for name in names for form in forms} - {""}
    return [name for name in names if others.isdisjoint(name.split(".")[-2:])]


def _other_adapter(parts: Sequence[str], adapter: str, entries: str, inner: str) -> str:
    """Return what stands between the name of a dict and that of a tensor in it, if that is one part."""
    rest = parts[parts.index(entries) + 1 :] if entries in parts else ()
    rest = rest[1:] if adapter in rest[:1] else rest
    return rest[0] if len(rest) == 1 + inner.count(".") else ""


def rest_of(model: Any, name: str, kinds: adapters.Layers) -> str:
    """Return what a tensor's name has behind that of a dict of its layer: ``0`` in ``lora_A0``; ``""`` if nothing."""
    walked, holder = end_of_way(model, name)
    if not isinstance(holder, kinds.tuner_layer):
        return ""
    starts = [each for each in adapters.adapter_dicts(holder) if walked[-1].startswith(each)]
    return walked[-1][len(max(starts, key=len)) :] if starts else ""


def _is_for_another(entries: Any, rest: Sequence[str], adapter: str) -> bool:
    """Whether this is not of the entry for the adapter, in a dict that has one."""
    rest = rest[1:] if adapter in rest[:1] else rest
    entry = entries.__dict__["_modules"].get(adapter)
    if entry is not None:
        return len(rest) > 1 and rest[0] not in entry.__dict__["_modules"]
    return bool(rest) and adapter in entries.__dict__["_parameters"]
