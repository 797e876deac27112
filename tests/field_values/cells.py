"""The cells: each right and each wrong value of each field of the PEFT that is imported here, and what is said to it.

What is right is read here from the annotations as a whole (``typing.get_type_hints`` of the class), apart from how the
package reads them.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import peft

import peft_strict
from peft_strict import InvalidFieldError, InvalidFieldWarning
from peft_strict.releases.fields import fields_of
from peft_strict.releases.source import installed

from ..ways_in.rows import registered_classes, tiny_lm

ANYTHING = (0, 1, 2, -1, 0.5, True, False, [], ["lm_head"], {"lm_head"}, ("lm_head",), {"lm_head": 1})
NOT_A_YES = ("False", "false", "no", "off", "0", "None", "none", "maybe", " False ")
A_YES = ("True", "true", "yes", "on", "1")
NO_MEMBER = ("nonsense", "nine", "")
NO_LIST = ("lm_head", "None", "all", "0")

NEEDED = {"AdaLoraConfig": {"total_step": 10}, "CPTConfig": {"task_type": "CAUSAL_LM"}}


class Field(NamedTuple):
    """A field of a class, with what its annotation is made of."""

    cls: type
    name: str
    default: object
    parts: tuple[Any, ...]

    @property
    def members(self) -> list[str]:
        """The texts that are declared."""
        found: list[str] = []
        for part in self.parts:
            if typing.get_origin(part) is typing.Literal:
                found += [word for word in typing.get_args(part) if isinstance(word, str)]
            elif _is_enum(part):
                found += [str(member.value) for member in part]
        return found

    @property
    def takes_none(self) -> bool:
        """Whether ``None`` is declared, or the default."""
        return type(None) in self.parts or self.default is None

    @property
    def declared(self) -> set[Any]:
        """The parts but for ``None``, lists without their items."""
        return {typing.get_origin(part) or part for part in self.parts} - {type(None)}


def _is_enum(part: object) -> bool:
    return isinstance(part, type) and issubclass(part, enum.Enum)


def fields() -> Iterator[Field]:
    """Yield every field of every registered class, and of the configs inside of configs."""
    pending = registered_classes()
    for cls in pending:
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            parts = typing.get_args(hints[field.name])
            is_union = type(None) in parts or "Union" in str(typing.get_origin(hints[field.name]))
            parts = parts if is_union else (hints[field.name],)
            pending += [part for part in parts if dataclasses.is_dataclass(part) and part not in pending]
            if field.init and field.name not in ("task_type", "peft_type"):
                yield Field(cls, field.name, field.default, parts)


def right(field: Field) -> Iterator[object]:
    """Yield values that nothing may be said to."""
    yield from ANYTHING
    if field.default is not dataclasses.MISSING:
        yield field.default
    yield from (word for word in field.members if "[" not in word)
    yield from (member for part in field.parts if _is_enum(part) for member in part)
    if field.takes_none or field.declared <= {bool, list, int, float, dict}:
        yield None
    if field.name == "init_lora_weights" and field.members:
        yield from ("pissa_niter_3", "pissa_niter_16", "lora_ga", "OLoRA", "Gaussian", "corda")
    if field.name == "bias":
        yield from ("none", "all", "lora_only", "boft_only", "any_only")
    if field.name == "mask_type":
        yield "mine"
    if not field.members and field.declared - {bool, list} and field.name != "bias":
        yield from (*NOT_A_YES, *A_YES, "")


def wrong(field: Field) -> Iterator[tuple[str, object]]:
    """Yield wrong values, with the code that each one must have."""
    if field.name == "mask_type":
        return
    if field.declared == {bool}:
        yield from (("F1", word) for word in NOT_A_YES)
        yield from (("F2", word) for word in (*A_YES, ""))
    elif field.members or field.name == "bias":
        yield from (("F1", word) for word in NO_MEMBER)
        yield from (("F1", word[:-1] + "$") for word in field.members)
        if not field.takes_none:
            yield "F2", None
    elif field.declared == {list}:
        yield from (("F1", word) for word in NO_LIST)
        yield "F2", ""


def said(action: Callable[[], object]) -> str:
    """Return ``F1`` or ``F2`` for what we say to an action, ``PEFT`` for what PEFT refuses, else nothing."""
    refused = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            action()
        except InvalidFieldError as error:
            return error.code
        except Exception:  # whatever PEFT raises
            refused = "PEFT"
    codes = [each.message.code for each in caught if isinstance(each.message, InvalidFieldWarning)]
    assert len(codes) <= 1, codes
    return codes[0] if codes else refused


def passed(field: Field, value: object) -> object:
    """Make a config with the value; of a config inside of a config, the one around it."""
    if field.cls in registered_classes():
        return field.cls(**{**NEEDED.get(field.cls.__name__, {}), field.name: value})
    part = field.cls(**{field.name: value})
    around = next(other.name for other in fields() if other.cls is peft.LoraConfig and field.cls in other.parts)
    return peft.LoraConfig(**{around: part})


def made(cls: type) -> Any:
    """Return a config of the class that a causal language model takes."""
    return cls(**{"task_type": "CAUSAL_LM", **NEEDED.get(cls.__name__, {})})


def met(field: Field, value: object, model: Any) -> object:
    """Give a config the value when it is made, and have it meet a model."""
    config = made(field.cls)
    setattr(config, field.name, value)
    return peft.PeftModel(model, config)


def apart() -> tuple[list[str], int]:
    """Return what is read of a field in the source but not of the live class, and how many fields are read alike.

    The source may say less: nothing where an annotation is put together elsewhere.
    """
    source, wrong, alike = installed().fields, [], 0
    for cls in registered_classes():
        live = fields_of(cls, peft.__version__)
        method = str(getattr(made(cls) if not said(lambda cls=cls: made(cls)) else None, "peft_type", None) or "")
        for name, kinds in source.parts_of_method(method.rpartition(".")[2]).items():
            hint = typing.get_type_hints(cls)[name]
            part = next(each for each in typing.get_args(hint) or (hint,) if dataclasses.is_dataclass(each))
            if kinds != fields_of(part, peft.__version__):
                wrong.append(f"{cls.__name__}.{name}: {kinds}")
        for name, kind in source.of_method(method.rpartition(".")[2]).items():
            alike += live.get(name) == kind
            if live.get(name) != kind:
                wrong.append(f"{cls.__name__}.{name}: {kind}, not {live.get(name)}")
    return wrong, alike


def table() -> dict[str, Any]:
    """Try all cells, with the defaults of ``enable()``.

    Returns:
        How many there are of each, and those that were answered in another way than they must be: a word to a right
        value (``alarms``), and none to a wrong one (``missed``). Classes that cannot be made here are ``unmade``.
        What `apart` says is in ``apart`` and ``declared``.
    """
    peft_strict.enable()
    model = tiny_lm()
    counts: Counter[str] = Counter()
    alarms, missed = [], []
    whole = registered_classes()
    unmade = [cls.__name__ for cls in whole if said(lambda cls=cls: made(cls))]
    for field in fields():
        cell = f"{field.cls.__name__}.{field.name}"
        for value in right(field):
            answer = said(lambda field=field, value=value: passed(field, value))
            counts["right"] += 1
            counts["right, refused by PEFT"] += answer == "PEFT"
            if answer not in ("", "PEFT"):
                alarms.append(f"{cell}={value!r}: {answer}")
        for code, value in wrong(field):
            ways: dict[str, Callable[[], object]] = {"passed": lambda field=field, value=value: passed(field, value)}
            if field.cls in whole:
                ways["met"] = lambda field=field, value=value: met(field, value, model)
            for way, action in ways.items():
                answer = said(action)
                counts[f"{code} {way}"] += 1
                counts[f"{code} {way}, refused by PEFT"] += answer == "PEFT"
                if answer not in (code, "PEFT"):
                    missed.append(f"{cell}={value!r} {way}: {answer or 'nothing'}")
    read, declared = apart()
    return {
        "peft": peft.__version__,
        "classes": len(whole),
        "counts": dict(counts),
        "alarms": alarms,
        "missed": missed,
        "unmade": unmade,
        "declared": declared,
        "apart": read,
    }
