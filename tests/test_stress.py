"""Long random sequences, many threads, many repetitions: nothing is missed, nothing is left behind.

``PEFT_STRICT_EXAMPLES=20`` tries twenty times as many sequences and lets the threads run twenty times as long.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import random
import sys
import textwrap
import threading
import time
import unittest.mock
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import peft
import pytest
import torch
import wrapt
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from peft import LoraConfig, TaskType

import peft_strict
from peft_strict import InvalidTaskTypeError, PeftStrictWarning, TaskTypeWarning

from .command_line import python
from .subclass_kinds import KINDS
from .test_properties import NAMES, TIMES, attempt, tries
from .ways_in import snapshot
from .ways_in.rows import past_us, registered_classes

# -- somebody else's patches ------------------------------------------------------------------------------------------


class Wrapt:
    """A wrapper that is put around what is there, and taken out by wrapt."""

    replaces = False

    def __init__(self, target: Any) -> None:
        self.target = target
        self.wrapper = wrapt.FunctionWrapper(
            vars(target)["__init__"], lambda wrapped, _, args, words: wrapped(*args, **words)
        )
        target.__init__ = self.wrapper

    def remove(self) -> None:
        if vars(self.target)["__init__"] is self.wrapper:
            self.target.__init__ = self.wrapper.__wrapped__
        else:
            wrapt.unwrap_object(self.target, "__init__", self.wrapper)


class Closure:
    """The usual monkey patch: it keeps what it reads from the class, calls it, and puts it back."""

    replaces = False
    reads_raw = leaves_trace = False

    def __init__(self, target: Any) -> None:
        self.target = target
        found = self.found = vars(target)["__init__"] if self.reads_raw else target.__init__

        def theirs(self: Any, *args: Any, **words: Any) -> None:
            found(self, *args, **words)

        target.__init__ = functools.wraps(found)(theirs) if self.leaves_trace else theirs

    def remove(self) -> None:
        self.target.__init__ = self.found


class RawClosure(Closure):
    """The same, careful to keep the class attribute itself."""

    reads_raw = leaves_trace = True


class Mock:
    """A mock in the place of what is there."""

    replaces = True
    name = "__init__"
    words: ClassVar[dict[str, Any]] = {"return_value": None}

    def __init__(self, target: Any) -> None:
        self.target = target
        self.patch = unittest.mock.patch.object(target, self.name, **self.words)
        self.patch.start()

    def remove(self) -> None:
        self.patch.stop()


class SpecifiedMock(Mock):
    words: ClassVar[dict[str, Any]] = {"return_value": None, "autospec": True}


class Function(Mock):
    words: ClassVar[dict[str, Any]] = {"new": lambda self, *args, **words: None}


class Attribute(Mock):
    """Another default, set on the class."""

    name = "task_type"
    words: ClassVar[dict[str, Any]] = {"new": "SEQ_CLS"}

    def __init__(self, target: Any) -> None:
        super().__init__(LoraConfig if target is peft.PeftModel else target)


THEIRS = [Wrapt, Closure, RawClosure, Mock, SpecifiedMock, Function, Attribute]
TARGETS = [LoraConfig, LoraConfig, peft.PromptTuningConfig, peft.PeftConfig, peft.PeftModel]

# -- sequences --------------------------------------------------------------------------------------------------------

CLASSES = [LoraConfig, peft.IA3Config, peft.MultitaskPromptTuningConfig]
OWN_NAME = "Vector_LM"


class Outcome:
    """What something ended in: an error of ours, one of PEFT's, or its answer; and how often we warned."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.answer = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self.answer = function()
                self.end = "passed"
            except InvalidTaskTypeError:
                self.end = "refused"
            except ValueError as error:
                self.end = "refused by PEFT" if "task type" in str(error) else repr(error)
        assert self.end in ("passed", "refused", "refused by PEFT")
        self.reports = sum(issubclass(each.category, PeftStrictWarning) for each in caught)

    @property
    def is_ours(self) -> bool:
        return self.end == "refused" or self.reports > 0


