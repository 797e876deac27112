"""What of a model may be lost: the parameters of its head, and which of them are new.

- Of classifiers the head is what stands beside the base model, and a pooler inside of it that ``forward`` reads.
- Of all other models it is what stands beside what was loaded and is new as a whole: heads for segmentation or
  forecasting, and what somebody has hung onto a loaded model or put beside one in a module of their own. Marks of
  transformers 5 have to show both.
- Of a module of the user's own that calls a model of transformers, it is the head of that one as well.

The base model is not walked, so the cost does not grow with the model.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple, Optional

from . import evidence, misfit
from .evidence import is_loaded, parameters
from .foreign import answer, attribute, inside
from .kinds import kinds_of
from .reach import units
from .source import attributes_in, forward_calls, forward_reads_pooled, forward_uses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A quantised or offloaded base may have lost some marks; one that has none among its first ones has none at all.
_ENOUGH = 64
_POOLER = "pooler"


class Head(NamedTuple):
    """The head of a model.

    Attributes:
        weights: Its parameters.
        marked: Whether the marks of transformers tell which of them are new.
        beside: Whether these are whole new modules beside what was loaded, not all that is outside of a base model.
    """

    weights: tuple[misfit.Weight, ...] = ()
    marked: bool = False
    beside: bool = False


def head_of(model: object, kinds: frozenset[str]) -> Head:
    """Return the head of a model of these kinds; an empty one where nothing is known. Never raises."""
    base = attribute(model, "base_model_prefix")
    children = inside(model, "_modules")
    if kinds & misfit.CLASSIFIERS and not kinds & misfit.GENERATORS and isinstance(base, str) and base in children:
        return _of_classifier(model, base)
    found = _beside_loaded(model, base if isinstance(base, str) else "", kinds)
    if kinds or type(model).__module__.partition(".")[0] == "torch":  # its wrappers are not the user's
        return found
    weights = (*found.weights, *_of_called(model))
    return Head(weights, marked=True, beside=True) if weights else found


def _of_called(model: object) -> Iterator[misfit.Weight]:
    """Yield what is new of the heads of the models of transformers that a module of the user's own calls."""
    for name, child in inside(model, "_modules").items():
        kinds, _ = kinds_of(type(child))
        head = head_of(child, kinds) if kinds else Head()
        if head.marked and head.weights and forward_calls(model, name):
            for weight in head.weights:
                if weight.fresh:
                    unit = weight.unit or weight.path.partition(".")[0]
                    yield weight._replace(path=f"{name}.{weight.path}", unit=f"{name}.{unit}")


def _of_classifier(model: object, base: str) -> Head:
    children = inside(model, "_modules")
    heads = {name: child for name, child in children.items() if name != base}
    saved = [unit for name, child in heads.items() for unit in units(child, name)]
    found = [one for name, child in heads.items() for one in parameters(child, name) if _unit(one, saved)]
    inner = list(itertools.islice(parameters(children[base], base), _ENOUGH))
    first = [*found, *inner]
    marked = any(is_loaded(one.parameter) for one in first)
    known = _known(model, first)
    if marked and not any(attribute(one.parameter, "is_meta") and not is_loaded(one.parameter) for one in found):
        weights = [_weight(one, evidence.is_new(one, known), saved) for one in found]
        return Head((*weights, *_pooler(model, base, known)), marked=True)
    fresh = _not_in_checkpoint(model)
    # Whatever the checkpoint had, such a head was filled or trained by other means.
    return Head(tuple(_weight(one, False if evidence.is_filled(one, inner, known) else fresh, saved) for one in found))


def _known(model: object, found: Sequence[evidence.Found]) -> evidence.Known:
    """Collect what is known of a model as a whole; ``found`` is some of its parameters."""
    return evidence.Known(
        rewritten=evidence.is_rewritten(found),
        named=attributes_in(type(model), "_init_weights"),
        spread=evidence.usual_spread(attribute(model, "config")),
    )


