"""A pytest plugin for both runs: no hub, no waiting for one, and notes of what happened.

Where peft-strict is off it marks each test that builds a PEFT config, so that one can tell how much a run says. Where
it is on it notes each report with the test that gets it, also those that PEFT or the test catches or filters away.
"""

from __future__ import annotations

import inspect
import json
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any, Optional

import pytest

running: Optional[pytest.Item] = None


def pytest_configure() -> None:
    """Let what needs a model from the hub fail at once, instead of after 46 seconds of trying again."""
    from huggingface_hub.utils import _http

    for function in (_http.http_backoff, _http.http_stream_backoff):
        inspect.unwrap(function).__kwdefaults__["max_retries"] = 0
    if os.environ.get("PEFT_STRICT"):
        _note_reports()


def _note_reports() -> None:
    """Add the code and the first line of each report to the properties of the test that is running."""
    from peft_strict import _errors

    made = _errors._Report.__init__

    def noted(report: Any, message: str, **attributes: Any) -> None:
        made(report, message, **attributes)
        if running is not None:
            code = report.code or type(report).__name__
            running.user_properties.append(("peft_strict_report", f"{code} {message.splitlines()[0]}"))

    _errors._Report.__init__ = noted  # type: ignore[method-assign]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Mark the test if it builds a PEFT config; not counted is the test that is the first to import PEFT."""
    global running
    running = item
    if "peft" in sys.modules and not os.environ.get("PEFT_STRICT"):
        sys.modules["peft"].PeftConfig.__new__ = _noted
    yield
    running = None


def _noted(config_class: type, *_arguments: Any, **_named: Any) -> Any:
    mark = ("built_a_peft_config", "yes")
    if running is not None and mark not in running.user_properties:
        running.user_properties.append(mark)
    return object.__new__(config_class)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down the state of peft-strict; with pytest-xdist the workers do, for nothing is imported elsewhere."""
    if session.config.pluginmanager.has_plugin("dsession"):
        return
    status = sys.modules["peft_strict"].status().to_dict() if "peft_strict" in sys.modules else {"state": "absent"}
    pathlib.Path(os.environ["PEFT_STRICT_WITNESS"]).write_text(json.dumps(status))
