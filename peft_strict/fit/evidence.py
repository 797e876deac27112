"""Which parameters of a live model are new, as far as that can be known.

transformers >= 5 sets ``_is_hf_initialized`` on each parameter that ``from_pretrained`` loads, and only there
(measured: not on models built from a config; kept by ``.to``, ``resize_token_embeddings``, pickling and device maps,
dropped everywhere by ``deepcopy``). A missing mark alone proves nothing: whatever puts another parameter in the place
of a loaded one drops it (quanto, ``torchao.quantize_``, parametrisations, ``load_state_dict(assign=True)``). So a
parameter counts as new only if it is plainly one as it was made and initialised, and else as unknown.

Nothing here raises: models are foreign code, so each access is guarded.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_PARAMETRISED = ".parametrizations."
# How often transformers writes to what it draws, at most (measured: 1 to 3 over tests/fit/model_zoo.py).
_DRAWING = 3


class Found(NamedTuple):
    """One parameter, where it was found.

    Attributes:
        path: Its name in the model, such as ``classifier.dense.weight``.
        parameter: The parameter.
        module: The module that it belongs to.
    """

    path: str
    parameter: Any
    module: Any


def read(thing: object, name: str) -> Any:
    """Return an attribute; ``None`` if there is none, or a foreign property or ``__getattr__`` fails."""
    try:
        return getattr(thing, name, None)
    except Exception:  # not ours to report: what cannot be read is unknown
        return None


def inside(module: object, name: str) -> Mapping[str, Any]:
    """Return the modules or parameters of a module as stored, past any ``__getattr__``."""
    found = read(module, "__dict__")
    inner = found.get(name) if isinstance(found, dict) else None
    return {key: value for key, value in inner.items() if value is not None} if isinstance(inner, dict) else {}


def parameters(module: object, path: str) -> Iterator[Found]:
    """Yield the model's own parameters; where an earlier adapter has wrapped a module, those of the wrapped one."""
    modules = inside(module, "_modules")
    for wrapped in ("original_module", "base_layer"):
        if wrapped in modules:
            yield from parameters(modules[wrapped], path)
            return
    for name, parameter in inside(module, "_parameters").items():
        yield Found(f"{path}.{name}", parameter, module)
    for name, child in modules.items():
        yield from parameters(child, f"{path}.{name}")


def is_loaded(parameter: object) -> bool:
    """Whether ``from_pretrained`` has marked it as loaded."""
    return read(parameter, "_is_hf_initialized") is True


def is_rewritten(found: Iterable[Found]) -> bool:
    """Whether every loaded parameter has been written to since, as by ``load_state_dict`` or full training."""
    writes = [_writes(one.parameter) for one in found if is_loaded(one.parameter)]
    return bool(writes) and min(writes) >= 1


def is_new(found: Found, *, rewritten: bool) -> Optional[bool]:
    """Say whether a parameter of a model with marks is new; ``None`` if that is not known.

    Args:
        found: The parameter.
        rewritten: Whether the loaded ones have been written to since: then this one may have been loaded by hand.
    """
    if is_loaded(found.parameter):
        return False
    siblings = inside(found.module, "_parameters").values()
    # Loading fills a module as a whole: where only this one has no mark, something has replaced it since.
    if any(is_loaded(sibling) for sibling in siblings) or _PARAMETRISED in found.path:
        return None
    if not is_plain(found.parameter) or read(found.parameter, "is_meta") is not False:  # offloaded ones are on meta
        return None
    writes = _writes(found.parameter)
    # What initialisation draws, it writes in place, and a constructor of torch once: data that came from elsewhere
    # need not be written at all, and what is written again may have been loaded by hand, or trained.
    most = 1 if rewritten or not _is_initialised(found.module) else _DRAWING
    return True if 1 <= writes <= most and not _has_learnt(found.module) else None


def is_plain(parameter: object) -> bool:
    """Whether this is a ``torch.nn.Parameter`` itself, no tensor subclass, and of a floating type."""
    plain = read(read(sys.modules.get("torch"), "nn"), "Parameter")
    return type(parameter) is plain and read(read(parameter, "dtype"), "is_floating_point") is True


def is_quantised(module: object) -> bool:
    """Whether a module cannot be trained whole because of how its weights are stored.

    bitsandbytes' layers fail or cannot be trained whatever their weights are. Other libraries put tensors of their own
    in place of the parameters.
    """
    return type(module).__module__.partition(".")[0] == "bitsandbytes" or not all(
        is_plain(parameter) for parameter in inside(module, "_parameters").values()
    )


def _writes(parameter: object) -> int:
    """Return how often torch has counted a write in place; 0 where it does not count (inference tensors)."""
    count = read(parameter, "_version")
    return count if isinstance(count, int) else 0


def _is_initialised(module: object) -> bool:
    """Whether transformers has initialised a module, which it marks, too, whatever came after."""
    return read(module, "_is_hf_initialized") is True


def _has_learnt(module: object) -> bool:
    """Whether the bias of a module that transformers has initialised is not as it was then: it starts with zeros.

    Measured on the new modules of all kinds in tests/fit/model_zoo.py.
    """
    bias: Any = inside(module, "_parameters").get("bias")
    # Another tensor than a plain one may be shared among ranks, and asking it would wait for them.
    if not is_plain(bias) or inside(module, "_modules") or not _is_initialised(module):
        return False
    try:
        return bool(bias.any())
    except Exception:  # without data (meta), or a device that has failed
        return False
