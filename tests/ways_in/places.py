"""The places in PEFT that we look at, where one that had moved would silence a look instead of failing.

What `live_release` needs is not here: where that has moved, PEFT is not guarded, and says so.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Optional

from .rows import lora, release, tiny_lm


class Place(NamedTuple):
    """One place.

    Attributes:
        says: What is there.
        since: The first PEFT that has it; on older ones it must not be found.
        look: Finds it in the way that peft-strict does. Gets a ``PeftModel`` with a LoRA adapter.
    """

    says: str
    since: tuple[int, ...]
    look: Callable[[Any], object]


def moved() -> list[str]:
    """Return what is not where it is declared to be on the installed PEFT, or is where it is declared not to be."""
    model = example()
    return [told for place in PLACES if (told := judged(place, model))]


def judged(place: Place, model: Any) -> str:
    """Return what has become of a place, or ``""`` if all is as declared."""
    found = bool(place.look(model))
    if found is (release()[: len(place.since)] >= place.since):
        return ""
    return f"{place.says}: {'there' if found else 'not there'}"


def example() -> Any:
    """Return a model with an adapter."""
    import peft

    return peft.get_peft_model(tiny_lm(), lora(task_type="CAUSAL_LM"))


def _held(module: str, name: str) -> Callable[[Any], object]:
    return lambda _model: getattr(sys.modules.get(module), name, None)


def _uses(method: str, function: str) -> Callable[[Any], bool]:
    """Return the look for a method of ``PeftModel`` that takes a function from its own module, where we wrap it."""

    def look(_model: Any) -> bool:
        import peft

        return function in _names(method) and hasattr(sys.modules[peft.PeftModel.__module__], function)

    return look


def _names(method: str) -> tuple[str, ...]:
    """Return the names in the code of a method of ``PeftModel``; none if there is no such method."""
    import peft

    held = getattr(peft.PeftModel, method, None)
    code = getattr(inspect.unwrap(getattr(held, "__func__", held)), "__code__", None)
    return (*code.co_names, *code.co_varnames) if code is not None else ()


def _inventory(model: Any) -> Optional[set[str]]:
    """Return the names in the file of the tensors that the look at save finds; ``None`` before 0.5."""
    from peft_strict.releases import adapters
    from peft_strict.roundtrip import inventory

    kinds = adapters.layers()
    if kinds is None:
        return None
    held = inventory.take(model, "default", kinds).held
    return {adapters.saved_name(each.name("default"), "default") for each in held}


def _file_names(model: Any) -> bool:
    from peft_strict.releases import adapters

    home = adapters.home(adapters.SAVE)
    return home is not None and _inventory(model) == set(home.get_peft_model_state_dict(model))


def _answers(model: Any) -> bool:
    from peft_strict.releases import adapters

    home = adapters.home(adapters.LOAD)
    if home is None:
        return False
    answer = home.set_peft_model_state_dict(model, home.get_peft_model_state_dict(model))
    return hasattr(answer, "missing_keys") and not answer.unexpected_keys


def _layer(model: Any) -> Any:
    return model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")


def _is_adapted(model: Any) -> bool:
    from peft_strict.fit import tree

    return tree.is_adapted(_layer(model))


def _inner(model: Any) -> bool:
    import torch

    from peft_strict.fit import tree

    return type(tree.inner(_layer(model))) is torch.nn.Linear


def _warns_of_missing(model: Any) -> bool:
    from peft_strict.releases import adapters

    return adapters.warns_of_missing(type(model).from_pretrained)


def _warns_of_hollow(_model: Any) -> bool:
    from peft_strict.releases import adapters

    return adapters.warns_of_hollow("LORA")


def _excludes_saved(_model: Any) -> bool:
    from peft_strict.releases import adapters

    return adapters.excludes_saved()


def _given_names(model: Any) -> bool:
    from peft_strict.releases.live import added_reach_always

    return bool(_held("peft.utils.other", "_set_trainable")(model)) and not added_reach_always()


def _mark(_model: Any) -> bool:
    from peft_strict.releases.marks import marks

    return marks(["LORA"]) == {"LORA": "lora_"}


def _meanings(_model: Any) -> object:
    import peft

    from peft_strict.releases.live import meanings

    return meanings(peft.TaskType)


def _field(name: str, form: str) -> Callable[[Any], bool]:
    def look(_model: Any) -> bool:
        import peft

        from peft_strict.releases.fields import fields_of

        kind = fields_of(peft.LoraConfig, peft.__version__).get(name)
        return kind is not None and kind.form == form

    return look


PLACES = (
    Place("what PEFT saves goes through get_peft_model_state_dict", (0, 5), _file_names),
    Place("save_pretrained calls it by its name", (0, 2), _uses("save_pretrained", "get_peft_model_state_dict")),
    Place("set_peft_model_state_dict returns what found no place", (0, 5), _answers),
    Place("load_adapter calls it by its name", (0, 3), _uses("load_adapter", "set_peft_model_state_dict")),
    Place("from_pretrained warns of what got no value", (0, 14), _warns_of_missing),
    Place("PEFT warns of matrices without elements", (0, 21), _warns_of_hollow),
    Place("load_adapter gets model_id", (0, 3), lambda _: "model_id" in _names("load_adapter")),
    Place("from_pretrained gets model_id", (0, 2), lambda _: "model_id" in _names("from_pretrained")),
    Place("AutoPeftModel loads", (0, 4), _held("peft.auto", "_BaseAutoPeftModel")),
    Place("a layer says where its tensors are", (0, 6), lambda model: hasattr(_layer(model), "adapter_layer_names")),
    Place("modules trained whole", (0, 3), _held("peft.utils.other", "ModulesToSaveWrapper")),
    Place("other wrappers around modules", (0, 15), _held("peft.utils.other", "AuxiliaryTrainingWrapper")),
    Place("a layer with an adapter is told by its class", (0, 2), _is_adapted),
    Place("the layer under an adapter", (0, 7), _inner),
    Place("modules to save count as excluded", (0, 16), _excludes_saved),
    Place("_set_trainable gets the names of modules to save", (0, 15), _given_names),
    Place("the mark of a method's tensors", (0, 7), _mark),
    Place("the meanings of the task types", (0, 8), _meanings),
    Place("a field that is a switch", (0, 2), _field("fan_in_fan_out", "switch")),
    Place("a field that has a set of texts", (0, 2), _field("bias", "texts")),
)