class Sequences(RuleBasedStateMachine):
    """Everything that can happen to PEFT in one process, in any order."""

    before: ClassVar[snapshot.Snapshot] = {}

    def __init__(self) -> None:
        super().__init__()
        if not self.before:
            self.before.update(snapshot.take())
        self.on = False
        self.invalid = "raise"
        self.open: list[Any] = []  # suspensions
        self.theirs: list[Any] = []
        self.touched: list[Any] = []  # what they patched or unpatched since we last patched
        self.classes: list[Any] = []

    def teardown(self) -> None:
        """When everybody has gone, everything is as it was."""
        while self.open:
            self.open.pop().__exit__(None, None, None)
        while self.theirs:
            self.theirs.pop().remove()
        peft.MODEL_TYPE_TO_PEFT_MODEL_MAPPING.pop(OWN_NAME, None)
        peft_strict.disable()
        try:
            self.is_restored()
        finally:
            self.repair()
        for cls in self.classes:
            for value in vars(getattr(cls, "__origin__", cls)).values():
                assert type(value).__module__.partition(".")[0] not in ("peft_strict", "wrapt", "_wrappers"), value

    def is_restored(self) -> None:
        found = [name for name in snapshot.changes(self.before) if not name.startswith("peft.__")]
        assert not found, found  # (a reload renews the names of the module itself that have underscores)

    def repair(self) -> None:
        """Let the next sequence start afresh, whatever this one has shown."""
        for owner, attributes in self.before.items():
            for name, value in attributes.items():
                if name in ("__init__", "__init_subclass__", "task_type", "add_adapter", "from_json_file"):
                    setattr(owner, name, value)

    # -- what is to be expected

    @property
    def checks(self) -> bool:
        return self.on and not self.open

    def told_of(self, cls: Any) -> bool:
        """Whether somebody has thrown our patches away and the status says so, of this class or one above it."""
        names = peft_strict.status().unguarded
        above = getattr(cls, "__origin__", cls).__mro__
        return bool(self.touched) and any(base.__name__ in names for base in above)

    def is_mocked(self, cls: Any) -> bool:
        above = getattr(cls, "__origin__", cls).__mro__
        return any(each.replaces and each.target in above for each in self.theirs)

    @property
    def is_registered(self) -> bool:
        return OWN_NAME in peft.MODEL_TYPE_TO_PEFT_MODEL_MAPPING

    def judge(self, cls: Any, outcome: Outcome, *, is_wrong: bool) -> None:
        if not self.checks or not is_wrong:
            assert not outcome.is_ours
        elif outcome.is_ours:
            assert outcome.end == "refused" if self.invalid == "raise" else outcome.reports == 1
        else:
            assert self.told_of(cls)

    # -- we

    @rule(invalid=st.sampled_from(["raise", "raise", "warn"]), misfit=st.sampled_from(["warn", "raise", "ignore"]))
    def enable(self, invalid: str, misfit: str) -> None:
        assert peft_strict.enable(invalid=invalid, misfit=misfit).state == "guarding"
        self.on, self.invalid, self.touched = True, invalid, []

    @rule()
    def disable(self) -> None:
        assert peft_strict.disable().state == "off"
        self.on = False
        if not self.theirs:
            self.is_restored()

    @rule()
    def suspend(self) -> None:
        self.open.append(peft_strict.suspended())
        self.open[-1].__enter__()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def resume(self, data: Any) -> None:
        self.open.pop(data.draw(st.integers(0, len(self.open) - 1))).__exit__(None, None, None)

    @rule()
    def ask(self) -> None:
        """The status says what is the case."""
        found = peft_strict.status()
        if not self.on:
            assert found.state == "off"
            return
        assert found.state == ("not guarding" if found.unguarded else "guarding")
        assert self.touched or found.state == "guarding"
        classes = {cls.__name__: cls for cls in registered_classes()}
        assert found.classes == len(classes)
        for name in found.unguarded:
            where = classes[name].__mro__ if name in classes else (getattr(peft, name.partition(".")[0]),)
            assert any(each.target in where for each in self.touched), name
        for name, cls in classes.items():
            if self.checks and name not in found.unguarded:
                assert Outcome(lambda cls=cls: cls(task_type="X")).is_ours, name
                assert Outcome(lambda cls=cls: setattr(cls.__new__(cls), "task_type", "X")).is_ours, name

    @invariant()
    def one_finder(self) -> None:
        assert sum(type(finder).__module__ == "peft_strict._standby" for finder in sys.meta_path) == self.on

    # -- users

    @invariant()
    def configs_are_judged(self) -> None:
        for cls in (*CLASSES, *self.classes):
            self.construct(cls)
            self.assign(cls)

    def construct(self, cls: Any) -> None:
        for name in ("CAUSAL_LM", TaskType.SEQ_CLS):
            outcome = Outcome(lambda name=name: cls(task_type=name))
            assert outcome.end == "passed"
            self.judge(cls, outcome, is_wrong=False)
            if not self.is_mocked(cls):
                assert outcome.answer.task_type == name
                assert type(outcome.answer.task_type) is TaskType or not self.checks or self.told_of(cls)
        self.judge(cls, Outcome(lambda: cls(task_type="CASUAL_LM")), is_wrong=True)
        if cls in CLASSES:
            self.judge(cls, Outcome(lambda: cls(peft_type="CASUAL_LM")), is_wrong=True)
            if not self.is_mocked(cls):  # whose positional arguments have no names
                self.judge(cls, Outcome(lambda: cls(["CAUSAL_LM"])), is_wrong=True)

    def assign(self, cls: Any) -> None:
        config = cls(task_type="SEQ_CLS")
        for value in (3, OWN_NAME, "TOKEN_CLS", None):
            before = config.task_type
            outcome = Outcome(lambda value=value: setattr(config, "task_type", value))
            self.judge(cls, outcome, is_wrong=value == 3 or (value == OWN_NAME and not self.is_registered))
            assert config.task_type == (before if outcome.end == "refused" else value)

    @rule(wraps=st.booleans())
    def use(self, wraps: bool) -> None:
        """What no other check has seen is seen where the config meets a model."""
        if self.is_mocked(LoraConfig) or self.is_mocked(peft.PeftModel):
            return
        config = past_us(LoraConfig(target_modules=["0"]), OWN_NAME)
        model = torch.nn.Sequential(torch.nn.Linear(2, 2))
        wrap, inject = (
            functools.partial(peft.PeftModel, model),
            lambda config: peft.inject_adapter_in_model(config, model),
        )
        outcome = Outcome(lambda: (wrap if wraps else inject)(config))
        self.judge(peft.PeftModel, outcome, is_wrong=not self.is_registered)

    @rule(kind=st.sampled_from(sorted(KINDS)))
    def define(self, kind: str) -> None:
        self.classes = [*self.classes[-1:], KINDS[kind]()]

    @rule()
    def register(self) -> None:
        names = peft.mapping_func.MODEL_TYPE_TO_PEFT_MODEL_MAPPING
        if names.pop(OWN_NAME, None) is None:
            names[OWN_NAME] = peft.PeftModelForCausalLM

    @rule()
    def reload(self) -> None:
        importlib.reload(peft)
        if self.on:
            self.touched = []

    # -- others

    @rule(kind=st.sampled_from(THEIRS), owner=st.sampled_from(TARGETS))
    def patch(self, kind: Any, owner: Any) -> None:
        kinds = [type(each) for each in self.theirs if each.target is owner]
        if kind is Closure and Wrapt in kinds:  # would put back something that wrapt does not find its wrapper in
            kind = RawClosure
        mocked_twice = kind.replaces and any(each.replaces for each in kinds)
        if len(self.theirs) < 4 and not mocked_twice:
            self.theirs.append(kind(owner))
            self.touched.append(self.theirs[-1])

    @precondition(lambda self: self.theirs)
    @rule()
    def unpatch(self) -> None:
        self.theirs[-1].remove()
        self.touched.append(self.theirs.pop())


