"""What starting Python costs with peft-strict installed, next to others that are switched on from outside.

Each of them has a virtual environment of its own: ours has the built wheel, the peers come from the package index.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path

from .. import interpreters
from . import harness

# name: requirement, and the variable that switches it on
PEERS = {
    "autowrapt": ("autowrapt==2.0.0", {"AUTOWRAPT_BOOTSTRAP": "nothing"}),
    "coverage": ("coverage==7.17.3", {"COVERAGE_PROCESS_START": "{folder}/coveragerc"}),
    "hunter": ("hunter==3.9.0", {"PYTHONHUNTER": "module='nothing'"}),
    "pip-system-certs": ("pip-system-certs==5.3", {}),
}

_BARE = "bare virtual environment"
_UNSET = "**peft-strict**, variable unset"
_SET = "**peft-strict**, `PEFT_STRICT=1`"


def table(rounds: int = 200) -> list[str]:
    """Return the lines of the Markdown tables."""
    rows = harness.side_by_side(_cases(), rounds)
    wrapt = importlib.metadata.version("wrapt")
    return [
        *harness.table("`python -c pass`", rows),
        "",
        f"{harness.machine()}, wrapt {wrapt}, {rounds} rounds.",
        "",
        *_other_pythons(rounds),
    ]


def _other_pythons(rounds: int) -> list[str]:
    """Return the lines of the table with a line for each other CPython of this machine."""
    lines = [f"| `python -c pass`, CPython | {' | '.join((_BARE, _UNSET, _SET))} |", "|---|--:|--:|--:|"]
    for version in interpreters.PRESENT:
        if version != interpreters.HERE:
            bare, *rest = harness.side_by_side(_own_cases(version), rounds)
            ratios = " | ".join(f"{row.ratio:.2f}x" for row in rest)
            lines.append(f"| {version} | {harness.duration(bare.seconds)} | {ratios} |")
    return lines


def _own_cases(version: str) -> dict[str, Callable[[], float]]:
    bare = interpreters.new_environment(version, interpreters.scratch() / f"bare-{version}")
    ours = interpreters.clean(version)
    return {_BARE: _start(bare), _UNSET: _start(ours), _SET: _start(ours, PEFT_STRICT="1")}


def _cases() -> dict[str, Callable[[], float]]:
    bare, *ours = _own_cases(interpreters.HERE).items()
    cases = {
        **dict([bare]),
        "the same again (noise)": bare[1],
        **dict(ours),
        "a `.pth` that imports an empty module of a package": _start(_importing_nothing()),
        "a `.pth` that imports wrapt": _start(_importing_wrapt()),
    }
    (interpreters.scratch() / "coveragerc").write_text("[run]\ndata_file = /dev/null\n")
    for name, (requirement, variables) in PEERS.items():
        environment = _peer(name, requirement)
        if environment is None:
            continue
        shown = requirement.replace("==", " ")
        cases[f"{shown}, variable unset" if variables else shown] = _start(environment)
        for variable, value in variables.items():
            switched_on = {variable: value.format(folder=interpreters.scratch())}
            cases[f"{shown}, `{variable}` set"] = _start(environment, **switched_on)
    return cases


def _start(environment: interpreters.Environment, **variables: str) -> Callable[[], float]:
    return harness.command((environment.python, "-c", "pass"), interpreters.environ(**variables))


def _importing_nothing() -> interpreters.Environment:
    """The least that doing anything at start can cost: the import system reads two empty files."""
    environment = interpreters.new_environment(interpreters.HERE, interpreters.scratch() / "nothing-at-start")
    (environment.site_packages / "nothing").mkdir()
    for name in ("__init__", "module"):
        (environment.site_packages / "nothing" / f"{name}.py").touch()
    (environment.site_packages / "b_nothing.pth").write_text("import nothing.module\n")
    return environment


def _importing_wrapt() -> interpreters.Environment:
    environment = interpreters.new_environment(interpreters.HERE, interpreters.scratch() / "wrapt-at-start")
    environment.see(Path(str(importlib.metadata.distribution("wrapt").locate_file(""))))
    (environment.site_packages / "b_wrapt.pth").write_text("import wrapt\n")
    return environment


def _peer(name: str, requirement: str) -> interpreters.Environment | None:
    """Install a peer; ``None``, and a line on stderr, where that does not work."""
    environment = interpreters.new_environment(interpreters.HERE, interpreters.scratch() / name)
    done = environment.pip("install", "-q", requirement)
    if done.returncode:
        print(f"{requirement} cannot be installed and is left out:\n{done.stderr}", file=sys.stderr)
        return None
    return environment
