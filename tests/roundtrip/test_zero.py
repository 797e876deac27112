"""Adapters under DeepSpeed's ZeRO, for real. It is not in the test extra: see .ci/deepspeed."""

from __future__ import annotations

import importlib.util
import json
import os
import sys

import pytest

from ..interpreters import REPOSITORY, environ, execute


@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed")
def test_two_ranks() -> None:
    """What is spread and not gathered is told of once, by the process that writes, and the advice cures it.

    Quiet are whole files, whichever way they came about, and heads that were filled in by hand.
    """
    aside = environ(PYTHONPATH=os.environ.get("PYTHONPATH", ""), DS_ACCELERATOR="cpu", CUDA_VISIBLE_DEVICES="")
    done = execute(sys.executable, "-m", "tests.roundtrip.zero_ranks", cwd=REPOSITORY, env=aside)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {}
