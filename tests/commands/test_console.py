"""What the commands write, where stdout or stderr is something else than a terminal or a file."""

from __future__ import annotations

import io
import sys

import pytest

from peft_strict.commands import console


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], stream: str) -> None:
    """Where stdout or stderr is closed, what belongs there goes nowhere else, and that is well."""
    monkeypatch.setattr(sys, stream, None)
    if stream == "stdout":
        assert console.write_out("text") is True
    else:
        console.complain("text")
        progress = console.Progress()
        progress.show("text")
        progress.clear()
    assert capfd.readouterr() == ("", "")


def test_a_stdout_that_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook's stdout, or a ``StringIO``, is given the report as it is."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert console.write_out("caf\udce9") is True
    assert sys.stdout.getvalue() == "caf\udce9\n"


class Terminal(io.TextIOWrapper):
    r"""A terminal that keeps what reaches it; like Python's stderr it holds text back until "\n" or "\r"."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), line_buffering=True)

    def isatty(self) -> bool:
        return True

    def arrived(self) -> str:
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined, no-any-return]


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is drawn after a fifth of a second at the earliest, five times a second at most, and cleared once."""
    terminal, now = Terminal(), [0.0]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    progress = console.Progress()
    for now[0], text in [(0.1, "a"), (0.2, "b"), (0.3, "c"), (0.45, "d"), (0.5, "e")]:
        progress.show(text)
    assert terminal.arrived() == "\rb\x1b[K\rd\x1b[K"
    progress.clear()
    progress.clear()
    assert terminal.arrived() == "\rb\x1b[K\rd\x1b[K\r\x1b[K"
