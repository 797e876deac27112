"""The command line: ``peft-strict run``, ``peft-strict doctor`` and ``peft-strict check``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Optional

from .. import __version__
from . import run
from .console import complain

if TYPE_CHECKING:
    from collections.abc import Sequence

_RUN = """\
Runs a Python program with the checks on, as `python` would run it: exit code, arguments, signals
and tracebacks are the program's own. All that stands behind the program belongs to the program;
`--` in front of it allows a script whose name starts with a dash.

PEFT_STRICT is set to 1, unless it is set already to something that is not off (warn, raise, ...).
Child processes inherit it. Options of Python go in front: python -X dev -m peft_strict run train.py"""

_DOCTOR = """\
Tries a misspelled task type on every config class of the installed PEFT, without and with
peft-strict, and shows how the checks can be switched on in this environment."""

_CHECK = """\
Looks for wrong values in saved adapter configs. The right ones are those of the installed PEFT,
which is read and not imported. Task types that a program of yours registers in PEFT's mapping are
not known here.

Of the adapter_model.safetensors beside each config the header is read: whether it is empty or cut
off, and whether its tensors are those that the config says. What may be meant is told as well, and
does not count as wrong. A .bin is never read."""

_CODES = {
    "run": "exit codes: the program's own; 2 if there is no program to run",
    "doctor": "exit codes: 0 peft-strict refuses them all, 1 it misses one, 2 PEFT cannot be imported",
    "check": "exit codes: 0 all good, or --fix mended all; 1 findings are left; 2 wrong usage, or a path\n"
    "that could not be read or written (a line on stderr says why); 130 interrupted",
}


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line.

    Args:
        arguments: The words behind the name of the command; by default those of ``sys.argv``.

    Returns:
        The exit code: 0 good, 1 findings left, 2 wrong usage or unusable input, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["run"] and words[1:2] not in (["-h"], ["--help"]):
        return run.run(words[1:])  # not through argparse, which would take the program's options for its own
    parser = _parser()
    options = parser.parse_args(words)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        return _dispatch(options)
    except KeyboardInterrupt:
        complain(
            "interrupted" + ("; every file is whole, fixed or as it was" if getattr(options, "fix", False) else "")
        )
        return 130


def _dispatch(options: argparse.Namespace) -> int:
    if options.command == "doctor":
        from . import doctor

        return doctor.run(as_json=options.json)
    from . import check

    return check.run(options.paths, fix=options.fix, values=options.values, as_json=options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="peft-strict",
        description="Tells where Hugging Face PEFT does not do what its config says, or loses what was trained.",
        epilog="\n".join(f"{command:<8}" + codes.replace("\n", "\n" + " " * 8) for command, codes in _CODES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"peft-strict {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    _add(commands, "run", _RUN, "run a Python program with the checks on", usage=run.USAGE)
    doctor = _add(commands, "doctor", _DOCTOR, "show what is refused in this environment, without and with the checks")
    check = _add(commands, "check", _CHECK, "find what is wrong in saved adapters, and fix their task types")
    check.add_argument(
        "paths", nargs="+", metavar="PATH", help="a file, or a folder to search for adapter_config.json files"
    )
    check.add_argument("--fix", action="store_true", help="write the suggestion, where there is a safe one")
    check.add_argument("--values", action="store_true", help="read the weights whole, for NaN and a LoRA of zeros")
    for command in (doctor, check):
        command.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    description: str,
    summary: str,
    usage: Optional[str] = None,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        usage=usage,
        description=description,
        help=summary,
        epilog=_CODES[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
