"""The command ``doctor``, on the installed PEFT."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import peft
import pytest
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

from peft_strict import __version__

from .. import interpreters
from ..command_line import REPOSITORY, environment, environment_with, obey_ctrl_c, peft_strict, python, with_dev_full

WAYS = [
    "assigned after construction",
    "first positional argument",
    "peft_type=TaskType.CAUSAL_LM",
    "saved adapter_config.json",
    "get_peft_config(dict)",
    "subclass with its own __init__",
]


def doctor_with(
    folder: Path,
    *arguments: str,
    interpreter: str | Path = sys.executable,
    stdout: int = subprocess.PIPE,
    **variables: str | None,
) -> subprocess.CompletedProcess[str]:
    """Run it with a folder in front of all packages."""
    path = os.pathsep.join([str(folder), str(REPOSITORY)])
    settings = {"env": environment(PYTHONPATH=path, **variables), "cwd": folder, "text": True}
    command = [str(interpreter), "-m", "peft_strict", "doctor", *arguments]
    return subprocess.run(command, check=False, stdout=stdout, stderr=subprocess.PIPE, **settings)


@pytest.fixture(name="found", scope="module")
def _found() -> dict[str, object]:
    result = peft_strict("doctor", "--json")
    assert result.stderr == ""
    return {**json.loads(result.stdout), "returncode": result.returncode}


def test_every_registered_class_is_tried(found: dict[str, object]) -> None:
    """There is a row for each config class in PEFT's mapping, and one for each other way."""
    assert [row["name"] for row in found["classes"]] == [cls.__name__ for cls in PEFT_TYPE_TO_CONFIG_MAPPING.values()]
    assert [row["name"] for row in found["ways"]] == WAYS


def test_strict_refuses_all(found: dict[str, object]) -> None:
    """With peft-strict every try is refused, and the exit code says so."""
    assert {row["strict"] for row in found["classes"] + found["ways"]} == {"refused"}
    assert (found["missed"], found["exit_code"], found["returncode"], found["error"]) == ([], 0, 0, None)
    assert found["status"].startswith("<peft_strict: guarding ")


def test_plain_is_without_us(found: dict[str, object]) -> None:
    """What plain PEFT lets through is shown as it is: assignment is silent in every release."""
    plain = {row["name"]: row["plain"] for row in found["ways"]}
    assert plain["assigned after construction"] == plain["peft_type=TaskType.CAUSAL_LM"] == "silent"


def test_versions(found: dict[str, object]) -> None:
    """The versions are those of the packages that were tried."""
    assert found["versions"]["peft"] == peft.__version__
    assert found["versions"]["peft-strict"] == __version__
    assert found["versions"].keys() == {"python", "peft", "peft-strict", "wrapt", "transformers", "torch"}
    assert "-" not in found["versions"].values()


def test_text_report() -> None:
    """The table is for people: aligned, no line wider than a terminal but for paths, the verdict at the end."""
    lines = peft_strict("doctor").stdout.splitlines()
    count = len(PEFT_TYPE_TO_CONFIG_MAPPING)
    assert 'task_type="CASUAL_LM"            plain PEFT   peft-strict' in lines
    assert f"{f'{count} config classes':<33}refused      refused" in lines
    assert "assigned after construction      silent       refused" in lines
    assert f"peft-strict  refuses {count} of {count} config classes   6 of 6 other ways" in lines
    assert all(len(line) <= 90 for line in lines if os.sep not in line)


SMALL_PEFT = """
import enum, json, os

class TaskType(str, enum.Enum):
    CAUSAL_LM = "CAUSAL_LM"

class LoraConfig:
    def __init__(self, task_type=None, peft_type=None):
        self.task_type = task_type
    @classmethod
    def from_pretrained(cls, folder):
        with open(os.path.join(folder, "adapter_config.json")) as file:
            return get_peft_config(json.load(file))

class Picky:
    def __init__(self, task_type=None):
        if task_type not in ("CAUSAL_LM", None):
            raise {error}

def get_peft_config(values):
    return LoraConfig(**values)

__version__ = "0.0.1"
"""
SMALL_MAPPING = """
from . import LoraConfig, Picky
PEFT_TYPE_TO_CONFIG_MAPPING = {"LORA": LoraConfig, "PICKY": Picky}
"""


