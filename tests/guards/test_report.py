"""Where a report points."""

from __future__ import annotations

import _thread
import asyncio
import dataclasses
import functools
import inspect
import linecache
import re
import sys
import threading
import time
import traceback
import types
import warnings
from collections.abc import Callable
from typing import Any

import peft
import pytest
from peft import LoraConfig

import peft_strict
from peft_strict import InvalidTaskTypeError, MisfitWarning, PeftStrictWarning, TaskTypeWarning
from peft_strict.guards import report

from ..ways_in.rows import lora, past_us, saved_adapter, tiny_classifier, tiny_lm


def assign(config: Any) -> None:
    config.task_type = "X"  # here


def directly() -> None:
    lora().task_type = "X"  # here


def in_a_function() -> None:
    assign(lora())


def in_a_comprehension() -> None:
    [setattr(config, "task_type", "X") for config in [lora()]]  # here


def in_a_lambda() -> None:
    list(map(lambda config: setattr(config, "task_type", "X"), [lora()]))  # here  # noqa: C417


def by_a_partial() -> None:
    functools.partial(setattr, lora(), "task_type", "X")()  # here


def by_replace() -> None:
    dataclasses.replace(lora(), task_type="X")  # here


def by_a_file() -> None:
    with saved_adapter(task_type="X") as folder:
        peft.PeftModel.from_pretrained(tiny_lm(), folder)  # here


def by_a_generated_init() -> None:
    @dataclasses.dataclass
    class Mine(LoraConfig):
        more: int = 0

    Mine(task_type="X")  # here


def over_several_lines() -> None:
    LoraConfig(  # here
        r=1,
        task_type="X",
    )


def in_an_init() -> None:
    class Mine(LoraConfig):
        def __init__(self) -> None:
            super().__init__(task_type="X")  # here

    Mine()


def on_a_model() -> None:
    config = past_us(lora(), "X")
    peft.get_peft_model(tiny_lm(), config)  # here


def in_a_thread() -> None:
    thread = threading.Thread(target=assign, args=[lora()])
    thread.start()
    thread.join()


def in_a_coroutine() -> None:
    async def work() -> None:
        assign(lora())

    asyncio.run(work())


def by_a_library() -> None:
    library = types.ModuleType("transformers.made_up")
    exec(compile(MAKE, "/somewhere/transformers/made_up.py", "exec"), vars(library))
    library.make(lora())  # here


def by_a_library_that_calls_back() -> None:
    library = types.ModuleType("torch.made_up")
    exec("def call(function, *args):\n    return function(*args)\n", vars(library))
    library.call(assign, lora())


MAKE = """def make(config):
    config.task_type = 'X'

def start(config):
    make(config)
"""
PLACES = [value for value in list(vars().values()) if inspect.isfunction(value) and value.__module__ == __name__][1:]


@pytest.fixture(name="reports")
def _reports(off: None) -> Callable[[Callable[[], Any]], list[warnings.WarningMessage]]:
    """Give a function that runs another in warn mode and returns our warnings."""
    peft_strict.enable(invalid="warn", misfit="warn")

    def run(function: Callable[[], Any]) -> list[warnings.WarningMessage]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                function()
            except ValueError:  # PEFT's own
                assert not isinstance(sys.exc_info()[1], InvalidTaskTypeError)
        return [each for each in caught if issubclass(each.category, PeftStrictWarning)]

    return run


@pytest.mark.parametrize("mistake", PLACES, ids=lambda function: function.__name__)
def test_a_warning_points_at_the_users_line(reports: Any, mistake: Callable[[], None]) -> None:
    """File, line and text of a warning are those of the mistake, whatever stands between it and PEFT."""
    (report,) = reports(mistake)
    assert report.category is TaskTypeWarning
    assert report.filename == __file__
    line = linecache.getline(report.filename, report.lineno)
    assert "# here" in line


def test_a_misfit_points_at_the_users_line(reports: Any) -> None:
    """The same for a right task type on the wrong model."""
    base, config = tiny_lm(), lora(task_type="SEQ_CLS")
    (report,) = reports(lambda: peft.get_peft_model(base, config))  # here
    assert report.category is MisfitWarning
    assert "# here" in linecache.getline(report.filename, report.lineno)


@pytest.mark.parametrize(
    "mistake", [p for p in PLACES if p is not in_a_thread], ids=lambda function: function.__name__
)
def test_an_error_passes_the_users_line(strict: None, mistake: Callable[[], None]) -> None:
    """The traceback of an error goes through the line of the mistake, and holds one frame of ours at most."""
    with pytest.raises(InvalidTaskTypeError) as caught:
        mistake()
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert sum("peft_strict" in frame.filename.split("/") for frame in frames) == 1
    assert any("# here" in (frame.line or "") for frame in frames)


