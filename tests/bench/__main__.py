"""Measures, and prints Markdown tables or puts them into a file."""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path

from . import checking, construction, fields, harness, importing, roundtrip, startup, switching

BENCHMARKS = {
    "config": construction.table,
    "fields": fields.table,
    "startup": startup.table,
    "import": importing.table,
    "switching": switching.table,
    "roundtrip": roundtrip.table,
    "check": checking.table,
}


def main() -> int:
    """Run the benchmarks that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; all if none is named")
    parser.add_argument("--rounds", type=int, help="how often a benchmark that goes in rounds measures everything")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put each table between its markers in this file")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    for name in options.names or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        in_rounds = options.rounds and "rounds" in inspect.signature(benchmark).parameters
        lines = benchmark(**({"rounds": options.rounds} if in_rounds else {}))
        print(*lines, "", sep="\n", flush=True)
        if options.write:
            harness.write(options.write, name, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
