"""Starting real interpreters: the ``.pth`` file of the built wheel, ``PEFT_STRICT``, ``sitecustomize``."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from .interpreters import (
    HERE,
    REPOSITORY,
    VERSIONS,
    Environment,
    Result,
    clean,
    environ,
    execute,
    installed,
    interpreters,
    new_environment,
    on_each_python,
    unpacked,
    wheel,
    with_real_peft,
    with_small_peft,
)

MODULES = "import sys; print(*sorted(sys.modules))"
FINDERS = "import sys; print(sum(type(finder).__module__ == 'peft_strict._standby' for finder in sys.meta_path))"
STATUS = "import peft_strict; print(peft_strict.status())"
ARMED = '<peft_strict: armed, waiting for "import peft">\n'
OFF = "<peft_strict: off>\n"
UNREAD = "<peft_strict: off (PEFT_STRICT is set, but is only read at start: call enable())>\n"
TYPO = "import peft; peft.LoraConfig(task_type='CASUAL_LM')"
REFUSED = "InvalidTaskTypeError: Invalid task type: 'CASUAL_LM'."
HOOK = "import os; os.environ.get("

LIGHT = {"peft_strict", "peft_strict._standby"}


def start(environment: Environment, *arguments: object, **variables: object) -> Result:
    """Start the Python of an environment with these variables set."""
    return execute(environment.python, *arguments, env=environ(**variables), cwd=environment.site_packages)


def files(folder: Path) -> list[Path]:
    """Return all files below a folder."""
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("version", VERSIONS)
def test_interpreter_is_there(version: str) -> None:
    """Each CPython that we support is tried, or named here as absent."""
    if version not in interpreters():
        pytest.skip(f"there is no CPython {version} on this machine, so nothing was tried on it")
    shown = start(clean(version), "-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout
    assert shown == f"{version}\n"


# -- the wheel -------------------------------------------------------------------------------------------------------


def test_pth_is_one_readable_line() -> None:
    """The hook is one line that guards first, with no ``exec`` in it, and lies in the root of the wheel."""
    with zipfile.ZipFile(wheel()) as file:
        lines = file.read("peft_strict.pth").decode("ascii").splitlines()
        roots = {name.partition("/")[0] for name in file.namelist()}
    (line,) = lines
    assert line.startswith(f'{HOOK}"PEFT_STRICT") and ')
    assert "exec" not in line
    assert {root for root in roots if not root.endswith(".dist-info")} == {"peft_strict", "peft_strict.pth"}


def test_uninstall_removes_every_file(tmp_path: Path) -> None:
    """``pip uninstall`` leaves the environment as it was, after the package has been used."""
    environment = new_environment(HERE, tmp_path / "environment")
    before = files(tmp_path)
    installed(environment)
    assert execute(environment.python, "-c", STATUS, env=environ(PEFT_STRICT=1)).stdout == ARMED
    done = environment.pip("uninstall", "-q", "-y", "peft-strict")
    assert (done.returncode, done.stderr) == (0, "")
    assert files(tmp_path) == before


def test_editable_install(tmp_path: Path) -> None:
    """``pip install -e`` brings the hook too, live and idempotent, and uninstalling removes it."""
    source = tmp_path / "source"
    shutil.copytree(REPOSITORY / "peft_strict", source / "peft_strict")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    environment = new_environment(HERE, tmp_path / "environment")
    environment.see(*(path for path in sys.path if path.endswith("site-packages")))  # for the build backend
    before = files(environment.site_packages)
    options = ("-q", "--no-deps", "--no-index", "--no-build-isolation")
    done = environment.pip("install", *options, "-e", source)
    assert done.returncode == 0, done.stderr
    assert not {"peft_strict", "wrapt", "peft"} & set(start(environment, "-c", MODULES).stdout.split())
    assert start(environment, "-c", FINDERS, PEFT_STRICT=1) == Result(0, "1\n", "")
    shown = start(environment, "-c", "import peft_strict; print(peft_strict.__file__)").stdout
    assert shown == f"{source}/peft_strict/__init__.py\n"
    done = environment.pip("uninstall", "-q", "-y", "peft-strict")
    assert done.returncode == 0, done.stderr
    assert files(environment.site_packages) == before


def test_sdist_makes_the_same_wheel(tmp_path: Path) -> None:
    """The wheel that is built from the source distribution has the same files as the one from the repository."""
    code = "import sys; from hatchling.build import build_sdist; print(build_sdist(sys.argv[1]))"
    done = execute(sys.executable, "-c", code, tmp_path, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / done.stdout.strip()) as file:
        file.extractall(tmp_path)
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q", "--no-deps", "--no-index")
    done = execute(*pip, "--no-build-isolation", "-w", tmp_path / "wheel", source)
    assert done.returncode == 0, done.stderr
    (built,) = (tmp_path / "wheel").iterdir()
    with zipfile.ZipFile(built) as theirs, zipfile.ZipFile(wheel()) as ours:
        assert sorted(theirs.namelist()) == sorted(ours.namelist())


# -- the variable ----------------------------------------------------------------------------------------------------


@on_each_python
def test_unset_costs_nothing(version: str) -> None:
    """With the variable unset or empty, a started interpreter has no module of ours, nor one that we need."""
    for variables in ({}, {"PEFT_STRICT": ""}):
        result = start(clean(version), "-c", MODULES, **variables)
        assert (result.returncode, result.stderr) == (0, "")
        found = set(result.stdout.split())
        assert not {name for name in found if name.partition(".")[0] in ("peft_strict", "peft", "wrapt", "torch")}
        assert start(clean(version), "-c", STATUS, **variables) == Result(0, OFF, "")


@on_each_python
def test_set_loads_one_light_module(version: str) -> None:
    """With the variable set, the interpreter starts with one light module of our package, and nothing else is new."""
    without, with_it = (
        set(start(clean(version), "-c", MODULES, **variables).stdout.split()) for variables in ({}, {"PEFT_STRICT": 1})
    )
    assert with_it - without == LIGHT
    assert not {"wrapt", "inspect", "asyncio", "peft", "torch", "typing", "re"} & (with_it - without)


@on_each_python
def test_one_finder(version: str, tmp_path: Path) -> None:
    """A virtual environment runs each ``.pth`` twice; there is one finder, also with a ``sitecustomize``."""
    counted = start(clean(version), "-c", FINDERS, PEFT_STRICT=1)
    assert counted == Result(0, "1\n", "")
    (tmp_path / "sitecustomize.py").write_text("import peft_strict; peft_strict.enable()")
    both = start(clean(version), "-c", FINDERS, PEFT_STRICT=1, PYTHONPATH=tmp_path)
    assert both == Result(0, "1\n", "")


@on_each_python
@pytest.mark.parametrize("leave", ["nothing", "empty-package"])
def test_left_over_hook(version: str, tmp_path: Path, leave: str) -> None:
    """A ``.pth`` whose package has gone is silent while the variable is unset, and Python starts in any case."""
    environment = unpacked(new_environment(version, tmp_path / "environment"))
    shutil.rmtree(environment.site_packages / "peft_strict")
    if leave == "empty-package":
        (environment.site_packages / "peft_strict").mkdir()
    assert start(environment, "-c", "print('up')") == Result(0, "up\n", "")
    result = start(environment, "-c", "print('up')", PEFT_STRICT=1)
    assert (result.returncode, result.stdout) == (0, "up\n")


FAILURES = {
    "unknown-word": ("", "enabled", "peft-strict: PEFT_STRICT='enabled' is not a word I know"),
    "our-code-fails": (
        "import peft_strict._standby as a; a.parse_variable = None",
        "1",
        "peft-strict: not switched on: TypeError: 'NoneType' object is not callable\n",
    ),
}


@on_each_python
@pytest.mark.parametrize("failure", FAILURES)
def test_stderr_closed(version: str, tmp_path: Path, failure: str) -> None:
    """Whatever fails at start, Python starts, nothing reaches stdout, and a closed or full stderr does no harm."""
    line, word, complaint = FAILURES[failure]
    environment = unpacked(new_environment(version, tmp_path / "environment"))
    (environment.site_packages / "a_first.pth").write_text(line + "\n")
    python, variables = environment.python, environ(PEFT_STRICT=word)
    for redirection in ("2>&-", "2>/dev/full", ">&- 2>&-", "2>/dev/null"):
        shell = f'"{python}" -c "print(7)" {redirection}'
        done = subprocess.run(shell, shell=True, check=False, env=variables, stdout=subprocess.PIPE, text=True)
        expected = "" if redirection.startswith(">") else "7\n"
        assert (done.returncode, done.stdout) == (0, expected), redirection
    shown = execute(python, "-c", "print(7)", env=variables)
    assert (shown.returncode, shown.stdout) == (0, "7\n")
    assert shown.stderr.startswith(complaint)
    assert "Traceback" not in shown.stderr


@on_each_python
@pytest.mark.parametrize(
    ("options", "guards"),
    [
        (("-I",), True),
        (("-E",), True),
        (("-s",), True),
        (("-B", "-OO"), True),
        (("-bb", "-X", "dev", "-W", "error"), True),
        (("-S",), False),
    ],
    ids=lambda value: "".join(value) if isinstance(value, tuple) else None,
)
def test_options_of_python(version: str, options: tuple[str, ...], guards: bool) -> None:
    """The ``.pth`` is live under every option of Python but ``-S``; there the status tells that we are off."""
    environment = with_small_peft(version)
    path = {} if guards else {"PYTHONPATH": ":".join(map(str, _path(environment)))}
    status = ARMED if guards else UNREAD
    assert start(environment, *options, "-c", STATUS, PEFT_STRICT=1, **path) == Result(0, status, "")
    result = start(environment, *options, "-c", TYPO, PEFT_STRICT=1, **path)
    assert result.returncode == 1
    assert (REFUSED in result.stderr) == guards


def _path(environment: Environment) -> list[Path]:
    seen = (environment.site_packages / "a_paths.pth").read_text().split()
    return [environment.site_packages, *map(Path, seen)]


ON = ("raise", "warn")
WORDS = {
    **dict.fromkeys(("1", "on", "yes", "true", "ON", " Yes\t", "TRUE\n"), ON),
    **dict.fromkeys(("0", "off", "no", "false", "", "  ", "Off ", "FALSE"), None),
    **dict.fromkeys(("warn", " WARN"), ("warn", "warn")),
    **dict.fromkeys(("raise", "error", "Error"), ("raise", "raise")),
}
MODES = "import json, peft_strict; s = peft_strict.status(); print(json.dumps([s.state, s.invalid, s.misfit]))"


@pytest.mark.parametrize("word", WORDS, ids=repr)
def test_words(word: str) -> None:
    """Each word of ``PEFT_STRICT`` means what the contract says, in any case and with blanks around it."""
    result = start(clean(HERE), "-c", MODES, PEFT_STRICT=word)
    expected = ["off", *ON] if WORDS[word] is None else ["armed", *WORDS[word]]
    assert (result.returncode, json.loads(result.stdout), result.stderr) == (0, expected, "")


@on_each_python
@pytest.mark.parametrize("word", ["2", "y", "truee", "1 0", "é", "\udcff", "a\nb"], ids=ascii)
def test_unknown_word(version: str, word: str) -> None:
    """An unknown word switches on with the defaults and is named, once, in one line on stderr."""
    result = start(clean(version), "-c", MODES, PEFT_STRICT=word, PYTHONIOENCODING="utf-8")
    assert (result.returncode, json.loads(result.stdout), result.stderr) == (0, ["armed", *ON], complaint(repr(word)))


def test_long_word() -> None:
    """A word of any length is shown by its beginning."""
    result = start(clean(HERE), "-c", MODES, PEFT_STRICT="a" * 100_000)
    assert result.stderr == complaint(repr("a" * 40 + "..."))


def complaint(shown: str) -> str:
    """Return the line about an unknown word."""
    allowed = "1 on yes true, warn, raise error, 0 off no false, or modes: invalid=warn,misfit=ignore"
    return f"peft-strict: PEFT_STRICT={shown} is not a word I know, so I am on. Allowed: {allowed}.\n"


# -- code against the variable ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "again",
    ["", "import site; site.main()", "import site; site.addsitedir(site.getsitepackages()[0])"],
    ids=["once", "site-again", "folder-again"],
)
@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ("disable()", "['off', 'raise', 'raise']"),
        ("enable(invalid='warn', misfit='ignore')", "['armed', 'warn', 'ignore']"),
    ],
    ids=["disable", "enable"],
)
def test_code_wins(call: str, shown: str, again: str) -> None:
    """What code says holds against the variable until the next process, also when ``.pth`` files are run again."""
    code = f"import peft_strict; peft_strict.{call}\n{again}\ns = peft_strict.status()\n"
    result = start(clean(HERE), "-c", f"{code}print([s.state, s.invalid, s.misfit])", PEFT_STRICT="raise")
    assert result == Result(0, f"{shown}\n", "")


@on_each_python
def test_set_after_start(version: str) -> None:
    """Setting the variable in a running process does not arm it, and the status tells what to do."""
    code = f"import os; os.environ['PEFT_STRICT'] = '1'; {STATUS}"
    assert start(clean(version), "-c", code) == Result(0, UNREAD, "")


@pytest.mark.parametrize("word", ["1", "0"])
def test_variable_overruled_by_code(word: str) -> None:
    """Once code has decided, the status does not ask whether the variable was read."""
    result = start(clean(HERE), "-c", f"import peft_strict; peft_strict.disable(); {STATUS}", PEFT_STRICT=word)
    assert result == Result(0, "<peft_strict: off>\n", "")


# -- sitecustomize ---------------------------------------------------------------------------------------------------


@on_each_python
def test_sitecustomize(version: str, tmp_path: Path) -> None:
    """``enable()`` in a ``sitecustomize.py`` loads neither wrapt nor PEFT and guards every program."""
    environment = with_small_peft(version)
    (tmp_path / "sitecustomize.py").write_text("import peft_strict; peft_strict.enable()")
    loaded = set(start(environment, "-c", MODULES, PYTHONPATH=tmp_path).stdout.split())
    (tmp_path / "sitecustomize.py").write_text("")
    loaded -= set(start(environment, "-c", MODULES, PYTHONPATH=tmp_path).stdout.split())
    assert loaded - {"__future__"} == {  # what measures the tests has loaded that before
        *LIGHT,
        *(f"peft_strict.switch{name}" for name in ("", ".activation", ".settings", ".status")),
    }
    (tmp_path / "sitecustomize.py").write_text("import peft_strict; peft_strict.enable()")
    (tmp_path / "program.py").write_text(TYPO)
    for command in (("-c", TYPO), (tmp_path / "program.py",), ("-m", "program"), ("-m", "peft")):
        result = start(environment, *command, PYTHONPATH=tmp_path)
        assert result.returncode == 1
        assert REFUSED in result.stderr


@on_each_python
@pytest.mark.parametrize("option", ["-I", "-E", "-S"])
def test_sitecustomize_on_pythonpath_is_not_run(version: str, tmp_path: Path, option: str) -> None:
    """A ``sitecustomize.py`` on ``PYTHONPATH`` is not run under ``-I``, ``-E`` and ``-S``, as documented."""
    (tmp_path / "sitecustomize.py").write_text("import peft_strict; peft_strict.enable()")
    result = start(clean(version), option, "-c", FINDERS, PYTHONPATH=tmp_path)
    assert result == Result(0, "0\n", "")


def test_sitecustomize_without_the_package(tmp_path: Path) -> None:
    """Where the package is missing, Python says so in two lines and starts."""
    environment = new_environment(HERE, tmp_path / "environment")
    (environment.site_packages / "sitecustomize.py").write_text("import peft_strict; peft_strict.enable()")
    result = start(environment, "-c", "print('up')")
    assert (result.returncode, result.stdout) == (0, "up\n")
    assert result.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'peft_strict'"


# -- others ----------------------------------------------------------------------------------------------------------

BACKEND = """\
import sys, zipfile
seen = sum(type(finder).__module__ == "peft_strict._standby" for finder in sys.meta_path)

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "probe-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as file:
        file.writestr("probe.py", f"seen = {seen}")
        file.writestr("probe-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: probe\\nVersion: 1\\n")
        file.writestr("probe-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr("probe-1.dist-info/RECORD", "")
    return name
"""
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "probe"
version = "1"
"""


@pytest.mark.parametrize("word", ["1", "enabled"])
def test_isolated_build(tmp_path: Path, word: str) -> None:
    """``pip install`` with build isolation works with the variable set, though we are armed in the build as well."""
    environment = installed(new_environment(HERE, tmp_path / "environment"))
    with tarfile.open(tmp_path / "probe-1.tar.gz", "w:gz") as file:
        for name, text in (("pyproject.toml", PROJECT), ("backend.py", BACKEND)):
            member = tarfile.TarInfo(f"probe-1/{name}")
            member.size = len(text)
            file.addfile(member, io.BytesIO(text.encode()))
    options = ("-q", "--no-index", "--no-deps", tmp_path / "probe-1.tar.gz")
    done = environment.pip("install", *options, env=environ(PEFT_STRICT=word))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert start(environment, "-c", "import probe; print(probe.seen)").stdout == "1\n"


def test_real_peft(tmp_path: Path) -> None:
    """The first way of the README: a program with the typo, run with the variable set, stops at its own line."""
    (tmp_path / "train.py").write_text("from peft import LoraConfig\n\nconfig = LoraConfig(task_type='CASUAL_LM')\n")
    result = start(with_real_peft(), tmp_path / "train.py", PEFT_STRICT=1)
    assert (result.returncode, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert f'  File "{tmp_path}/train.py", line 3, in <module>' in lines
    assert sum("peft_strict" in line and "File" in line for line in lines) <= 1
    assert REFUSED in lines[-3]
    assert lines[-2:] == [
        "  in LoraConfig(task_type='CASUAL_LM')",
        "  Did you mean 'CAUSAL_LM' (causal language modeling)?",
    ]
