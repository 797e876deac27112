"""What is remembered of objects. Nothing here imports PEFT."""

from __future__ import annotations

import dataclasses
import gc

import pytest

from peft_strict.guards.memory import Memory


@dataclasses.dataclass
class Config:
    """Compares by what it holds, and so has no hash."""

    name: str


class Odd(type):
    """A metaclass whose classes are all the same, and have no hash."""

    def __eq__(cls, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("make", [lambda: Config("a"), lambda: Odd("A", (), {})], ids=["config", "class"])
def test_by_identity(make: object) -> None:
    """An object is remembered itself, not one that is equal."""
    memory: Memory[int] = Memory()
    one, other = make(), make()  # type: ignore[operator]
    memory[one] = 1
    assert (one in memory, memory.get(one)) == (True, 1)
    assert (other in memory, memory.get(other), memory.get(other, 7)) == (False, None, 7)
    memory[one] = 2
    assert (memory.get(one), len(memory)) == (2, 1)
    memory.forget(other)
    memory.forget(one)
    memory.forget(one)
    assert not memory


def test_for_as_long_as_it_lives() -> None:
    """What has gone is forgotten, and keeps nothing alive."""
    memory: Memory[int] = Memory()
    memory[one := Config("a")] = 1
    memory[other := Config("b")] = 2
    del one
    gc.collect()
    assert len(memory) == 1
    memory.clear()
    assert other not in memory
