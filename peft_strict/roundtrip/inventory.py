"""What of an adapter there is in a live model, read from its modules as they are stored.

Models are foreign code: nothing is called on them, no attribute of theirs is asked for but their dicts of modules,
parameters and buffers, and no value is read. The walk goes once over the modules and skips what is inside of adapters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from ..releases.adapters import adapter_dicts
from ..releases.live import is_own

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..releases.adapters import Layers

# The children of PEFT's own modules in which the model is; what else they have is the adapters'.
_INNER = ("base_model", "model", "base_layer", "token_adapter")


class Held(NamedTuple):
    """A tensor of the adapter in the model.

    Attributes:
        layer: The path of the layer that holds it.
        name: Its whole name in the model, with the name of the adapter.
        tensor: It.
    """

    layer: str
    name: str
    tensor: Any


class Inventory(NamedTuple):
    """What was found.

    Attributes:
        held: The tensors of the adapter.
        loose: Names and parameters with ``requires_grad`` that belong to no adapter.
        layers: How many layers have adapters, of whatever name.
    """

    held: list[Held]
    loose: list[tuple[str, Any]]
    layers: int


def take(model: Any, adapter: str, kinds: Layers) -> Inventory:
    """Walk a model.

    Args:
        model: A ``PeftModel``, or a model that adapters were injected into.
        adapter: The name of the adapter.
        kinds: The classes of the PEFT that is imported.
    """
    held: list[Held] = []
    loose: list[tuple[str, Any]] = []
    layers = 0
    seen = {id(model)}
    pending = [("", model)]
    while pending:
        path, module = pending.pop()
        attributes = module.__dict__
        if isinstance(module, (kinds.tuner_layer, kinds.auxiliary)):
            layers += 1
            held += _held(path, module, adapter, kinds)
            children = [(name, child) for name, child in attributes["_modules"].items() if name in _INNER]
        elif is_own(type(module)):
            children = [(name, child) for name, child in attributes["_modules"].items() if name in _INNER]
        else:
            loose += [
                (f"{path}{name}", parameter)
                for name, parameter in attributes["_parameters"].items()
                if parameter is not None and parameter.requires_grad
            ]
            children = list(attributes["_modules"].items())
        for name, child in reversed(children):
            if child is not None and id(child) not in seen:
                seen.add(id(child))
                pending.append((f"{path}{name}.", child))
    return Inventory(held, loose, layers)


def _held(path: str, module: Any, adapter: str, kinds: Layers) -> Iterator[Held]:
    names = ("modules_to_save",) if isinstance(module, kinds.whole) else adapter_dicts(module)
    for name in names:
        container = _child(module, name)
        if container is None:
            continue
        inside = container.__dict__
        entry = (inside.get("_modules") or {}).get(adapter)
        if entry is not None:
            prefix = f"{path}{name}.{adapter}."
            yield from (Held(path, prefix + inner, tensor) for inner, tensor in _tensors(entry, ""))
        for kind in ("_parameters", "_buffers"):
            tensor = (inside.get(kind) or {}).get(adapter)
            if tensor is not None:
                yield Held(path, f"{path}{name}.{adapter}", tensor)


def _child(module: Any, name: str) -> Optional[Any]:
    return module.__dict__["_modules"].get(name)


def _tensors(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, parameter in module.__dict__["_parameters"].items():
        if parameter is not None:
            yield f"{path}{name}", parameter
    for name, child in module.__dict__["_modules"].items():
        if child is not None:
            yield from _tensors(child, f"{path}{name}.")


def names_of(model: Any, tensors: Iterable[Any]) -> dict[int, list[str]]:
    """Return all names that these very tensors have in the model, by the ``id`` of each."""
    names: dict[int, list[str]] = {id(tensor): [] for tensor in tensors}
    pending = [("", model)]
    while pending:
        path, module = pending.pop()
        for kind in ("_parameters", "_buffers"):
            for name, tensor in module.__dict__[kind].items():
                if id(tensor) in names:
                    names[id(tensor)].append(f"{path}{name}")
        pending += [
            (f"{path}{name}.", child) for name, child in module.__dict__["_modules"].items() if child is not None
        ]
    return names
