"""Gets a library's own tests from its source release and compares a plain run with a strict one, test by test."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from typing import Any, NamedTuple, Optional

CACHE = pathlib.Path(os.environ.get("PEFT_STRICT_TEST_CACHE", "~/.cache/peft-strict-tests")).expanduser()


class Run(NamedTuple):
    """One run of a test suite.

    Attributes:
        outcomes: For each test its outcome, with the first line of the message where it did not pass.
        guarded: The state of peft-strict when the run ended.
        with_configs: How many tests built a PEFT config; counted in a plain run only.
        reports: What peft-strict raised or warned of, with the test that got it: ``(test, "N1 the message")``.
    """

    outcomes: dict[str, list[str]]
    guarded: str
    with_configs: int = 0
    reports: tuple[tuple[str, str], ...] = ()

    def counts(self) -> dict[str, int]:
        """Return how many tests had which outcome."""
        return dict(Counter(outcome.partition(":")[0] for found in self.outcomes.values() for outcome in found))


def source_tests(name: str, version: str) -> pathlib.Path:
    """Return a folder that holds nothing of the source release of ``name`` but its tests; downloads it once.

    Raises:
        LookupError: The source release carries no tests.
    """
    folder = CACHE / "sources" / f"{name}-{version}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as temporary:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name]
            subprocess.run([*command, "-d", temporary, f"{name}=={version}"], check=True)
            archive = next(pathlib.Path(temporary).glob("*.tar.gz"))
            with tarfile.open(archive) as opened:
                opened.extractall(temporary, filter="data")
            unpacked = next(path for path in pathlib.Path(temporary).iterdir() if path.is_dir())
            kept = pathlib.Path(temporary, "kept")
            shutil.copytree(tests_in(unpacked), kept / tests_in(unpacked).name)
            if name == "peft":
                (kept / "tests" / "__init__.py").touch()  # the release lacks it; its tests import each other by it
            _keep(kept, folder)
    return folder


def tests_in(folder: pathlib.Path) -> pathlib.Path:
    """Return the folder of the tests; most call it ``tests``.

    Raises:
        LookupError: There is none.
    """
    for path in (folder / "tests", folder / "test"):
        if path.is_dir():
            return path
    raise LookupError(f"{folder.name} carries no tests")


def installed_copy(name: str, version: str) -> pathlib.Path:
    """Return a folder with that release of ``name`` alone, to be put in front of what is installed."""
    folder = CACHE / "releases" / f"{name}-{version}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as temporary:
            kept = pathlib.Path(temporary, "kept")
            command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(kept)]
            subprocess.run([*command, f"{name}=={version}"], check=True)
            _keep(kept, folder)
    return folder


def stand_ins() -> pathlib.Path:
    """Return a cache of the hub with tiny models under the names by which PEFT's tests load theirs; makes it once."""
    maker = pathlib.Path(__file__).with_name("models.py")
    folder = CACHE / "models" / hashlib.sha256(maker.read_bytes()).hexdigest()[:12]
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as temporary:
            kept = pathlib.Path(temporary, "kept")
            subprocess.run([sys.executable, str(maker), str(kept)], check=True, stderr=subprocess.DEVNULL)
            _keep(kept, folder)
    return folder


