"""The kinds of config classes that users write, each as a function that makes one."""

from __future__ import annotations

import abc
import dataclasses
import sys
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import peft
from peft import LoraConfig

KINDS: dict[str, Callable[[], Any]] = {}
T = TypeVar("T")


def kind(make: Callable[[], Any]) -> Callable[[], Any]:
    KINDS[make.__name__.replace("_", "-")] = make
    return make


@kind
def plain() -> Any:
    class Mine(LoraConfig):
        pass

    return Mine


@kind
def two_levels() -> Any:
    class Mine(plain()):  # type: ignore[misc]
        pass

    return Mine


@kind
def dataclass() -> Any:
    @dataclasses.dataclass
    class Mine(LoraConfig):
        more: int = 0

    return Mine


@kind
def dataclass_of_dataclass() -> Any:
    @dataclasses.dataclass
    class Mine(dataclass()):  # type: ignore[misc]
        even_more: int = 0

    return Mine


@kind
def skips_post_init() -> Any:
    @dataclasses.dataclass
    class Mine(LoraConfig):
        def __post_init__(self) -> None:
            self.peft_type = peft.PeftType.LORA

    return Mine


@kind
def annotation_alone() -> Any:
    class Mine(LoraConfig):
        task_type: str

    return Mine


@kind
def field_without_default() -> Any:
    @dataclasses.dataclass
    class Mine(LoraConfig):
        task_type: str

    return Mine


@kind
def field_with_default() -> Any:
    @dataclasses.dataclass
    class Mine(LoraConfig):
        task_type: str = "SEQ_CLS"

    return Mine


@kind
def field_with_metadata() -> Any:
    @dataclasses.dataclass
    class Mine(LoraConfig):
        task_type: str = dataclasses.field(default="SEQ_CLS", metadata={"help": "mine"})

    return Mine


@kind
def field_with_factory() -> Any:
    @dataclasses.dataclass
    class Mine(LoraConfig):
        task_type: str = dataclasses.field(default_factory=lambda: "SEQ_CLS")

    return Mine


@kind
def own_init_stores() -> Any:
    class Mine(LoraConfig):
        def __init__(self, task_type: object = None) -> None:
            super().__init__()
            self.task_type = task_type

    return Mine


@kind
def own_init_alone() -> Any:
    class Mine(LoraConfig):
        def __init__(self, task_type: object = None) -> None:
            self.task_type = task_type

    return Mine


@kind
def own_init_passes_on() -> Any:
    class Mine(LoraConfig):
        def __init__(self, *args: Any, **words: Any) -> None:
            super().__init__(*args, **words)

    return Mine


@kind
def keyword_only() -> Any:
    class Mine(LoraConfig):
        def __init__(self, *, task_type: object = None) -> None:
            super().__init__(task_type=task_type)

    return Mine


@kind
def mixin() -> Any:
    class Mixin:
        def __init__(self, *args: Any, **words: Any) -> None:
            super().__init__(*args, **words)

    class Mine(Mixin, LoraConfig):
        pass

    return Mine


@kind
def generic() -> Any:
    class Mine(LoraConfig, Generic[T]):
        pass

    return Mine[int]


@kind
def abstract() -> Any:
    class Base(LoraConfig, abc.ABC):
        @abc.abstractmethod
        def purpose(self) -> str: ...

    class Mine(Base):
        def purpose(self) -> str:
            return "mine"

    return Mine


@kind
def hooked() -> Any:
    class Base(LoraConfig):
        def __init_subclass__(cls, label: str = "none", **words: Any) -> None:
            super().__init_subclass__(**words)
            cls.label = label

    class Mine(Base, label="mine"):
        pass

    assert Mine.label == "mine"
    return Mine


@kind
def slots_of_its_own() -> Any:
    class Mine(LoraConfig):
        __slots__ = ("more",)

    return Mine


@kind
def property_of_its_own() -> Any:
    class Mine(LoraConfig):
        @property
        def task_type(self) -> object:
            return self.__dict__.get("kept")

        @task_type.setter
        def task_type(self, value: object) -> None:
            self.__dict__["kept"] = value

    return Mine


@kind
def own_setattr() -> Any:
    class Mine(LoraConfig):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)

    return Mine


if sys.version_info >= (3, 10):

    @kind
    def slots() -> Any:
        @dataclasses.dataclass(slots=True)
        class Mine(LoraConfig):
            more: int = 0

        return Mine

    @kind
    def slots_and_field() -> Any:
        @dataclasses.dataclass(slots=True)
        class Mine(LoraConfig):
            task_type: str = "SEQ_CLS"

        return Mine

    @kind
    def keyword_only_field() -> Any:
        @dataclasses.dataclass(kw_only=True)
        class Mine(LoraConfig):
            task_type: str = "SEQ_CLS"

        return Mine
