"""The cells of the matrix: which versions meet in each, where these come from, and what a run of one says.

Whatever is fetched or made stays in ``~/.cache/peft-strict-tests`` (or ``PEFT_STRICT_TEST_CACHE``): single releases of
PEFT and wrapt, a virtual environment for each other transformers and each other Python, and the result of each cell
for as long as the package and the table do not change. So an interrupted run goes on where it was.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from ..command_line import REPOSITORY, environment
from ..interpreters import HERE, VERSIONS, interpreters, is_cpython
from ..upstream.compare import CACHE, installed_copy

TORCH = "2.13.0"
PEFTS = (
    *("0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.6.2", "0.7.1", "0.8.2", "0.9.0", "0.10.0", "0.11.1", "0.12.0", "0.13.2"),
    *("0.14.0", "0.15.2", "0.16.0", "0.17.1", "0.18.1", "0.19.1", "0.20.0", "0.21.2"),
)
WRAPTS = ("1.14.2", "1.15.0", "1.16.0", "1.17.3", "2.0.1")
OLDER_TRANSFORMERS = {"0.16.0": "4.57.6", "0.17.1": "4.57.6"}  # these PEFTs do not import with transformers 5
WITHOUT_TORCH = (
    *("test_errors", "test_init", "test_standby", "switch/test_settings"),
    *("commands/test_adapter_files", "commands/test_console", "commands/test_json_members"),
    *("fit/test_forward", "fit/test_names", "fit/test_rule", "fit/test_unknown"),
    *("roundtrip/test_postmortem", "roundtrip/test_saved", "roundtrip/test_wrappers"),
    *("values/test_fields", "values/test_rule", "values/test_suggest"),
)
# Another Python that has torch and the newest PEFT, as tests/pythons.sh makes it.
REAL = os.environ.get("PEFT_STRICT_TEST_REAL")


class Cell(NamedTuple):
    """One combination.

    Attributes:
        peft: The release of PEFT; ``""`` in a cell that needs none, and no torch.
        transformers: The release of transformers; ``""`` is the installed one.
        wrapt: The release of wrapt; ``""`` is the installed one.
        is_pure: Whether wrapt runs without its C extension.
        python: The version of Python.
    """

    peft: str = ""
    transformers: str = ""
    wrapt: str = ""
    is_pure: bool = False
    python: str = HERE

    def __str__(self) -> str:
        parts = [f"{name} {value}" for name, value in self._asdict().items() if value and name != "is_pure"]
        return ", ".join(parts) + (" without its C extension" if self.is_pure else "")


def all_cells() -> list[Cell]:
    """Return every cell: releases of PEFT, then of wrapt, of transformers, of Python with PEFT, and without."""
    newest = importlib.metadata.version("peft")
    cells = [Cell(peft, OLDER_TRANSFORMERS.get(peft, "")) for peft in dict.fromkeys([*PEFTS, newest])]
    for peft in ("0.13.2", newest):
        cells += [Cell(peft, wrapt=wrapt) for wrapt in WRAPTS]
        cells.append(Cell(peft, is_pure=True))
    cells.append(Cell("0.13.2", transformers="4.40.2"))
    cells += [Cell(newest, python=version) for version in VERSIONS if REAL and is_cpython(REAL, version)]
    cells += [Cell(python=version) for version in interpreters()]
    return cells


def result(cell: Cell) -> dict[str, Any]:
    """Return what a run of the cell said, from the cache if nothing has changed since."""
    path = CACHE / "matrix" / f"{_fingerprint(cell)}.json"
    if not path.exists():
        found = _tried(cell) if cell.peft else _tested(cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def prepare(cell: Cell) -> None:
    """Fetch what the cell needs. To be called for one cell after the other: pip is not made for two at a time."""
    _python(cell)
    _extra_path(cell)


def _fingerprint(cell: Cell) -> str:
    files = [*REPOSITORY.glob("peft_strict/**/*.py"), *REPOSITORY.glob("tests/ways_in/*.py")]
    if not cell.peft:
        files += _files_without_torch()
    digest = hashlib.sha256(repr((cell, *map(importlib.metadata.version, ("peft", "transformers", "wrapt")))).encode())
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _tried(cell: Cell) -> dict[str, Any]:
    """Run the table of ways in."""
    printed = _run(cell, "-m", "tests.ways_in", "--json")
    found: dict[str, Any] = json.loads(printed)
    assert found["versions"]["peft"] == cell.peft, (cell, found["versions"])
    for name in ("transformers", "wrapt"):
        assert getattr(cell, name) in ("", found["versions"][name]), (cell, found["versions"])
    return found


def _tested(cell: Cell) -> dict[str, Any]:
    """Run the tests that need no torch."""
    printed = _run(cell, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, _files_without_torch()))
    return {"python": cell.python, "tests": printed.strip().splitlines()[-1].partition(" in ")[0]}


def _files_without_torch() -> list[Path]:
    return [REPOSITORY / "tests" / f"{name}.py" for name in WITHOUT_TORCH]


def _run(cell: Cell, *arguments: str) -> str:
    variables = {"WRAPT_DISABLE_EXTENSIONS": "1" if cell.is_pure else None}
    path = os.pathsep.join([*map(str, _extra_path(cell)), str(REPOSITORY)])
    done = subprocess.run(
        [_python(cell), *arguments],
        cwd=REPOSITORY,
        env=environment(PYTHONPATH=path, **variables),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{cell}: exit code {done.returncode}\n{(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def _extra_path(cell: Cell) -> list[Path]:
    """Return the folders to put in front of what is installed."""
    wanted = {"peft": cell.peft, "wrapt": cell.wrapt}
    return [
        installed_copy(name, version)
        for name, version in wanted.items()
        if version and (cell.transformers or version != importlib.metadata.version(name))
    ]


def _python(cell: Cell) -> Path:
    """Return the interpreter of the cell, in a virtual environment that is made if it is not there yet."""
    if cell.transformers:
        wrapt = importlib.metadata.version("wrapt")
        packages = [f"transformers=={cell.transformers}", "accelerate", "numpy<2", "psutil", f"wrapt=={wrapt}"]
        return _environment(sys.executable, f"transformers-{cell.transformers}", [f"torch=={TORCH}"], packages)
    if cell.peft and cell.python != HERE:
        return Path(str(REAL))
    if not cell.peft and cell.python != HERE:
        packages = ["pytest", "hypothesis", "numpy", "wrapt"]
        return _environment(interpreters()[cell.python], f"python-{cell.python}", packages)
    return Path(sys.executable)


def _environment(python: str, name: str, *steps: list[str]) -> Path:
    """Make a virtual environment and install these packages, each list in a step of its own: torch has to be first."""
    folder = CACHE / "environments" / name
    made, wanted = folder / "packages.json", json.dumps([python, *steps])
    if not made.exists() or made.read_text() != wanted:
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        for packages in steps:
            pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, *packages], check=True)
        made.write_text(wanted)
    return folder / "bin" / "python"
