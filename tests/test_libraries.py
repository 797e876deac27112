"""Real libraries keep their results with us on, and the usual mistake is told. All: ``python -m tests.libraries``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from .interpreters import execute
from .libraries import running
from .libraries.__main__ import problems
from .libraries.table import PROGRAMS

SAMPLE = [program for program in PROGRAMS if program.name == "transformers_trainer" and not program.launcher]


@pytest.mark.parametrize("program", SAMPLE, ids=[program.name for program in SAMPLE])
def test_program(program: running.Program, tmp_path: Path) -> None:
    """The right program loses and saves the same to the byte; its mistake is told once, at its own line."""
    assert list(problems(program, tmp_path / program.name)) == []


def test_every_program_is_in_the_table() -> None:
    """No program is left out of the table, and none of the table is missing."""
    folder = Path(running.__file__).with_name("programs")
    assert {path.stem for path in folder.glob("*.py")} == {each.name for each in PROGRAMS} | {"__init__", "tiny"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here: run python -m tests.gpu")
def test_no_gpu() -> None:
    """Without a GPU the command for one says so, in a sentence."""
    done = execute(sys.executable, "-m", "tests.gpu", cwd=running.REPOSITORY)
    assert done == (2, "", "There is no GPU here that torch can use, so nothing was run.\n")


def test_a_name_that_there_is_not() -> None:
    """A misspelt program ends the command, which would else have nothing to run and call that well."""
    done = execute(sys.executable, "-m", "tests.libraries", "trl_sfd", cwd=running.REPOSITORY)
    assert done.returncode == 2
    assert done.stderr.endswith("error: no such program: trl_sfd\n")


def test_reports_are_read() -> None:
    """A warning and an error of ours are found in what a program prints, whichever way a library prints them."""
    (program,) = SAMPLE
    own, other = f"/x/{program.name}.py", "/y/site-packages/trl/x.py"
    warned = f"{own}:3: MisfitWarning: peft-strict H2: x\n{other}:4: peft-strict N1: y\n"
    raised = f'  File "{own}", line 3, in <module>\npeft_strict.InvalidTaskTypeError: Invalid task type\n'
    assert running._reports(warned, program) == [("H2", True), ("N1", False)]
    assert running._reports(raised, program) == [("", True)]
