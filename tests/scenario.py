"""What the scripts of the tests ask about the process they run in."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

TYPO = "CASUAL_LM"


class Midway:
    """Runs an action in the middle of an import: before a module is executed. For a ``with`` statement."""

    def __init__(self, module, action):
        self.module = module
        self.action = action
        self.runs = 0

    def __enter__(self):
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *error):
        sys.meta_path.remove(self)

    def find_spec(self, name, path=None, target=None):
        if name != self.module:
            return None
        behind = sys.meta_path[sys.meta_path.index(self) + 1 :]
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in behind)))
        execute = spec.loader.exec_module

        def exec_module(module):
            self.runs += 1
            self.action()
            execute(module)

        spec.loader.exec_module = exec_module
        return spec


class InFront:
    """A finder that finds ``peft`` by itself, as those of typeguard, jaxtyping and beartype do."""

    def find_spec(self, name, path=None, target=None):
        return PathFinder.find_spec(name, path, target) if name == "peft" else None


def finders():
    """Count our finders."""
    return sum(type(finder).__module__ == "peft_strict._standby" for finder in sys.meta_path)


def ours():
    """Return the names of our modules and of wrapt that are imported."""
    return sorted(name for name in sys.modules if name.partition(".")[0] in ("peft_strict", "wrapt"))


def depth(function):
    """Count the wrappers of wrapt, ours or not, around a function."""
    import wrapt

    count = 0
    while isinstance(function, wrapt.FunctionWrapper):
        count += 1
        function = function.__wrapped__
    return count


def config_classes():
    """Return the registered config classes."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    return list(PEFT_TYPE_TO_CONFIG_MAPPING.values())


def depths():
    """Return the numbers of wrappers there are around the constructors of the registered config classes."""
    return {depth(vars(cls)["__init__"]) for cls in config_classes()}


def refused(config_class=None):
    """Whether we refuse the typo, in the constructor and on assignment. PEFT's own error does not count."""
    if config_class is None:
        from peft import LoraConfig as config_class
    ways = (lambda: config_class(task_type=TYPO), lambda: setattr(config_class(), "task_type", TYPO))
    return all(map(_is_refused, ways))


def _is_refused(way):
    try:
        way()
    except ValueError as error:
        return type(error).__name__ == "InvalidTaskTypeError"
    return False


def guarded():
    """Whether everything is as it should be: refused, wrapped once, one finder, and the status says so."""
    import peft_strict

    found = (refused(), depths(), finders(), peft_strict.status().state)
    assert found == (True, {1}, 1, "guarding"), found
    return True
