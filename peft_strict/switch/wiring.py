"""How this interpreter was started, and whether one started like it obeys ``PEFT_STRICT``."""

from __future__ import annotations

import functools
import os
import site
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PTH_NAME = "peft_strict.pth"

_WATCH_SITE = """
import os, sys
opened = []
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and os.path.basename(arguments[0]) == sys.argv[1]:
        opened.append(arguments[0])
sys.addaudithook(note)
import site
site.main()
os.write(1, b"\\n".join(map(os.fsencode, ["", *opened])))
"""


def pth_files() -> list[str]:
    """Return the ``peft_strict.pth`` files that an interpreter like this one runs when it starts.

    ``site`` reads those in the folders that it treats as site-packages, and with ``-S`` none. A ``.pth`` file on
    ``sys.path`` elsewhere is read where environments are laid over each other (``uv run --with``), else not (``pip
    install --target``, ``PYTHONPATH``): which it is, a new interpreter tells.
    """
    if sys.flags.no_site:
        return []  # pragma: no cover - runs where -S keeps coverage out
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders = [site.getusersitepackages(), *folders]
    return _existing(folders) or [file for file in _existing(sys.path) if file in _read_by_site()]


def _existing(folders: Iterable[str]) -> list[str]:
    files = (os.path.join(folder, PTH_NAME) for folder in dict.fromkeys(folders))
    return [file for file in files if os.path.isfile(file)]


@functools.lru_cache(maxsize=1)
def _read_by_site() -> frozenset[str]:
    """Return the files of our name that ``site`` opens when an interpreter like this one starts."""
    import subprocess

    command = [sys.executable, *interpreter_options(), "-S", "-c", _WATCH_SITE, PTH_NAME]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError:  # Python inside of another program has no interpreter to start
        return frozenset()
    return frozenset(os.fsdecode(line) for line in done.stdout.splitlines())


def interpreter_options() -> list[str]:
    """Return the options of Python that are in effect here (``-I``, ``-O``, ``-W``, ``-X dev``, ...), for a child."""
    import subprocess

    options: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return options  # a private helper, but the one that multiprocessing starts its children with
