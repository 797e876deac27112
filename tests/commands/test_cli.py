"""The command line as a whole, and the command ``run``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from peft_strict import __version__

from ..command_line import REPOSITORY, environment, environment_with, obey_ctrl_c, peft_strict

SHOW = """\
import json, os, sys
print(json.dumps({
    "argv": sys.argv, "name": __name__, "path": sys.path[0], "variable": os.environ.get("PEFT_STRICT"),
    "status": __import__("peft_strict").status().state,
}))
"""
TYPO = "import peft; config = peft.LoraConfig(); config.task_type = 'CASUAL_LM'"
NOTE = "peft-strict: peft_strict.pth is not live in this interpreter, so I guard this process, but not its children"


@pytest.fixture(name="live", scope="module")
def _live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that runs ``peft_strict.pth``, as after ``pip install``."""
    return environment_with(tmp_path_factory.mktemp("live"), pth=True)


@pytest.fixture(name="bare", scope="module")
def _bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without ``peft_strict.pth``, as after ``pip install --target``."""
    return environment_with(tmp_path_factory.mktemp("bare"), pth=False)


@pytest.fixture(name="either", params=["live", "bare"])
def _either(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def execute(command: list[object], variable: str | None = None, **options: object) -> subprocess.CompletedProcess[str]:
    variables = environment(PYTHONPATH=None, PEFT_STRICT=variable)
    settings = {"env": variables, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True, **options}
    return subprocess.run([str(part) for part in command], check=False, **settings)


def run(interpreter: Path, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return execute([interpreter, "-m", "peft_strict", "run", *arguments], **options)


def quiet(result: subprocess.CompletedProcess[str]) -> str:
    """Return stderr without the one line that we add where the ``.pth`` file is not live."""
    return result.stderr.removeprefix(f"{NOTE}\n") if "bare" in str(result.args[0]) else result.stderr


@pytest.fixture(name="script")
def _script(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    script = tmp_path / "folder" / "train.py"
    script.write_text(SHOW)
    return script


# The parser


def test_no_arguments() -> None:
    """Without a command the help is printed, and the exit code says that nothing was done."""
    result = peft_strict()
    assert result.returncode == 2
    assert result.stdout.startswith("usage: peft-strict ")


@pytest.mark.parametrize("command", [(), ("run",), ("doctor",), ("check",)], ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_the_exit_codes(command: tuple[str, ...], flag: str) -> None:
    """Every help fits a terminal and ends with the exit codes."""
    result = peft_strict(*command, flag, env=environment(COLUMNS="100"))
    assert result.returncode == 0
    assert "exit codes:" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_help_of_run_before_a_program() -> None:
    """``run -h`` is about ``run``, whatever stands behind it."""
    assert peft_strict("run", "-h", "train.py").stdout == peft_strict("run", "-h").stdout


def test_version() -> None:
    """``--version`` names the program and its version."""
    assert peft_strict("--version").stdout == f"peft-strict {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("chekc", "."), ("check",), ("check", "--fixx", "."), ("doctor", "extra")], ids=" ".join
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    """What the parser does not understand is exit code 2, on stderr."""
    result = peft_strict(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("usage: peft-strict ")


# What run hands on


def test_run_script(either: Path, script: Path) -> None:
    """A script gets its own arguments untouched, its folder on the path, and the guards."""
    arguments = ["--json", "-m", "--", "check", "", "a b", "-h"]
    result = run(either, script, *arguments)
    assert json.loads(result.stdout) == {
        "argv": [str(script), *arguments],
        "name": "__main__",
        "path": str(script.parent),
        "variable": "1",
        "status": "armed",
    }
    assert (result.returncode, quiet(result)) == (0, "")


def test_run_module(either: Path, script: Path) -> None:
    """``-m`` runs a module of the current folder."""
    shown = json.loads(run(either, "-m", "train", "-x", cwd=script.parent).stdout)
    assert shown["argv"] == [str(script), "-x"]
    assert (shown["name"], shown["path"], shown["status"]) == ("__main__", str(script.parent), "armed")


@pytest.mark.parametrize("joined", [False, True], ids=["apart", "joined"])
def test_run_code(either: Path, joined: bool) -> None:
    """``-c`` runs code, written apart or joined as Python has it."""
    shown = json.loads(run(either, *([f"-c{SHOW}"] if joined else ["-c", SHOW]), "-x").stdout)
    assert (shown["argv"], shown["path"], shown["status"]) == (["-c", "-x"], "", "armed")


@pytest.mark.parametrize("words", [("-c", ""), ("-c1",)], ids=["empty", "one letter"])
def test_run_little_code(either: Path, words: tuple[str, ...]) -> None:
    """An empty program is a program, and so is a single letter, as they are for Python."""
    result = run(either, *words, "-x")
    assert (result.returncode, result.stdout, quiet(result)) == (0, "", "")


def test_run_standard_input(either: Path) -> None:
    """``-`` runs what comes on stdin."""
    shown = json.loads(run(either, "-", "-x", stdin=None, input=SHOW).stdout)
    assert (shown["argv"], shown["path"], shown["status"]) == (["-", "-x"], "", "armed")


def test_run_folder_and_zip(either: Path, script: Path) -> None:
    """A folder or a zip with a ``__main__.py`` is run as Python runs it."""
    script.rename(script.with_name("__main__.py"))
    packed = shutil.make_archive(str(script.parent.parent / "packed"), "zip", script.parent)
    for program in (str(script.parent), packed):
        shown = json.loads(run(either, program, "-x").stdout)
        assert (shown["argv"], shown["path"], shown["status"]) == ([program, "-x"], program, "armed")


def test_run_a_name_with_a_dash(either: Path, script: Path) -> None:
    """Behind ``--`` stands a script, whatever its name looks like."""
    script.rename(script.with_name("-m"))
    assert json.loads(run(either, "--", "-m", "--", "x", cwd=script.parent).stdout)["argv"] == ["-m", "--", "x"]
    script.with_name("-m").rename(script)
    assert json.loads(run(either, "--", script).stdout)["argv"] == [str(script)]


def test_run_reads_stdin(either: Path) -> None:
    """The program has our stdin."""
    result = run(either, "-c", "import sys; print(sys.stdin.read()[::-1])", stdin=None, input="abc")
    assert result.stdout == "cba\n"


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("", 0),
        ("raise SystemExit(7)", 7),
        ("raise SystemExit('sorry')", 1),
        ("1 / 0", 1),
        ("import os; os._exit(9)", 9),
    ],
    ids=["end", "seven", "text", "error", "hard"],
)
def test_run_exit_code(either: Path, tmp_path: Path, ending: str, code: int) -> None:
    """The exit code is the program's."""
    (tmp_path / "end.py").write_text(ending)
    assert run(either, tmp_path / "end.py").returncode == code


