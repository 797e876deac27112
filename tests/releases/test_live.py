"""What is known about PEFT, checked on the installed release. Every release: ``python -m tests.matrix``."""

from __future__ import annotations

import enum
import gc
import importlib.metadata
import sys
import threading
import types
from dataclasses import dataclass
from typing import Any

import peft
import pytest
import transformers
from peft.tuners.tuners_utils import BaseTuner

from peft_strict.releases.live import added_modules, imported, instance_dict, is_own, live_release, meanings

from ..ways_in.rows import entry, lora, tiny_classifier, tiny_lm

RELEASE = live_release()


def all_subclasses(cls: type) -> set[type]:
    return {cls}.union(*(all_subclasses(sub) for sub in cls.__subclasses__()))


def test_the_parts_of_the_release() -> None:
    """Each part is PEFT's own object."""
    assert RELEASE.module is peft
    assert RELEASE.version == peft.__version__ == importlib.metadata.version("peft")
    assert RELEASE.task_type is peft.TaskType
    assert RELEASE.config_base is peft.config.PeftConfigMixin
    assert RELEASE.configs is peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING
    assert RELEASE.peft_model is peft.PeftModel
    assert RELEASE.mixed_model is peft.PeftMixedModel


def test_the_task_mapping_is_the_one_that_is_read() -> None:
    """``get_peft_model`` looks the task type up in the very module whose mapping is patched."""
    assert peft.get_peft_model.__globals__ is vars(RELEASE.tasks_module)
    assert RELEASE.tasks is RELEASE.tasks_module.MODEL_TYPE_TO_PEFT_MODEL_MAPPING
    assert set(RELEASE.tasks) == set(peft.TaskType)


def test_supported() -> None:
    """The task types, in PEFT's order, as plain texts."""
    assert RELEASE.supported == tuple(member.value for member in peft.TaskType)
    assert {type(name) for name in RELEASE.supported} == {str}


def test_every_config_class_is_found() -> None:
    """Every registered class and every subclass of the base there is, each once, the registered ones first."""
    found = list(RELEASE.config_classes())
    assert len(found) == len(set(found))
    assert found[: len(set(RELEASE.configs.values()))] == list(dict.fromkeys(RELEASE.configs.values()))
    assert set(found) == all_subclasses(peft.config.PeftConfigMixin) | set(RELEASE.configs.values())
    in_modules = {
        value
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "peft"
        for value in list(vars(module).values())
        if isinstance(value, type) and issubclass(value, peft.config.PeftConfigMixin)
    }
    assert in_modules <= set(found)


def test_a_registered_class_of_another_kind_is_left_alone() -> None:
    """A config class derives from PEFT's; whatever else a user registers is none, be it a class or not."""

    class Mine:
        pass

    with entry(RELEASE.configs, "MINE", Mine), entry(RELEASE.configs, "ODD", "no class"):
        found = list(RELEASE.config_classes())
    assert Mine not in found
    assert "no class" not in found


def test_every_tuner_with_an_init_is_found() -> None:
    """``BaseTuner`` and each registered tuner whose own ``__init__`` might not call it."""
    registered = {cls for cls in peft.mapping.PEFT_TYPE_TO_TUNER_MAPPING.values() if isinstance(cls, type)}
    assert RELEASE.tuners[0] is BaseTuner
    assert set(RELEASE.tuners[1:]) == {cls for cls in registered if "__init__" in vars(cls)}


def test_at_the_end_of_a_reload() -> None:
    """A reload takes the package out of `sys.modules` and puts it back: whoever asks meanwhile gets it."""
    taken, put_back = threading.Event(), threading.Event()

    def reload() -> None:
        with sys.modules["_frozen_importlib"]._ModuleLockManager("peft"):
            package = sys.modules.pop("peft")
            taken.set()
            put_back.wait(0.1)  # nobody sets it: the others come here
            sys.modules["peft"] = package

    thread = threading.Thread(target=reload)
    thread.start()
    taken.wait()
    found = imported()
    thread.join()
    assert found is peft


