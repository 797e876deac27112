"""What is known about PEFT releases: how an adapter lies in a model, and what its save and load pass through.

Read in the sources of PEFT 0.5.0 to 0.21.2:

- All ways of saving pass through ``get_peft_model_state_dict(model, state_dict, adapter_name, ...)`` and all but
  transformers' own loading (since 5.0) through ``set_peft_model_state_dict(model, peft_model_state_dict,
  adapter_name, ...)``, both defined in ``peft.utils.save_and_load``. The first returns what will be written under the
  names of the file, the second what ``load_state_dict(strict=False)`` returned, since 0.5.
- A layer with adapters is a ``BaseTunerLayer``. It keeps the tensors of each adapter in dicts of modules, parameters
  or buffers, by adapter name; ``adapter_layer_names`` names those dicts, since 0.6. Where a method has nothing to put
  there (IA3 feed-forward, a bias that is off) the dict has no such entry.
- A module that is trained whole is in a ``ModulesToSaveWrapper``, in ``modules_to_save`` by adapter name, and is saved
  without that part of its path. Selected tokens (0.15) are in the ``token_adapter`` of a ``TrainableTokensWrapper``.
- The names in the file are those of the model without ``.<adapter name>``; PEFT takes it out of the whole name.
- ``PeftModel.from_pretrained`` warns of the parameters that got no value, since 0.14.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

if TYPE_CHECKING:
    import types
    from collections.abc import Sequence

SAVE, LOAD = "get_peft_model_state_dict", "set_peft_model_state_dict"
_HOME = "peft.utils.save_and_load"
_WARNS_OF_MISSING = "Found missing adapter keys"  # how the warning of `from_pretrained` starts
# Of these methods a good tensor may have no elements: pruning may leave no rank in a layer, a sparse part may have no
# entries, what is kept may be all of a matrix, and a list of tokens may be empty.
MAY_BE_EMPTY = ("ADALORA", "FROD", "OSF", "TRAINABLE_TOKENS")
# The dicts of LoRA's tensors for an embedding, which are the entries in them.
OF_EMBEDDINGS = ("lora_embedding_A", "lora_embedding_B")
# The dicts of the methods that PEFT 0.5 had, which does not name them.
_FIRST_DICTS = ("lora_A", "lora_B", "lora_E", "lora_embedding_A", "lora_embedding_B", "ia3_l")


class Layers(NamedTuple):
    """The classes that tell the parts of an adapter from those of the model.

    Attributes:
        tuner_layer: ``BaseTunerLayer``.
        whole: ``ModulesToSaveWrapper``.
        auxiliary: The base of it and of other wrappers around modules (since 0.15), or the same class.
    """

    tuner_layer: type
    whole: type
    auxiliary: type


def layers() -> Optional[Layers]:
    """Return these classes of the PEFT that is imported now; ``None`` before 0.5, which has no common one."""
    tuners, other = sys.modules.get("peft.tuners.tuners_utils"), sys.modules.get("peft.utils.other")
    tuner_layer = getattr(tuners, "BaseTunerLayer", None)
    whole = getattr(other, "ModulesToSaveWrapper", None)
    if tuner_layer is None or whole is None:
        return None
    return Layers(tuner_layer, whole, getattr(other, "AuxiliaryTrainingWrapper", whole))


def home(name: str) -> Optional[types.ModuleType]:
    """Return the module that defines `SAVE` or `LOAD`; ``None`` where adapters cannot be looked at (before 0.5)."""
    home = sys.modules.get(_HOME)
    return home if layers() is not None and callable(getattr(home, name, None)) else None


def adapter_dicts(layer: Any) -> Sequence[str]:
    """Return the names of the dicts in which a layer keeps what is trained of its adapters."""
    names = getattr(layer, "adapter_layer_names", None)
    return _FIRST_DICTS if not names else tuple(names)


def parts_of_layers(config: object) -> tuple[str, ...]:
    """Return the names of modules that PEFT puts into each layer it adapts, which ``modules_to_save`` may reach, too.

    These are the layer itself (since 0.7) and its dropout, which is called like its field: adapters go in first.
    Not named: what single methods have besides (``lora_A``, ``hra_u``).
    """
    if not getattr(config, "target_modules", None):
        return ()
    tuner_layer = getattr(sys.modules.get("peft.tuners.tuners_utils"), "BaseTunerLayer", None)
    fields = getattr(type(config), "__dataclass_fields__", ())
    dropouts = [
        name for name in fields if name.endswith("_dropout") and name not in ("module_dropout", "rank_dropout")
    ]
    return (*(["base_layer"] if hasattr(tuner_layer, "get_base_layer") else []), *dropouts)


def warns_of_missing(from_pretrained: Any) -> bool:
    """Whether this ``PeftModel.from_pretrained`` itself warns of parameters without a value."""
    code = getattr(getattr(from_pretrained, "__func__", from_pretrained), "__code__", None)
    return any(isinstance(text, str) and text.startswith(_WARNS_OF_MISSING) for text in getattr(code, "co_consts", ()))


def excludes_saved() -> bool:
    """Whether PEFT takes modules that are saved whole for excluded ones, and so does not warn: since 0.16."""
    function = getattr(sys.modules.get("peft.tuners.tuners_utils"), "check_target_module_exists", None)
    return "modules_to_save" in getattr(getattr(function, "__code__", None), "co_consts", ())


def saved_name(name: str, adapter: str) -> str:
    """Return the name that a tensor of an adapter has in the file."""
    return name.replace("modules_to_save.", "").replace(f".{adapter}", "")


def is_wrapped(model: Any) -> bool:
    """Whether this is a ``PeftModel``."""
    return isinstance(model, getattr(sys.modules.get("peft"), "PeftModel", ()))


def warns_of_hollow(method: str) -> bool:
    """Whether PEFT warns of matrices without elements in what it took from the model itself: LoRA's, since 0.21."""
    return hasattr(sys.modules.get(_HOME), "_validate_lora_adapter_state_dict") and method in ("LORA", "ADALORA")
