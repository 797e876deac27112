"""Processes started by a guarded one: each refuses the typo, and the parent sees the error whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from .interpreters import (
    World,
    environ,
    execute,
    on_a_few_small_pefts,
    on_each_small_peft,
    on_pythons_with_interpreter_pools,
    on_the_real_peft,
    with_real_peft,
)
from .torch_build import launches

POOLS = """
import concurrent.futures, multiprocessing, sys

def construct(value):
    import peft
    return peft.LoraConfig(task_type=value).task_type

def check(error):
    import peft, peft_strict
    assert type(error) is peft_strict.InvalidTaskTypeError, repr(error)
    assert (error.value, error.suggestion, error.config_class) == ("CASUAL_LM", "CAUSAL_LM", "LoraConfig")
    assert error.supported == tuple(member.value for member in peft.TaskType), error.supported
    first, where, meant = str(error).splitlines()
    assert first.startswith("Invalid task type: 'CASUAL_LM'. Must be one of the following task types: "), first
    assert where == "  in LoraConfig(task_type='CASUAL_LM')", where
    assert meant.startswith("  Did you mean 'CAUSAL_LM'"), meant
    assert "in construct" in str(error.__cause__), error.__cause__  # the traceback of the child

def main(method):
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(construct, "CAUSAL_LM").result() == "CAUSAL_LM"
        check(pool.submit(construct, "CASUAL_LM").exception())
    with context.Pool(1) as pool:
        try:
            pool.apply(construct, ["CASUAL_LM"])
        except ValueError as error:
            check(error)
        else:
            raise AssertionError
"""


@on_each_small_peft
@pytest.mark.parametrize(
    ("method", "first"),
    [("spawn", "pass"), ("forkserver", "pass"), ("fork", "pass"), ("fork", "import peft")],
    ids=["spawn", "forkserver", "fork-before-peft", "fork-after-peft"],
)
def test_pools(world: World, tmp_path: Path, method: str, first: str) -> None:
    """With the variable set, the workers of both kinds of pool are guarded, however they are started."""
    script = f"{POOLS}\nif __name__ == '__main__':\n    {first}\n    main({method!r})\n"
    world.passes(script, tmp_path, PEFT_STRICT=1)


@on_the_real_peft
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_pool_on_the_real_peft(world: World, tmp_path: Path, method: str) -> None:
    """The same with the real PEFT."""
    script = f"""{POOLS}
if __name__ == '__main__':
    with multiprocessing.get_context({method!r}).Pool(1) as pool:
        try:
            pool.apply(construct, ["CASUAL_LM"])
        except ValueError as error:
            check(error)
        else:
            raise AssertionError
"""
    world.passes(script, tmp_path, PEFT_STRICT=1)


@on_a_few_small_pefts
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver", None], ids=str)
def test_enabled_with_children(world: World, tmp_path: Path, method: str | None) -> None:
    """After ``enable(children=True)`` the workers of both kinds of pool are guarded, however they are started."""
    script = f"{POOLS}\nif __name__ == '__main__':\n    import peft_strict\n    peft_strict.enable(children=True)\n"
    world.passes(f"{script}    main({method!r})\n", tmp_path)


SAYS_STATUS = """
import concurrent.futures, multiprocessing, subprocess, sys, peft_strict

SHOW = "import peft_strict; found = peft_strict.status(); print(found.state, found.invalid, found.misfit)"

def told():
    return " ".join(subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True).stdout.split())

def modes():
    import peft_strict
    found = peft_strict.status()
    return " ".join((found.state, found.invalid, found.misfit))
"""


@on_a_few_small_pefts
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver", "subprocess", "grandchild"])
def test_the_settings_of_children(world: World, tmp_path: Path, method: str) -> None:
    """Children have the settings that were given last, their own children too, until ``disable()``."""
    asked = "told" if method in ("subprocess", "grandchild") else "modes"
    method = {"subprocess": "", "grandchild": "spawn"}.get(method, method)
    script = f"""{SAYS_STATUS}
def ask():
    if not {method!r}:
        return {asked}()
    with multiprocessing.get_context({method!r}).Pool(1) as pool:
        return pool.apply({asked})

