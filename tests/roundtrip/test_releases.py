"""The looks at save and at load on older releases of PEFT, each in a process of its own.

A sample: ``python -m tests.roundtrip --peft 0.9.0`` runs all good adapters of a release, and with an older release in
front on PYTHONPATH pytest runs all of tests/guards/test_saving.py, test_loading.py and test_crossings.py on it.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ..command_line import REPOSITORY, environment
from ..upstream.compare import installed_copy, source_tests
from .__main__ import run

DAMAGE = "nothing_was_gathered or merged_in_vain or unfrozen_by_hand or renamed_tensors or lacks_some or empty_file"


def fetched(release: str) -> str:
    """Return the folder of a release, after it and its tests have been fetched."""
    try:
        source_tests("peft", release)
        return str(installed_copy("peft", release))
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"pip could not fetch peft {release} (exit code {error.returncode})")


def test_good_adapters() -> None:
    """Of a good adapter of each method nothing is said: BOFT's permutation is in the file and has no place on 0.11."""
    fetched("0.11.1")
    found = run(sample=True, version="0.11.1")
    assert found["reports"] == []
    assert found["adapters"]["BOFTConfig"]


def test_damage() -> None:
    """What is lost is told on 0.5, the first release that is looked at, and what is right is not."""
    files = [f"tests/guards/test_{name}.py" for name in ("saving", "loading")]
    quiet = ["-W", "ignore::SyntaxWarning"]  # of newer Pythons, for the code of PEFT 0.5
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *quiet,
            *files,
            "-k",
            f"{DAMAGE} or test_quiet",
        ],
        cwd=REPOSITORY,
        env=environment(PYTHONPATH=os.pathsep.join([fetched("0.5.0"), str(REPOSITORY)])),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