def test_code_without_a_file(reports: Any) -> None:
    """Code that was made of a string is where the report points."""
    (report,) = reports(lambda: exec("\n\nconfig.task_type = 'X'", {"config": lora(), "__name__": "made"}))
    assert (report.filename, report.lineno) == ("<string>", 3)


@pytest.mark.parametrize("names", [{}, {"__name__": None}, {"__name__": 3}], ids=repr)
def test_code_without_a_name(reports: Any, names: dict[str, Any]) -> None:
    """Code of no module, without a file, is not where one can write: the report points at what runs it."""
    (report,) = reports(lambda: exec("config.task_type = 'X'", {"config": lora(), **names}))  # here
    assert "# here" in linecache.getline(report.filename, report.lineno)


@pytest.mark.parametrize("names", [{}, {"__name__": None}, {"__name__": 3}], ids=repr)
@pytest.mark.parametrize("registry", [{}, {"__warningregistry__": 3}], ids=["", "odd registry"])
def test_a_file_without_a_name(reports: Any, names: dict[str, Any], registry: dict[str, Any]) -> None:
    """Globals without a ``__name__``, or with an odd one, are no obstacle, whatever the filters look at."""
    code = compile("filter()\nconfig.task_type = 'X'", "/somewhere/train.py", "exec")
    filter_ = functools.partial(warnings.filterwarnings, "ignore", module="whatever")
    (report,) = reports(lambda: exec(code, {"config": lora(), "filter": filter_, **names, **registry}))
    assert (report.filename, report.lineno) == ("/somewhere/train.py", 2)


BEGIN = """import sys, threading

def begin(config):
    sys.settrace(threading._trace_hook)  # what measures the tests does not know of this thread
    start(config)
"""


def test_libraries_all_the_way(reports: Any) -> None:
    """Where nothing but libraries is on the stack, the innermost frame that is not ours is named."""
    library = types.ModuleType("accelerate.made_up")
    exec(compile(MAKE, "/somewhere/accelerate/made_up.py", "exec"), vars(library))
    exec(BEGIN, vars(library))

    def on_a_stack_of_its_own() -> None:
        _thread.start_new_thread(library.begin, (lora(),))
        end = time.monotonic() + 30
        while "__warningregistry__" not in vars(library) and time.monotonic() < end:
            time.sleep(0.01)

    (report,) = reports(on_a_stack_of_its_own)
    assert (report.filename, report.lineno) == ("/somewhere/accelerate/made_up.py", 2)


def test_filters_by_module(reports: Any) -> None:
    """A filter on the user's module, or on ours by category, applies."""
    here = re.escape(__name__)
    for filter_ in ({"module": here}, {"category": TaskTypeWarning}, {"message": "Invalid task type"}):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.filterwarnings("ignore", **filter_)
            directly()
        assert caught == [], filter_


def test_the_default_filter_shows_a_line_once(reports: Any) -> None:
    """As for every warning of Python's, the same text at the same line is shown once by default."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            directly()
        in_a_function()
    assert len(caught) == 2


def test_a_filter_turns_it_into_an_error(reports: Any) -> None:
    """With an ``error`` filter the warning is raised at the mistake, with one frame of ours at most."""
    for mistake in (directly, on_a_model, by_replace):
        with warnings.catch_warnings():
            warnings.simplefilter("error", TaskTypeWarning)
            with pytest.raises(TaskTypeWarning) as caught:
                mistake()
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert sum("peft_strict" in frame.filename.split("/") for frame in frames) == 1
        assert any("# here" in (frame.line or "") for frame in frames)


def test_a_showwarning_that_raises_is_the_users(reports: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user's own warning machinery raises passes."""

    def show(*args: Any, **words: Any) -> None:
        raise OSError("disk full")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show)
        with pytest.raises(OSError, match="disk full"):
            directly()


def test_trim_leaves_others_alone() -> None:
    """Frames that are not ours stay, in order."""

    def inner() -> None:
        raise KeyError

    with pytest.raises(KeyError) as caught:
        inner()
    frames = traceback.extract_tb(caught.value.__traceback__)
    report.trim(caught.value)
    assert traceback.extract_tb(caught.value.__traceback__) == frames
    never_raised = KeyError()
    report.trim(never_raised)
    assert never_raised.__traceback__ is None


def test_a_model_for_two_tasks_is_reported_once(reports: Any) -> None:
    """Building a model around a misfitting config is one report, not one for each class it goes through."""
    found = reports(lambda: peft.get_peft_model(tiny_classifier(), lora(task_type="QUESTION_ANS")))
    assert len(found) == 1
