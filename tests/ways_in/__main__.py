"""Tries the tables on the installed PEFT and prints what happened."""

from __future__ import annotations

import argparse
import json
import linecache
import os
import platform
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Optional

from . import places, snapshot
from .rows import SAVED, Row, release

PASSES = ("plain", "strict", "warn", "off")


def main() -> None:
    """Try every row in every pass that was asked for, in one process."""
    options = _options()
    stdout = os.dup(1)
    os.dup2(2, 1)  # whatever the imported libraries print is not part of the answer
    passes = [name for name in PASSES if getattr(options, name)] or list(PASSES)
    found = try_all(passes, is_armed=options.armed)
    with open(stdout, "w") as stream:
        stream.write(json.dumps(found) if options.json else "\n".join(_lines(found, passes)) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.ways_in", description=sys.modules[__package__].__doc__)
    parser.add_argument("--plain", action="store_true", help="plain PEFT, before anything was switched on")
    parser.add_argument("--strict", action="store_true", help="with enable()")
    parser.add_argument("--warn", action="store_true", help='with enable(invalid="warn")')
    parser.add_argument("--off", action="store_true", help="after disable(): must be as plain")
    parser.add_argument("--armed", action="store_true", help="call enable() before PEFT is imported (not for --plain)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    return parser.parse_args()


def try_all(passes: list[str], *, is_armed: bool) -> dict[str, Any]:
    """Return the versions, what happened to each row in each pass, what was not put back, and what has moved."""
    import peft_strict

    if is_armed:
        peft_strict.enable()
    import peft

    from .right import USES
    from .wrong import WAYS

    tables = {"wrong": (WAYS, _tried_wrong), "right": (USES, _tried_right)}
    before = snapshot.take()
    found: dict[str, Any] = {"versions": versions(), "wrong": {}, "right": {}}
    for table, (rows, _) in tables.items():
        for row in rows.values():
            missing = row.missing_on(release()) or (row.needs() if row.needs else None)
            found[table][row.name] = {"says": row.says, "missing": missing, "names_file": row.names_file}
    for name in passes:
        switch = {"strict": peft_strict.enable, "warn": lambda: peft_strict.enable(invalid="warn")}
        status = switch.get(name, peft_strict.disable)()
        assert status.state == ("guarding" if name in switch else "off"), status
        for table, (rows, tried) in tables.items():
            for row in rows.values():
                if found[table][row.name]["missing"] is None:
                    found[table][row.name][name] = {label: tried(attempt) for label, attempt in _tries(row)}
    peft_strict.disable()
    found["left_behind"] = [] if is_armed else snapshot.changes(before)
    found["moved"] = places.moved()
    assert peft.__version__ == found["versions"]["peft"]
    return found


def _tries(row: Row) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the tries of a row; a failure to set them up is a try that fails."""
    try:
        yield from row.tries()
    except Exception as error:
        failure = error

        def fail() -> None:
            raise failure

        yield "setting up", fail


def _tried_wrong(attempt: Callable[[], Any]) -> dict[str, Any]:
    """Return what a wrong value met.

    ``outcome`` is ``"refused"`` (by us, or by PEFT's own sentence), ``"silent"``, or the error it ended in otherwise.
    The rest describes our reports: how many there were, whether the first points at a marked line, which file it
    names, and how many frames of ours the traceback shows.
    """
    error, reports, _ = _run(attempt)
    found: dict[str, Any] = {"outcome": _outcome(error), "by_us": _is_ours(error), "reports": len(reports)}
    if error is not None:
        found["error"] = f"{type(error).__name__}: {error}"[:2000]
        found["frames"] = sum("peft_strict" in frame.filename.split(os.sep) for frame in _frames(error))
    if _is_ours(error):
        found["reports"] += 1
        found["names"] = _saved_file(getattr(error, "source", None))
        found["at"] = any(_is_marked(frame.filename, frame.lineno) for frame in _frames(error))
    elif reports:
        found["names"] = next(
            (_saved_file(word) for word in str(reports[0].message).split() if _saved_file(word)), None
        )
        found["at"] = _is_marked(reports[0].filename, reports[0].lineno)
        found["message"] = str(reports[0].message)
    return found


def _tried_right(attempt: Callable[[], Any]) -> dict[str, Any]:
    """Return what a right use came to: its answer, or the error; and our reports, which should be none."""
    error, reports, answer = _run(attempt)
    found: dict[str, Any] = {"reports": [str(report.message) for report in reports]}
    if error is None:
        return {**found, "answer": answer}
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {**found, "error": f"{type(error).__name__}: {error}"[:500], "by_us": _is_ours(error), "trace": trace}


def _run(attempt: Callable[[], Any]) -> tuple[Optional[Exception], list[warnings.WarningMessage], Any]:
    """Run it; return its error, our warnings, and its answer."""
    import torch

    from peft_strict import PeftStrictWarning

    torch.manual_seed(0)
    error, answer = None, None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = attempt()
        except Exception as raised:
            error = raised
    return error, [report for report in caught if issubclass(report.category, PeftStrictWarning)], answer


def _is_ours(error: Optional[Exception]) -> bool:
    return type(error).__module__.partition(".")[0] == "peft_strict"


def _outcome(error: Optional[Exception]) -> str:
    if error is None:
        return "silent"
    says_so = isinstance(error, ValueError) and str(error).startswith("Invalid task type: ")
    if _is_ours(error) or says_so or "only supports task_type = CAUSAL_LM" in str(error):
        return "refused"
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:200]


def _frames(error: Optional[BaseException]) -> list[traceback.FrameSummary]:
    """Return all the frames that Python would print for an error."""
    frames: list[traceback.FrameSummary] = []
    while error is not None:
        frames += traceback.extract_tb(error.__traceback__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return frames


def _is_marked(filename: str, line: Optional[int]) -> bool:
    """Tell whether that is a line of the table with the mark of a mistake."""
    is_table = os.path.basename(filename) == "wrong.py" and os.path.dirname(filename).endswith("ways_in")
    return is_table and linecache.getline(filename, line or 0).rstrip().endswith("# !")


def _saved_file(text: Optional[str]) -> Optional[str]:
    """Return the name of the file if that is the path of a config saved by the table."""
    folder, name = os.path.split(text or "")
    return name if os.path.basename(folder).startswith(SAVED) else None


def versions() -> dict[str, str]:
    """Return the versions of what is involved."""
    import peft
    import torch
    import transformers
    import wrapt

    imported: list[types.ModuleType] = [peft, transformers, torch, wrapt]
    return {"python": platform.python_version(), **{module.__name__: module.__version__ for module in imported}}


def _lines(found: dict[str, Any], passes: list[str]) -> Iterator[str]:
    yield ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    for name, row in found["wrong"].items():
        if row["missing"] is not None:
            yield f"{name}: {row['missing']}"
        for attempt in [] if row["missing"] is not None else passes:
            for label, result in row[attempt].items():
                ours = f"{result['reports']} of ours, {result.get('frames', 0)} frames, at {result.get('at')}"
                yield f"{name} {label} {attempt}: {result['outcome']} ({ours})"
    for name, row in found["right"].items():
        if row["missing"] is not None:
            yield f"right {name}: {row['missing']}"
        for attempt in [] if row["missing"] is not None else passes:
            for label, result in row[attempt].items():
                yield f"right {name} {label} {attempt}: {result.get('error', 'fine')} {result['reports']}"


if __name__ == "__main__":
    main()
