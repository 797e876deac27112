"""Makes the table of the README, and the data for its picture, of the results of the cells."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..interpreters import HERE
from ..ways_in.rows import numbers
from .cells import OLDER_TRANSFORMERS, Cell

START, END = "<!-- matrix -->", "<!-- /matrix -->"
COLUMNS = (
    *("PEFT", "transformers", "wrapt", "Python"),
    *("ways in", "silent in plain PEFT", "silent with us", "right uses", "hindered by us", "places that moved"),
)

Results = dict[Cell, dict[str, Any]]


def outcome(tries: dict[str, dict[str, Any]]) -> str:
    """Return what a way in ends in: the worst of its tries counts."""
    outcomes = [tried["outcome"] for tried in tries.values()]
    if "silent" in outcomes:
        return "silent"
    return next((other for other in outcomes if other != "refused"), "refused")


def is_refused_by_us(tries: dict[str, dict[str, Any]]) -> bool:
    """Whether every try ends in one error of ours."""
    return all(tried["by_us"] and tried["reports"] == 1 for tried in tries.values())


def is_hindered(row: dict[str, Any]) -> bool:
    """Whether a right use comes to anything else with us than without, or is reported."""
    compared = ({key: tried.get(key) for key in ("answer", "error")} for tried in row["strict"].values())
    plain = ({key: tried.get(key) for key in ("answer", "error")} for tried in row["plain"].values())
    return list(compared) != list(plain) or any(tried["reports"] for tried in row["strict"].values())


def present(table: dict[str, Any]) -> dict[str, Any]:
    """Return the rows that a release has."""
    return {name: row for name, row in table.items() if row["missing"] is None}


def counts(found: dict[str, Any]) -> tuple[int, int, int, int, int, int]:
    """Return how many ways there are, silent without and with us; right uses, hindered; and places that moved."""
    ways, uses = present(found["wrong"]), present(found["right"])
    return (
        len(ways),
        sum(outcome(row["plain"]) == "silent" for row in ways.values()),
        sum(not is_refused_by_us(row["strict"]) for row in ways.values()),
        len(uses),
        sum(is_hindered(row) for row in uses.values()),
        len(found["moved"]),
    )


def is_perfect(results: Results) -> bool:
    """Whether no wrong value passes, no right use is hindered, every undo was exact and nothing moved, in any cell."""
    tables = [found for found in results.values() if "wrong" in found]
    faults = [(counts(found)[2], counts(found)[4], found["left_behind"], found["moved"]) for found in tables]
    return not any(any(each) for each in faults)


def data(results: Results) -> dict[str, Any]:
    """Return the results as plain data: what each way in ends in, in each cell."""
    cells = []
    for cell, found in results.items():
        if "wrong" not in found:
            cells.append({"python": cell.python, "tests": found["tests"]})
            continue
        ways = {
            name: {"missing": row["missing"]}
            if row["missing"] is not None
            else {
                "plain": outcome(row["plain"]),
                "strict": "refused" if is_refused_by_us(row["strict"]) else outcome(row["strict"]),
            }
            for name, row in found["wrong"].items()
        }
        _, _, _, uses, hindered, moved = counts(found)
        cells.append(
            {
                **found["versions"],
                "pure_wrapt": cell.is_pure,
                "ways": ways,
                "right_uses": uses,
                "hindered": hindered,
                "moved": moved,
            }
        )
    first = next(found for found in results.values() if "wrong" in found)
    return {"ways": {name: row["says"] for name, row in first["wrong"].items()}, "cells": cells}


def markdown(results: Results) -> str:
    """Return the table, what each way meets on each release, and what is not covered."""
    tables = {cell: found for cell, found in results.items() if "wrong" in found}
    lines = [
        _line(COLUMNS),
        _line(["---"] * len(COLUMNS)),
        *_rows(tables),
        "",
        *_pythons(results),
        "",
        *_ways(tables),
        "",
        _not_covered(),
    ]
    return "\n".join(lines)


def _rows(tables: Results) -> list[str]:
    """Return a line for each cell; cells that differ in wrapt alone and come to the same share one."""
    shared: dict[tuple[Any, ...], list[str]] = {}
    for cell, found in tables.items():
        versions = found["versions"]
        key = (versions["peft"], versions["transformers"], ".".join(versions["python"].split(".")[:2]), *counts(found))
        wrapt = versions["wrapt"] + (" (pure Python)" if cell.is_pure else "")
        shared.setdefault(key, []).append(wrapt)
    return [
        _line([peft, transformers, _sorted(wrapts), python, *map(str, numbers_)])
        for (peft, transformers, python, *numbers_), wrapts in shared.items()
    ]


def _line(columns: Iterable[str]) -> str:
    return f"| {' | '.join(columns)} |"


def _sorted(versions: Iterable[str]) -> str:
    return ", ".join(sorted(set(versions), key=lambda version: (numbers(version), version)))


def _pythons(results: Results) -> list[str]:
    lines = [f"- Python {cell.python}: {found['tests']}" for cell, found in results.items() if "tests" in found]
    return ["What needs no torch, on the CPythons at hand:", "", *lines] if lines else []


def _ways(tables: Results) -> list[str]:
    """Return for each way in on which releases plain PEFT is silent, refuses, fails otherwise, or has no such way."""
    releases = [cell for cell in tables if not cell.wrapt and not cell.is_pure and _is_usual(cell)]
    if not releases:
        return []
    lines = [
        "<details><summary>Each way in, and what plain PEFT does on which release</summary>",
        "",
        _line(["way in", "silent", "refused by PEFT", "ends in another error", "not there"]),
        _line(["---"] * 5),
    ]
    for name, first in tables[releases[0]]["wrong"].items():
        met: dict[str, list[str]] = {"silent": [], "refused": [], "other": [], "missing": []}
        reasons: dict[str, None] = {}
        for cell in releases:
            row = tables[cell]["wrong"][name]
            if row["missing"] is not None:
                met["missing"].append(cell.peft)
                reasons[row["missing"]] = None
                continue
            ended = outcome(row["plain"])
            met[ended if ended in met else "other"].append(cell.peft)
        order = [cell.peft for cell in releases]
        spans = [_spans(met[kind], order) for kind in ("silent", "refused", "other", "missing")]
        spans[3] += f" ({'; '.join(reasons)})" if reasons else ""
        lines.append(_line([first["says"], *spans]))
    return [*lines, "", "</details>"]


def _is_usual(cell: Cell) -> bool:
    return cell.transformers == OLDER_TRANSFORMERS.get(cell.peft, "") and cell.python == HERE


def _spans(members: list[str], order: list[str]) -> str:
    """Return the members as spans of their order: ``0.2.0 - 0.13.2, 0.16.0``."""
    spans = []
    for is_in, group in itertools.groupby(order, key=set(members).__contains__):
        found = list(group)
        if is_in:
            spans.append(found[0] if len(found) == 1 else f"{found[0]} - {found[-1]}")
    return ", ".join(spans)


def _not_covered() -> str:
    return (
        "Not covered: GPUs, Windows and macOS, PyPy, conda, free-threaded builds, quantised models, releases between "
        "those listed, and PEFT with torch on a Python other than those above."
    )


def write(path: Path, text: str) -> None:
    """Put the text between the marks of a file."""
    before, start, rest = path.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{path} has no {START} ... {END}")
    path.write_text(f"{before}{START}\n{text}\n{END}{after}")
