"""The command ``run``: a Python program, unchanged, with the guards on."""

from __future__ import annotations

import importlib.util
import os
import runpy
import shutil
import sys
import types
from typing import TYPE_CHECKING, NamedTuple

from .. import _standby
from ..switch.wiring import interpreter_options, pth_files
from .console import complain, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = "peft-strict run [-m module | -c code | script] [arguments ...]"


class _Program(NamedTuple):
    """What to run: ``-m``, ``-c`` or ``""`` for a script, what that names, and the arguments behind it."""

    kind: str
    target: str
    arguments: tuple[str, ...]


def run(arguments: Sequence[str]) -> int:
    """Run a program as ``python`` would, with ``PEFT_STRICT`` set.

    A value that the variable has is kept, unless it means "off"; then it becomes ``1``. The interpreter is replaced
    (``execv``) by a new one, so there is nothing of ours between the program and its caller. Where our ``.pth`` file
    is not live (``-S``, ``pip install --target``, a source tree on ``PYTHONPATH``), the program runs in this process
    instead: its tracebacks then start with a few frames of ours, and its children are not guarded.

    Args:
        arguments: What stands behind ``run``; all that stands behind the program belongs to the program.

    Returns:
        2 if there is nothing to run, else (Windows, and in this process) the exit code of the program.
    """
    try:
        program = _parsed(arguments)
    except ValueError as error:
        complain(str(error))
        return 2
    modes, _ = _standby.parse_variable(os.environ.get(_standby.VARIABLE))
    if modes is None:
        os.environ[_standby.VARIABLE] = "1"
    if pth_files():
        return _run_anew(program)
    complain("peft_strict.pth is not live in this interpreter, so I guard this process, but not its children")
    return _run_here(program)


def _parsed(arguments: Sequence[str]) -> _Program:
    """Take the command line apart; raises ``ValueError`` with a sentence where there is nothing to run."""
    first, *rest = arguments or ("",)
    if first[:2] in ("-m", "-c"):
        if first[2:]:
            rest = [first[2:], *rest]
        if not rest:
            raise ValueError(f"{first} needs an argument. Usage: {USAGE}")
        target, *rest = rest
        return _Program(first[:2], target, tuple(rest))
    if first == "--":
        first, *rest = rest or ("",)
    elif first.startswith("-") and first != "-":
        raise ValueError(
            f"run has no option {first}. Options of Python go in front: python {first} -m peft_strict run"
        )
    if not first:
        raise ValueError(f"nothing to run. Usage: {USAGE}")
    if first != "-" and not os.path.exists(first):
        raise ValueError(f"no such script: {shown(first)}{_hint(first)}")
    return _Program("", first, tuple(rest))


def _hint(name: str) -> str:
    """Say how to run what is no script but a command (``accelerate``) or a module."""
    hints = []
    if _is_module(name):
        hints.append(f"for the module write: run -m {name}")
    if shutil.which(name):
        hints.append(f"for the command set the variable: {_standby.VARIABLE}=1 {shown(name)} ...")
    return f" ({'; '.join(hints)})" if hints else ""


def _is_module(name: str) -> bool:
    """Whether ``-m name`` would run something; found without importing anything."""
    spec = importlib.util.find_spec(name) if name.isidentifier() and name not in sys.modules else None
    folders = (spec and spec.submodule_search_locations) or ()
    is_file = spec is not None and spec.submodule_search_locations is None
    return is_file or any(os.path.isfile(os.path.join(folder, "__main__.py")) for folder in folders)


def _run_anew(program: _Program) -> int:
    kind = program.kind or ("--" if program.target[:1] == "-" != program.target else "")
    command = [sys.executable, *interpreter_options(), *([kind] if kind else ()), program.target, *program.arguments]
    if os.name == "nt":  # execv there returns to the shell at once
        import subprocess  # which takes longer to import than most of what all commands need

        return subprocess.call(command)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return os.execv(sys.executable, command)


def _run_here(program: _Program) -> int:
    """Run the program in this process, after what the ``.pth`` file would have done."""
    _standby.start()
    sys.argv = [program.target, *program.arguments]
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        sys.path[0] = _first_folder(program)
    if program.kind == "-m":
        runpy.run_module(program.target, run_name="__main__", alter_sys=True)
    elif program.kind == "-c":
        sys.argv[0] = "-c"
        _run_text(program.target, "<string>")
    elif program.target == "-":
        _run_text(sys.stdin.read(), "<stdin>")
    else:
        runpy.run_path(program.target, run_name="__main__")
    return 0


def _first_folder(program: _Program) -> str:
    """Return what Python puts first on ``sys.path`` for this program."""
    if program.kind == "-m":
        return os.getcwd()
    if program.kind == "-c" or program.target == "-":
        return ""
    return os.path.dirname(os.path.realpath(program.target))


def _run_text(code: str, name: str) -> None:
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(code, name, "exec", dont_inherit=True), vars(main))
