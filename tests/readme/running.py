"""Runs what the README shows, each block in a fresh process and an empty folder."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import peft_strict

SCRIPT = "train.py"


class Output(NamedTuple):
    """What a terminal would show (stdout and stderr as they came), and the exit code."""

    text: str
    exit_code: int


@functools.cache
def python(code: str) -> Output:
    """Run a block as ``python train.py``. A block that is run twice runs once."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, SCRIPT).write_text(code)
        return _run([sys.executable, SCRIPT], Path(folder))


def shell(command: str, folder: Path) -> Output:
    """Run a command line with this interpreter's ``python`` and ``peft-strict`` first on the path."""
    return _run(["bash", "-c", command], folder)


def _run(command: list[str], folder: Path) -> Output:
    """Run it, and return what it printed without the folders of its own files and of this package."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    package_home = Path(peft_strict.__file__).parents[1]
    text = done.stdout.replace(f"{folder.resolve()}{os.sep}", "")
    return Output(text.replace(f"{package_home}{os.sep}", f"...{os.sep}"), done.returncode)


def _environment() -> dict[str, str]:
    ours = ("PEFT_STRICT", "PYTHONPATH", "PYTHONWARNINGS")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    first = str(Path(sys.executable).parent)
    return {**kept, "HF_HUB_OFFLINE": "1", "PATH": f"{first}{os.pathsep}{kept.get('PATH', '')}"}
