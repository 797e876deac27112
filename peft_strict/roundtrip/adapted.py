"""What the looks at save and at load both ask of a model with adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from ..releases import adapters
from . import wrappers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .inventory import Held

FRONT = "base_model.model."  # in the names of a `PeftModel`, before those of the base model
# Saves what other adapters bring, in a way of its own.
_EXEMPT = ("XLORA",)


def config_of(model: Any, adapter: str) -> Any:
    """Return the config of an adapter, or ``None``."""
    configs = getattr(model, "peft_config", None)
    return configs.get(adapter) if isinstance(configs, dict) else None


def member(config: Any, field: str) -> str:
    """Return the text of a field that holds a member of an enum; ``""`` for ``None``."""
    return str.__str__(getattr(config, field, None) or "").rpartition(".")[2]


def is_exempt(config: Any) -> bool:
    """Whether what is written of such an adapter is not what it has in the model: soft prompts, X-LoRA."""
    return getattr(config, "is_prompt_learning", False) or member(config, "peft_type") in _EXEMPT


def base_of(model: Any) -> Any:
    """Return the base model; the model itself where adapters were injected into it."""
    return getattr(model.base_model, "model", model.base_model) if adapters.is_wrapped(model) else model


def listed(config: Any) -> Optional[tuple[str, ...]]:
    """Return the ``modules_to_save`` of a config or model; ``None`` where it has no such thing."""
    if not hasattr(config, "modules_to_save"):
        return None
    names = config.modules_to_save
    return tuple(names) if isinstance(names, (list, tuple, set)) else ()


def saved_names(held: Sequence[Held], adapter: str) -> tuple[str, ...]:
    """Return the names that tensors of an adapter have in its file."""
    return tuple(dict.fromkeys(wrappers.strip(adapters.saved_name(each.name(adapter), adapter)) for each in held))


def has_own_state_dict(model: Any) -> bool:
    """Whether somebody has put a ``state_dict`` onto this very model, as training scripts did for PEFT 0.2."""
    return "state_dict" in model.__dict__