def test_any_sequence(off: None) -> None:
    """Whatever happens in whatever order: no wrong value passes unless the status says so, no right one is refused."""
    Sequences.TestCase.settings = settings(tries(30), stateful_step_count=25)
    Sequences.TestCase("runTest").runTest()


# -- threads ----------------------------------------------------------------------------------------------------------


def in_threads(seconds: float, *functions: Callable[[], None]) -> Counter[str]:
    """Call each function over and over, each on a thread of its own, and count the calls. Stop at the first error."""
    calls: Counter[str] = Counter()
    errors: list[BaseException] = []
    end = time.monotonic() + seconds * TIMES

    def work(function: Callable[[], None]) -> None:
        try:
            while time.monotonic() < end and not errors:
                function()
                calls[function.__name__] += 1
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        running = [threading.Thread(target=work, args=(function,), daemon=True) for function in functions]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(seconds * TIMES + 60)
        assert not any(thread.is_alive() for thread in running), "deadlock"
    finally:
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]
    return calls


def right() -> None:
    name = random.choice(NAMES)
    assert LoraConfig(task_type=name, r=3).task_type == name
    config = peft.IA3Config(name)
    config.task_type = NAMES[0]
    assert config.task_type == NAMES[0]


def wrong() -> None:
    """Once refused and once let through by us, PEFT may still refuse it."""
    for act in (lambda: LoraConfig(task_type="X"), lambda: setattr(LoraConfig(), "task_type", "X")):
        _, error = attempt(act)
        assert error is None or "Invalid task type: 'X'" in str(error)


