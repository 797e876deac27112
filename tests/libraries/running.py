"""Runs one program in a process of its own, and reads what it did."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from .table import Program

REPOSITORY = Path(__file__).resolve().parents[2]
TIME_LIMIT = 600
# Lightning prints warnings without their category; hydra prints an error of ours inside of its own.
_WARNED = re.compile(r"^(?P<place>\S+?:\d+): (?:\w+Warning: )?peft-strict (?P<code>\w\d): ", re.MULTILINE)
_RAISED = re.compile(r"^peft_strict\.\w+: (?:peft-strict (?P<code>\w\d): )?", re.MULTILINE)


class Run(NamedTuple):
    """What a program left behind.

    Attributes:
        exit_code: Of the process.
        losses: What it has answered, or ``None``.
        saved: The files of its adapter, with the hashes of their bytes.
        reports: The code of each report of ours, and whether it names the program's own file.
        text: All that it printed.
    """

    exit_code: int
    losses: list[float] | None
    saved: dict[str, str]
    reports: list[tuple[str, bool]]
    text: str


def is_installed(program: Program) -> bool:
    """Whether the library is there."""
    try:
        importlib.metadata.distribution(program.needs)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def run(program: Program, folder: Path, *, mode: str, mistake: bool, device: str = "cpu") -> Run:
    """Run a program in an empty folder, which is the same for each of its runs, as its path is in what is saved.

    Args:
        program: The program.
        folder: Is emptied first.
        mode: The value of ``PEFT_STRICT``; ``""`` is plain PEFT.
        mistake: Whether it is to make its mistake.
        device: Where the model is to be.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = ["-m", f"tests.libraries.programs.{program.name}", str(folder), *(["mistake"] if mistake else [])]
    done = subprocess.run(
        [sys.executable, *program.launcher, *words],
        cwd=REPOSITORY,
        env={**_environment(program, folder.parent, mode), "TINY_DEVICE": device},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
    )
    answer, adapter = folder / "answer.json", folder / "adapter"
    files = sorted(path for path in adapter.rglob("*") if path.name.startswith("adapter_")) if adapter.exists() else []
    return Run(
        done.returncode,
        json.loads(answer.read_text()) if answer.exists() else None,
        {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        _reports(done.stderr, program),
        done.stdout + done.stderr,
    )


def _environment(program: Program, folder: Path, mode: str) -> dict[str, str]:
    ours = ("PEFT_STRICT", "PYTHONPATH", "PYTHONWARNINGS")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    settings = {"HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "AXOLOTL_DO_NOT_TRACK": "1"}
    settings.update(DISABLE_VERSION_CHECK="1", TOKENIZERS_PARALLELISM="false", CUBLAS_WORKSPACE_CONFIG=":4096:8")
    if program.beside:
        settings["PYTHONPATH"] = str(_fetched(program, folder))
    return {**kept, **settings, **({"PEFT_STRICT": mode} if mode else {})}


def _fetched(program: Program, folder: Path) -> Path:
    """Fetch what a program needs beside the others, once, into a folder with the name of those that hold libraries."""
    home = folder / f"beside-{program.name}" / "site-packages"
    if not home.exists():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--target", str(home), *program.beside], check=True, stdin=subprocess.DEVNULL)
    return home


def _reports(text: str, program: Program) -> list[tuple[str, bool]]:
    """Find the reports of ours: warnings with the place they name, and an error that ended the program."""
    own = f"{program.name}.py"
    warned = [(found["code"], f"{own}:" in found["place"]) for found in _WARNED.finditer(text)]
    raised = [(found["code"] or "", f'{own}", line ' in text) for found in _RAISED.finditer(text)]
    return warned + raised
