"""What the fields of PEFT's configs are declared to hold, read from the live release, and what its code takes beyond.

Only what a text or ``None`` can be wrong for is told: a switch (declared ``bool``), a set of texts (``Literal`` or an
enum, also beside ``bool`` or ``str``), and a list. Every other field has no entry, and so has one whose annotation
cannot be resolved (a name that exists for type checkers only, or syntax that this Python lacks).

`dataclasses` hands the ``Field`` on to subclasses that do not declare it anew: this tells the class that does. Its
``Field.type`` is not asked: transformers' ``HfArgumentParser`` writes there what it has made of the declared type.
"""

from __future__ import annotations

import enum
import re
import sys
import types
import typing
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .live import is_own

if TYPE_CHECKING:
    import dataclasses
    from collections.abc import Iterator, Mapping

# The newest release that was verified. A newer one may take a text before its annotation says so.
NEWEST = "0.21.2"
UNKNOWN = f"this PEFT is newer than {NEWEST}, the newest that is known here"

MISSING = object()
SWITCH, TEXTS, LIST, NESTED = "switch", "texts", "list", "nested"

# These two have rules of their own.
_APART = frozenset({"task_type", "peft_type"})

# What PEFT's code takes beyond the annotation, by class (``*``: all) and field. Read in the sources of 0.2 to 0.21.2:
# - `LoraLayer.update_layer` and `reset_lora_parameters` (tuners/lora/layer.py) compare ``gaussian`` and ``olora`` in
#   lower case, whatever begins with ``corda`` is CorDA, and ``pissa_niter_16`` is in the annotation as a placeholder;
#   ``lora_ga`` is not in it, although the docs of 0.19 and later name it.
# - `HiraLayer` (tuners/hira/layer.py) compares ``gaussian`` in lower case, too.
# - Biases: all that ends in ``_only`` is the layer's own (`BaseTuner._mark_only_adapters_as_trainable`).
# - Shira: a mask of one's own goes by any name (`ShiraConfig.mask_fn`).
# - `MultitaskPromptEmbedding` builds on `PromptEmbedding`, which takes SAMPLE_VOCAB.
_BEYOND = {
    ("*", "init_lora_weights"): r"(?i:gaussian|olora)|corda.*|lora_ga|pissa_niter_\d+",
    ("HiraConfig", "init_weights"): r"(?i:gaussian)",
    ("*", "bias"): r".*_only",
    ("ShiraConfig", "mask_type"): r".*",
    ("MultitaskPromptTuningConfig", "prompt_tuning_init"): r"SAMPLE_VOCAB",
}
# 16 classes declare ``bias`` as `str` and name the texts in the help only: "Can be 'none', 'all' or 'boft_only'".
_QUOTED = re.compile(r"'(\w+)'")

_WORD = re.compile(r"\w+")
_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class Kind(NamedTuple):
    """What a field may hold, as far as a text or ``None`` is concerned.

    Attributes:
        form: ``"switch"``: only a bool. ``"texts"``: one of a set of texts. ``"list"``: only a list. ``"nested"``: a
            dataclass of PEFT's with fields of its own.
        texts: The texts of the set that can be written as they stand.
        takes_bool: Whether a bool is right as well.
        takes_none: Whether ``None`` is.
        takes_names: Whether the items of the list are texts.
        default: The default; `MISSING` where there is none or a factory.
        beyond: The pattern of the texts that PEFT takes although they are not declared, or ``None``.
        doubt: Why a text that is not in the set may be right all the same, as a clause; ``""`` where it is not.
    """

    form: str
    texts: tuple[str, ...] = ()
    takes_bool: bool = False
    takes_none: bool = False
    takes_names: bool = False
    default: object = MISSING
    beyond: Optional[str] = None
    doubt: str = ""


class Declared(NamedTuple):
    """What an annotation says: the texts in it, the names of its types, and whether ``None`` is one of them."""

    texts: tuple[str, ...]
    types: frozenset[str]
    none: bool
    names: bool = False


_known: weakref.WeakKeyDictionary[type, dict[str, Kind]] = weakref.WeakKeyDictionary()


def fields_of(cls: type, version: str) -> Mapping[str, Kind]:
    """Return what is declared of the fields of a dataclass of PEFT's, by name; read once a class.

    Args:
        cls: The class. Of a user's subclass, the fields that it inherits unchanged are told.
        version: The version of the PEFT that it is from.
    """
    try:
        known = _known.get(cls)
        if known is None:
            known = _known[cls] = dict(_kinds(cls, UNKNOWN if is_newer(version, NEWEST) else ""))
    except Exception:  # a class of the user's with a metaclass of its own, which may do anything: no opinion
        return {}
    return known


