"""Reading what is not ours. Nothing here imports PEFT, torch or transformers."""

from __future__ import annotations

import types
from typing import Any

import pytest

from peft_strict.fit.foreign import answer, attribute, inside, text_of


class Failing:
    """Whatever it is asked for fails."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class Text(str):
    """A string that makes something else of itself."""

    def __str__(self) -> str:
        return "else"


@pytest.mark.parametrize("cls", [Failing, object])
def test_what_cannot_be_read_is_unknown(cls: type) -> None:
    """An attribute that fails is as one that is not there, and so are a call and what a module would hold."""
    thing = cls()
    assert attribute(thing, "name") is None
    assert answer(thing, "name") is None
    assert inside(thing, "_modules") == {}


def test_what_can_be_read() -> None:
    """An attribute, an answer, and of what a module stores all that is not empty."""
    thing = types.SimpleNamespace(name=3, ask=lambda: 4, _modules={"a": 5, "none": None})
    assert (attribute(thing, "name"), answer(thing, "ask"), inside(thing, "_modules")) == (3, 4, {"a": 5})


@pytest.mark.parametrize("thing", [types.SimpleNamespace(_modules=3), types.SimpleNamespace()], ids=["odd", "empty"])
def test_inside_of_what_is_no_module(thing: object) -> None:
    """What does not store its modules as torch does has none."""
    assert inside(thing, "_modules") == {}


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (Text("a"), "a"), (3, None), (None, None)], ids=repr)
def test_text_of(value: object, text: str | None) -> None:
    """The characters of a string count, whatever its class makes of them; nothing else is a text."""
    assert text_of(value) == text