def make_small_peft(folder: Path, error: str = "ValueError('no such task type')") -> None:
    (folder / "peft").mkdir()
    (folder / "peft" / "__init__.py").write_text(SMALL_PEFT.replace("{error}", error))
    (folder / "peft" / "mapping.py").write_text(SMALL_MAPPING)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("ValueError('no such task type')", "refused"),
        ("ValueError('no GPU')", "ValueError: no GPU"),
        ("TypeError('task_type must be a member')", "TypeError: task_type must be a member"),
    ],
    ids=["refused", "other-text", "other-type"],
)
def test_misses_are_told(tmp_path: Path, error: str, shown: str) -> None:
    """A PEFT that we cannot guard is exit code 1 with the names of what got through and our status.

    Refused means a ``ValueError`` about the task type; any other error is shown as what it is.
    """
    make_small_peft(tmp_path, error)
    result = doctor_with(tmp_path, "--json")
    found = json.loads(result.stdout)
    assert result.returncode == found["exit_code"] == 1
    assert found["classes"] == [
        {"name": "LoraConfig", "plain": "silent", "strict": "silent"},
        {"name": "Picky", "plain": shown, "strict": shown},
    ]
    assert found["missed"] == ["LoraConfig", *([] if shown == "refused" else ["Picky"]), *WAYS]
    assert "NOT guarding" in found["status"]
    text = doctor_with(tmp_path).stdout
    assert f"\n{'LoraConfig':<33}silent       silent\n{'Picky':<33}" in text
    assert f"MISSED: {', '.join(found['missed'])}\nstatus: {found['status']}\n" in text


@with_dev_full
def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    """A full disk behind stdout is a sentence and exit code 2, whatever was found."""
    make_small_peft(tmp_path)
    with open("/dev/full", "w") as full:
        result = doctor_with(tmp_path, stdout=full.fileno())
    assert result.returncode == 2
    assert result.stderr == "peft-strict: cannot write the report: No space left on device\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ImportError('no module named torch')", "ImportError: no module named torch"),
        ("raise OSError('libcuda.so')", "OSError: libcuda.so"),
        ("import os; os.write(2, b'dying\\n'); os.abort()", "the process that tried it ended with code -6. dying"),
    ],
    ids=["import", "system", "crash"],
)
def test_peft_that_cannot_be_imported(tmp_path: Path, source: str, reason: str) -> None:
    """Exit code 2 and a sentence with the reason; versions and activation are told all the same."""
    (tmp_path / "peft.py").write_text(source)
    result = doctor_with(tmp_path)
    assert result.returncode == 2
    assert result.stderr == f"peft-strict: PEFT cannot be imported: {reason}\n"
    assert f"peft-strict   {__version__}" in result.stdout
    found = json.loads(doctor_with(tmp_path, "--json").stdout)
    assert (found["error"], found["exit_code"], found["classes"]) == (reason, 2, [])


@pytest.mark.parametrize("on", ["", "not "], ids=["strict", "plain"])
def test_peft_that_can_be_imported_once(tmp_path: Path, on: str) -> None:
    """An import that fails in one of the two processes only is told, too."""
    make_small_peft(tmp_path)
    file = tmp_path / "peft" / "__init__.py"
    file.write_text(f"import os\nif {on}os.environ.get('PEFT_STRICT'): raise ImportError('here')\n{file.read_text()}")
    result = doctor_with(tmp_path)
    assert (result.returncode, result.stderr) == (2, "peft-strict: PEFT cannot be imported: ImportError: here\n")


