"""The table of ways in, on sampled releases of PEFT, each in a process of its own. All: ``python -m tests.matrix``."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from .command_line import REPOSITORY, environment
from .upstream.compare import installed_copy
from .ways_in.right import USES
from .ways_in.rows import Row, numbers
from .ways_in.wrong import WAYS

INSTALLED = importlib.metadata.version("peft")
SAMPLED = ("0.3.0", "0.7.1", "0.13.2", "0.14.0", "0.19.1", INSTALLED)


@functools.cache
def results(release: str) -> dict[str, Any]:
    """Try the table on a release of PEFT. Raises ``LookupError`` if it cannot be fetched."""
    path = [str(REPOSITORY)]
    if release != INSTALLED:
        try:
            path.insert(0, str(installed_copy("peft", release)))
        except subprocess.CalledProcessError as error:
            raise LookupError(f"pip could not fetch peft {release} (exit code {error.returncode})") from error
    tried = subprocess.run(
        [sys.executable, "-m", "tests.ways_in", "--json"],
        cwd=REPOSITORY,
        env=environment(PYTHONPATH=os.pathsep.join(path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 0, tried.stderr[-3000:]
    found: dict[str, Any] = json.loads(tried.stdout)
    assert found["versions"]["peft"] == release
    return found


@pytest.fixture(name="found")
def _found(release: str) -> dict[str, Any]:
    try:
        return results(release)
    except LookupError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


def cases(rows: dict[str, Row]) -> pytest.MarkDecorator:
    """Return the parametrisation over releases and the rows of a table."""
    pairs = [pytest.param(release, name, id=f"{release}-{name}") for release in SAMPLED for name in rows]
    return pytest.mark.parametrize(("release", "name"), pairs)


def tries(found: dict[str, Any], row: Row, attempt: str) -> dict[str, dict[str, Any]]:
    """Return what each try of a row came to; nothing where the table says that this release does not have it."""
    missing = found["missing"]
    if missing is not None:
        assert missing
        assert row.reason == missing or row.needs is not None
        return {}
    assert found[attempt]
    return found[attempt]


def met(tried: dict[str, dict[str, Any]]) -> dict[str, tuple[str, int]]:
    """Return what each try ended in, and how many reports of ours there were."""
    return {label: (each["outcome"], each["reports"]) for label, each in tried.items()}


@cases(WAYS)
def test_wrong_value_is_refused(found: dict[str, Any], release: str, name: str) -> None:
    """Every way in ends in one InvalidTaskTypeError, at the line of the mistake, with one frame of ours at most."""
    for label, tried in tries(found["wrong"][name], WAYS[name], "strict").items():
        assert tried["outcome"] == "refused", (label, tried)
        assert tried["by_us"], (label, tried)
        assert tried["reports"] == 1, (label, tried)
        assert tried["frames"] <= 1, (label, tried)
        assert tried["at"], (label, tried)
        starts = "Invalid task type: '", "`peft_type` got a task type; write ", "peft-strict M1: "
        assert tried["error"].startswith(tuple(f"InvalidTaskTypeError: {start}" for start in starts))
        if WAYS[name].names_file:
            assert tried["names"] == "adapter_config.json", (label, tried)


@cases(WAYS)
def test_wrong_value_is_warned_of_once(found: dict[str, Any], release: str, name: str) -> None:
    """With ``invalid="warn"`` every way in gives one warning, at the line of the mistake, that names the file."""
    for label, tried in tries(found["wrong"][name], WAYS[name], "warn").items():
        assert tried["reports"] == 1, (label, tried)
        assert tried["at"], (label, tried)
        if WAYS[name].names_file:
            assert tried["names"] == "adapter_config.json", (label, tried)


@cases(USES)
def test_right_use_stays_quiet(found: dict[str, Any], release: str, name: str) -> None:
    """Right uses come to the same with us as without, to the byte, and without a report."""
    row = found["right"][name]
    plain = tries(row, USES[name], "plain")
    for attempt in ("strict", "warn", "off"):
        passed = tries(row, USES[name], attempt)
        assert passed.keys() == plain.keys()
        for label, tried in passed.items():
            assert tried["reports"] == [], (attempt, label)
            assert tried.get("error") == plain[label].get("error"), (attempt, label, tried)
            assert tried.get("answer") == plain[label].get("answer"), (attempt, label)


@pytest.mark.parametrize("release", SAMPLED)
def test_off_is_plain(found: dict[str, Any], release: str) -> None:
    """After ``disable()`` every wrong value meets what it met before ``enable()``, and PEFT is as it was."""
    for name, row in found["wrong"].items():
        if row["missing"] is None:
            assert met(row["off"]) == met(row["plain"]), name
    assert found["left_behind"] == []


@pytest.mark.parametrize("release", [INSTALLED])
def test_the_newest_release_has_all(found: dict[str, Any], release: str) -> None:
    """On the installed release only what PEFT has since given up is missing, and every right use works."""
    gone = {row.name for row in [*WAYS.values(), *USES.values()] if row.missing_on(numbers(release))}
    missing = {name for table in ("wrong", "right") for name, row in found[table].items() if row["missing"]}
    assert missing == gone
    failed = [
        name for name, row in found["right"].items() for tried in row.get("plain", {}).values() if "error" in tried
    ]
    assert failed == []
