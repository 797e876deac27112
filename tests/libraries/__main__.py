"""``python -m tests.libraries``: run the programs, and print the README's table."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import running
from .table import PROGRAMS, Program

MODES = ("", "1", "raise")


def problems(program: Program, folder: Path, device: str = "cpu") -> Iterator[str]:
    """Yield what is not as it should be, a sentence each."""
    right = {mode: running.run(program, folder, mode=mode, mistake=False, device=device) for mode in MODES}
    plain = right[""]
    if plain.exit_code or plain.losses is None or not plain.saved:
        yield f"the right program does not run here: {plain.text.strip()[-400:]}"
        return
    for mode in ("1", "raise"):
        if right[mode].reports or right[mode].exit_code:
            yield f"the right program is disturbed with PEFT_STRICT={mode}: {right[mode].text.strip()[-600:]}"
        if right[mode].losses != plain.losses:
            yield f"its losses differ with PEFT_STRICT={mode}: {plain.losses}, {right[mode].losses}"
        if right[mode].saved != plain.saved:
            yield f"what it saves differs with PEFT_STRICT={mode}"
    told = running.run(program, folder, mode="1", mistake=True, device=device)
    if told.reports != [(program.code, True)]:
        yield f"the mistake is told as {told.reports}, not once as {program.code!r}: {told.text.strip()[-600:]}"


def version(program: Program) -> str:
    """Return the version that ran."""
    pinned = [each.partition("==")[2] for each in program.beside if "==" in each]
    return pinned[0] if pinned else importlib.metadata.version(program.needs)


def main(device: str = "cpu", programs: Sequence[Program] = PROGRAMS) -> int:
    """Run the programs that are named on the command line, or all of these, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.libraries", description=sys.modules[__package__].__doc__)
    known = list(dict.fromkeys(program.name for program in programs))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(known)}; all if none is named")
    chosen = parser.parse_args().names
    unknown = [name for name in chosen if name not in known]
    if unknown:
        parser.error(f"no such program: {', '.join(unknown)}")
    failed = False
    lines = ["| library | version | right program | mistake |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="peft-strict-libraries-") as temporary:
        for program in programs:
            if chosen and program.name not in chosen:
                continue
            if not running.is_installed(program):
                print(f"{program.library}: {program.needs} is not installed, so not run", file=sys.stderr, flush=True)
                continue
            found = list(problems(program, Path(temporary, program.name), device))
            failed = failed or bool(found)
            print(f"{program.library}: {'; '.join(found) or 'as it should be'}", file=sys.stderr, flush=True)
            told = f"`{program.code}`" if program.code else "`InvalidTaskTypeError`"
            if not found:
                lines.append(f"| {program.library} | {version(program)} | the same, to the byte | {told} |")
    print("\n".join(lines))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
