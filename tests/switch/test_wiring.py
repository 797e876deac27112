"""How an interpreter was started."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ..command_line import REPOSITORY, environment, environment_with
from ..interpreters import HERE, Environment, environ, execute, interpreters, measure, unpacked

SHOW = "from peft_strict.switch.wiring import pth_files; print(*pth_files(), sep='\\n')"


@pytest.mark.parametrize(("options", "is_read"), [((), True), (("-s",), False)], ids=["read", "not-read"])
def test_pth_in_the_users_site_packages(tmp_path: Path, options: tuple[str, ...], is_read: bool) -> None:
    """What ``pip install --user`` has installed is found where Python reads it: not under ``-s``."""
    site_packages = tmp_path / "lib" / f"python{HERE}" / "site-packages"
    site_packages.mkdir(parents=True)
    python = Path(interpreters()[HERE])
    unpacked(Environment(python, site_packages))
    measure(site_packages)
    variables = environ(PYTHONUSERBASE=tmp_path, PYTHONPATH=site_packages)
    expected = f"{site_packages}/peft_strict.pth\n" if is_read else "\n"
    assert execute(python, *options, "-c", SHOW, env=variables) == (0, expected, "")


def shown(python: Path, **variables: str) -> str:
    """Return what `pth_files` says in an environment."""
    variables = environment(**{"PYTHONPATH": None, **variables})
    return subprocess.run([python, "-c", SHOW], env=variables, capture_output=True, text=True, check=True).stdout


def test_pth_in_an_overlaid_environment(tmp_path: Path) -> None:
    """What ``uv run --with`` lays under an environment is no site-packages of it, but its ``.pth`` files are read."""
    python = environment_with(tmp_path, pth=True, overlaid=True)
    assert shown(python) == f"{tmp_path}/under/peft_strict.pth\n"


def test_pth_on_the_path_only(tmp_path: Path) -> None:
    """A ``.pth`` file in a folder of ``PYTHONPATH``, or in one that a ``.pth`` file names, is not read."""
    python = environment_with(tmp_path / "bare", pth=False)
    (tmp_path / "peft_strict.pth").write_text((REPOSITORY / "peft_strict" / "peft_strict.pth").read_text())
    assert shown(python, PYTHONPATH=str(tmp_path)) == "\n"
    [site_packages] = (tmp_path / "bare").glob("lib/python*/site-packages")
    (site_packages / "b_path.pth").write_text(str(tmp_path))
    assert shown(python) == "\n"


def test_pth_without_an_interpreter(tmp_path: Path) -> None:
    """Where Python is a part of another program, there is nobody to ask: no file counts as read."""
    python = environment_with(tmp_path, pth=True, overlaid=True)
    code = f"import sys; sys.executable = {str(tmp_path / 'none')!r}; {SHOW}"
    variables = environment(PYTHONPATH=None)
    done = subprocess.run([python, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