def test_what_libraries_print_is_no_harm(tmp_path: Path) -> None:
    """Output of PEFT's import, from Python or from C, does not get into the report."""
    (tmp_path / "peft.py").write_text("import os; print('hello'); os.write(1, b'from C'); raise ImportError('x')")
    result = doctor_with(tmp_path, "--json")
    assert json.loads(result.stdout)["error"] == "ImportError: x"


@pytest.mark.parametrize(
    ("variable", "modes", "line"),
    [
        (None, None, "PEFT_STRICT      not set (off)"),
        ("off", None, "PEFT_STRICT      'off' (off)"),
        ("1", {"invalid": "raise", "misfit": "warn", "roundtrip": "warn"}, "PEFT_STRICT      '1' (no effect here)"),
    ],
    ids=repr,
)
def test_variable(tmp_path: Path, variable: str | None, modes: object, line: str) -> None:
    """The variable is shown with what it means here; without a live ``.pth`` file it means nothing."""
    (tmp_path / "peft.py").write_text("raise ImportError('x')")
    options = {"interpreter": environment_with(tmp_path / "bare", pth=False), "PEFT_STRICT": variable}
    lines = doctor_with(tmp_path, **options).stdout.splitlines()
    assert line in lines
    assert "peft_strict.pth  not in site-packages (not live)" in lines
    activation = json.loads(doctor_with(tmp_path, "--json", **options).stdout)["activation"]
    assert (activation["variable"], activation["variable_modes"]) == (variable, modes)


@pytest.mark.parametrize("pth", [True, False], ids=["live", "none"])
def test_verdict_on_the_variable(tmp_path: Path, pth: bool) -> None:
    """Where no ``.pth`` file is live, the report ends with what to do instead of setting the variable."""
    make_small_peft(tmp_path)
    result = doctor_with(tmp_path, interpreter=environment_with(tmp_path / "environment", pth=pth))
    advice = "PEFT_STRICT has no effect here: call peft_strict.enable(), or use peft-strict run."
    assert (result.stdout.splitlines()[-1] == advice) == (not pth)
    assert result.stdout.count(advice) == (not pth)


def test_packages_that_are_not_there() -> None:
    """What is not installed has no version, and a PEFT that is not installed cannot be tried."""
    bare = interpreters.clean(interpreters.HERE).python
    result = interpreters.execute(bare, "-m", "peft_strict", "doctor", "--json")
    found = json.loads(result.stdout)
    missing = {"peft", "wrapt", "transformers", "torch"}
    assert {name for name, version in found["versions"].items() if version == "-"} == missing
    assert (result.returncode, found["error"]) == (2, "ModuleNotFoundError: No module named 'peft'")


def test_live_pth(tmp_path: Path) -> None:
    """A ``.pth`` file is live when a process with the variable set was armed by it."""
    (tmp_path / "peft.py").write_text("raise ImportError('x')")
    live = environment_with(tmp_path / "live", pth=True)
    result = doctor_with(tmp_path, "--json", interpreter=live, PEFT_STRICT="warn")
    activation = json.loads(result.stdout)["activation"]
    [pth] = activation["pth"]
    assert Path(pth).name == "peft_strict.pth"
    assert Path(pth).is_relative_to(live.parents[1])
    assert activation["pth_live"] is True
    assert activation["on_without_variable"] is False
    assert activation["variable_modes"] == {"invalid": "warn", "misfit": "warn", "roundtrip": "warn"}
    lines = doctor_with(tmp_path, interpreter=live, PEFT_STRICT="warn").stdout.splitlines()
    assert f"peft_strict.pth  {pth} (live)" in lines
    assert "PEFT_STRICT      'warn' (on: invalid='warn', misfit='warn', roundtrip='warn')" in lines


def test_overlaid_environment(tmp_path: Path) -> None:
    """Under ``uv run --with`` the ``.pth`` file is live, and shown where it lies."""
    (tmp_path / "peft.py").write_text("raise ImportError('x')")
    python = environment_with(tmp_path / "overlaid", pth=True, overlaid=True)
    lines = doctor_with(tmp_path, interpreter=python, PEFT_STRICT="1").stdout.splitlines()
    assert f"peft_strict.pth  {tmp_path}/overlaid/under/peft_strict.pth (live)" in lines


