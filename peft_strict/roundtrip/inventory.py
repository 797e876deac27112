"""What of an adapter there is in a live model, read from its modules as they are stored.

Models are foreign code: nothing is called on them, no attribute of theirs is asked for but their dicts of modules,
parameters and buffers, and no value is read. The walk goes once over the modules and skips what is inside of adapters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..releases.adapters import adapter_dicts
from ..releases.live import is_own

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from ..releases.adapters import Layers

# The children of PEFT's own modules in which the model is; what else they have is the adapters'.
_INNER = ("base_model", "model", "base_layer", "token_adapter")


class Held(NamedTuple):
    """A tensor of the adapter in the model.

    Attributes:
        layer: The path of the layer that holds it, with a dot behind; ``""`` for the model itself.
        entries: The name of the dict in which that layer keeps such tensors by adapter.
        inner: The name of the tensor in the entry of the adapter, with a dot in front; ``""`` where the entry is it.
        tensor: It.
    """

    layer: str
    entries: str
    inner: str
    tensor: Any

    def name(self, adapter: str) -> str:
        """Return its whole name in the model."""
        return f"{self.layer}{self.entries}.{adapter}{self.inner}"


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


def take(model: Any, adapter: str, kinds: Layers, known: Container[str] = ()) -> Inventory:
    """Walk a model.

    Args:
        model: A ``PeftModel``, or a model that adapters were injected into.
        adapter: The name of the adapter.
        kinds: The classes of the PEFT that is imported.
        known: Names without that of the adapter. Tensors of the adapter that have one of them are left out.
    """
    held: list[Held] = []
    loose: list[tuple[str, Any]] = []
    layers = 0
    seen = {id(model)}
    with_adapters: dict[type, bool] = {}  # by class: asking it of an abstract one takes long
    own: dict[type, bool] = {}
    pending = [("", model)]
    while pending:
        path, module = pending.pop()
        attributes, cls = module.__dict__, type(module)
        if cls not in own:
            with_adapters[cls], own[cls] = issubclass(cls, (kinds.tuner_layer, kinds.auxiliary)), is_own(cls)
        children = attributes["_modules"]
        if with_adapters[cls]:
            layers += 1
            names = ("modules_to_save",) if issubclass(cls, kinds.whole) else adapter_dicts(module)
            for name in names:
                entries = children.get(name)
                if entries is not None:
                    _hold(held, path, name, entries.__dict__, adapter, known)
        if with_adapters[cls] or own[cls]:
            children = {name: children[name] for name in _INNER if name in children}
        else:
            _loosen(loose, path, attributes)
        for name, child in reversed(list(children.items())):
            if child is None or id(child) in seen:
                continue
            seen.add(id(child))
            if child.__dict__["_modules"]:
                pending.append((f"{path}{name}.", child))
            else:  # most modules are such leaves; none of PEFT's that matter here is one
                _loosen(loose, f"{path}{name}.", child.__dict__)
    return Inventory(held, loose, layers)


def _loosen(loose: list[tuple[str, Any]], path: str, attributes: dict[str, Any]) -> None:
    """Add the parameters of a module that require gradients."""
    for name, parameter in attributes["_parameters"].items():
        if parameter is not None and parameter.requires_grad:
            loose.append((f"{path}{name}", parameter))


def _hold(
    held: list[Held], path: str, name: str, entries: dict[str, Any], adapter: str, known: Container[str]
) -> None:
    """Add what the dict of this name has for the adapter."""
    modules = entries["_modules"]
    if modules:
        entry = modules.get(adapter)
        if entry is not None:
            _hold_all(held, path, name, entry.__dict__, ".", known)
        return
    for kind in ("_parameters", "_buffers"):
        tensor = entries[kind].get(adapter)
        if tensor is not None and f"{path}{name}" not in known:
            held.append(Held(path, name, "", tensor))


def _hold_all(
    held: list[Held], path: str, name: str, attributes: dict[str, Any], inner: str, known: Container[str]
) -> None:
    """Add all parameters of a module."""
    for each, parameter in attributes["_parameters"].items():
        if parameter is not None and f"{path}{name}{inner}{each}" not in known:
            held.append(Held(path, name, inner + each, parameter))
    for each, child in attributes["_modules"].items():
        if child is not None:
            _hold_all(held, path, name, child.__dict__, f"{inner}{each}.", known)


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
