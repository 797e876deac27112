"""The names of a live model's modules and parameters, as they are without adapters.

Nothing here raises, and no module is called but for `embeddings_of`: the modules are read as torch stores them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from .foreign import answer, attribute, inside
from .names import Embeddings, Names

if TYPE_CHECKING:
    from collections.abc import Iterator

Modules = list[tuple[str, Any]]

_MOST = 200_000  # names; a model with more shares its modules in a way that cannot be followed
_ADAPTERS = frozenset({"BaseTunerLayer", "LoraLayer", "IA3Layer"})  # the first is there since 0.5
_WRAPPED = ("original_module", "base_layer", "token_adapter")  # the last holds a base_layer in its turn
_WRAPPERS = _ADAPTERS | {"AuxiliaryTrainingWrapper", "ModulesToSaveWrapper"}


def modules_of(model: object) -> Optional[Modules]:
    """Return each module below the model with its name, as often as it is found there.

    Where an earlier adapter has wrapped a module, it is listed once, as the wrapper, under the name that it had
    before, and what is in it is that of the wrapped one.

    Returns:
        ``None`` for what is not a tree of modules.
    """
    walk = _Walk()
    return walk.found if walk.collect(model, "") else None


class _Walk:
    """One walk down a model, which looks at each class once."""

    def __init__(self) -> None:
        self.found: Modules = []
        self._above: set[int] = set()
        self._wraps: dict[type, bool] = {}

    def collect(self, module: Any, path: str) -> bool:
        """Add what is below a module; say no where it holds itself, or too much."""
        children = inside(module, "_modules")
        if not children:
            return True
        kind = type(module)
        if kind not in self._wraps:
            self._wraps[kind] = _is_a(kind, _WRAPPERS)
        if self._wraps[kind]:
            module = inner(module)
            children = inside(module, "_modules")
        if id(module) in self._above or len(self.found) > _MOST:
            return False
        self._above.add(id(module))
        for name, child in children.items():
            below = f"{path}.{name}" if path else str(name)
            self.found.append((below, child))
            if not self.collect(child, below):
                return False
        self._above.discard(id(module))
        return True


def inner(module: Any) -> Any:
    """Return what adapters have been wrapped around; ``None`` if they have taken its place (PEFT < 0.7)."""
    while _is_a(type(module), _WRAPPERS):
        modules = inside(module, "_modules")
        module = next((modules[name] for name in _WRAPPED if name in modules), None)
    return module


def is_adapted(module: object) -> bool:
    """Whether an adapter is on this module itself; not for one that is only trained and saved as a whole."""
    return _is_a(type(module), _ADAPTERS)


def _is_a(cls: type, names: frozenset[str]) -> bool:
    return any(base.__name__ in names and base.__module__.startswith("peft.") for base in cls.__mro__)


def is_adaptable(module: Any) -> bool:
    """Whether it is a layer that methods put adapters on: nothing below it, and a matrix of its own."""
    return not inside(module, "_modules") and any(_dimensions(tensor) > 1 for tensor in _tensors(module))


def holds_weights(module: Any) -> bool:
    """Whether a module is not an empty leaf, such as a dropout."""
    return bool(inside(module, "_modules")) or any(True for _ in _tensors(module))


def _tensors(module: Any) -> Iterator[Any]:
    yield from inside(module, "_parameters").values()
    yield from inside(module, "_buffers").values()  # where some quantised layers keep their weight


def _dimensions(tensor: object) -> int:
    shape = attribute(tensor, "ds_shape") or attribute(
        tensor, "shape"
    )  # the first is DeepSpeed's, of what it has spread
    return len(shape) if isinstance(shape, tuple) else 0


def parameter_names(model: object, modules: Modules) -> Names:
    """Return the names of all parameters. A parametrised one has the name that it had before."""
    found = []
    for path, module in (("", model), *modules):
        for name in inside(inner(module), "_parameters"):
            found.append(f"{path}.{name}" if path else str(name))
        parametrised = inside(inside(inner(module), "_modules").get("parametrizations"), "_modules")
        found += [f"{path}.{name}" if path else str(name) for name in parametrised]
    return Names(found)


def embeddings_of(model: Any, modules: Modules) -> Embeddings:
    """Ask the model for its input embedding and its output head, and return the shortest names that tell them.

    The embedding is one of words: a model of images answers with that of its patches.
    """
    embedding, head = (answer(model, way) for way in ("get_input_embeddings", "get_output_embeddings"))
    of_words = isinstance(attribute(inner(embedding) or embedding, "num_embeddings"), int)
    return Embeddings(_name_of(embedding, modules) if of_words else None, _name_of(head, modules))


def _name_of(wanted: object, modules: Modules) -> Optional[str]:
    if wanted is None:
        return None
    paths = [path for path, module in modules if module is wanted]
    if not paths:
        return None
    parts = paths[0].split(".")
    tails = (".".join(parts[at:]) for at in reversed(range(len(parts))))
    alone = (tail for tail in tails if all(path in paths for path, _ in modules if path.endswith(tail)))
    return next(alone, paths[0])
