"""In a notebook: a real IPython, and a real Jupyter kernel."""

from __future__ import annotations

import json
import os
import re
import shutil
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path

import peft
import pytest

from ..interpreters import Environment, World, on_the_real_peft, wheel, with_real_peft

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
jupyter_client = pytest.importorskip("jupyter_client")
pytest.importorskip("IPython")

ARMED = '<peft_strict: armed, waiting for "import peft">'

SHELL = """
import contextlib, io, os, sys
os.environ["IPYTHONDIR"] = os.getcwd()
from traitlets.config import Config
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
shell.colors = "NoColor"

def cell(code):
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        result = shell.run_cell(code, store_history=True)
    result.shown = shown.getvalue()
    return result

def answer(code):
    result = cell(code)
    result.raise_error()
    return result.shown

def edit(path, old=None, new=None):
    with open(path) as file:
        text = file.read()
    if old is not None:
        assert text.count(old) == 1, (path, text.count(old))
        text = text.replace(old, new)
    with open(path, "w") as file:
        file.write(text)
    later = os.stat(path).st_mtime + 10
    os.utime(path, (later, later))
"""


@pytest.fixture(name="passes")
def _passes(world: World, tmp_path: Path):
    """Runs a script that must end well, in a process with an IPython in it."""

    def passes(script: str) -> None:
        world.passes(f"{SHELL}\n{textwrap.dedent(script)}", tmp_path)

    return passes


@pytest.fixture(name="own_peft")
def _own_peft(tmp_path: Path) -> None:
    """A copy of PEFT that may be edited, in front of the installed one."""
    shutil.copytree(Path(peft.__file__).parent, tmp_path / "peft")


@pytest.fixture(name="own_strict")
def _own_strict(tmp_path: Path) -> None:
    """A copy of peft_strict that may be edited."""
    with zipfile.ZipFile(wheel()) as file:
        file.extractall(tmp_path)


@on_the_real_peft
def test_enable_cell(passes) -> None:
    """The status is a cell's answer; running the cell again changes nothing."""
    passes(f"""
        first = "import peft_strict; peft_strict.enable()"
        assert answer(first) == "Out[1]: {ARMED.replace('"', chr(92) + '"')}\\n"
        assert answer("import peft, scenario; from peft import LoraConfig") == ""
        shown = "<peft_strict: guarding {{}} config classes, PEFT {{}}>"
        shown = shown.format(shell.ev("len(scenario.config_classes())"), shell.ev("peft.__version__"))
        assert answer(first) == f"Out[3]: {{shown}}\\n"
        assert answer(first) == f"Out[4]: {{shown}}\\n"
        assert answer("scenario.guarded()") == "Out[5]: True\\n"
        result = cell("LoraConfig(task_type='CASUAL_LM')")
        assert type(result.error_in_exec).__name__ == "InvalidTaskTypeError"
    """)


@on_the_real_peft
@pytest.mark.parametrize("first", ["import peft", "pass"], ids=["peft-first", "we-first"])
def test_extension(passes, first: str) -> None:
    """``%load_ext`` guards, a second one and ``%reload_ext`` guard once, ``%unload_ext`` undoes."""
    passes(f"""
        answer({first!r})
        shown = answer("%load_ext peft_strict")
        assert shown.startswith("<peft_strict: " + ("guarding" if {first!r} == "import peft" else "armed")), shown
        answer("import peft, peft_strict, scenario")
        plain = shell.ev("{{cls: vars(cls)['__init__'].__wrapped__ for cls in scenario.config_classes()}}")
        assert "already loaded" in answer("%load_ext peft_strict")
        assert answer("scenario.guarded()").endswith("True\\n")
        for _ in range(2):
            answer("%reload_ext peft_strict")
            assert answer("scenario.guarded()").endswith("True\\n")
        assert answer("%unload_ext peft_strict") == "<peft_strict: off>\\n"
        assert not shell.ev("scenario.refused()")
        assert shell.ev("scenario.finders()") == 0
        assert all(vars(cls)["__init__"] is original for cls, original in plain.items())
        answer("%load_ext peft_strict")
        assert answer("scenario.guarded()").endswith("True\\n")
    """)