def test_run_traceback(live: Path, tmp_path: Path) -> None:
    """A traceback is the one of plain Python, to the letter."""
    (tmp_path / "fails.py").write_text("def f():\n    return 1 / 0\n\nf()\n")
    plain = execute([live, tmp_path / "fails.py"])
    assert "ZeroDivisionError" in plain.stderr
    assert run(live, tmp_path / "fails.py").stderr == plain.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_run_signals(either: Path, number: signal.Signals) -> None:
    """A signal ends the program as it ends plain Python."""
    code = f"import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(20)"
    result = run(either, "-c", code, preexec_fn=obey_ctrl_c)
    assert result.returncode == -number
    assert quiet(result).endswith("KeyboardInterrupt\n" if number == signal.SIGINT else "")


def test_run_handles_signals(either: Path) -> None:
    """A handler that the program sets is called."""
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3));"
        "print('ready', flush=True); time.sleep(20)"
    )
    command = [str(either), "-m", "peft_strict", "run", "-c", code]
    with subprocess.Popen(command, env=environment(PYTHONPATH=None), stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
    assert process.returncode == 3


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        (None, "1", "armed"),
        ("", "1", "armed"),
        ("0", "1", "armed"),
        (" OFF", "1", "armed"),
        ("warn", "warn", "armed"),
        ("Raise", "Raise", "armed"),
    ],
    ids=repr,
)
def test_run_variable(either: Path, before: str | None, after: str, state: str) -> None:
    """Whoever says run wants the guards: "off" becomes 1, any other mode is kept."""
    shown = json.loads(run(either, "-c", SHOW, variable=before).stdout)
    assert (shown["variable"], shown["status"]) == (after, state)


