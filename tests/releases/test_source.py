"""The task types of the installed PEFT, read from its source."""

from __future__ import annotations

import json
import os
import py_compile
import zipfile
from pathlib import Path

import peft
import pytest

from peft_strict.releases.source import installed

from .. import interpreters
from ..command_line import environment, python

OLD_CONFIG = """
import enum
from dataclasses import dataclass

class PeftType(str, enum.Enum):
    PROMPT_TUNING = "PROMPT_TUNING"
    LORA = "LORA"


class TaskType(str, enum.Enum):
    SEQ_CLS = "SEQ_CLS"
    CAUSAL_LM = "CAUSAL_LM"


@dataclass
class PeftConfigMixin:
    task_type = None
"""

SHOW = (
    "import json, sys; from peft_strict.releases.source import installed; found = installed();"
    "print(json.dumps([found.version, found.task_types, found.methods, 'peft' in sys.modules]))"
)


def read_in(*folders: object) -> interpreters.Result:
    """Read the PEFT of these folders in a process that has no other."""
    path = os.pathsep.join([*map(str, folders), environment()["PYTHONPATH"]])
    bare = interpreters.clean(interpreters.HERE).python
    return interpreters.execute(bare, "-c", SHOW, env=environment(PYTHONPATH=path))


def old_peft(folder: Path, init: str = "", source: str = OLD_CONFIG, version: str = '__version__ = "0.4.0"') -> Path:
    """Lay out a package as PEFT 0.2 to 0.4 were."""
    (folder / "peft" / "utils").mkdir(parents=True)
    (folder / "peft" / "__init__.py").write_text(f"{version}\n{init}")
    (folder / "peft" / "utils" / "__init__.py").touch()
    (folder / "peft" / "utils" / "config.py").write_text(source)
    return folder


def test_the_source_says_what_the_live_enum_says() -> None:
    """Reading PEFT and importing it give the same version, task types and methods."""
    found = installed()
    assert found.version == peft.__version__
    assert list(found.task_types) == [member.value for member in peft.TaskType]
    assert list(found.methods) == [member.value for member in peft.PeftType]


def test_meanings_are_those_of_the_docstring() -> None:
    """The first sentence that PEFT has on a task type is its meaning."""
    assert installed().task_types["CAUSAL_LM"] == "Causal language modeling"
    assert installed().task_types["FEATURE_EXTRACTION"] == "Feature extraction"


def test_peft_is_not_imported() -> None:
    """Reading the installed PEFT imports neither it nor torch."""
    shown = python("-c", f"{SHOW}; print('torch' in sys.modules)").stdout.splitlines()
    assert json.loads(shown[0])[-1] is False
    assert shown[1] == "False"


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_old_layout(tmp_path: Path, packed: bool) -> None:
    """Up to 0.4 the enums stand in ``utils/config.py``; a package in a zip is read as well."""
    where = old_peft(tmp_path / "old", init="raise ImportError('must not be imported')")
    if packed:
        files = [file for file in where.rglob("*") if file.is_file()]
        where = tmp_path / "old.zip"
        with zipfile.ZipFile(where, "w") as archive:
            for file in files:
                archive.write(file, file.relative_to(tmp_path / "old"))
    assert json.loads(read_in(where).stdout) == [
        "0.4.0",
        {"SEQ_CLS": "", "CAUSAL_LM": ""},
        ["PROMPT_TUNING", "LORA"],
        False,
    ]


PEFT_TYPE, TASK_TYPE = (
    f"import enum\nclass {name}(str, enum.Enum):\n    {member} = '{member}'\n"
    for name, member in (("PeftType", "LORA"), ("TaskType", "TOKEN_CLS"))
)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("def broken(:\n", id="syntax"),
        pytest.param("TaskType = make_it()\n", id="made"),
        pytest.param("\x00", id="nul"),
        pytest.param(TASK_TYPE, id="no methods"),
        pytest.param(PEFT_TYPE, id="no task types"),
        pytest.param(PEFT_TYPE + TASK_TYPE.replace("'TOKEN_CLS'", "make_it()"), id="made members"),
        pytest.param(PEFT_TYPE + TASK_TYPE.replace("enum.Enum", "Words"), id="of its own kind"),
        pytest.param(PEFT_TYPE + TASK_TYPE.replace("enum.Enum", "words.Words"), id="of a foreign kind"),
    ],
)
def test_a_source_that_does_not_help_is_imported(tmp_path: Path, source: str) -> None:
    """Where the source is not as expected, PEFT itself is asked."""
    found = read_in(old_peft(tmp_path, init=OLD_CONFIG, source=source))
    assert json.loads(found.stdout)[1:] == [{"SEQ_CLS": "", "CAUSAL_LM": ""}, ["PROMPT_TUNING", "LORA"], True]


@pytest.mark.parametrize("compiled", [False, True], ids=["computed", "compiled"])
def test_a_source_that_does_not_tell_its_version(tmp_path: Path, compiled: bool) -> None:
    """Where the version is not to be read, it is unknown; the task types count all the same."""
    old_peft(tmp_path, version="from .version import __version__")
    if compiled:
        init = tmp_path / "peft" / "__init__.py"
        py_compile.compile(str(init), cfile=f"{init}c")
        init.unlink()
    found = read_in(tmp_path)
    assert json.loads(found.stdout) == ["?", {"SEQ_CLS": "", "CAUSAL_LM": ""}, ["PROMPT_TUNING", "LORA"], False]


def test_compiled_files_only(tmp_path: Path) -> None:
    """A PEFT without its source is imported."""
    old_peft(tmp_path, init="from .utils.config import PeftType, TaskType\n")
    for file in list(tmp_path.rglob("*.py")):
        py_compile.compile(str(file), cfile=f"{file}c")
        file.unlink()
    assert json.loads(read_in(tmp_path).stdout)[1:] == [
        {"SEQ_CLS": "", "CAUSAL_LM": ""},
        ["PROMPT_TUNING", "LORA"],
        True,
    ]


@pytest.mark.parametrize(
    ("init", "sentence"),
    [
        (None, "PEFT is not installed here"),
        ("raise RuntimeError('no GPU today')", "PEFT cannot be imported: no GPU today"),
    ],
    ids=["none", "broken"],
)
def test_no_usable_peft(tmp_path: Path, init: str | None, sentence: str) -> None:
    """Without a PEFT that can be read or imported there is one kind of error, with the reason."""
    if init is not None:
        old_peft(tmp_path, init=init, source="")
    assert read_in(tmp_path).stderr.strip().endswith(f"ImportError: {sentence}")
