"""What the source of a model's class says of the use of its parts."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from peft_strict.fit.source import definition_of, forward_reads_pooled, forward_uses, plain

from . import model_zoo as zoo


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pooler = nn.Linear(1, 1)

    def forward(self, x: Any) -> Any:
        return x, self.pooler(x)


class Unpooled(Base):
    def forward(self, x: Any) -> Any:
        return x, x


class Model(nn.Module):
    """Reads the pooler's output by way of a variable."""

    base_class: type = Base

    def __init__(self) -> None:
        super().__init__()
        self.base = self.base_class()
        self.head = nn.Linear(1, 1)
        self.spare = nn.Linear(1, 1)

    def forward(self, x: Any) -> Any:
        out = self.base(x)
        return self.read(out[1])

    def read(self, x: Any) -> Any:
        return self.head(x)


class ByName(Model):
    def forward(self, x: Any) -> Any:
        return self.head(self.base(x).pooler_output)


class First(Model):
    def forward(self, x: Any) -> Any:
        out, other = self.base(x), [x, x]
        return self.head(out[0]) + other[1]


class Rest(Model):
    def forward(self, x: Any) -> Any:
        out = self.base(x)
        return self.head(out[0]), out[1:]


class OverUnpooled(Model):
    base_class = Unpooled


@pytest.mark.parametrize(
    ("cls", "pooled"), [(Model, True), (ByName, True), (First, False), (Rest, False), (OverUnpooled, False)]
)
def test_forward_reads_pooled(cls: type, pooled: bool) -> None:
    """The pooler's output is the second one of the base model, taken alone, or by its name."""
    assert forward_reads_pooled(cls(), "base") is pooled


@pytest.mark.parametrize(
    ("name", "base", "pooled"),
    [
        ("bert_seq", "bert", True),
        ("bert_mc", "bert", True),
        ("albert_seq", "albert", True),
        ("bert_tok", "bert", False),
        ("bert_qa", "bert", False),
        ("roberta_seq", "roberta", False),
        ("llama_seq", "model", False),
        ("bert_seq", "nothing", False),
    ],
)
def test_of_transformers(name: str, base: str, pooled: bool) -> None:
    """So it is in the classes of transformers."""
    assert forward_reads_pooled(zoo.build(name), base) is pooled


def test_forward_uses() -> None:
    """A part is used if ``forward`` names it, or a method that it calls."""
    assert [forward_uses(Model(), name) for name in ("base", "head", "spare", "nothing")] == [True, True, False, False]
    replaced = Model()
    replaced.forward = lambda x: x  # type: ignore[method-assign]
    assert forward_uses(replaced, "head") is False


class Hostile:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_without_source() -> None:
    """Where there is no source, or no Python function, nothing is used for certain."""
    written = type("Written", (nn.Module,), {"forward": eval("lambda self, x: self.head(x)")})()
    circle = type("Circle", (nn.Module,), {"forward": lambda self, x: x})
    circle.forward.__wrapped__ = circle.forward
    for thing in (written, circle(), Hostile(), None, object(), nn.LSTM(1, 1)):
        assert forward_uses(thing, "head") is False
        assert forward_reads_pooled(thing, "base") is False
    assert plain(len) is None
    assert definition_of(eval("lambda: 1")) is None
