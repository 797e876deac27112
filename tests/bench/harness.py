"""What the benchmarks share: measuring side by side, medians, ratios, Markdown."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One line of a table.

    Attributes:
        name: What was measured.
        seconds: The median.
        ratio: The median of the ratios to the first case, each taken within one round.
        low: The first quartile of those ratios.
        high: The third quartile.
    """

    name: str
    seconds: float
    ratio: float
    low: float
    high: float


def side_by_side(cases: Mapping[str, Callable[[], float]], rounds: int) -> list[Row]:
    """Measure all cases in turn, again and again, so that whatever the machine does meanwhile meets all of them.

    Args:
        cases: Functions that return seconds, by name. The first is what the others are compared with.
        rounds: How often; one more round goes first and is not counted.
    """
    names = list(cases)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in _progress(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:  # none of them always runs behind the same neighbour
            seconds = cases[name]()
            if number:
                samples[name].append(seconds)
    return [_row(name, samples[name], samples[names[0]]) for name in names]


def _row(name: str, samples: Sequence[float], base: Sequence[float]) -> Row:
    ratios = [one / other for one, other in zip(samples, base)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Row(name, statistics.median(samples), middle, low, high)


def _progress(count: int) -> Iterator[int]:
    """Yield the numbers of the rounds, telling on a terminal how far it is."""
    for number in range(count):
        if sys.stderr.isatty():
            print(f"\rround {number} of {count - 1} ", end="", file=sys.stderr, flush=True)
        yield number
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)


def command(arguments: Sequence[object], environment: Mapping[str, str]) -> Callable[[], float]:
    """Return a function that runs a command to its end and returns the CPU time that took.

    On an idle machine that is what a clock shows; unlike the clock it leaves out what other programs take.

    Raises:
        RuntimeError: (that function) if the command fails.
    """
    words = [str(argument) for argument in arguments]
    silent = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_RDWR, 0) for descriptor in (0, 1, 2)]

    def run() -> float:
        child = os.posix_spawn(words[0], words, environment, file_actions=silent)
        _, status, used = os.wait4(child, 0)
        if status:
            raise RuntimeError(f"{' '.join(words)} ended with status {status}")
        return used.ru_utime + used.ru_stime

    return run


def table(title: str, rows: Sequence[Row]) -> list[str]:
    """Return the lines of a Markdown table; the first row is what the others are compared with."""
    return [
        f"| {title} | CPU time, median | ratio | middle half |",
        "|---|--:|--:|--:|",
        *(f"| {row.name} | {duration(row.seconds)} | {row.ratio:.2f}x | {_spread(row)} |" for row in rows),
    ]


def _spread(row: Row) -> str:
    return f"{row.low:.2f} to {row.high:.2f}"


def duration(seconds: float) -> str:
    """Return a time in three digits."""
    unit, size = next(
        (each for each in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)) if seconds >= each[1]),
        ("us", 1e-6),
    )
    number = seconds / size
    return f"{number:.{max(0, 3 - len(str(int(number))))}f} {unit}"


def machine() -> str:
    """Return in a few words what this was measured on."""
    return f"CPython {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores"


def write(path: Path, name: str, lines: Sequence[str]) -> None:
    """Replace what stands between ``<!-- bench:name -->`` and ``<!-- /bench:name -->`` in a file.

    Raises:
        ValueError: if the markers are not there exactly once.
    """
    first, last = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(first)
    _, found, after = rest.partition(last)
    if not found or first in rest or last in after:
        raise ValueError(f"{path} must have {first} ... {last} once")
    path.write_text("\n".join([before + first, *lines, last + after]), encoding="utf-8")