def _pooler(model: object, base: str, known: evidence.Known) -> Iterator[misfit.Weight]:
    """Yield the parameters of a new pooler in the base model whose output ``forward`` takes."""
    pooler = inside(inside(model, "_modules")[base], "_modules").get(_POOLER)
    found = list(parameters(pooler, f"{base}.{_POOLER}"))
    if found and _all_new(found, known) and forward_reads_pooled(model, base):
        yield from (_weight(one, True, [f"{base}.{_POOLER}"]) for one in found)


def _beside_loaded(model: object, base: str, kinds: frozenset[str]) -> Head:
    children = inside(model, "_modules")
    first = {name: list(itertools.islice(parameters(child, name), _ENOUGH)) for name, child in children.items()}
    seen = [one for found in first.values() for one in found]
    if not any(is_loaded(one.parameter) for one in seen):
        return Head()
    known = _known(model, seen)
    weights: list[misfit.Weight] = []
    embeddings: list[misfit.Weight] = []
    for name, child in children.items():
        if any(is_loaded(one.parameter) for one in first[name]):
            weights.extend(() if kinds else _pooler(model, name, known))
        elif name not in (base, _POOLER):
            found, saved = list(parameters(child, name)), list(units(child, name))
            trained = all(attribute(one.parameter, "requires_grad") is True for one in found)
            savable = all(_unit(one, saved) for one in found)
            if found and trained and savable and _all_new(found, known) and _counts(model, name, found, kinds):
                place = embeddings if _is_embedding(model, found) else weights
                place.extend(_weight(one, True, saved) for one in found)
    return Head((*weights, *embeddings) if weights else (), marked=True, beside=True)


def _counts(model: object, name: str, found: Sequence[evidence.Found], kinds: frozenset[str]) -> bool:
    """Whether it is a loss if a new module stays as it is.

    What the class itself has, ``forward`` has to use; a model without a head has nothing that its user need use. What
    was hung onto the model later (it has no mark of transformers' initialisation) is there to be used.
    """
    if _may_be_missing(model, found):
        return False
    if attribute(inside(model, "_modules")[name], "_is_hf_initialized") is not True:
        return True
    return misfit.HEADLESS not in kinds and forward_uses(model, name)


def _is_embedding(model: object, found: Sequence[evidence.Found]) -> bool:
    """Whether a module holds the input or output embedding.

    PEFT saves these by rules of its own, so that a new one alone is left to them. Beside another loss it is one, too.
    """
    modules = [one.module for one in found]
    return any(answer(model, name) in modules for name in ("get_input_embeddings", "get_output_embeddings"))


def _may_be_missing(model: object, found: Sequence[evidence.Found]) -> bool:
    """Whether the class says that these may be missing in a checkpoint."""
    patterns = attribute(model, "_keys_to_ignore_on_load_missing")
    try:
        return any(re.search(pattern, one.path) for pattern in patterns or () for one in found)
    except Exception:  # not patterns, or no list of them
        return True


def _all_new(found: Sequence[evidence.Found], known: evidence.Known) -> bool:
    return all(evidence.is_new(one, known) for one in found)


def _weight(found: evidence.Found, fresh: Optional[bool], saved: Sequence[str]) -> misfit.Weight:
    return misfit.Weight(found.path, fresh, evidence.is_quantised(found.module), _unit(found, saved))


def _unit(found: evidence.Found, saved: Sequence[str]) -> str:
    """Return the module to save a parameter with; ``""`` for one that PEFT cannot save."""
    return next((unit for unit in saved if found.path.startswith(f"{unit}.")), "")


def _not_in_checkpoint(model: object) -> Optional[bool]:
    """Whether the checkpoint was saved from another class than this one, so that it has no head for it."""
    classes = attribute(attribute(model, "config"), "architectures")
    if not isinstance(classes, (list, tuple)) or not classes:
        return None
    names = {base.__name__ for base in type(model).__mro__}
    return names.isdisjoint(name for name in classes if isinstance(name, str))