def test_run_options_of_python(either: Path) -> None:
    """Options given to Python in front are in effect for the program."""
    code = "import sys; print(sys.flags.optimize, sys.flags.dev_mode, sys.flags.utf8_mode, sys.warnoptions[-1])"
    options = ["-O", "-X", "dev", "-X", "utf8", "-W", "error::UserWarning"]
    result = execute([either, *options, "-m", "peft_strict", "run", "-c", code])
    assert result.stdout == "1 True 1 error::UserWarning\n"


def test_run_isolated(either: Path) -> None:
    """``-I`` keeps PYTHON variables out, but not the guards."""
    result = execute([either, "-I", "-m", "peft_strict", "run", "-c", f"{SHOW}print(sys.flags.isolated)"])
    shown, isolated = result.stdout.splitlines()
    assert (json.loads(shown)["status"], isolated) == ("armed", "1")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="-P is new in Python 3.11")
def test_run_safe_path(either: Path, script: Path) -> None:
    """``-P`` keeps the folder of the script off ``sys.path``, as without us."""
    plain, ours = ([either, "-P", *words, script] for words in [(), ("-m", "peft_strict", "run")])
    paths = [json.loads(execute(command).stdout)["path"] for command in (plain, ours)]
    assert paths[0] == paths[1] != str(script.parent)


def test_run_from_a_program_that_has_printed(either: Path) -> None:
    """What a program has printed before it calls us comes first, also where output is buffered."""
    code = "print('before'); from peft_strict.commands.cli import main; main(['run', '-c', 'print(1)'])"
    assert execute([either, "-c", code]).stdout == "before\n1\n"


def test_run_code_is_compiled_for_itself(either: Path) -> None:
    """No ``from __future__`` of ours is in effect for the program."""
    assert run(either, "-c", "def f(x: 1 + 1): pass\nprint(f.__annotations__)").stdout == "{'x': 2}\n"


def test_run_without_site(live: Path) -> None:
    """``-S`` leaves ``.pth`` files out: the program is guarded in this process, and a line says what is not."""
    command = [live, "-S", "-m", "peft_strict", "run", "-c", SHOW]
    result = execute(command, env=environment(PYTHONPATH=str(REPOSITORY)))
    assert json.loads(result.stdout)["status"] == "armed"
    assert result.stderr == f"{NOTE}\n"


def test_run_reaches_children_where_it_can(live: Path, bare: Path) -> None:
    """Children are guarded through the variable where the ``.pth`` file is live; where not, a line says so."""
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SHOW!r}])"
    with_pth, without = run(live, "-c", code), run(bare, "-c", code)
    assert (json.loads(with_pth.stdout)["status"], with_pth.stderr) == ("armed", "")
    assert (json.loads(without.stdout)["status"], without.stderr) == ("off", f"{NOTE}\n")


def test_run_refuses_the_typo(either: Path, tmp_path: Path) -> None:
    """The point of it all: a wrong value that plain PEFT takes ends the program at the line that wrote it."""
    (tmp_path / "typo.py").write_text(TYPO)
    assert execute([either, tmp_path / "typo.py"]).returncode == 0
    result = run(either, tmp_path / "typo.py")
    assert result.returncode == 1
    assert "InvalidTaskTypeError: Invalid task type: 'CASUAL_LM'." in result.stderr
    assert f'File "{tmp_path / "typo.py"}", line 1' in result.stderr


def test_run_a_pool(either: Path, tmp_path: Path) -> None:
    """Functions of the program can be sent to spawned children, which need its ``__main__``."""
    (tmp_path / "pool.py").write_text(
        "import multiprocessing as mp\n"
        "def double(x):\n"
        "    return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(double, [1, 2]))\n"
    )
    result = run(either, tmp_path / "pool.py", timeout=60)
    assert (result.stdout, quiet(result)) == ("[2, 4]\n", "")


