"""Which parameters of a live model are new, as far as that can be known.

transformers >= 5 sets ``_is_hf_initialized`` on each parameter that ``from_pretrained`` loads, and only there
(measured: not on models built from a config; kept by ``.to``, ``resize_token_embeddings``, pickling and device maps,
dropped everywhere by ``deepcopy``). A missing mark alone proves nothing: whatever puts another parameter in the place
of a loaded one drops it (quanto, ``torchao.quantize_``, parametrisations, ``load_state_dict(assign=True)``), and what
was drawn may have been filled by hand since. So a parameter counts as new only if it is plainly one as it was made and
initialised, and else as unknown: torch counts the writes in place, but not those through ``.data``, so that its values
have to be such as are drawn, too. Not seen: values that are filled in through ``.data`` and look like that.

Nothing here raises: models are foreign code, so each access is guarded.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .foreign import attribute, inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PARAMETRISED = ".parametrizations."
# How often transformers writes to what it draws, at most, where a class does more than is usual (measured over all
# classes that `tests.fit` builds).
_DRAWING = 3
# Up to torch 2.11 at least, a draw from a truncated normal distribution writes this often in place of once.
_TRUNCATED = 5
# A constructor of torch writes once, and so does the initialisation of transformers 5.
_BY_CONFIG = 2
_ROWS = 64  # of a matrix are looked at: one over a vocabulary is too large to be squared
_DEVIATIONS = 5  # how far from its expectation the spread of what was drawn may be


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


class Known(NamedTuple):
    """What is known of a model as a whole.

    Attributes:
        rewritten: Whether the loaded parameters have been written to since: then others may have been loaded by hand.
        named: What ``_init_weights`` of its class names, and so may draw in a way of its own.
        spread: The standard deviation that transformers draws weights with by default for its config.
    """

    rewritten: bool = False
    named: frozenset[str] = frozenset()
    spread: Optional[float] = None


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
    return attribute(parameter, "_is_hf_initialized") is True


def is_rewritten(found: Iterable[Found]) -> bool:
    """Whether every loaded parameter has been written to since, as by ``load_state_dict`` or full training."""
    writes = [_writes(one.parameter) for one in found if is_loaded(one.parameter)]
    return bool(writes) and min(writes) >= 1


def is_new(found: Found, known: Known) -> Optional[bool]:
    """Say whether a parameter of a model with marks is new; ``None`` if that is not known."""
    if is_loaded(found.parameter):
        return False
    siblings = inside(found.module, "_parameters").values()
    # Loading fills a module as a whole: where only this one has no mark, something has replaced it since.
    if any(is_loaded(sibling) for sibling in siblings) or _PARAMETRISED in found.path:
        return None
    if (
        not is_plain(found.parameter) or attribute(found.parameter, "is_meta") is not False
    ):  # offloaded ones are on meta
        return None
    plain = filter(is_plain, (found.parameter, *siblings))
    written = all(_is_as_written(found._replace(parameter=sibling), known) for sibling in plain)
    return True if written and not has_learnt(found.module) and _looks_drawn(found, known) else None


def is_filled(found: Found, base: Sequence[Found], known: Known) -> bool:
    """Say whether a parameter of a model without marks has been filled or trained since it was made.

    ``from_pretrained`` writes less often to what it draws than to what it loads, or to neither; a copy has no writes
    at all (measured with transformers 4.40 and 4.57, and with 5.23 after ``deepcopy``). What comes from a config alone
    is written to as often in the head as in the base, but so is a head that was filled after loading with
    transformers 4.40: only with transformers 5 does the number tell them apart.

    Args:
        found: A parameter of the head.
        base: Some parameters of the base model.
        known: What is known of the model.
    """
    every = (found.parameter, *inside(found.module, "_parameters").values())
    plain = [one for one in every if is_plain(one) and attribute(one, "is_meta") is False]  # the others hold nothing
    alike = [one.parameter for one in base if type(one.module) is type(found.module)]
    least = min((_writes(one) for one in alike if is_plain(one)), default=0)
    if not all(_is_as_made(_writes(one), least, found.module) for one in plain):
        return True
    return has_learnt(found.module) or (bool(plain) and not _looks_drawn(found, known))


def _is_as_made(writes: int, least: int, module: object) -> bool:
    """Whether the head was written to as often as it is before anybody fills it, next to the base's ``least``."""
    if not _is_initialised(module):  # put in later: its constructor has drawn it
        return writes <= 1
    return writes < least or writes == least == 0 or (writes == least == _BY_CONFIG and _draws_in_place())


def _draws_in_place() -> bool:
    """Whether the transformers that is imported writes in place to what it draws, as transformers 5 does."""
    version = attribute(sys.modules.get("transformers"), "__version__")
    return isinstance(version, str) and not version.startswith("4.")