def _keep(made: pathlib.Path, folder: pathlib.Path) -> None:
    """Move a folder to its place in the cache, whole or not at all; another process may have been first."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.exists():
            raise


def _made(folder: pathlib.Path) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run_tests(
    folder: pathlib.Path,
    files: list[str],
    *,
    strict: bool,
    extra_path: Optional[pathlib.Path],
    options: list[str],
    hub: Optional[pathlib.Path] = None,
) -> Run:
    """Run test files in a process of their own, with ``PEFT_STRICT`` set or not, and with this cache of the hub."""
    with tempfile.TemporaryDirectory() as temporary:
        report, witness = pathlib.Path(temporary, "report.xml"), pathlib.Path(temporary, "witness.json")
        environment = {name: value for name, value in os.environ.items() if name != "PEFT_STRICT"}
        # the folder of the plugin alone: our own `tests` must not be in the way of theirs
        plugin = _made(pathlib.Path(temporary, "plugin"))
        path = [str(part) for part in (extra_path, plugin) if part is not None]
        shutil.copy(pathlib.Path(__file__).with_name("witness.py"), plugin / "peft_strict_witness.py")
        work = shutil.copytree(folder, pathlib.Path(temporary, "work"))  # some tests write where they run
        environment.update(PYTHONPATH=os.pathsep.join(path), PEFT_STRICT_WITNESS=str(witness))
        environment.update(HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9")  # where nothing answers
        if hub is not None:
            environment["HF_HOME"] = str(hub)
        if strict:
            environment["PEFT_STRICT"] = "1"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "peft_strict_witness"]
        command += [
            "--continue-on-collection-errors",
            f"--junitxml={report}",
            *options,
            *(f"{tests_in(folder).name}/{file}" for file in files),
        ]
        output = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        if not report.exists():
            raise RuntimeError(f"pytest wrote no report:\n{output.stdout[-3000:]}\n{output.stderr[-3000:]}")
        cases = list(ElementTree.parse(report).iter("testcase"))
        with_configs = sum(case.find(".//property[@name='built_a_peft_config']") is not None for case in cases)
        return Run(_outcomes(cases), json.loads(witness.read_text())["state"], with_configs, _reports(cases))


def _name(case: ElementTree.Element) -> str:
    return f"{case.get('classname')}::{case.get('name')}"


def _reports(cases: list[ElementTree.Element]) -> tuple[tuple[str, str], ...]:
    noted = ".//property[@name='peft_strict_report']"
    return tuple((_name(case), found.get("value") or "") for case in cases for found in case.iterfind(noted))


def _outcomes(cases: list[ElementTree.Element]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for case in cases:
        problem = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        outcome = "passed"
        if problem is not None:
            outcome = f"{problem.tag}: {next(iter((problem.get('message') or '').splitlines()), '')}"
        found.setdefault(_name(case), []).append(outcome)
    return found


def run_both(folder: pathlib.Path, files: list[str], **how: Any) -> tuple[Run, Run]:
    """Run test files plain and with ``PEFT_STRICT`` set, side by side."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        plain, strict = (pool.submit(run_tests, folder, files, strict=strict, **how) for strict in (False, True))
        return plain.result(), strict.result()


class Difference(NamedTuple):
    """A test that did not end the same way in both runs.

    Attributes:
        test: Its name.
        plain: How it ended without peft-strict.
        strict: How it ended with it.
    """

    test: str
    plain: list[str]
    strict: list[str]

    @property
    def is_the_mistake(self) -> bool:
        """Whether the test makes the mistake itself.

        All that ``test_task_type`` of PEFT <= 0.13 does is ``config_class(task_type="test")``, for each class; and
        ``test_lora_with_bias_argument[invalid]`` waits for PEFT to refuse ``bias="invalid"`` at the model.
        """
        name, said = self.test.rpartition("::")[2], str(self.strict)
        if name == "test_lora_with_bias_argument[invalid]":
            return "F1: LoraConfig(bias='invalid')" in said
        return bool(re.fullmatch(r"test_task_type_\d+", name)) and "Invalid task type: 'test" in said


def differences(plain: Run, strict: Run) -> list[Difference]:
    """Return the tests that did not end the same way in both runs.

    Addresses and temporary paths in messages differ between any two runs, so messages count by their first words only.
    """
    found = []
    for test in sorted({*plain.outcomes, *strict.outcomes}):
        one, other = (sorted(map(_essence, run.outcomes.get(test, ["absent"]))) for run in (plain, strict))
        if one != other:
            found.append(Difference(test, one, other))
    return found


def _essence(outcome: str) -> str:
    kind, _, message = outcome.partition(": ")
    return f"{kind}: {message[:90]}" if kind != "skipped" else kind
