"""How this interpreter was started, and whether one started like it obeys ``PEFT_STRICT``."""

from __future__ import annotations

import os
import site
import sys

PTH_NAME = "peft_strict.pth"


def pth_files() -> list[str]:
    """Return the ``peft_strict.pth`` files that an interpreter like this one runs when it starts.

    Only folders that ``site`` treats as site-packages count: a ``.pth`` file elsewhere on ``sys.path`` (``pip install
    --target``, ``PYTHONPATH``) is never read, and with ``-S`` none is.
    """
    if sys.flags.no_site:
        return []  # pragma: no cover - runs where -S keeps coverage out
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders = [site.getusersitepackages(), *folders]
    files = (os.path.join(folder, PTH_NAME) for folder in dict.fromkeys(folders))
    return [file for file in files if os.path.isfile(file)]


def interpreter_options() -> list[str]:
    """Return the options of Python that are in effect here (``-I``, ``-O``, ``-W``, ``-X dev``, ...), for a child."""
    import subprocess

    options: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return options  # a private helper, but the one that multiprocessing starts its children with
