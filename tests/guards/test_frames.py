"""Whose code a frame runs."""

from __future__ import annotations

import importlib
import linecache
import os
import sys
import sysconfig
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peft
import pytest

import peft_strict
from peft_strict.guards import frames
from peft_strict.releases.live import live_release

from ..outcomes import reports
from ..ways_in.rows import lora, tiny_lm

ASSIGN = "def assign(config):\n    config.task_type = 'X'\n"
INSTALLED = os.path.join("lib", "python3.11", "site-packages")


def passed_on(config: Any, name: Any, file: str) -> warnings.WarningMessage:
    """Have the code of a module assign a wrong value, and return the one report."""
    names = {"__name__": name} if name else {}
    exec(compile(ASSIGN, file, "exec"), names)
    with reports() as found:
        names["assign"](config)  # here
    (report,) = found
    return report


@pytest.fixture(name="warned")
def _warned(off: None) -> None:
    peft_strict.enable(invalid="warn")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        pytest.param("made_up", "/x/lib/python3.11/site-packages/made_up/x.py", id="installed"),
        pytest.param("made_up", "/usr/lib/python3/dist-packages/made_up.py", id="Debian's"),
        pytest.param("made_up", r"C:\Users\me\venv\Lib\site-packages\made_up\x.py", id="on Windows"),
        pytest.param("made_up", os.path.join(os.path.dirname(os.__file__), "made_up.py"), id="Python's"),
        pytest.param("made_up", "<frozen made_up>", id="frozen"),
        pytest.param("__main__", os.path.join(sysconfig.get_path("scripts"), "made-up"), id="a command"),
        pytest.param("UnslothTrainer", "/me/unsloth_compiled_cache/UnslothTrainer.py", id="unsloth's"),
        pytest.param("", "<attrs generated init made.Mine>", id="generated"),
        *(pytest.param(name, f"/home/me/{name}/x.py", id=name) for name in sorted(frames._FROM_SOURCE)),
    ],
)
def test_libraries_are_passed_over(warned: None, name: str, file: str) -> None:
    """A mistake made by code that works on behalf of its caller is the caller's."""
    found = passed_on(lora(), name, file)
    assert found.filename == __file__
    assert "# here" in linecache.getline(found.filename, found.lineno)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("__main__", "/home/me/train.py"),
        ("__main__", "train.py"),
        ("mine.train", "/home/me/mine/train.py"),
        ("mine.train", "/home/me/site-packages-of-mine/train.py"),
        ("peft_mine", "/home/me/peft_mine/train.py"),
        ("__main__", "/tmp/ipykernel_42/1234.py"),
        ("__main__", "<ipython-input-1-0123456789ab>"),
        ("__main__", "<python-input-3>"),
        ("__main__", "<stdin>"),
        ("__main__", "<string>"),
        ("__main__", "<command-123>"),
        ("mine", "<string>"),
    ],
)
def test_the_users_own_code(warned: None, name: str, file: str) -> None:
    """A script, a project in its source tree, a cell, and what is typed or executed are the user's."""
    found = passed_on(lora(), name, file)
    assert (found.filename, found.lineno) == (file, 2)


def test_python_without_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a program that was frozen without them, Python's library is known by where it was imported from."""

    def fail(*_: object) -> str:
        raise ModuleNotFoundError("_sysconfigdata")

    monkeypatch.setattr(sysconfig, "get_path", fail)
    assert frames._pythons_folders.__wrapped__() == (os.path.join(os.path.dirname(os.__file__), ""),)


# -- packages in a folder of libraries --------------------------------------------------------------------------------

PACKAGES = {
    # hydra calls what a text names.
    "caller.py": """
        import importlib
        def instantiate(target, **words):
            module, _, name = target.rpartition(".")
            return getattr(importlib.import_module(module), name)(**words)
    """,
    # LLaMA-Factory and axolotl make the config by themselves.
    "factory/__init__.py": "",
    "factory/adapter.py": """
        from peft import LoraConfig, get_peft_model
        def init_adapter(model, settings):
            return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    """,
    # ms-swift puts functions of its own into PEFT.
    "swiftly.py": """
        import peft
        def patch():
            old = peft.tuners.lora.LoraModel.__init__
            def __new_init__(self, model, config, adapter_name, **words):
                old(self, model, config, adapter_name, **words)
            peft.tuners.lora.LoraModel.__init__ = __new_init__
        def prepare(model, **settings):
            return peft.inject_adapter_in_model(peft.LoraConfig(**settings), model)
    """,
    # unsloth writes a module, and imports it.
    "slothful.py": """
        import importlib, pathlib, sys
        def trainer(model, settings):
            home = pathlib.Path("unsloth_compiled_cache")
            home.mkdir(exist_ok=True)
            (home / "UnslothTrainer.py").write_text(
                "from peft import LoraConfig, get_peft_model\\n"
                "def wrap(model, **settings): return get_peft_model(model, LoraConfig(**settings))\\n"
            )
            sys.path.insert(0, str(home.absolute()))
            try:
                return importlib.import_module("UnslothTrainer").wrap(model, **settings)
            finally:
                sys.path.pop(0)
    """,
}
MISSPELT = {"target_modules": ["q_proj", "v_prj"]}


