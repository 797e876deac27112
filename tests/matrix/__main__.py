"""``python -m tests.matrix``: every way in, right use and place that we look at, on every combination of releases.

Examples:
    python -m tests.matrix                              # all; the first time it fetches and makes what it needs
    python -m tests.matrix --only "peft 0.13.2"         # the cells whose name contains that
    PEFT_STRICT_TEST_REAL=FOLDER/real/bin/python python -m tests.matrix    # PEFT on that Python, too: tests/pythons.sh
    python -m tests.matrix --write README.md            # the table between <!-- matrix --> and <!-- /matrix -->
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import table
from .cells import Cell, all_cells, prepare, result

DATA = Path(__file__).with_name("results.json")


def main() -> int:
    """Run the cells and tell the results. 0 if nothing passes, nothing is hindered and no place has moved, else 1."""
    options = _options()
    cells = [cell for cell in all_cells() if options.only in str(cell)]
    if not cells:
        print(f"no cell has {options.only!r} in its name", file=sys.stderr)
        return 1
    results = _results(cells, options.jobs)
    text = table.markdown(results)
    print(text)
    if options.write:
        table.write(options.write, text)
        DATA.write_text(json.dumps(table.data(results), indent=1) + "\n")
    return 0 if len(results) == len(cells) and table.is_perfect(results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", metavar="TEXT", default="", help="run the cells whose name contains this text")
    parser.add_argument("--jobs", type=int, default=2, help="how many cells to run at a time (default: 2)")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help=f"put the table into a file, and the data into {DATA.name}"
    )
    return parser.parse_args()


def _results(cells: list[Cell], jobs: int) -> table.Results:
    """Run the cells; one that fails is told on stderr and left out."""

    def run(cell: Cell) -> tuple[Cell, object]:
        try:
            return cell, result(cell)
        except Exception as error:  # told below: the other cells must not be lost
            return cell, error

    for cell in cells:
        prepare(cell)
    found: table.Results = {}
    with ThreadPoolExecutor(jobs) as pool:
        for cell, ended in pool.map(run, cells):
            print(f"{cell}: {'failed' if isinstance(ended, Exception) else 'done'}", file=sys.stderr, flush=True)
            if isinstance(ended, dict):
                found[cell] = ended
                for place in ended.get("moved", ()):
                    print(f"  moved: {place}", file=sys.stderr)
            else:
                print(ended, file=sys.stderr)
    return found


if __name__ == "__main__":
    sys.exit(main())