@on_the_real_peft
def test_variable_set_in_a_cell(passes) -> None:
    """``%env PEFT_STRICT=1`` in a cell comes too late, and the status says what to do."""
    passes("""
        answer("%env PEFT_STRICT=1")
        shown = answer("import peft_strict; peft_strict.status()")
        assert "off (PEFT_STRICT is set, but is only read at start: call enable())" in shown, shown
    """)


@on_the_real_peft
@pytest.mark.usefixtures("own_peft")
def test_autoreload_of_peft(passes) -> None:
    """With ``%autoreload 2``, an edited config class and an edited ``peft/__init__.py`` stay guarded, once."""
    passes("""
        answer("%load_ext autoreload")
        answer("%autoreload 2")
        answer("import peft_strict, scenario; peft_strict.enable()")
        answer("import peft; from peft import LoraConfig")
        assert shell.ev("peft.__file__").startswith(os.getcwd())
        assert answer("LoraConfig().r").endswith(" 8\\n")

        edit("peft/tuners/lora/config.py", "    r: int = field(default=8,", "    r: int = field(default=16,")
        assert answer("LoraConfig().r").endswith(" 16\\n")
        assert shell.ev("scenario.refused(LoraConfig)")
        assert shell.ev("scenario.depth(vars(LoraConfig)['__init__'])") == 1
        assert shell.ev("peft_strict.status().state") == "guarding"

        edit("peft/__init__.py", '__version__ = "', '__version__ = "9.')
        assert "9." in answer("peft.__version__")
        assert answer("peft_strict.status()").endswith(f"PEFT {shell.ev('peft.__version__')}>\\n")
        assert shell.ev("scenario.refused() and scenario.refused(LoraConfig)")
        answer("peft_strict.enable()")
        assert answer("scenario.guarded()").endswith("True\\n")
        answer("peft_strict.disable()")
        assert not shell.ev("scenario.refused(LoraConfig)")
        assert shell.ev("scenario.depth(vars(LoraConfig)['__init__'])") == 0
    """)


@on_the_real_peft
@pytest.mark.usefixtures("own_strict")
def test_autoreload_of_our_modules(passes) -> None:
    """With ``%autoreload 2``, touching all of our modules keeps everything working, and wrapped once."""
    passes("""
        import glob
        answer("%load_ext autoreload")
        answer("%autoreload 2")
        answer("import peft_strict, peft, scenario; peft_strict.enable()")
        assert shell.ev("peft_strict.__file__").startswith(os.getcwd())
        plain = shell.ev("{cls: vars(cls)['__init__'].__wrapped__ for cls in scenario.config_classes()}")
        for path in glob.glob("peft_strict/**/*.py", recursive=True):
            edit(path)
        answer("1")  # this reloads them
        assert answer("scenario.guarded()").endswith("True\\n")
        answer("peft_strict.enable()")
        assert answer("scenario.guarded()").endswith("True\\n")
        caught = [
            "try:",
            "    peft.LoraConfig(task_type='CASUAL_LM')",
            "except peft_strict.InvalidTaskTypeError:",
            "    pass",
            "with peft_strict.suspended():",
            "    peft.LoraConfig().task_type = 'CASUAL_LM'",
        ]
        answer("\\n".join(caught))
        answer("peft_strict.disable()")
        assert all(vars(cls)["__init__"] is original for cls, original in plain.items())
        assert shell.ev("scenario.finders()") == 0
    """)


# -- a Jupyter kernel ------------------------------------------------------------------------------------------------


