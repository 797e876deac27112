"""What of an adapter there is in a live model, read from its modules as they are stored.

Models are foreign code: nothing is called on them, no attribute of theirs is asked for but their dicts of modules,
parameters and buffers, and no value is read. The walk goes once over the modules and skips what is inside of adapters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..releases.adapters import adapter_dicts, is_wrapped
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

    @property
    def nameless(self) -> str:
        """Its name in a file, where that of the adapter has been taken from its one place."""
        return f"{self.layer}{self.entries}{self.inner}".replace("modules_to_save.", "")


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
    walk = _Walk(adapter, kinds, known)
    walk.below("", model)
    return Inventory(walk.held, walk.loose, walk.layers)


class _Walk:
    """One walk over a model; what it has found so far is in the attributes that `Inventory` has."""

    def __init__(self, adapter: str, kinds: Layers, known: Container[str]) -> None:
        self.held: list[Held] = []
        self.loose: list[tuple[str, Any]] = []
        self.layers = 0
        self._adapter, self._kinds, self._known = adapter, kinds, known
        self._seen: set[int] = set()
        self._sorts: dict[type, tuple[bool, bool]] = {}  # by class: asking it of an abstract one takes long

    def below(self, path: str, module: Any) -> None:
        """Walk a module and all that is in it."""
        self._seen.add(id(module))
        attributes, cls = module.__dict__, type(module)
        children = attributes["_modules"]
        if cls not in self._sorts:
            self._sorts[cls] = issubclass(cls, (self._kinds.tuner_layer, self._kinds.auxiliary)), is_own(cls)
        has_adapters, own = self._sorts[cls]
        if has_adapters:
            self.layers += 1
            names = ("modules_to_save",) if issubclass(cls, self._kinds.whole) else adapter_dicts(module)
            for name in names:
                entries = children.get(name)
                if entries is not None:
                    self._hold(path, name, entries.__dict__)
        # What somebody has put onto the `PeftModel` itself is no adapter's.
        if (has_adapters or own) and not (not path and is_wrapped(module)):
            children = {name: children[name] for name in _INNER if name in children}
        else:
            for name, parameter in attributes["_parameters"].items():
                if parameter is not None and parameter.requires_grad:
                    self.loose.append((f"{path}{name}", parameter))
        for name, child in children.items():
            if child is not None and id(child) not in self._seen:
                self.below(f"{path}{name}.", child)

    def _hold(self, path: str, name: str, entries: dict[str, Any]) -> None:
        """Add what the dict of this name has for the adapter."""
        modules = entries["_modules"]
        if modules:
            entry = modules.get(self._adapter)
            if entry is not None:
                self._hold_all(path, name, ".", entry.__dict__)
            return
        for kind in ("_parameters", "_buffers"):
            tensor = entries[kind].get(self._adapter)
            if tensor is not None and f"{path}{name}" not in self._known:
                self.held.append(Held(path, name, "", tensor))

    def _hold_all(self, path: str, name: str, inner: str, attributes: dict[str, Any]) -> None:
        """Add all parameters of a module that is the entry for the adapter, or in it."""
        for each, parameter in attributes["_parameters"].items():
            if parameter is not None and f"{path}{name}{inner}{each}" not in self._known:
                self.held.append(Held(path, name, inner + each, parameter))
        for each, child in attributes["_modules"].items():
            if child is not None:
                self._hold_all(path, name, f"{inner}{each}.", child.__dict__)


def module_at(model: Any, path: Iterable[str]) -> Any:
    """Return the module at a path in the model; ``None`` where there is none."""
    module = model
    for part in path:
        module = module.__dict__["_modules"].get(part)
        if module is None:
            return None
    return module


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
