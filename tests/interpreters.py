"""The CPythons of this machine, each with the built wheel installed in a clean virtual environment."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
import wrapt

from . import preforked, small_peft
from .endings import ENDINGS

REPOSITORY = Path(__file__).resolve().parents[1]
VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
TIME_LIMIT = 240  # seconds; a busy machine can stall for a minute
FOLDERS = "PEFT_STRICT_TEST_PYTHONS"  # folders with more of them, python3.15 and the like, as in PATH
MEASURE = "COVERAGE_PROCESS_START"  # where it is set, coverage measures what the tests start, too

_ASK = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2], sys.executable)"


class Result(NamedTuple):
    """What a process left behind."""

    returncode: int
    stdout: str
    stderr: str


def execute(*command: object, timeout: float = TIME_LIMIT, **options: object) -> Result:
    """Run a command to its end and return what it wrote."""
    settings = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "env": environ(), **options}
    done = subprocess.run([str(part) for part in command], check=False, timeout=timeout, **settings)
    return Result(done.returncode, done.stdout, done.stderr)


def environ(**variables: object) -> dict[str, str]:
    """Return this process's environment without anything that concerns us, plus these variables."""
    ours = (
        *("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"),
        "PEFT_STRICT",
        "VIRTUAL_ENV",  # IPython would remark on it
    )
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "HF_HUB_OFFLINE": "1", **{name: str(value) for name, value in variables.items()}}


@functools.cache
def scratch() -> Path:
    """Return a folder that is there until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="peft-strict-tests-"))
    ENDINGS.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def interpreters() -> dict[str, str]:
    """Return the CPythons there are, by version: the running one, those of `FOLDERS`, pyenv's, those on ``PATH``."""
    folders = os.environ.get(FOLDERS)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = {}
    for version in VERSIONS:
        candidates = [
            *([getattr(sys, "_base_executable", sys.executable)] if version == HERE else []),
            *filter(None, [shutil.which(f"python{version}", path=folders) if folders else None]),
            *sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True),
            *filter(None, [shutil.which(f"python{version}")]),
        ]
        path = next(filter(None, (is_cpython(candidate, version) for candidate in candidates)), None)
        if path is not None:
            found[version] = path
    return found


def is_cpython(candidate: object, version: str) -> str | None:
    """Return the path of this interpreter if it is a CPython of that version."""
    done = subprocess.run([str(candidate), "-c", _ASK], check=False, capture_output=True, text=True)
    kind, its_version, path = done.stdout.strip().split(" ", 2) if done.returncode == 0 else ("", "", "")
    return path if (kind, its_version) == ("cpython", version) else None


@functools.cache
def wheel() -> Path:
    """Build the wheel from the source tree, once."""
    folder = scratch() / "wheel"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    build = (*pip, "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, REPOSITORY)
    built = execute(*build)
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


class Environment(NamedTuple):
    """A virtual environment."""

    python: Path
    site_packages: Path

    def pip(self, *arguments: object, **options: object) -> Result:
        """Run the pip of the test environment on this one."""
        return execute(
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", self.python, *arguments),
            **options,
        )

    def see(self, *folders: object) -> None:
        """Make the packages in these folders importable, by path only: no ``.pth`` file there is run."""
        (self.site_packages / "a_paths.pth").write_text("".join(f"{folder}\n" for folder in folders))


def new_environment(version: str, folder: Path) -> Environment:
    """Make an empty virtual environment, not even pip in it."""
    made = execute(interpreters()[version], "-m", "venv", "--without-pip", folder)
    assert made.returncode == 0, made.stderr
    environment = Environment(folder / "bin" / "python", folder / "lib" / f"python{version}" / "site-packages")
    if version == HERE:
        measure(environment.site_packages)
    return environment


def measure(site_packages: Path) -> None:
    """Where we are measured, have coverage start there, too, before our ``.pth`` file is read.

    Nothing else of the running environment becomes importable by this.
    """
    if MEASURE not in os.environ:
        return
    coverage = scratch() / "measure"
    if not coverage.exists():
        coverage.mkdir()
        (coverage / "coverage").symlink_to(Path(importlib.util.find_spec("coverage").origin).parent)
    start = f"import sys; sys.path.append({str(coverage)!r}); import coverage; coverage.process_startup()\n"
    (site_packages / "a0_coverage.pth").write_text(start)


def installed(environment: Environment) -> Environment:
    """Install the wheel into an environment, without its dependencies."""
    done = environment.pip("install", "-q", "--no-deps", "--no-index", wheel())
    assert done.returncode == 0, done.stderr
    return environment


def unpacked(environment: Environment) -> Environment:
    """Put what the wheel holds into an environment, which is quicker than installing it."""
    with zipfile.ZipFile(wheel()) as file:
        file.extractall(environment.site_packages)
    return environment


@functools.cache
def clean(version: str) -> Environment:
    """Return an environment with nothing in it but the wheel."""
    return installed(new_environment(version, scratch() / f"clean-{version}"))


@functools.cache
def with_small_peft(version: str) -> Environment:
    """Return an environment with the wheel, wrapt (not compiled for every Python) and the small ``peft``."""
    environment = unpacked(new_environment(version, scratch() / f"small-{version}"))
    environment.see(_helpers(), _wrapt(), small_peft.write(scratch() / f"peft-{version}"))
    return environment


@functools.cache
def with_real_peft() -> Environment:
    """Return an environment with the wheel where all packages of the running one are importable."""
    environment = installed(new_environment(HERE, scratch() / "real"))
    environment.see(_helpers(), *(path for path in sys.path if path.endswith("site-packages")))
    return environment


@functools.cache
def _helpers() -> Path:
    folder = scratch() / "helpers"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("scenario.py"), folder)
    return folder


