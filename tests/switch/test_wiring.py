"""How an interpreter was started."""

from __future__ import annotations

from pathlib import Path

import pytest

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