def test_run_code_is_the_main_module(either: Path) -> None:
    """What ``-c`` defines is found in ``__main__``, where pickle looks for it."""
    result = run(either, "-c", "import pickle\ndef f(): pass\nprint(pickle.loads(pickle.dumps(f)) is f)")
    assert (result.stdout, quiet(result)) == ("True\n", "")


@pytest.mark.parametrize(
    ("options", "count"), [([], 1), (["-I"], 1), (["-S"], 0)], ids=["plain", "isolated", "no-site"]
)
def test_pth_files_of_an_interpreter(live: Path, options: list[str], count: int) -> None:
    """``-S`` runs no ``.pth`` file, wherever they are."""
    code = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); sys.prefix = {str(live.parents[1])!r}\n"
    code += "from peft_strict.switch.wiring import pth_files; print(len(pth_files()))"
    assert execute([live, *options, "-c", code]).stdout == f"{count}\n"


def test_run_from_the_source_tree(script: Path) -> None:
    """Started from the folder that holds the package, all of it can still be imported later."""
    result = execute([sys.executable, "-S", "-m", "peft_strict", "run", script], cwd=REPOSITORY)
    assert json.loads(result.stdout)["status"] == "armed"


def test_run_in_an_overlaid_environment(tmp_path: Path) -> None:
    """Under ``uv run --with`` the program gets an interpreter of its own, too, and its children are guarded."""
    python = environment_with(tmp_path, pth=True, overlaid=True)
    code = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {SHOW!r}]).returncode)"
    result = run(python, "-c", code)
    assert '"status": "armed"' in result.stdout
    assert (result.returncode, result.stderr) == (0, "")


COMMAND = "for the command set the variable: PEFT_STRICT=1"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("launch", f" ({COMMAND} launch ...)"),
        ("both", f" (for the module write: run -m both; {COMMAND} both ...)"),
        ("runnable", " (for the module write: run -m runnable)"),
        ("package", ""),
        ("__main__", ""),
        ("sub/launch", ""),
    ],
)
def test_run_a_command_or_a_module(live: Path, tmp_path: Path, name: str, hint: str) -> None:
    """What is no script but a command (``run accelerate launch ...``) or a module is told how to be run."""
    for path in ("bin/launch", "bin/both", "modules/both.py", "modules/runnable/__main__.py", "modules/package/x.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch(mode=0o755)
    variables = {**environment(PYTHONPATH=str(tmp_path / "modules")), "PATH": str(tmp_path / "bin")}
    result = run(live, name, env=variables, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (2, f"peft-strict: no such script: {name}{hint}\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "nothing to run. Usage: peft-strict run [-m module | -c code | script] [arguments ...]"),
        (["--"], "nothing to run. Usage: peft-strict run [-m module | -c code | script] [arguments ...]"),
        (["-m"], "-m needs an argument. Usage: peft-strict run [-m module | -c code | script] [arguments ...]"),
        (["nowhere.py", "-x"], "no such script: nowhere.py"),
        (["--", "-m"], "no such script: -m"),
        (["-u", "x.py"], "run has no option -u. Options of Python go in front: python -u -m peft_strict run"),
    ],
    ids=["nothing", "dashes", "module", "missing", "missing-dash", "option"],
)
def test_run_without_a_program(live: Path, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    """A sentence and exit code 2 where there is no program to run."""
    result = run(live, *arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"peft-strict: {sentence}\n")


def test_run_where_exec_does_not_wait(live: Path) -> None:
    """On Windows ``execv`` returns to the shell at once, so there a child is waited for and its exit code returned."""
    code = (
        "import os, subprocess, sys, peft_strict.commands.run, peft_strict.commands.cli as cli; os.name = 'nt';"
        "code = cli.main(['run', '-c', 'raise SystemExit(7)']); print('waited', code)"
    )
    assert execute([live, "-c", code]).stdout == "waited 7\n"


def test_run_with_closed_output(live: Path) -> None:
    """With stdout and stderr closed the program still runs."""
    result = execute(
        ["sh", "-c", f"{live} -m peft_strict run -c 'raise SystemExit(5)' >&- 2>&-"], env=dict(os.environ)
    )
    assert result.returncode == 5