def usual_spread(config: object) -> Optional[float]:
    """Return the standard deviation of new weights as ``PreTrainedModel._init_weights`` reads it (in 5.23)."""
    for name in ("initializer_range", "init_std", "initializer_factor"):
        if isinstance(spread := attribute(config, name), (int, float)):
            return spread or None
    return None


def _is_as_written(found: Found, known: Known) -> bool:
    """Whether a parameter was written to as often as initialisation does.

    What initialisation draws, it writes in place, and a constructor of torch once: data that came from elsewhere need
    not be written at all, and what is written again may have been loaded by hand, or trained.
    """
    writes, bias = _writes(found.parameter), inside(found.module, "_parameters").get("bias")
    if writes <= 1 or known.rewritten or not _is_initialised(found.module):
        return writes == 1
    if writes >= _TRUNCATED and _truncates_in_place() and _is_zero(bias, found.module):
        writes -= _TRUNCATED - 1
    # Some classes draw twice: all of a module, or what they name.
    return writes == 1 or (writes <= _DRAWING and (_writes(bias) == writes or _is_named(found, known)))


def _truncates_in_place() -> bool:
    """Whether ``trunc_normal_`` of the torch that is imported writes to the weights in each step of it."""
    initialisation = attribute(attribute(sys.modules.get("torch"), "nn"), "init")
    code = attribute(attribute(initialisation, "_no_grad_trunc_normal_"), "__code__")
    return "erfinv_" in (attribute(code, "co_names") or ())


def _is_named(found: Found, known: Known) -> bool:
    return not known.named.isdisjoint(found.path.split(".")[:-1])


def is_plain(parameter: object) -> bool:
    """Whether this is a ``torch.nn.Parameter`` itself, no tensor subclass, and of a floating type."""
    plain = attribute(attribute(sys.modules.get("torch"), "nn"), "Parameter")
    return type(parameter) is plain and attribute(attribute(parameter, "dtype"), "is_floating_point") is True


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
    count = attribute(parameter, "_version")
    return count if isinstance(count, int) else 0


def _is_initialised(module: object) -> bool:
    """Whether transformers has initialised a module, which it marks, too, whatever came after."""
    return attribute(module, "_is_hf_initialized") is True


def has_learnt(module: object) -> bool:
    """Whether the bias of a module that transformers has initialised is not as it was then: it starts with zeros.

    Measured on the new modules of all kinds in tests/fit/model_zoo.py.
    """
    return _is_initialised(module) and _is_zero(inside(module, "_parameters").get("bias"), module) is False


def _is_zero(bias: Any, module: object) -> Optional[bool]:
    """Whether the bias of a layer is all zeros; ``None`` where there is none, or it cannot be read."""
    # Another tensor than a plain one may be shared among ranks, and asking it would wait for them.
    if not is_plain(bias) or inside(module, "_modules"):
        return None
    try:
        values = _values(bias)
        return not values.any() if values.numel() else None
    except Exception:  # without data (meta), or a device that has failed
        return None


def _values(parameter: Any) -> Any:
    """Return the values of a parameter that this process has.

    DeepSpeed (ZeRO-3) leaves the parameter itself without elements, and keeps a part of them in each process, with
    something behind the last that is none of them (``ds_tensor``, read in 0.19).

    Raises:
        Exception: of any kind, for a parameter that neither has values nor a part of them here.
    """
    if parameter.numel():
        return parameter.detach()
    part = parameter.ds_tensor.detach()
    return part[: max(parameter.ds_numel - part.numel() * parameter.ds_zero_partition_rank, 0)]


def _looks_drawn(found: Found, known: Known) -> bool:
    """Whether the weights of a linear layer are such as are drawn, where no bias of zeros shows it.

    Those of other modules count as such. torch draws them evenly below a bound, and transformers around zero: either
    has one spread.
    """
    weight: Any = inside(found.module, "_parameters").get("weight")
    linear = attribute(attribute(sys.modules.get("torch"), "nn"), "Linear")
    if type(found.module) is not linear or _is_zero(inside(found.module, "_parameters").get("bias"), found.module):
        return True
    initialised = _is_initialised(found.module)
    if not is_plain(weight) or (initialised and (known.spread is None or _is_named(found, known))):
        return True
    try:
        columns = found.module.in_features
        expected = known.spread if initialised else 1 / math.sqrt(3 * columns)
        sample = _values(weight).flatten()[: _ROWS * columns]
        spread = sample.float().pow(2).mean().sqrt().item()
        return bool(abs(spread / expected - 1) <= _DEVIATIONS / math.sqrt(2 * sample.numel()))
    except Exception:  # without data (on meta, or all of it in other processes), or a device that has failed
        return False
