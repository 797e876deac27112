"""Switching on and off: the finder that waits for ``import peft``, the loader around the real one, and the undo."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from .. import small_peft
from ..interpreters import (
    World,
    environ,
    execute,
    on_a_few_small_pefts,
    on_each_peft,
    on_each_small_peft,
    on_pythons_with_find_module,
    on_pythons_with_load_module,
    on_the_real_peft,
)

IN_TIME = 60  # seconds for what would wait for ever


@pytest.fixture(name="passes")
def _passes(world: World, tmp_path: Path):
    """Runs a script that must end well and leave nothing on stderr."""

    def passes(script: str, **options: object) -> str:
        return world.passes(script, tmp_path, **options)

    return passes


# -- before PEFT -----------------------------------------------------------------------------------------------------


@on_each_peft
def test_guards_what_is_imported_later(passes) -> None:
    """``enable()`` loads neither wrapt nor PEFT; the import that follows is guarded, each class wrapped once."""
    passes("""
        import sys, peft_strict, scenario
        assert repr(peft_strict.enable()) == '<peft_strict: armed, waiting for "import peft">'
        assert not {"peft", "wrapt"} & sys.modules.keys()
        import peft
        assert scenario.guarded()
    """)


@on_each_peft
def test_guards_what_is_imported_already(passes) -> None:
    """``enable()`` after the import guards at once, and a second call changes nothing."""
    passes("""
        import peft, peft_strict, scenario
        first = peft_strict.enable()
        assert repr(first).startswith("<peft_strict: guarding "), first
        assert peft_strict.enable() == first
        assert scenario.guarded()
    """)


@on_each_peft
def test_submodule_first(passes) -> None:
    """It does not matter which module of PEFT is asked for first."""
    passes("""
        import peft_strict, scenario
        peft_strict.enable()
        import peft.tuners.lora
        assert scenario.guarded()
    """)


@on_each_peft
def test_disabled_before_import(passes) -> None:
    """``disable()`` takes the finder away, and a PEFT imported then is plain."""
    passes("""
        import peft_strict, scenario
        peft_strict.enable()
        assert repr(peft_strict.disable()) == "<peft_strict: off>"
        assert scenario.finders() == 0
        import peft
        assert not scenario.refused()
        assert scenario.depths() == {0}
        assert peft_strict.status().state == "off"
    """)


@on_each_peft
def test_disable_restores(passes) -> None:
    """``disable()`` puts back the very objects that were there, is idempotent, and can be taken back."""
    passes("""
        import peft, peft_strict, scenario
        places = [*scenario.config_classes(), *peft.PeftConfig.__mro__[:-1], peft.PeftModel]
        contents = lambda: [{name: id(value) for name, value in vars(cls).items()} for cls in places]
        before = contents()
        peft_strict.enable()
        assert all(now != then for now, then in zip(contents(), before) if "__init__" in then)
        for _ in range(2):
            assert repr(peft_strict.disable()) == "<peft_strict: off>"
            assert contents() == before
        peft_strict.enable()
        assert scenario.guarded()
    """)


@on_the_real_peft
@pytest.mark.parametrize("name", ["invalid", "misfit"])
def test_unknown_mode(passes, name: str) -> None:
    """An unknown mode is a ``ValueError`` with the allowed words and the nearest one; nothing is changed."""
    passes(f"""
        import peft_strict, scenario
        try:
            peft_strict.enable({name}="Rise")
        except ValueError as error:
            text = str(error)
        assert text.startswith("{name}='Rise' is not a mode of peft-strict. Use one of "), text
        assert "'raise'" in text and "'warn'" in text and text.endswith(" Did you mean 'raise'?"), text
        assert (scenario.finders(), peft_strict.status().state) == (0, "off")
    """)


# -- looking for PEFT without importing it ---------------------------------------------------------------------------


@on_each_peft
def test_found_but_not_imported(passes) -> None:
    """``find_spec("peft")`` imports nothing, and its answer is the usual one; the import that follows is guarded."""
    passes("""
        import copy, importlib.util, sys, peft_strict, scenario
        def facts(spec):
            loader = spec.loader
            return (spec.name, spec.origin, spec.cached, list(spec.submodule_search_locations), spec.has_location,
                    loader.get_filename("peft"), loader.is_package("peft"), loader.get_source("peft"),
                    loader.path_stats(spec.origin).keys())
        plain = facts(importlib.util.find_spec("peft"))
        peft_strict.enable()
        found = importlib.util.find_spec("peft")
        assert facts(found) == facts(copy.copy(found)) == facts(copy.deepcopy(found)) == plain
        assert not {"peft", "wrapt"} & sys.modules.keys()
        import peft
        assert scenario.guarded()
    """)


@on_the_real_peft
def test_is_peft_available(passes) -> None:
    """The question that transformers asks imports nothing, and does not spoil the import that follows."""
    passes("""
        import sys, peft_strict, scenario
        peft_strict.enable()
        from transformers.utils import is_peft_available
        is_peft_available.cache_clear() if hasattr(is_peft_available, "cache_clear") else None
        assert is_peft_available()
        assert not {"peft", "wrapt"} & sys.modules.keys()
        import peft
        assert scenario.guarded()
    """)


@on_each_peft
def test_nothing_is_imported_while_looking(passes) -> None:
    """The finder imports nothing: who does that while a module is being looked for can wait for ever."""
    passes("""
        import builtins, sys, peft_strict
        peft_strict.enable()
        finder = sys.meta_path[0]
        before = set(sys.modules)
        imported, plain = [], builtins.__import__
        builtins.__import__ = lambda name, *rest: (imported.append(name), plain(name, *rest))[1]
        try:
            assert finder.find_spec("peft").name == "peft"
            assert finder.find_spec("json") is None
        finally:
            builtins.__import__ = plain
        assert not {name.partition(".")[0] for name in imported} & {"peft", "wrapt", "peft_strict"}, imported
        assert not {name.partition(".")[0] for name in set(sys.modules) - before} & {"peft", "wrapt", "peft_strict"}
    """)


@on_each_peft
def test_a_peft_that_is_not_there(passes) -> None:
    """Where there is no PEFT, its import fails as ever."""
    passes("""
        import importlib.util, sys, peft_strict
        peft_strict.enable()
        class Blind:
            def find_spec(self, name, path=None, target=None):
                return None
        sys.meta_path[1:] = [Blind()]
        assert importlib.util.find_spec("peft") is None
        try:
            import peft
        except ModuleNotFoundError as error:
            assert (str(error), error.name) == ("No module named 'peft'", "peft")
        else:
            raise AssertionError
    """)


# -- while PEFT is imported ------------------------------------------------------------------------------------------


@on_each_peft
def test_loader_is_taken_out(passes) -> None:
    """An imported PEFT has its own loader, and everything that asks that for source and data works."""
    passes("""
        import importlib.machinery, importlib.resources, inspect, pkgutil, pickle, peft_strict, scenario
        peft_strict.enable()
        import peft
        assert type(peft.__spec__) is importlib.machinery.ModuleSpec
        assert type(peft.__spec__.loader) is type(peft.__loader__) is importlib.machinery.SourceFileLoader
        with open(peft.__file__) as file:
            assert inspect.getsource(peft) == file.read()
        assert b"__version__" in pkgutil.get_data("peft", "__init__.py")
        if hasattr(importlib.resources, "files"):
            assert importlib.resources.files("peft").joinpath("config.py").is_file()
        assert pickle.loads(pickle.dumps(peft.LoraConfig(task_type="CAUSAL_LM"))).task_type == "CAUSAL_LM"
    """)


@on_each_peft
def test_sixteen_threads(passes) -> None:
    """Sixteen threads that import PEFT at once all get a guarded one, each class wrapped once."""
    passes("""
        import sys, threading, peft_strict, scenario
        sys.setswitchinterval(1e-5)
        peft_strict.enable()
        barrier, found = threading.Barrier(16), []
        def work():
            barrier.wait()
            import peft
            found.append(scenario.refused())
        threads = [threading.Thread(target=work) for _ in range(16)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert found == [True] * 16, found
        assert scenario.guarded()
    """)


TWO_THREADS = """
    import sys, threading, time, peft_strict, scenario
    peft_strict.enable()
    inside, other_is_off = threading.Event(), threading.Event()

    def pause(frame, event, argument):
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.endswith({file!r}):
            inside.set()
            other_is_off.wait()
            time.sleep(0.3)

    def second():
        sys.settrace(pause)
        {statement}

    def first():
        inside.wait()
        other_is_off.set()
        import peft

    threads = [threading.Thread(target=work, daemon=True) for work in (first, second)]
    [thread.start() for thread in threads]
    [thread.join({limit}) for thread in threads]
    assert not any(thread.is_alive() for thread in threads), "both threads wait for each other"
    assert scenario.guarded()
"""


@on_each_peft
def test_two_threads(passes) -> None:
    """One thread is in the middle of importing wrapt when another imports PEFT: both end.

    They would wait for each other if PEFT's finder imported wrapt: the first would hold the lock that the second needs
    to find the submodules of wrapt, and wait for wrapt. See wrapt #217, ddtrace #17742.
    """
    passes(TWO_THREADS.format(file="wrapt/__init__.py", statement="import wrapt", limit=IN_TIME))


@on_each_small_peft
def test_two_threads_and_asyncio(passes) -> None:
    """The same with a package that wrapt itself imports, as it is met in the wild."""
    passes(TWO_THREADS.format(file="asyncio/__init__.py", statement="import asyncio", limit=IN_TIME), fresh=True)


@on_each_small_peft
def test_switching_while_importing(passes) -> None:
    """Threads that switch on and off and ask, while another imports PEFT again and again, never wait for ever."""
    passes(f"""
        import importlib, sys, threading, peft_strict, scenario
        sys.setswitchinterval(1e-5)
        done, errors = threading.Event(), []
        def toggle(*actions):
            try:
                while not done.is_set():
                    [action() for action in actions]
            except BaseException as error:
                errors.append(error)
        work = [(peft_strict.enable, peft_strict.status), (peft_strict.disable, peft_strict.enable)]
        threads = [threading.Thread(target=toggle, args=actions, daemon=True) for actions in work]
        def again():
            import peft
            for _ in range(20):
                importlib.reload(peft)
            done.set()
        threads.append(threading.Thread(target=again, daemon=True))
        [thread.start() for thread in threads]
        [thread.join({IN_TIME}) for thread in threads]
        assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
        assert not errors, errors
        peft_strict.enable()
        assert scenario.guarded()
        peft_strict.disable()
        assert scenario.depths() == {{0}}
    """)


@on_each_peft
def test_enabled_half_way_on_this_thread(passes) -> None:
    """``enable()`` in the middle of PEFT's import patches nothing yet; at the end of the import all is guarded."""
    passes("""
        import importlib.machinery, sys, peft_strict, scenario
        seen = []
        def action():
            seen.append(repr(peft_strict.enable()))
            seen.append("wrapt" in sys.modules)
            seen.append(repr(peft_strict.enable()))
        with scenario.Midway("peft.tuners.lora", action) as midway:
            import peft
        assert midway.runs == 1
        armed = '<peft_strict: armed, waiting for "import peft">'
        assert seen == [armed, False, armed], seen
        assert type(peft.__spec__) is importlib.machinery.ModuleSpec
        assert scenario.guarded()
    """)


@on_each_peft
def test_enabled_half_way_on_another_thread(passes) -> None:
    """``enable()`` on another thread waits for the end of PEFT's import; nothing is patched half-way."""
    passes("""
        import sys, threading, time, peft_strict, scenario
        found, seen = [], []
        thread = threading.Thread(target=lambda: found.append(peft_strict.enable()))
        def action():
            thread.start()
            time.sleep(0.3)
            seen.append(("wrapt" in sys.modules, list(found)))
        with scenario.Midway("peft.tuners.lora", action):
            import peft
        thread.join()
        assert seen == [(False, [])], seen
        assert found[0].state == "guarding", found
        assert scenario.guarded()
    """)


@on_each_small_peft
def test_enabled_half_way_of_an_import_of_its_own_kind(passes) -> None:
    """Where the end of the import cannot be noticed, ``enable()`` warns, and a later call guards."""
    passes("""
        import importlib.machinery, sys, warnings, peft_strict, scenario
        class Spec(importlib.machinery.ModuleSpec):
            pass
        class Finder:
            def find_spec(self, name, path=None, target=None):
                spec = importlib.machinery.PathFinder.find_spec(name, path) if name == "peft" else None
                if spec:
                    spec.__class__ = Spec
                return spec
        sys.meta_path.insert(0, Finder())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with scenario.Midway("peft.tuners.lora", peft_strict.enable):
                import peft
        (warning,) = caught
        assert warning.category is peft_strict.PeftStrictWarning
        assert "is NOT guarded: it is being imported" in str(warning.message), warning
        assert type(peft.__spec__) is Spec and scenario.depths() == {0}
        assert peft_strict.enable().state == "guarding"
        assert scenario.guarded()
    """)


@on_each_peft
def test_armed_and_enabled_half_way(passes) -> None:
    """``enable()`` in the middle of an import that we wait for anyway does not patch twice."""
    passes("""
        import peft_strict, scenario
        peft_strict.enable()
        with scenario.Midway("peft.tuners.lora", peft_strict.enable):
            import peft
        assert scenario.guarded()
    """)


@on_each_peft
@pytest.mark.parametrize("armed", [True, False], ids=["armed", "enabled-half-way"])
def test_disabled_half_way(passes, armed: bool) -> None:
    """``disable()`` in the middle of PEFT's import leaves PEFT plain."""
    passes(f"""
        import peft_strict, scenario
        if {armed}:
            peft_strict.enable()
        def action():
            peft_strict.enable()
            peft_strict.disable()
        with scenario.Midway("peft.tuners.lora", action):
            import peft
        assert not scenario.refused()
        assert scenario.depths() == {{0}}
    """)


FAILING = """
    import sys, peft_strict, scenario
    {first}
    def action():
        {then}
        raise ImportError("half-way")
    try:
        with scenario.Midway("peft.tuners.lora", action):
            import peft
    except ImportError as error:
        assert str(error) == "half-way"
    else:
        raise AssertionError
    assert "peft" not in sys.modules
    assert repr(peft_strict.status()) == '<peft_strict: armed, waiting for "import peft">'
    assert scenario.finders() == 1
    for name in [name for name in sys.modules if name.partition(".")[0] == "peft"]:
        del sys.modules[name]
    import peft
    assert scenario.guarded()
"""


@on_each_peft
@pytest.mark.parametrize(
    ("first", "then"),
    [("peft_strict.enable()", "pass"), ("pass", "peft_strict.enable()")],
    ids=["armed", "enabled-half-way"],
)
def test_failing_import(passes, first: str, then: str) -> None:
    """An import of PEFT that fails half-way fails as ever and leaves nothing; the next one is guarded."""
    passes(FAILING.format(first=first, then=then))


@on_each_peft
def test_failing_import_on_another_thread(passes) -> None:
    """``enable()`` that waited for an import which failed goes on waiting for the next."""
    passes("""
        import sys, threading, time, peft_strict, scenario
        found = []
        thread = threading.Thread(target=lambda: found.append(repr(peft_strict.enable())))
        def action():
            if thread.ident is None:
                thread.start()
                time.sleep(0.3)
            raise ImportError("half-way")
        try:
            with scenario.Midway("peft.tuners.lora", action):
                import peft
        except ImportError:
            pass
        thread.join()
        for name in [name for name in sys.modules if name.partition(".")[0] == "peft"]:
            del sys.modules[name]
        import peft
        assert scenario.guarded(), found
    """)


@on_each_peft
def test_failing_import_and_the_next_one(passes) -> None:
    """``enable()`` that finds an import under way, which has failed when it asks, leaves the next failure alone."""
    passes("""
        import builtins, sys, threading, peft_strict, scenario
        asks, failed, found = threading.Event(), threading.Event(), []
        thread = threading.Thread(target=lambda: found.append(peft_strict.enable().state))
        plain = builtins.__import__
        def slow(name, *rest, **words):
            if name == "peft" and threading.current_thread() is thread:
                asks.set()
                failed.wait(5)
            return plain(name, *rest, **words)
        builtins.__import__ = slow
        def action():
            if thread.ident is None:
                thread.start()
                asks.wait(5)
            raise RuntimeError("half-way")
        def forget():
            for name in [name for name in sys.modules if name.partition(".")[0] == "peft"]:
                del sys.modules[name]
        with scenario.Midway("peft.tuners.lora", action) as midway:
            try:
                import peft
            except RuntimeError:
                forget()
            failed.set()
            thread.join()
        assert (midway.runs, found) == (2, ["armed"]), (midway.runs, found)
        builtins.__import__ = plain
        forget()
        import peft
        assert scenario.guarded()
    """)


# -- importing again -------------------------------------------------------------------------------------------------


@on_each_peft
@pytest.mark.parametrize("armed", [True, False], ids=["armed", "enabled-after-import"])
def test_reload(passes, armed: bool) -> None:
    """``importlib.reload(peft)`` keeps the guards, once."""
    passes(f"""
        import importlib, peft_strict, scenario
        if {armed}:
            peft_strict.enable()
        import peft
        peft_strict.enable()
        importlib.reload(peft)
        assert scenario.guarded()
    """)


@on_each_peft
def test_reload_of_a_tuner(passes) -> None:
    """The config class that reloading a tuner's module makes is guarded, and so is the one before."""
    passes("""
        import importlib, peft_strict, scenario
        peft_strict.enable()
        import peft
        module = importlib.import_module("peft.tuners.lora.config")
        old = module.LoraConfig
        importlib.reload(module)
        assert module.LoraConfig is not old
        assert scenario.refused(old)
        assert scenario.refused(module.LoraConfig)
        importlib.reload(peft)
        assert scenario.guarded()
    """)


@on_each_peft
def test_imported_again(passes) -> None:
    """PEFT deleted from ``sys.modules`` and imported again is guarded, so are its old classes, and all is undone."""
    passes("""
        import sys, peft_strict, scenario
        peft_strict.enable()
        import peft
        old = peft.LoraConfig
        for name in [name for name in sys.modules if name.partition(".")[0] == "peft"]:
            del sys.modules[name]
        assert repr(peft_strict.status()) == '<peft_strict: armed, waiting for "import peft">'
        import peft
        assert peft.LoraConfig is not old
        assert scenario.guarded()
        assert scenario.refused(old)
        peft_strict.disable()
        for cls in (old, peft.LoraConfig):
            assert scenario.depth(vars(cls)["__init__"]) == 0
            assert not scenario.refused(cls)
    """)


@on_each_peft
def test_our_own_modules_imported_again(passes) -> None:
    """A second copy of peft_strict finds what the first has done: the status is right, nothing is done twice."""
    passes("""
        import sys, peft_strict, scenario
        peft_strict.enable(misfit="ignore")
        import peft
        originals = {cls: vars(cls)["__init__"].__wrapped__ for cls in scenario.config_classes()}
        for name in [name for name in sys.modules if name.partition(".")[0] == "peft_strict"]:
            del sys.modules[name]
        import peft_strict
        status = peft_strict.status()
        assert (status.state, status.misfit) == ("guarding", "ignore"), status
        assert scenario.refused() and scenario.finders() == 1
        peft_strict.enable(misfit="ignore")
        assert scenario.guarded()
        try:
            peft.LoraConfig(task_type="CASUAL_LM")
        except peft_strict.InvalidTaskTypeError:
            pass
        peft_strict.disable()
        assert all(vars(cls)["__init__"] is original for cls, original in originals.items())
        assert scenario.finders() == 0
    """)


@on_each_peft
def test_second_copy_only_disables(passes) -> None:
    """A second copy of peft_strict undoes what the first has done, also without switching on itself."""
    passes("""
        import sys, peft_strict, scenario
        peft_strict.enable()
        import peft
        for name in [name for name in sys.modules if name.partition(".")[0] == "peft_strict"]:
            del sys.modules[name]
        import peft_strict
        assert repr(peft_strict.disable()) == "<peft_strict: off>"
        assert scenario.depths() == {0}
        assert scenario.finders() == 0
        assert not scenario.refused()
    """)


@on_each_small_peft
@pytest.mark.parametrize("steps", ["new old", "old new", "new old new", "old new old"])
def test_copies_agree(passes, steps: str) -> None:
    """Whichever copy of peft_strict switches, all of them tell the same, and one finder stands by."""
    passes(f"""
        import sys, peft, scenario
        def copy():
            for name in [name for name in sys.modules if name.partition(".")[0] == "peft_strict"]:
                del sys.modules[name]
            import peft_strict
            peft_strict.enable, peft_strict.disable, peft_strict.status  # loaded, as long as they are this copy's
            return peft_strict
        copies = dict(old=copy(), new=copy())
        modes = ["warn", "raise", "ignore"]
        for number, step in enumerate({steps!r}.split()):
            copies[step].enable(misfit=modes[number])
            for each in copies.values():
                found = each.status()
                assert (found.state, found.misfit) == ("guarding", modes[number]), (step, found)
            assert scenario.refused() and scenario.finders() == 1
        copies["old"].disable()
        assert [each.status().state for each in copies.values()] == ["off", "off"]
        assert scenario.depths() == {{0}} and scenario.finders() == 0
    """)


@on_each_peft
def test_enabled_while_another_thread_looks_for_peft(passes) -> None:
    """``enable()`` waits for a thread that has begun to look for PEFT before there was our finder to ask."""
    passes("""
        import sys, threading, time, peft_strict, scenario
        peft_strict.status()  # all of ours is loaded: an import would wait by itself
        begun = threading.Event()
        class Slow:
            def find_spec(self, name, path=None, target=None):
                if name == "peft":
                    begun.set()
                    time.sleep(0.5)
        sys.meta_path.insert(0, Slow())
        thread = threading.Thread(target=lambda: __import__("peft"))
        thread.start()
        begun.wait()
        status = peft_strict.enable()
        thread.join()
        assert status.state == "guarding", status
        import peft
        assert scenario.guarded()
    """)


@on_each_peft
def test_switched_off_before_peft_is_executed(passes) -> None:
    """What was looked for while we were on and is executed while we are off is left alone: wrapt is not imported."""
    passes("""
        import importlib.util, sys, peft_strict
        peft_strict.enable()
        spec = importlib.util.find_spec("peft")
        peft_strict.disable()
        sys.modules["wrapt"] = None
        sys.modules["peft"] = peft = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(peft)
        assert repr(peft_strict.status()) == "<peft_strict: off>"
    """)


# -- other importers -------------------------------------------------------------------------------------------------


@on_each_peft
def test_foreign_finder_in_front(passes) -> None:
    """Where somebody's finder in front of ours finds PEFT, the status says: not guarded; enable() repairs."""
    passes("""
        import sys, peft_strict, scenario
        peft_strict.enable()
        foreign = scenario.InFront()
        sys.meta_path.insert(0, foreign)
        import peft
        status = peft_strict.status()
        assert status.state == "not guarding" and "LoraConfig" in status.unguarded, status
        assert repr(status).startswith("<peft_strict: NOT guarding "), status
        assert not scenario.refused()
        assert peft_strict.enable().state == "guarding"
        assert scenario.guarded()
        assert foreign in sys.meta_path
        for name in [name for name in sys.modules if name.partition(".")[0] == "peft"]:
            del sys.modules[name]
        import peft
        assert scenario.guarded()
    """)


FOREIGN = {
    "answers-everything": "type('', (), {'__getattr__': lambda self, name: self, 'find_spec': lambda *_: None})()",
    "refuses-everything": "type('', (), {'__getattr__': lambda self, name: 1 / 0, 'find_spec': lambda *_: None})()",
}


@on_each_small_peft
@pytest.mark.parametrize("foreign", FOREIGN)
def test_odd_finders(passes, foreign: str) -> None:
    """A finder of somebody else is never taken for ours, whatever it says of its attributes, and stays."""
    passes(f"""
        import sys
        foreign = {FOREIGN[foreign]}
        sys.meta_path.append(foreign)
        import peft_strict, scenario
        peft_strict.enable()
        import peft
        assert scenario.guarded()
        peft_strict.disable()
        assert sys.meta_path[-1] is foreign
    """)


@on_each_small_peft
def test_somebody_keeps_the_list_of_finders(passes) -> None:
    """Who has taken ``sys.meta_path`` before can still add and remove finders after ``enable()`` and ``disable()``."""
    passes("""
        import sys, peft_strict
        kept, before = sys.meta_path, [*sys.meta_path]
        peft_strict.enable()
        assert sys.meta_path is kept
        peft_strict.disable()
        assert sys.meta_path is kept and kept == before
    """)


MEANWHILE = {
    "list-in-hand": "sys.meta_path.insert(0, (switch(), theirs)[1])",
    "while-finders-are-asked": """
class Asked:
    find_spec = None
    @property
    def __dict__(self):
        theirs in sys.meta_path or sys.meta_path.insert(0, theirs)
        return {}
sys.meta_path.append(Asked())
switch()
""",
}


@on_each_small_peft
@pytest.mark.parametrize("meanwhile", MEANWHILE)
@pytest.mark.parametrize("action", ["enable", "disable"])
def test_finder_that_is_put_in_meanwhile(world: World, tmp_path: Path, action: str, meanwhile: str) -> None:
    """A finder that somebody puts in while we are moving to the front, or going, is not lost."""
    script = f"""
import sys, peft_strict, scenario
peft_strict.enable()
sys.meta_path.insert(0, scenario.InFront())
theirs, switch = scenario.InFront(), peft_strict.{action}
{MEANWHILE[meanwhile]}
assert theirs in sys.meta_path
assert scenario.finders() == {int(action == "enable")}
"""
    world.passes(script, tmp_path)


@on_a_few_small_pefts
def test_threads_that_put_finders_in(passes) -> None:
    """Finders that two threads put in, while another switches on and off, are all there afterwards."""
    passes("""
        import sys, threading, time, peft_strict, scenario
        peft_strict.enable()
        peft_strict.disable()  # all is imported: an import would miss finders while the threads move them
        done, missing = threading.Event(), []
        def work():
            while not done.is_set():
                theirs = scenario.InFront()
                sys.meta_path.insert(0, theirs)
                try:
                    sys.meta_path.remove(theirs)
                except ValueError:
                    missing.append(theirs)
        threads = [threading.Thread(target=work) for _ in range(2)]
        sys.setswitchinterval(1e-5)
        [thread.start() for thread in threads]
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            peft_strict.enable()
            peft_strict.disable()
        done.set()
        [thread.join() for thread in threads]
        assert not missing
        assert scenario.finders() == 0
    """)


@on_pythons_with_find_module
def test_finder_of_the_old_kind(passes) -> None:
    """Up to CPython 3.11 a finder may have ``find_module`` only."""
    passes("""
        import importlib.machinery, sys, warnings, peft_strict, scenario
        warnings.simplefilter("ignore")
        spec = importlib.machinery.PathFinder.find_spec("peft")
        sys.path = [folder for folder in sys.path if not spec.origin.startswith(folder + "/")]
        class Old:
            def find_module(self, name, path=None):
                return importlib.machinery.SourceFileLoader("peft", spec.origin) if name == "peft" else None
        sys.meta_path.append(Old())
        peft_strict.enable()
        import peft
        assert scenario.guarded()
    """)


@on_each_peft
def test_switched_off_during_an_import(passes) -> None:
    """An import that is being looked for while we go from ``sys.meta_path`` still asks every finder behind ours."""
    passes("""
        import sys, peft_strict
        class Interferes:
            def find_spec(self, name, path=None, target=None):
                peft_strict.disable()
        peft_strict.enable()
        at = sys.meta_path.index(next(f for f in sys.meta_path if getattr(f, "__name__", "") == "PathFinder"))
        sys.meta_path.insert(at, Interferes())
        sys.modules.pop("colorsys", None)
        import colorsys
    """)


@on_pythons_with_load_module
@pytest.mark.parametrize("works", [True, False], ids=["guarded", "no-wrapt"])
def test_loader_of_the_old_kind(world: World, tmp_path: Path, works: bool) -> None:
    """Up to CPython 3.14 a loader may have ``load_module`` only, as that of zip files had up to 3.9."""
    result = world.run(
        f"""
        import importlib.machinery, importlib.util, sys, warnings, peft_strict, scenario
        warnings.simplefilter("ignore")
        real = importlib.machinery.PathFinder.find_spec("peft")
        class Old:
            def load_module(self, name):
                module = sys.modules[name] = importlib.util.module_from_spec(real)
                real.loader.exec_module(module)
                return module
        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name == "peft":
                    return importlib.util.spec_from_loader(name, Old(), origin=real.origin, is_package=True)
        sys.meta_path.insert(0, Finder())
        peft_strict.enable()
        if not {works}:
            sys.modules["wrapt"] = None
        import peft
        assert scenario.guarded() if {works} else not scenario.refused()
        """,
        tmp_path,
    )
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert result.stderr.startswith("" if works else "peft-strict: PEFT is NOT guarded: ModuleNotFoundError: ")
    assert result.stderr.count("\n") == (0 if works else 1)


@on_each_small_peft
def test_folder_by_the_name_of_peft(passes, tmp_path: Path) -> None:
    """A folder without a package in it, for which the import system has no loader to ask, is imported as ever."""
    (tmp_path / "peft").mkdir()
    passes("""
        import sys, warnings, peft_strict
        warnings.simplefilter("ignore")
        sys.path = sys.path[:1]
        peft_strict.enable()
        import peft
        assert [*peft.__path__] == [sys.path[0] + "/peft"]
        assert peft_strict.status().state == "not guarding"
    """)


@on_each_peft
def test_loader_around_ours(passes) -> None:
    """Somebody's loader around ours, as tracing tools put it there, stays where it is."""
    passes("""
        import sys, peft_strict, scenario
        class Around:
            def __init__(self, loader):
                self.loader = loader
            def create_module(self, spec):
                return self.loader.create_module(spec)
            def exec_module(self, module):
                self.loader.exec_module(module)
        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name != "peft":
                    return None
                behind = sys.meta_path[sys.meta_path.index(self) + 1 :]
                spec = next(filter(None, (finder.find_spec(name, path, target) for finder in behind)))
                spec.loader = Around(spec.loader)
                return spec
        peft_strict.enable()
        sys.meta_path.insert(0, Finder())
        import peft
        assert type(peft.__spec__.loader) is type(peft.__loader__) is Around
        assert scenario.guarded()
    """)


@on_each_peft
def test_finder_removed_by_somebody(passes) -> None:
    """Where somebody took our finder away, the status says so; enable() repairs."""
    passes("""
        import sys, peft_strict, scenario
        peft_strict.enable()
        del sys.meta_path[0]
        status = peft_strict.status()
        assert status.state == "not guarding", status
        assert repr(status) == "<peft_strict: NOT guarding: our import hook was removed; call enable() again>", status
        peft_strict.enable()
        import peft
        assert scenario.guarded()
    """)


@on_each_peft
def test_lazy_loader(passes) -> None:
    """A PEFT put up by ``importlib.util.LazyLoader`` is guarded when it is touched first."""
    passes("""
        import importlib.util, sys, peft_strict, scenario
        peft_strict.enable()
        spec = importlib.util.find_spec("peft")
        spec.loader = importlib.util.LazyLoader(spec.loader)
        peft = sys.modules["peft"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(peft)
        assert "wrapt" not in sys.modules
        assert scenario.refused(peft.LoraConfig)
        assert scenario.guarded()
    """)


@on_each_peft
@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_post_import_hook_of_wrapt(passes, first: str) -> None:
    """wrapt's own hook for PEFT fires once; its patch and ours both work, and ours goes without theirs."""
    passes(f"""
        import wrapt, peft_strict, scenario
        fired, calls = [], []
        def hook(module):
            fired.append(module.__name__)
            def count(wrapped, instance, args, kwargs):
                calls.append(type(instance).__name__)
                return wrapped(*args, **kwargs)
            wrapt.wrap_function_wrapper(module.LoraConfig, "__init__", count)
        register = lambda: wrapt.register_post_import_hook(hook, "peft")
        steps = [register, peft_strict.enable]
        [step() for step in (steps if {first!r} == "theirs" else reversed(steps))]
        import peft
        assert (fired, scenario.refused(), peft_strict.status().state) == (["peft"], True, "guarding")
        calls.clear()
        peft.LoraConfig(task_type="CAUSAL_LM")
        assert calls == ["LoraConfig"], calls
        peft_strict.disable()
        assert not scenario.refused()
        calls.clear()
        peft.LoraConfig(task_type="CAUSAL_LM")
        assert calls == ["LoraConfig"], calls
    """)


@on_each_peft
def test_runpy(passes) -> None:
    """``runpy`` of a module of PEFT, and of a file that uses PEFT, is guarded."""
    passes("""
        import pathlib, runpy, peft_strict, scenario
        peft_strict.enable()
        runpy.run_module("peft.functional", run_name="somebody")
        assert scenario.guarded()
        pathlib.Path("user.py").write_text("import peft\\npeft.LoraConfig(task_type='CASUAL_LM')")
        try:
            runpy.run_path("user.py", run_name="__main__")
        except peft_strict.InvalidTaskTypeError:
            pass
        else:
            raise AssertionError
    """)


@on_each_small_peft
@pytest.mark.parametrize("way", ["module", "zipapp", "zipped-package"])
def test_started_from(world: World, tmp_path: Path, way: str) -> None:
    """``python -m peft``, a zipapp with PEFT in it, and a PEFT in a zip file on the path are guarded."""
    small_peft.write(tmp_path / "source")
    archive = tmp_path / "app.pyz"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (tmp_path / "source").rglob("*.py"):
            file.write(path, path.relative_to(tmp_path / "source"))
        file.writestr("__main__.py", "import peft.__main__")
    command = {"module": ("-m", "peft"), "zipapp": (archive,), "zipped-package": ("-c", "import peft.__main__")}[way]
    path = {"PYTHONPATH": archive} if way == "zipped-package" else {}
    result = execute(world.environment.python, *command, env=environ(PEFT_STRICT=1, **path))
    assert result.returncode == 1
    assert "InvalidTaskTypeError: Invalid task type: 'CASUAL_LM'." in result.stderr
    assert (str(archive) in result.stderr) == (way != "module")


# -- what goes wrong on our side -------------------------------------------------------------------------------------


@on_each_peft
def test_switched_off_while_wrapt_is_imported(passes) -> None:
    """``disable()`` after PEFT's import, while we load what patches, leaves PEFT plain."""
    passes("""
        import peft_strict, scenario
        peft_strict.enable()
        with scenario.Midway("wrapt", peft_strict.disable) as midway:
            import peft
        assert midway.runs == 1
        assert scenario.depths() == {0}
        assert not scenario.refused()
        assert repr(peft_strict.status()) == "<peft_strict: off>"
    """)


@on_each_peft
@pytest.mark.parametrize("armed", [True, False], ids=["armed", "enabled-half-way"])
def test_our_patching_fails(world: World, tmp_path: Path, armed: bool) -> None:
    """Where we cannot patch, ``import peft`` succeeds; one line on stderr and the status say so; enable() repairs."""
    result = world.run(
        f"""
        import contextlib, sys, peft_strict, scenario
        if {armed}:
            peft_strict.enable()
        sys.modules["wrapt"] = None
        with contextlib.nullcontext() if {armed} else scenario.Midway("peft.tuners.lora", peft_strict.enable):
            import peft
        assert not scenario.refused()
        assert peft.LoraConfig(task_type="CAUSAL_LM").task_type == "CAUSAL_LM"
        status = peft_strict.status()
        assert (status.state, "wrapt" in status.problem) == ("not guarding", True), status
        assert repr(status).startswith("<peft_strict: NOT guarding: ModuleNotFoundError: "), status
        del sys.modules["wrapt"]
        assert peft_strict.enable().state == "guarding"
        assert scenario.guarded()
        """,
        tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.startswith("peft-strict: PEFT is NOT guarded: ModuleNotFoundError: ")
    assert result.stderr.count("\n") == 1


@on_each_peft
def test_enable_cannot_patch(passes) -> None:
    """``enable()`` that cannot patch warns at the caller's line instead of raising."""
    passes("""
        import sys, warnings, peft, peft_strict
        sys.modules["wrapt"] = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            status = peft_strict.enable()
        (warning,) = caught
        assert warning.category is peft_strict.PeftStrictWarning
        assert str(warning.message).startswith("peft-strict: PEFT is NOT guarded: ModuleNotFoundError: ")
        assert (warning.filename, warning.lineno) == (__file__, 6), (warning.filename, warning.lineno)
        assert status.state == "not guarding" and status == peft_strict.status(), status
    """)


@on_each_small_peft
def test_a_peft_we_do_not_understand(world: World, tmp_path: Path) -> None:
    """A PEFT that lacks what we need is imported as it is, and the line on stderr names what is missing."""
    (tmp_path / "peft").mkdir()
    (tmp_path / "peft" / "__init__.py").write_text("__version__ = '0.1.0'\nworks = True\n")
    result = world.run("\nimport peft; assert peft.works", tmp_path, PEFT_STRICT=1)
    assert result.returncode == 0, result.stderr
    assert result.stderr.startswith("peft-strict: PEFT is NOT guarded: RuntimeError: this PEFT lacks ")
    assert "TaskType" in result.stderr
    assert result.stderr.count("\n") == 1


@on_each_peft
def test_a_class_that_cannot_be_patched(passes) -> None:
    """A class that cannot be patched is named by the status; the others are guarded, and put back."""
    passes("""
        import peft, peft_strict, scenario
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
        class Stubborn(type):
            def __setattr__(cls, name, value):
                raise TypeError("not with me")
        class StubbornConfig(peft.PeftConfig, metaclass=Stubborn):
            def __init__(self, task_type=None):
                self.task_type = task_type
        PEFT_TYPE_TO_CONFIG_MAPPING["STUBBORN"] = StubbornConfig
        status = peft_strict.enable()
        assert (status.state, status.unguarded) == ("not guarding", ("StubbornConfig",)), status
        del PEFT_TYPE_TO_CONFIG_MAPPING["STUBBORN"]
        assert scenario.depths() == {1}
        assert scenario.refused()
        assert peft_strict.disable().state == "off"
        assert scenario.depths() == {0}
    """)


# -- children --------------------------------------------------------------------------------------------------------


@on_each_small_peft
def test_forked_while_switching(passes) -> None:
    """A child forked while another thread was switching can switch and ask: it does not inherit a held lock."""
    passes("""
        import os, signal, threading, warnings, peft, peft_strict
        from peft_strict._standby import state
        warnings.simplefilter("ignore")  # Python 3.12 warns about forking with threads
        peft_strict.enable()
        inside, done = threading.Event(), threading.Event()
        def switch():
            with state.lock:
                inside.set()
                done.wait()
        thread = threading.Thread(target=switch)
        thread.start()
        inside.wait()
        child = os.fork()
        if not child:
            signal.alarm(5)
            peft_strict.disable()
            peft_strict.enable()
            os._exit(0 if peft_strict.status().state == "guarding" else 1)
        done.set()
        thread.join()
        assert os.waitpid(child, 0)[1] == 0
    """)
