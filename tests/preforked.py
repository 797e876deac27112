"""A process that has imported what PEFT and we import, and runs each script it is given in a fork of itself.

Importing torch and transformers takes seconds, importing PEFT after them a fraction of one. A script run here imports
PEFT, wrapt and peft_strict for the first time in its process, as any other script does.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
import types
from pathlib import Path


class Server:
    """That process, from the outside.

    Args:
        python: Its interpreter.
        environment: Its environment variables.
        folder: Where it may keep what the scripts write.
    """

    def __init__(self, python: Path, environment: dict[str, str], folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [str(python), __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def run(self, script: Path, environment: dict[str, str]) -> tuple[int, str, str]:
        """Run a script; return its exit code, output and errors."""
        out, err = self._folder / "stdout", self._folder / "stderr"
        request = [str(script), environment, str(out), str(err)]
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the server died, exit code {self._process.wait()}"
        return int(answer), out.read_text(), err.read_text()

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


def _import_what_they_import() -> None:
    ours = {"peft", "wrapt", "peft_strict"}
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        importlib.import_module("peft")
        importlib.import_module("peft_strict.guards.patching")
        names = [name for name in sys.modules if name.partition(".")[0] not in ours]
        os.write(writing, "\n".join(names).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        names = pipe.read().split("\n")
    os.waitpid(child, 0)
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:  # an alias that some package has put into sys.modules
            continue
    assert not ours & sys.modules.keys()


def _run(script: str, environment: dict[str, str], out: str, err: str) -> None:
    """Turn this process into one that runs the script."""
    for stream, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(os.path.dirname(script))
    sys.path[0] = os.path.dirname(script)
    sys.argv = [script]
    if environment.get("PEFT_STRICT"):  # as peft_strict.pth would have
        importlib.import_module("peft_strict._standby").start()
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__file__ = script
    exec(compile(Path(script).read_text(), script, "exec"), vars(main))


def _serve() -> None:
    _import_what_they_import()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            code = 0
            try:
                _run(*json.loads(line))
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else int(error.code is not None)
            except BaseException:
                traceback.print_exc()
                code = 1
            atexit._run_exitfuncs()
            sys.stdout.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        answers.write(f"{code}\n")
        answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which closes our stdin
    _serve()
