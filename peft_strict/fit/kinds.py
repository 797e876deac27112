"""What kind of model a class is, from transformers' own registries.

Every ``MODEL_*_NAMES`` that exists in ``transformers.models.auto.modeling_auto`` counts (read in 4.30, 4.40, 4.57 and
5.23: they come and go), by a rule on its name, and so do the classes registered with ``AutoModel*.register``.
transformers is never imported here.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from . import misfit
from .foreign import attribute

if TYPE_CHECKING:
    import types
    from collections.abc import Iterable, Iterator, Mapping

_NAME = re.compile(r"MODEL_(?:FOR_)?(?P<task>\w*?)_?(?:MAPPING_NAMES|MAPPING|NAMES)")
# First match wins. PRETRAINING and WITH_LM_HEAD are catch-alls and say nothing.
_RULES = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"PRETRAINING|WITH_LM_HEAD", None),
        (r"|TEXT_ENCODING|IMAGE", misfit.HEADLESS),
        (r"CAUSAL_LM", misfit.CAUSAL_LM),
        (r"SEQ_TO_SEQ_CAUSAL_LM", misfit.SEQ_2_SEQ_LM),
        (r"MASKED_LM", misfit.MASKED_LM),
        (r"IMAGE_TEXT_TO_TEXT|VISION_2_SEQ|MULTIMODAL_LM", misfit.MULTIMODAL),
        (r"SPEECH_SEQ_2_SEQ", misfit.SPEECH),
        (r"ZERO_SHOT_IMAGE_CLASSIFICATION", misfit.DUAL),
        (r"SEQUENCE_CLASSIFICATION", misfit.SEQ_CLS),
        (r"TOKEN_CLASSIFICATION", misfit.TOKEN_CLS),
        (r"(DOCUMENT_)?QUESTION_ANSWERING", misfit.QUESTION_ANS),
        (r"\w+_(CLASSIFICATION|QUESTION_ANSWERING|XVECTOR)", misfit.OTHER_CLS),
        (r"MULTIPLE_CHOICE|NEXT_SENTENCE_PREDICTION|CTC", misfit.OTHER_CLS),
        (r"\w+", misfit.OTHER),
    )
)


class _Registries(NamedTuple):
    """transformers' registries, by kind.

    Attributes:
        module: The ``modeling_auto`` they were read from.
        tables: The dicts from model type to class name.
        live: The lazy mappings, which hold what users registered.
        size: How many entries the tables had.
        by_name: The kinds of each class name.
    """

    module: types.ModuleType
    tables: tuple[tuple[str, Mapping[str, Any]], ...]
    live: tuple[tuple[str, Any], ...]
    size: int
    by_name: Mapping[str, frozenset[str]]


_cache: Optional[_Registries] = None


def kind_of_registry(name: str) -> Optional[str]:
    """Return the kind of the models in this registry; ``None`` if it is no registry, or one that says nothing."""
    found = _NAME.fullmatch(name)
    return next(kind for pattern, kind in _RULES if pattern.fullmatch(found["task"])) if found else None


def kinds_of(cls: type) -> tuple[frozenset[str], bool]:
    """Return what the model class is, and whether it is that itself; empty for what is not a model of transformers.

    The first class of the MRO that is in a registry, by its name or because it was registered, gives all the kinds it
    is listed under. A model without a head counts as one only if it is nothing else. Remote code
    (``transformers_modules``) has no kind of its own, although loading it through an ``AutoModel`` registers it.
    """
    registries = _registries()
    if registries is None or "transformers" not in map(library_of, cls.__mro__):
        return frozenset(), False
    registered = _registered(registries)
    for base in cls.__mro__:
        if library_of(base) != "transformers_modules":
            kinds = registries.by_name.get(base.__name__, frozenset()) | registered.get(base, frozenset())
            if kinds:
                return (kinds - {misfit.HEADLESS}) or kinds, base is cls
    return frozenset(), False


def auto_class(config: object, kinds: Iterable[str]) -> Optional[str]:
    """Return the name of the ``AutoModel`` class that loads a model of the first of these kinds for such a config.

    Args:
        config: A model's config; its class is looked for in the registries.
        kinds: The kinds that are right, the best one first.

    Returns:
        A name such as ``AutoModelForCausalLM``; ``None`` where transformers has no such model.
    """
    registries = _registries()
    if registries is None:
        return None
    for kind in kinds:
        for other, mapping in registries.live:
            if other == kind and type(config) in mapping:
                classes = [cls for cls in vars(registries.module).values() if isinstance(cls, type)]
                return next((cls.__name__ for cls in classes if vars(cls).get("_model_mapping") is mapping), None)
    return None


def library_of(thing: object) -> str:
    """Return the name of the outermost package that a class or function says it is of."""
    return str(attribute(thing, "__module__")).partition(".")[0]


def _registries() -> Optional[_Registries]:
    """Return the registries of the imported transformers; read again when a table has grown."""
    global _cache
    module = sys.modules.get("transformers.models.auto.modeling_auto")
    if module is None:
        return None
    cached = _cache
    if cached is None or cached.module is not module or cached.size != sum(len(table) for _, table in cached.tables):
        _cache = cached = _gathered(module)
    return cached


def _gathered(module: types.ModuleType) -> _Registries:
    named = [
        (kind, value)
        for name, value in list(vars(module).items())
        if name.startswith("MODEL_") and (kind := kind_of_registry(name)) is not None
    ]
    live = tuple((kind, value) for kind, value in named if hasattr(value, "_extra_content"))
    tables = tuple(
        (kind, value) for kind, value in named if isinstance(value, dict) and not hasattr(value, "_extra_content")
    )
    by_name: dict[str, frozenset[str]] = {}
    for kind, table in tables:
        alone = frozenset({kind})
        for name in _flat(table.values()):
            by_name[name] = by_name[name] | alone if name in by_name else alone
    return _Registries(module, tables, live, sum(len(table) for _, table in tables), by_name)


def _registered(registries: _Registries) -> dict[object, frozenset[str]]:
    """Return the kinds of the classes that users registered; read each time, there are few."""
    found: dict[object, frozenset[str]] = {}
    for kind, mapping in registries.live:
        for cls in _flat(list(mapping._extra_content.values())):
            found[cls] = found.get(cls, frozenset()) | {kind}
    return found


def _flat(entries: Any) -> Iterator[Any]:
    for entry in entries:
        yield from entry if isinstance(entry, (tuple, list)) else (entry,)