def test_progress_is_for_terminals(tmp_path: Path) -> None:
    """While PEFT is being imported a terminal is told what takes so long; nothing of it is left in the end."""
    (tmp_path / "peft.py").write_text("import time; time.sleep(2); raise ImportError('x')")
    leader, follower = pty.openpty()
    options = {"capture_output": False, "stdout": subprocess.PIPE, "stderr": follower}
    env = environment(PYTHONPATH=os.pathsep.join([str(tmp_path), str(REPOSITORY)]))
    result = python("-m", "peft_strict", "doctor", env=env, **options)
    os.close(follower)
    shown = os.read(leader, 10_000).decode()
    os.close(leader)
    told = "\rimporting PEFT in two new processes, one of them strict: this can take half a minute\x1b[K"
    assert shown.startswith(told)
    assert shown.replace(told, "") == "\r\x1b[Kpeft-strict: PEFT cannot be imported: ImportError: x\r\n"
    assert "importing" not in result.stdout


def test_sitecustomize(tmp_path: Path) -> None:
    """A ``sitecustomize`` is shown with its place; that it switches us on is noticed, and plain PEFT stays plain."""
    (tmp_path / "sitecustomize.py").write_text("import peft_strict; peft_strict.enable()")
    found = json.loads(doctor_with(tmp_path, "--json").stdout)
    assert found["activation"]["sitecustomize"] == str(tmp_path / "sitecustomize.py")
    assert found["activation"]["on_without_variable"] is True
    assert found["ways"][0] == {"name": WAYS[0], "plain": "silent", "strict": "refused"}
    (tmp_path / "peft.py").write_text("raise ImportError('quicker')")
    text = doctor_with(tmp_path).stdout
    assert f"sitecustomize    {tmp_path}/sitecustomize.py\nThe checks are on here without the variable.\n" in text


def test_sitecustomize_that_does_not_switch_on(tmp_path: Path) -> None:
    """One that merely imports us, or switches us off, is not taken for the checks being on."""
    (tmp_path / "sitecustomize.py").write_text("import peft_strict; peft_strict.disable()")
    (tmp_path / "peft.py").write_text("raise ImportError('quicker')")
    activation = json.loads(doctor_with(tmp_path, "--json").stdout)["activation"]
    assert (activation["on_without_variable"], activation["pth_live"]) == (False, False)


def test_the_peft_of_the_command_is_tried(tmp_path: Path) -> None:
    """The processes see the packages that the command sees, not those of the current folder."""
    for place in ("current", "ours"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "peft.py").write_text(f"raise ImportError('{place}')")
    path = os.pathsep.join([str(tmp_path / "ours"), str(REPOSITORY)])
    code = "import sys; del sys.path[0]; from peft_strict.commands.cli import main; main(['doctor', '--json'])"
    result = python("-c", code, env=environment(PYTHONPATH=path), cwd=tmp_path / "current")
    assert json.loads(result.stdout)["error"] == "ImportError: ours"


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends both processes, with one line and exit code 130."""
    (tmp_path / "peft.py").write_text(f"import os, time; open(rf'{tmp_path}/{{os.getpid()}}', 'w'); time.sleep(60)")
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    command = [sys.executable, "-m", "peft_strict", "doctor"]
    options = {"env": environment(PYTHONPATH=path), "preexec_fn": obey_ctrl_c, "text": True}
    with subprocess.Popen(command, stdout=-1, stderr=-1, **options) as process:
        while len(children := [int(file.name) for file in tmp_path.iterdir() if file.name.isdigit()]) < 2:
            time.sleep(0.01)
        time.sleep(2)  # a busy machine may not have told the parent yet that its second child has started
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (130, "", "peft-strict: interrupted\n")
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
