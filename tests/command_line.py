"""Starts the command line of the source tree in processes of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from . import interpreters

REPOSITORY = Path(__file__).resolve().parents[1]

with_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")


def environment(**variables: str | None) -> dict[str, str]:
    """Return the environment with the source tree importable; ``None`` takes a variable away."""
    changed = {
        "PYTHONPATH": str(REPOSITORY),
        "HF_HUB_OFFLINE": "1",
        "PEFT_STRICT": None,
        "PYTHONUNBUFFERED": None,
        **variables,
    }
    kept = {name: value for name, value in os.environ.items() if name not in changed}
    return {**kept, **{name: value for name, value in changed.items() if value is not None}}


def python(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run this interpreter and return what it wrote."""
    settings = {"env": environment(), "stdin": subprocess.DEVNULL, "capture_output": True, "text": True, **options}
    return subprocess.run([sys.executable, *map(str, arguments)], check=False, **settings)


def peft_strict(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run ``python -m peft_strict``."""
    return python("-m", "peft_strict", *arguments, **options)


def obey_ctrl_c() -> None:
    """Undo, as ``preexec_fn``, that the jobs a shell starts with ``&`` ignore SIGINT, and so do their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def environment_with(folder: Path, *, pth: bool, overlaid: bool = False) -> Path:
    """Make a virtual environment where peft_strict and all packages of this one are importable; return its Python.

    ``overlaid``: they are in another folder, which the environment reads as site-packages, as under ``uv run --with``.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    site_packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    if overlaid:
        under = folder / "under"
        under.mkdir()
        (site_packages / "overlay.pth").write_text(f"import site; site.addsitedir({str(under)!r})")
        site_packages = under
    packages = [path for path in sys.path if path.endswith("site-packages")]
    (site_packages / "a_paths.pth").write_text("\n".join([str(REPOSITORY), *packages]))
    if pth:
        shutil.copy(REPOSITORY / "peft_strict" / "peft_strict.pth", site_packages)
    interpreters.measure(site_packages)
    return folder / "bin" / "python"