@functools.cache
def _wrapt() -> Path:
    folder = scratch() / "packages"
    shutil.copytree(Path(wrapt.__file__).parent, folder / "wrapt", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


class World:
    """A Python with peft-strict, wrapt and a PEFT, where scripts can be run, each in a process of its own.

    Args:
        version: Of the CPython with the small ``peft``; ``None`` for the running one with the real PEFT.
    """

    def __init__(self, version: str | None) -> None:
        self.version = version or HERE
        self.real = version is None

    @property
    def environment(self) -> Environment:
        return with_real_peft() if self.real else with_small_peft(self.version)

    def run(self, script: str, folder: Path, *, fresh: bool = False, **variables: object) -> Result:
        """Run a script that lies in ``folder``, with these environment variables.

        Args:
            script: Its text, beginning with an empty line.
            folder: Where to write it; also its working directory.
            fresh: Whether it needs an interpreter of its own. Else it runs in a fork of one that has imported what
                PEFT and we import (torch, transformers, asyncio, ...), but neither PEFT nor wrapt nor us.
            variables: The environment variables.
        """
        path = folder / "script.py"
        path.write_text(f"import faulthandler; faulthandler.dump_traceback_later({TIME_LIMIT / 2}, exit=True)")
        with path.open("a") as file:
            file.write(textwrap.dedent(script))
        if fresh:
            return execute(self.environment.python, path, env=environ(**variables), cwd=folder)
        return Result(*_server(self.environment).run(path, environ(**variables)))

    def passes(self, script: str, folder: Path, **options: object) -> str:
        """Run a script that must end well and leave nothing on stderr; return its output."""
        result = self.run(script, folder, **options)
        if result.returncode or result.stderr:
            pytest.fail(f"exit code {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stdout


@functools.cache
def _server(environment: Environment) -> preforked.Server:
    server = preforked.Server(environment.python, environ(), scratch())
    ENDINGS.callback(server.close)
    return server


def _on(*versions: str | None) -> list[object]:
    worlds = [pytest.param(World(version), id=f"python{version}" if version else "real") for version in versions]
    return worlds or [pytest.param(None, marks=pytest.mark.skip(reason="no CPython that has this is on this machine"))]


PRESENT = [version for version in VERSIONS if version in interpreters()]

on_each_python = pytest.mark.parametrize("version", PRESENT, ids="python{}".format)
on_each_small_peft = pytest.mark.parametrize("world", _on(*PRESENT))
on_a_few_small_pefts = pytest.mark.parametrize(
    "world", _on(*(each for each in PRESENT if each in ("3.9", HERE, "3.14", "3.15")))
)
on_pythons_with_load_module = pytest.mark.parametrize("world", _on(*(each for each in PRESENT if each != "3.15")))
on_pythons_with_find_module = pytest.mark.parametrize("world", _on(*sorted({"3.9", "3.10", "3.11"} & {*PRESENT})))
on_the_real_peft = pytest.mark.parametrize("world", _on(None))
on_each_peft = pytest.mark.parametrize("world", _on(*PRESENT, None))
on_pythons_with_interpreter_pools = pytest.mark.parametrize("world", _on(*sorted({"3.14", "3.15"} & {*PRESENT})))
on_pythons_with_inherited_contexts = on_pythons_with_interpreter_pools
on_pythons_with_lazy_imports = pytest.mark.parametrize("world", _on(*sorted({"3.15"} & {*PRESENT})))
