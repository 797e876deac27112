"""The look at names on older releases of PEFT, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ..command_line import REPOSITORY, environment
from ..upstream.compare import installed_copy

# What is said, and how much is trained; the same on all releases.
EXPECTED = {
    "right": [[], 256],
    "typo": [["N1"], 128],
    "comma, with a task": [["N1"], 128],
    "all dead": [[], "ValueError"],
    "embedding": [["N1"], 768],
    "nothing near": [["N2"], 128],
    "classifier": [[], 290],
    "typo on a classifier": [["N1"], 162],
    "default": [[], 256],
    "second, right": [[], 256],
    "second, typo": [["N1"], 256],
    "mixed": [["N1"], 128],
    "injected": [["N1"], 128],
    "IA3": [["N1"], 32],
    "loaded": [[], 0],
    "loaded to be trained": [[], 128],
}


@pytest.mark.parametrize("release", ["0.9.0", "0.13.2"])
def test_release(release: str) -> None:
    """What is said, and what is trained, is the same on older releases."""
    try:
        folder = installed_copy("peft", release)
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"pip could not fetch peft {release} (exit code {error.returncode})")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fit.release_cases"],
        cwd=REPOSITORY,
        env=environment(PYTHONPATH=os.pathsep.join([str(folder), str(REPOSITORY)])),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["peft"] == release
    assert found["cases"] == EXPECTED
