"""What the commands write, where stdout or stderr is something else than a terminal or a file."""

from __future__ import annotations

import io
import sys

import pytest

from peft_strict import _console


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], stream: str) -> None:
    """Where stdout or stderr is closed, what belongs there goes nowhere else, and that is well."""
    monkeypatch.setattr(sys, stream, None)
    if stream == "stdout":
        assert _console.report("text") is True
    else:
        _console.complain("text")
        progress = _console.Progress()
        progress.show("text")
        progress.clear()
    assert capfd.readouterr() == ("", "")


def test_a_stdout_that_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook's stdout, or a ``StringIO``, is given the report as it is."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert _console.report("caf\udce9") is True
    assert sys.stdout.getvalue() == "caf\udce9\n"