@pytest.fixture(name="installed")
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Give a function that imports one of these packages from a folder of libraries."""
    home = tmp_path / INSTALLED
    for name, text in PACKAGES.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(line[8:] for line in text.splitlines()))
    before = set(sys.modules)
    monkeypatch.syspath_prepend(home)
    monkeypatch.chdir(tmp_path)
    model = peft.tuners.lora.LoraModel
    own = vars(model).get("__init__")  # of some releases
    yield importlib.import_module
    if own is not None:
        model.__init__ = own
    elif "__init__" in vars(model):
        del model.__init__
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def by_a_caller(of: Callable[[str], Any]) -> None:
    config = of("caller").instantiate("peft.LoraConfig", **MISSPELT)
    of("caller").instantiate("peft.get_peft_model", model=tiny_lm(), peft_config=config)  # here


def by_a_factory(of: Callable[[str], Any]) -> None:
    of("factory.adapter").init_adapter(tiny_lm(), MISSPELT)  # here


def by_a_patch(of: Callable[[str], Any]) -> None:
    of("swiftly").patch()
    of("swiftly").prepare(tiny_lm(), **MISSPELT)  # here


def by_a_generated_module(of: Callable[[str], Any]) -> None:
    of("slothful").trainer(tiny_lm(), MISSPELT)  # here


@pytest.mark.parametrize("program", [by_a_caller, by_a_factory, by_a_patch, by_a_generated_module])
def test_frameworks(off: None, installed: Callable[[str], Any], program: Callable[..., None]) -> None:
    """A framework that makes the config, or wraps the model, from the user's settings: the user's line is named."""
    peft_strict.enable()
    with reports() as found:
        program(installed)
    (report,) = found
    assert report.filename == __file__
    assert "# here" in linecache.getline(report.filename, report.lineno)


def on_a_stack_of_its_own(function: Callable[..., Any], *args: Any) -> None:
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()


def test_an_installed_project(off: None, installed: Callable[[str], Any]) -> None:
    """Where all is installed, the line is that of the innermost code that is not made to call PEFT for others."""
    peft_strict.enable()
    module = installed("factory.adapter")
    with reports() as found:
        on_a_stack_of_its_own(module.init_adapter, tiny_lm(), MISSPELT)
    (report,) = found
    assert report.filename == module.__file__
    assert "get_peft_model(" in linecache.getline(report.filename, report.lineno)


def test_a_library_that_calls_peft_for_an_installed_project(warned: None) -> None:
    """The project is named then, and not the library, although that is further in."""
    library, project = types.ModuleType("trl.made_up"), types.ModuleType("mine.made_up")
    exec(compile(ASSIGN, f"/x/{INSTALLED}/trl/made_up.py", "exec"), vars(library))
    run = "\n\ndef run(assign, config):\n    assign(config)\n"
    exec(compile(run, f"/x/{INSTALLED}/mine/made_up.py", "exec"), vars(project))
    with reports() as found:
        on_a_stack_of_its_own(project.run, library.assign, lora())
    (report,) = found
    assert (report.filename, report.lineno) == (f"/x/{INSTALLED}/mine/made_up.py", 4)


# -- stand-ins --------------------------------------------------------------------------------------------------------


def test_foreign_objects_in_pefts_modules(off: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody has put into PEFT's modules is looked at without running into what it raises."""

    class Odd:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    class Circle:
        @property
        def __wrapped__(self) -> Any:
            return self

    monkeypatch.setattr(peft, "odd", Odd(), raising=False)
    monkeypatch.setattr(peft, "circle", Circle(), raising=False)
    codes = set(frames._stand_ins(live_release()))
    assert {peft.get_peft_model.__code__, peft.LoraConfig.from_json_file.__func__.__code__} <= codes