def is_newer(version: object, than: str) -> bool:
    """Whether one version of PEFT is newer than another; not if either cannot be read."""
    numbers, others = _numbers(version), _numbers(than)
    return numbers is not None and others is not None and numbers > others


def _numbers(version: object) -> Optional[tuple[int, ...]]:
    found = _NUMBERS.match(version) if isinstance(version, str) else None
    return tuple(int(number or 0) for number in found.groups()) if found else None


def _kinds(cls: type, doubt: str) -> Iterator[tuple[str, Kind]]:
    import dataclasses  # which PEFT has imported; `check`, which reads its source, does without

    own = next((base for base in cls.__mro__ if is_own(base)), object)
    fields: Mapping[str, dataclasses.Field[Any]] = getattr(own, "__dataclass_fields__", {})
    changed = {name for base in cls.__mro__ if not is_own(base) and base is not object for name in vars(base)}
    for name, field in fields.items():
        if name in changed or getattr(cls, "__dataclass_fields__", {}).get(name) is not field:
            continue
        home = [base for base in cls.__mro__ if getattr(base, "__dataclass_fields__", {}).get(name) is field][-1]
        declared = _declared(home, name)
        default = MISSING if field.default is dataclasses.MISSING else field.default
        kind = kind_of(own.__name__, name, declared, default, field.metadata.get("help"))
        if kind is not None:
            yield name, kind._replace(doubt=doubt)


def kind_of(owner: str, name: str, declared: Optional[Declared], default: object, help_text: object) -> Optional[Kind]:
    """Say what a field may hold, or ``None`` for a field that nothing is said of.

    Args:
        owner: The name of PEFT's config class.
        name: The name of the field.
        declared: What its annotation says, or ``None`` if that cannot be told.
        default: Its default.
        help_text: What PEFT says about it.
    """
    if declared is None or name in _APART:
        return None
    texts, kinds, none, names = declared
    if name == "bias" and kinds == {"str"} and not texts:
        texts = tuple(dict.fromkeys(_QUOTED.findall(help_text))) if isinstance(help_text, str) else ()
        if not {"none", "all"} <= set(texts):
            return None
    if texts:
        beyond = _BEYOND.get((owner, name)) or _BEYOND.get(("*", name))
        plain = tuple(text for text in texts if _WORD.fullmatch(text))
        return Kind(TEXTS, plain, "bool" in kinds, none, default=default, beyond=beyond)
    if kinds == {"bool"}:
        return Kind(SWITCH, takes_bool=True, takes_none=none, default=default)
    if kinds == {"list"}:
        return Kind(LIST, takes_none=none, takes_names=names, default=default)
    return Kind(NESTED) if "dataclass" in kinds else None


def _declared(home: type, name: str) -> Optional[Declared]:
    """Resolve the annotation of a field in the module of the class that it stands in."""
    try:
        holder: Any = types.SimpleNamespace(__annotations__={"field": home.__annotations__[name]})
        hint = typing.get_type_hints(holder, vars(sys.modules[home.__module__]))["field"]
        return _described(hint)
    except Exception:  # whatever evaluating it raises: names that are not there, syntax this Python lacks
        return None


def _described(hint: object) -> Declared:
    texts: list[str] = []
    kinds: set[str] = set()
    none = names = False
    for part in _parts(hint):
        origin = typing.get_origin(part)
        if part is None or part is type(None):
            none = True
        elif origin is typing.Literal:
            texts += [word for word in typing.get_args(part) if isinstance(word, str)]
            kinds |= {type(word).__name__ for word in typing.get_args(part) if word is not None} - {"str"}
            none = none or None in typing.get_args(part)
        elif isinstance(part, type) and issubclass(part, enum.Enum) and issubclass(part, str):
            texts += [str.__str__(member) for member in part]
        elif part is list or origin is list:
            kinds.add("list")
            names = names or typing.get_args(part) == (str,)
        elif isinstance(part, type) and hasattr(part, "__dataclass_fields__") and is_own(part):
            kinds.add("dataclass")
        else:
            kinds.add("bool" if part is bool else "str" if part is str else "other")
    return Declared(tuple(texts), frozenset(kinds), none, names)


def _parts(hint: object) -> Iterator[object]:
    """Yield the members of a union, or the one there is."""
    if typing.get_origin(hint) in (typing.Union, getattr(types, "UnionType", typing.Union)):
        for part in typing.get_args(hint):
            yield from _parts(part)
    else:
        yield hint