def while_suspended() -> None:
    with peft_strict.suspended():
        config = LoraConfig()
        config.task_type = "X"
        assert config.task_type == "X"


def define() -> None:
    class Mine(LoraConfig):
        def __init__(self, task_type: object = None) -> None:
            super().__init__(task_type=task_type)

    cls = random.choice([dataclasses.dataclass(type("Mine", (LoraConfig,), {})), Mine])
    assert cls(task_type="SEQ_CLS").task_type == "SEQ_CLS"


def ask() -> None:
    assert peft_strict.status().state in ("off", "guarding", "not guarding")


def switch() -> None:
    peft_strict.enable(invalid=random.choice(["raise", "warn"]), misfit=random.choice(["warn", "ignore"]))
    if random.random() < 0.7:
        peft_strict.disable()


def test_switching_threads(off: None) -> None:
    """Threads that switch, construct, assign, suspend, define and ask do not disturb each other."""
    before = snapshot.take()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TaskTypeWarning)
        calls = in_threads(4, switch, switch, switch, right, wrong, while_suspended, define, ask)
    peft_strict.disable()
    assert snapshot.changes(before) == []
    assert len(calls) == 6
    assert min(calls.values()) > 0, calls


def test_no_gap(strict: None) -> None:
    """While it is on, switching it on again, defining and asking leave no moment in which a wrong value passes."""

    def refused() -> None:
        for act in (lambda: LoraConfig(task_type="X"), lambda: setattr(peft.IA3Config(), "task_type", "X")):
            with pytest.raises(InvalidTaskTypeError):
                act()

    def again() -> None:
        assert peft_strict.enable(misfit=random.choice(["warn", "raise"])).state == "guarding"

    assert len(in_threads(1.5, again, refused, right, define, while_suspended)) == 5


# -- memory -----------------------------------------------------------------------------------------------------------

LEAKS = """
    import dataclasses, gc, sys, warnings
    import peft, peft_strict
    from peft import LoraConfig
    from peft_strict._standby import state

    def cycle(number):
        peft_strict.enable()
        peft_strict.disable()

    def construct(number):
        LoraConfig(task_type="CAUSAL_LM")

    def refuse(number):
        try:
            LoraConfig(task_type=f"wrong {number}")
        except peft_strict.InvalidTaskTypeError:
            pass

    def report(number):
        LoraConfig().task_type = "X"

    def define(number):
        def __init__(self, task_type=None):
            LoraConfig.__init__(self, task_type=task_type)
        cls = type("Mine", (LoraConfig,), {"__init__": __init__} if number % 2 else {"task_type": None})
        if number % 20 == 0:
            cls = dataclasses.dataclass(cls)
        cls(task_type="SEQ_CLS")

    def grown(function, times):
        for number in range(times // 10):
            function(number)
        gc.collect()
        blocks, objects = sys.getallocatedblocks(), len(gc.get_objects())
        for number in range(times):
            function(number)
        gc.collect()
        return sys.getallocatedblocks() - blocks, len(gc.get_objects()) - objects

    warnings.showwarning = lambda *what, **more: None
    plain = set(LoraConfig.__subclasses__())
    found = {"cycles": grown(cycle, 1000)}
    peft_strict.enable()
    found["constructions"] = grown(construct, 100_000)
    found["errors"] = grown(refuse, 1000)
    found["classes"] = grown(define, 2000)
    assert set(LoraConfig.__subclasses__()) == plain
    assert not state.installs[0].watch.newcomers
    peft_strict.enable(invalid="warn")
    for filter in ("default", "always"):
        warnings.simplefilter(filter)
        found[f"reports, {filter}"] = grown(report, 2500)
    assert not state.installs[0].watch._reported
    peft_strict.disable()
    print(found)
    for name, (blocks, objects) in found.items():
        assert blocks < 700, found  # less than one for each call; sets of classes grow now and then
        assert objects < 100, found
"""


def test_nothing_leaks() -> None:
    """1,000 cycles, 100,000 configs, 1,000 errors, 2,000 classes and 5,000 warnings leave nothing behind."""
    done = python("-c", textwrap.dedent(LEAKS))
    print(done.stdout)
    assert done.returncode == 0, done.stderr
