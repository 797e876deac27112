"""What the commands write: reports to stdout, one-line complaints and progress to stderr."""

from __future__ import annotations

import io
import os
import sys
import time

from .._standby import say

_PROGRESS_SECONDS = 0.2


def shown(path: str) -> str:
    """Return a path as it can be printed: names with line ends, escape codes or broken encoding are quoted."""
    return path if path.isprintable() else repr(path)


def complain(message: str) -> None:
    """Write one line to stderr, if there is one; if nobody reads it, the exit code still tells."""
    say(f"peft-strict: {message}")


def write_out(text: str) -> bool:
    """Write a report to stdout, and say whether that went well; if not, a complaint has told why.

    A reader that went away (``| head``) has read enough: that is well.
    """
    if sys.stdout is None:
        return True
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold anything
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered must go somewhere
        if isinstance(error, BrokenPipeError):
            return True
        complain(f"cannot write the report: {error.strerror}")
        return False
    return True


class Progress:
    """A line on stderr that says how far a long search has come; only where stderr is a terminal."""

    def __init__(self) -> None:
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._next = time.monotonic() + _PROGRESS_SECONDS
        self._drawn = False

    def show(self, text: str) -> None:
        """Draw the line anew, a few times a second at most."""
        if self._terminal and time.monotonic() >= self._next:
            self._draw(text)
            self._drawn = True
            self._next = time.monotonic() + _PROGRESS_SECONDS

    def clear(self) -> None:
        """Take the line away, before anything else is written."""
        if self._drawn:
            self._draw("")
            self._drawn = False

    @staticmethod
    def _draw(text: str) -> None:
        print(f"\r{text}\x1b[K", end="", file=sys.stderr)