@pytest.fixture(name="kernel")
def _kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a kernel with peft-strict; the variable is what ``PEFT_STRICT`` of this process is."""
    environment: Environment = with_real_peft()
    for name in ("kernels/with-us", "kernels/with-us-set"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        spec = {
            "argv": [str(environment.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": name,
            "language": "python",
            "env": {"PEFT_STRICT": "1" if name.endswith("-set") else ""},
        }
        (folder / "kernel.json").write_text(json.dumps(spec))
    for name, value in {"JUPYTER_PATH": tmp_path, "IPYTHONDIR": tmp_path, "JUPYTER_RUNTIME_DIR": tmp_path}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    return "with-us"


def lines(output: dict[str, object]) -> list[str]:
    """Return the lines of a traceback without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output["traceback"])).splitlines()


CELLS = [
    "import peft_strict\npeft_strict.enable()",
    "from peft import LoraConfig",
    "peft_strict.status()",
    "rank = 8\nLoraConfig(\n    r=rank,\n    task_type='CASUAL_LM',\n)",
    "config = LoraConfig()\nconfig.task_type = 'CASUAL_LM'",
    "LoraConfig(task_type='CAUSAL_LM').task_type",
]


def test_notebook(kernel: str, tmp_path: Path) -> None:
    """A notebook as the user sees it: the answers, and a short traceback that points at the line of the cell."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    nbclient.NotebookClient(notebook, kernel_name=kernel, timeout=240, allow_errors=True).execute()
    nbformat.write(notebook, tmp_path / "notebook.ipynb")
    armed, imported, status, constructed, assigned, right = (cell["outputs"] for cell in notebook["cells"])
    assert armed[0]["data"]["text/plain"] == ARMED
    assert not [output for output in imported if "tqdm" not in output["text"]]  # PEFT's own, about progress bars
    assert status[0]["data"]["text/plain"].startswith("<peft_strict: guarding ")
    for output, line, where in (
        (constructed, "----> 2 LoraConfig(", "  in LoraConfig(task_type='CASUAL_LM')"),
        (assigned, "----> 2 config.task_type = 'CASUAL_LM'", "  in LoraConfig.task_type = 'CASUAL_LM'"),
    ):
        (error,) = output
        assert error["ename"] == "InvalidTaskTypeError"
        shown = lines(error)
        assert line in shown
        assert sum("peft_strict" in each and each.startswith("File ") for each in shown) <= 1
        assert shown[-2:] == [where, "  Did you mean 'CAUSAL_LM' (causal language modeling)?"]
    assert right[0]["data"]["text/plain"] == "<TaskType.CAUSAL_LM: 'CAUSAL_LM'>"


class Kernel:
    """A running kernel."""

    def __init__(self, name: str) -> None:
        self.manager, self.client = jupyter_client.manager.start_new_kernel(kernel_name=name, startup_timeout=240)

    def answer(self, code: str) -> str:
        """Run a cell and return what it shows."""
        shown = []

        def show(message: dict[str, object]) -> None:
            content = message["content"]
            shown.append(content.get("text") or content.get("data", {}).get("text/plain", ""))

        self.client.execute_interactive(code, timeout=240, output_hook=show)
        return "".join(shown)

    def restart(self) -> None:
        self.manager.restart_kernel(now=True)
        self.client.wait_for_ready(timeout=240)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.mark.parametrize(("variable", "shown"), [("", "<peft_strict: off>"), ("-set", ARMED)], ids=["unset", "set"])
def test_kernel_restart(kernel: str, variable: str, shown: str) -> None:
    """After a restart the status says what is so: off, or armed where the kernel starts with the variable."""
    running = Kernel(kernel + variable)
    try:
        assert running.answer("import peft_strict; peft_strict.status()") == shown
        assert running.answer("peft_strict.enable()") == ARMED
        running.restart()
        assert running.answer("import peft_strict; peft_strict.status()") == shown
    finally:
        running.close()


def test_tests_see_no_variable() -> None:
    """The kernel's variable comes from its own specification, so this process must have none."""
    assert not os.environ.get("PEFT_STRICT")
