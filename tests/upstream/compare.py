"""Gets a library's own tests from its source release and compares a plain run with a strict one, test by test."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from typing import NamedTuple, Optional

CACHE = pathlib.Path(os.environ.get("PEFT_STRICT_TEST_CACHE", "~/.cache/peft-strict-tests")).expanduser()


class Run(NamedTuple):
    """One run of a test suite.

    Attributes:
        outcomes: For each test its outcome, with the first line of the message where it did not pass.
        guarded: The state of peft-strict when the run ended.
    """

    outcomes: dict[str, list[str]]
    guarded: str

    def counts(self) -> dict[str, int]:
        """Return how many tests had which outcome."""
        return dict(Counter(outcome.partition(":")[0] for found in self.outcomes.values() for outcome in found))


def source_tests(name: str, version: str) -> pathlib.Path:
    """Return a folder that holds nothing of the source release of ``name`` but its ``tests``; downloads it once."""
    folder = CACHE / "sources" / f"{name}-{version}"
    if not (folder / "tests" / "__init__.py").exists():
        with tempfile.TemporaryDirectory() as temporary:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
            subprocess.run([*command, "-d", temporary, f"{name}=={version}"], check=True)
            archive = next(pathlib.Path(temporary).glob("*.tar.gz"))
            with tarfile.open(archive) as opened:
                opened.extractall(temporary, filter="data")
            unpacked = next(path for path in pathlib.Path(temporary).iterdir() if path.is_dir())
            shutil.copytree(unpacked / "tests", folder / "tests", dirs_exist_ok=True)
        (folder / "tests" / "__init__.py").touch()  # the release lacks it, and its tests import each other by it
    return folder


def installed_copy(name: str, version: str) -> pathlib.Path:
    """Return a folder with that release of ``name`` alone, to be put in front of what is installed."""
    folder = CACHE / "releases" / f"{name}-{version}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as temporary:
            command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", temporary]
            subprocess.run([*command, f"{name}=={version}"], check=True)
            shutil.copytree(temporary, folder)
    return folder


def _made(folder: pathlib.Path) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run_tests(
    folder: pathlib.Path, files: list[str], *, strict: bool, extra_path: Optional[pathlib.Path], options: list[str]
) -> Run:
    """Run test files in a process of their own, with ``PEFT_STRICT`` set or not."""
    with tempfile.TemporaryDirectory() as temporary:
        report, witness = pathlib.Path(temporary, "report.xml"), pathlib.Path(temporary, "witness.json")
        environment = {name: value for name, value in os.environ.items() if name != "PEFT_STRICT"}
        # the folder of the plugin alone: our own `tests` must not be in the way of theirs
        path = [str(part) for part in (extra_path, temporary) if part is not None]
        shutil.copy(pathlib.Path(__file__).with_name("witness.py"), pathlib.Path(temporary, "peft_strict_witness.py"))
        environment.update(PYTHONPATH=os.pathsep.join(path), HF_HUB_OFFLINE="1", PEFT_STRICT_WITNESS=str(witness))
        if strict:
            environment["PEFT_STRICT"] = "1"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "peft_strict_witness"]
        command += [f"--junitxml={report}", *options, *(f"tests/{file}" for file in files)]
        output = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if not report.exists():
            raise RuntimeError(f"pytest wrote no report:\n{output.stdout[-3000:]}\n{output.stderr[-3000:]}")
        return Run(_outcomes(report), json.loads(witness.read_text())["state"])


def _outcomes(report: pathlib.Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        problem = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        outcome = "passed"
        if problem is not None:
            outcome = f"{problem.tag}: {(problem.get('message') or '').splitlines()[:1]}"
        found.setdefault(f"{case.get('classname')}::{case.get('name')}", []).append(outcome)
    return found


def differences(plain: Run, strict: Run) -> list[str]:
    """Return a line for each test that did not end the same way in both runs.

    Addresses and temporary paths in messages differ between any two runs, so messages count by their first words only.
    """
    lines = []
    for test in sorted({*plain.outcomes, *strict.outcomes}):
        one, other = (sorted(map(_essence, run.outcomes.get(test, ["absent"]))) for run in (plain, strict))
        if one != other:
            lines.append(f"{test}: plain {one}, strict {other}")
    return lines


def _essence(outcome: str) -> str:
    kind, _, message = outcome.partition(": ")
    return f"{kind}: {message[:60]}" if kind != "skipped" else kind