if __name__ == "__main__":
    peft_strict.enable(invalid="warn", misfit="ignore", children=True)
    assert ask() == "armed warn ignore", ask()
    peft_strict.disable()
    if {method!r} != "forkserver":  # the server is what it was when it was started
        assert ask().startswith("off "), ask()
"""
    world.passes(script, tmp_path)


@on_pythons_with_interpreter_pools
def test_interpreter_pool(world: World, tmp_path: Path) -> None:
    """The subinterpreters of a pool are guarded after ``enable(children=True)``."""
    script = f"""{SAYS_STATUS}
if __name__ == "__main__":
    peft_strict.enable(misfit="ignore", children=True)
    with concurrent.futures.InterpreterPoolExecutor(1) as pool:
        assert pool.submit(modes).result() == "armed raise ignore"
"""
    world.passes(script, tmp_path, fresh=True)


@on_each_small_peft
def test_only_forked_ones_inherit_enable(world: World, tmp_path: Path) -> None:
    """After ``enable()`` without the variable, forked children are guarded and others are not, as documented."""
    script = """
import multiprocessing, peft, peft_strict, scenario

if __name__ == "__main__":
    peft_strict.enable()
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.map(scenario.refused, [None]) == [method == "fork"]
"""
    world.passes(script, tmp_path)


@on_the_real_peft
def test_data_loader(world: World, tmp_path: Path) -> None:
    """The error of a data loader's worker reaches the training loop as what it is, with its whole text."""
    script = """
import peft_strict, torch

class Dataset(torch.utils.data.Dataset):
    def __len__(self):
        return 2
    def __getitem__(self, index):
        import peft
        return peft.LoraConfig(task_type="CASUAL_LM")

if __name__ == "__main__":
    try:
        list(torch.utils.data.DataLoader(Dataset(), num_workers=1))
    except peft_strict.InvalidTaskTypeError as error:
        text = str(error)
    assert "Invalid task type: 'CASUAL_LM'. Must be one of the following task types: SEQ_CLS," in text, text
    assert text.rstrip().endswith("Did you mean 'CAUSAL_LM' (causal language modeling)?"), text
"""
    world.passes(script, tmp_path, PEFT_STRICT=1)


WORKER = """
import os, pathlib, sys, time
from peft import LoraConfig

folder, rank, size = pathlib.Path(sys.argv[1]), os.environ["RANK"], int(os.environ["WORLD_SIZE"])
try:
    LoraConfig(task_type="CASUAL_LM")
except ValueError as error:
    (folder / (rank + ".part")).write_text(f"{type(error).__name__}: {error}")
    (folder / (rank + ".part")).rename(folder / (rank + ".txt"))
    while len(list(folder.glob("*.txt"))) < size:  # the launcher ends the others when the first one has failed
        time.sleep(0.05)
    if rank != "0":  # two tracebacks written at the same time are mixed on the terminal
        time.sleep(60)
    raise
"""

LAUNCHERS = {
    "torchrun": ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2),
    "accelerate": (
        *("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", 2, "--num_machines", 1),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", 0),
    ),
}


@launches
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_launchers(tmp_path: Path, launcher: str) -> None:
    """``torchrun`` and ``accelerate launch``: each of two workers refuses, the first one's error is shown whole."""
    ranks = tmp_path / "ranks"
    ranks.mkdir()
    (tmp_path / "worker.py").write_text(WORKER)
    command = (with_real_peft().python, *LAUNCHERS[launcher], tmp_path / "worker.py", ranks)
    result = execute(*command, env=environ(PEFT_STRICT=1, OMP_NUM_THREADS=1, TMPDIR=tmp_path), cwd=tmp_path)
    assert result.returncode != 0
    assert sorted(path.name for path in ranks.iterdir()) == ["0.txt", "1.txt"]
    for text in [*(path.read_text() for path in ranks.iterdir()), result.stderr]:
        assert "InvalidTaskTypeError: Invalid task type: 'CASUAL_LM'. Must be one of" in text
        assert "  in LoraConfig(task_type='CASUAL_LM')\n" in text
        assert "  Did you mean 'CAUSAL_LM' (causal language modeling)?\n" in text + "\n"
