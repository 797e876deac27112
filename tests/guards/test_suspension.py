"""Switching the checks off for one context, and for no other."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import peft
import pytest
from peft import LoraConfig, TaskType

import peft_strict
from peft_strict import InvalidTaskTypeError, suspended

from ..command_line import python
from ..interpreters import World, on_pythons_with_inherited_contexts
from ..ways_in.rows import lora, past_us, tiny_lm


def is_checked() -> bool:
    """Whether a wrong value is refused here and now."""
    try:
        LoraConfig().task_type = "MINE"
    except InvalidTaskTypeError:
        return True
    return False


def test_a_block(strict: None) -> None:
    """Inside nothing is checked, after it everything is."""
    with suspended():
        assert not is_checked()
    assert is_checked()


def test_everything_is_suspended(strict: None) -> None:
    """Inside, PEFT does what it does without us: values, ``peft_type``, and use on models."""
    with suspended():
        with pytest.raises(ValueError, match="Invalid task type") as caught:
            LoraConfig(task_type="X")
        assert not isinstance(caught.value, InvalidTaskTypeError)
        LoraConfig(peft_type=TaskType.SEQ_CLS)
        assert type(peft.get_peft_model(tiny_lm(), past_us(lora(), "X"))) is peft.PeftModel
        assert type(peft.PeftMixedModel(tiny_lm(), past_us(lora(), "X"))) is peft.PeftMixedModel
        with pytest.raises(KeyError):
            peft.get_peft_model(tiny_lm(), peft.PromptTuningConfig(num_virtual_tokens=2))


def test_right_values_work(strict: None) -> None:
    """Inside, right values are as right as outside."""
    with suspended():
        config = LoraConfig(task_type="CAUSAL_LM")
        assert config.task_type == "CAUSAL_LM"
        config.task_type = "SEQ_CLS"
    assert config == LoraConfig(task_type="SEQ_CLS")


def test_what_was_let_through_is_looked_at_on_a_model(strict: None) -> None:
    """A config that was made inside and is used outside is judged there."""
    config = lora()
    with suspended():
        config.task_type = "X"
    with pytest.raises(InvalidTaskTypeError):
        peft.get_peft_model(tiny_lm(), config)


def test_nested(strict: None) -> None:
    """Leaving an inner block does not end the outer one."""
    with suspended():
        with suspended():
            assert not is_checked()
        assert not is_checked()
    assert is_checked()


def test_after_an_error(strict: None) -> None:
    """An error ends the block as it should, and passes."""
    with pytest.raises(KeyError), suspended():
        raise KeyError
    assert is_checked()


def test_as_a_decorator(strict: None) -> None:
    """A decorated function runs unchecked, each time."""
    unchecked = suspended()(is_checked)
    assert [unchecked(), unchecked(), is_checked()] == [False, False, True]


def test_one_object_cannot_be_entered_twice(strict: None) -> None:
    """A block is made for one use."""
    block = suspended()
    with block:
        pass
    with pytest.raises((RuntimeError, AttributeError)), block:
        raise AssertionError
    assert is_checked()


def test_a_thread_started_inside_is_checked(strict: None) -> None:
    """Other threads are not affected, whether they were started before or inside."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(is_checked).result()
        with suspended(), ThreadPoolExecutor(1) as inside:
            assert pool.submit(is_checked).result()
            assert inside.submit(is_checked).result()
            assert not inside.submit(contextvars.copy_context().run, is_checked).result()


@on_pythons_with_inherited_contexts
@pytest.mark.parametrize("inherits", [0, 1])
def test_threads_that_inherit_the_context(world: World, tmp_path: Path, inherits: int) -> None:
    """Where Python has threads inherit the context, one started inside is suspended until it ends; others are not."""
    script = f"""
import threading, peft, peft_strict, scenario
peft_strict.enable()
left, found = threading.Event(), []
def work():
    found.append(scenario.refused())
    left.wait()
    found.append(scenario.refused())
with peft_strict.suspended():
    inside = threading.Thread(target=work)
    inside.start()
left.set()
inside.join()
outside = threading.Thread(target=work)
outside.start()
outside.join()
assert found == {[not inherits] * 2 + [True] * 2}, found
"""
    world.passes(script, tmp_path, fresh=True, PYTHON_THREAD_INHERIT_CONTEXT=inherits)


def test_threads_side_by_side(strict: None) -> None:
    """One thread in a block, one outside of it, at the same time."""
    barrier = threading.Barrier(2, timeout=30)

    def inside() -> list[bool]:
        with suspended():
            barrier.wait()
            found = [is_checked() for _ in range(50)]
            barrier.wait()
        return found

    def outside() -> list[bool]:
        barrier.wait()
        found = [is_checked() for _ in range(50)]
        barrier.wait()
        return found

    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(inside), pool.submit(outside)]
        assert [set(result.result()) for result in results] == [{False}, {True}]


def test_asyncio(strict: None) -> None:
    """A task that is created inside a block inherits it; one from outside does not, and does not end it."""

    async def asks(turns: int) -> list[bool]:
        found = []
        for _ in range(turns):
            found.append(is_checked())
            await asyncio.sleep(0)
        return found

    async def suspends() -> tuple[list[bool], list[bool]]:
        with suspended():
            child = asyncio.create_task(asks(5))
            found = await asks(5)
        return found, await child

    async def both() -> tuple[list[bool], tuple[list[bool], list[bool]]]:
        other = asyncio.create_task(asks(20))
        found = await suspends()
        assert is_checked()
        return await other, found

    outside, (inside, child) = asyncio.run(both())
    assert set(outside) == {True}
    assert set(inside) == {False}
    assert set(child) == {False}


def test_generators(strict: None) -> None:
    """A block inside a generator is Python's: it holds for the caller's context until the generator leaves it."""

    def steps() -> Iterator[bool]:
        with suspended():
            yield is_checked()
        yield is_checked()

    assert list(steps()) == [False, True]
    assert is_checked()


def test_a_block_that_ends_in_another_context(strict: None) -> None:
    """A generator that is closed elsewhere than it was started suspends nothing there."""

    def steps() -> Iterator[bool]:
        with suspended():
            yield is_checked()

    generator = steps()
    assert not contextvars.copy_context().run(next, generator)
    generator.close()
    assert is_checked()


def test_a_block_that_is_never_left() -> None:
    """A generator that is still open when the interpreter ends, and takes our modules apart, is closed in silence."""
    steps = "def steps():\n with peft_strict.suspended():\n  yield"
    result = python("-c", f"import peft, peft_strict\npeft_strict.enable()\n{steps}\nnext(left_open := steps())")
    assert (result.returncode, result.stderr) == (0, "")


def test_switching_inside(off: None) -> None:
    """``enable()`` and ``disable()`` work inside a block, and show outside of it."""
    with suspended():
        assert peft_strict.enable().state == "guarding"
        assert not is_checked()
    assert is_checked()
    with suspended():
        assert peft_strict.disable().state == "off"
    assert not is_checked()


def test_warn_mode(off: None, recwarn: pytest.WarningsRecorder) -> None:
    """Nothing is reported from inside a block."""
    peft_strict.enable(invalid="warn")
    with suspended():
        lora().task_type = "X"
    assert [each for each in recwarn if issubclass(each.category, peft_strict.PeftStrictWarning)] == []


def test_while_off(off: None) -> None:
    """While we are off it does nothing, and imports no PEFT for that."""
    with suspended():
        assert not is_checked()
    assert not is_checked()