@pytest.mark.parametrize("missing", ["TaskType", "PeftConfig", "PeftModel"])
def test_a_half_imported_peft(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """A PEFT that lacks something is refused as a whole, and what it lacks is named."""
    half = types.ModuleType("peft")
    vars(half).update({name: value for name, value in vars(peft).items() if name != missing})
    monkeypatch.setitem(sys.modules, "peft", half)
    with pytest.raises(RuntimeError, match=f"lacks what peft-strict needs .*{missing}"):
        live_release()


@pytest.mark.parametrize("missing", ["peft.mapping", "peft.mapping_func"])
def test_without_a_mapping(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Up to 0.15 there is no ``peft.mapping_func``; without ``peft.mapping`` nothing works."""
    monkeypatch.delitem(sys.modules, missing)
    with pytest.raises(RuntimeError, match="lacks what peft-strict needs"):
        live_release()


def models() -> dict[str, Any]:
    config = tiny_lm().config
    config.num_labels, config.pad_token_id = 2, 0
    return {
        "PeftModelForSequenceClassification": tiny_classifier,
        "PeftModelForTokenClassification": lambda: transformers.LlamaForTokenClassification(config),
        "PeftModelForQuestionAnswering": lambda: transformers.LlamaForQuestionAnswering(config),
        "PeftModelForCausalLM": tiny_lm,
        "PeftModelForFeatureExtraction": lambda: tiny_lm().model,
        "PeftModel": tiny_lm,
    }


@pytest.mark.parametrize("name", models())
def test_what_each_class_adds_to_modules_to_save(name: str) -> None:
    """Measured: the names that building the class itself puts into ``modules_to_save``."""
    cls = getattr(peft, name)
    config = lora(modules_to_save=["mine"])
    cls(models()[name](), config)
    assert set(config.modules_to_save) - {"mine"} == set(added_modules(cls))


def test_what_other_classes_add() -> None:
    """A user's subclass adds what its base adds; no wrapper adds nothing."""

    class Mine(peft.PeftModelForQuestionAnswering):
        pass

    assert added_modules(Mine) == ("qa_outputs",)
    assert added_modules(None) == ()
    assert added_modules(object) == ()


def test_meanings() -> None:
    """Each task type of the installed PEFT has a meaning, the first sentence of its entry in the docstring."""
    found = meanings(peft.TaskType)
    assert list(found) == [member.value for member in peft.TaskType]
    assert found["CAUSAL_LM"] == "Causal language modeling"
    assert not any(words.endswith(".") or "\n" in words for words in found.values())


def test_meanings_of_an_older_enum() -> None:
    """Without a docstring there are none, and entries that are no members do not count."""

    class Silent(str, enum.Enum):
        CAUSAL_LM = "CAUSAL_LM"

    class Stray(str, enum.Enum):
        """Tasks.

        - CAUSAL_LM: Causal. And more.
        - GONE: Not there any more.
        """

        CAUSAL_LM = "CAUSAL_LM"

    Silent.__doc__ = None
    assert meanings(Silent) == {}
    assert meanings(Stray) == {"CAUSAL_LM": "Causal"}


def test_is_own() -> None:
    """PEFT's classes are its own; a user's are not, wherever they derive from."""
    mine = type("Mine", (peft.LoraConfig,), {"__module__": "peft_of_mine.configs"})
    assert is_own(peft.LoraConfig)
    assert not is_own(mine)
    del mine
    gc.collect()


def test_the_attributes_of_an_instance() -> None:
    """The real ``__dict__``, also where a property of that name gives a copy, as on PEFT <= 0.3."""

    class Base:
        pass

    @dataclass
    class Old(Base):
        a: int = 1

        @property
        def __dict__(self) -> dict[str, int]:  # type: ignore[override]
            return {"a": 0}

    class Newer(Old):
        pass

    old = Newer()
    attributes = instance_dict(Newer)(old)
    attributes["a"] = 5
    assert old.a == 5
    config = lora()
    assert instance_dict(peft.LoraConfig)(config) is config.__dict__


def test_an_instance_without_attributes() -> None:
    """A class with slots alone has no ``__dict__``."""

    class Bare:
        __slots__ = ()

    with pytest.raises(TypeError, match="instances of Bare have no __dict__"):
        instance_dict(Bare)
