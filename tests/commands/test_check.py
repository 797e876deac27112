"""The command ``check``."""

from __future__ import annotations

import errno
import gc
import json
import os
import pty
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peft
import pytest

from peft_strict.commands import adapter_files
from peft_strict.commands import check as command

from .. import interpreters
from ..command_line import environment, obey_ctrl_c, peft_strict, python, with_dev_full

WRONG = b'{\n  "peft_type": "LORA",\n  "task_type": "CASUAL_LM"\n}'
RIGHT = WRONG.replace(b"CASUAL_LM", b"CAUSAL_LM")
HINT = 'Did you mean "CAUSAL_LM" (causal language modeling)?'


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    """A saved config with a wrong task type, alone in a folder."""
    return adapter(tmp_path / "adapter")


def adapter(folder: Path, content: bytes = WRONG) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "adapter_config.json"
    file.write_bytes(content)
    return file


def check(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return peft_strict("check", *arguments, **options)


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the only line of stderr."""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


# What is reported


def test_report(config: Path) -> None:
    """A finding says file, line, value and suggestion; then come the supported names and the sum."""
    result = check(config)
    assert result.returncode == 1
    assert result.stderr == ""
    supported = ", ".join(member.value for member in peft.TaskType)
    assert result.stdout.splitlines() == [
        f"{config}:3: task_type 'CASUAL_LM'",
        f"  {HINT}",
        f"PEFT {peft.__version__} knows: {supported}.",
        "1 file checked, 1 wrong (1 can be mended with --fix).",
    ]


@pytest.mark.parametrize("value", [None, *(member.value for member in peft.TaskType)])
def test_right_values(tmp_path: Path, value: str | None) -> None:
    """Every task type of the installed PEFT is right, and so is none."""
    file = adapter(tmp_path, json.dumps({"task_type": value}).encode())
    result = check(file)
    assert (result.returncode, result.stdout, result.stderr) == (0, "1 file checked, 0 wrong.\n", "")


def test_no_task_type_is_right(tmp_path: Path) -> None:
    """A config may leave the task type out."""
    assert check(adapter(tmp_path, b'{"peft_type": "LORA", "x": {"task_type": "CASUAL_LM"}}')).returncode == 0


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("None", "Did you mean null, without quotes?"),
        ("MASKED_LM", "write null."),
        ("asdf", "If none of PEFT's task types is your task, write null."),
        ("classification", 'Did you mean "SEQ_CLS" or "TOKEN_CLS"?'),
        (["CAUSAL_LM"], HINT),
        (17, "If none of PEFT's task types is your task, write null."),
        ("", "If none of PEFT's task types is your task, write null."),
    ],
    ids=["none", "masked", "unknown", "shared word", "list", "number", "empty"],
)
def test_advice(tmp_path: Path, value: object, advice: str) -> None:
    """Each wrong value comes with what to write instead."""
    result = check(adapter(tmp_path, json.dumps({"task_type": value}).encode()))
    assert result.returncode == 1
    assert result.stdout.splitlines()[1].endswith(advice)


@pytest.mark.parametrize(
    ("config", "advice"),
    [
        ({}, "write the task that the adapter was trained for, or null if PEFT has no task type for it."),
        (
            {"auto_mapping": {"base_model_class": "MLP"}},
            "saved without a task type, as its auto_mapping shows: write null.",
        ),
        ({"modules_to_save": ["score", 1]}, 'as for "SEQ_CLS" or "TOKEN_CLS": write the one that it was trained for.'),
        ({"modules_to_save": ["qa_outputs"]}, 'as for "QUESTION_ANS": write the one that it was trained for.'),
        ({"modules_to_save": "score"}, "or null if PEFT has no task type for it."),
    ],
    ids=["nothing", "auto_mapping", "classifier", "spans", "text"],
)
@pytest.mark.parametrize("value", ["LORA", "PeftType.lora"])
def test_a_method_as_task_type(tmp_path: Path, value: str, config: dict[str, object], advice: str) -> None:
    """What else stands in the config says more than that a method is no task; nothing is safe to write, though."""
    file = adapter(tmp_path, json.dumps({"peft_type": "LORA", **config, "task_type": value}).encode())
    result = check(file, "--fix")
    assert result.returncode == 1
    assert result.stdout.splitlines()[1].startswith("  LORA is a PEFT method, no task: ")
    assert result.stdout.splitlines()[1].endswith(advice)
    assert json.loads(file.read_bytes())["task_type"] == value


@pytest.mark.parametrize(("value", "meant"), [("SEQ_CLS", "SEQ_CLS"), ("CASUAL_LM", "CAUSAL_LM")])
def test_a_task_type_as_method(tmp_path: Path, value: str, meant: str) -> None:
    """A task type in ``peft_type`` is reported with its own line, and never fixed."""
    content = b'{"r": 8,\n"peft_type": "%s"}' % value.encode()
    file = adapter(tmp_path, content)
    result = check(file, "--fix")
    assert result.returncode == 1
    assert result.stdout.splitlines()[0] == f"{file}:2: peft_type '{value}'"
    assert f'"task_type": "{meant}"' in result.stdout.splitlines()[1]
    assert file.read_bytes() == content


def test_json(tmp_path: Path) -> None:
    """``--json`` prints one document; its keys are part of the interface."""
    wrong = adapter(tmp_path / "a")
    broken = adapter(tmp_path / "b", b"{")
    result = check("--json", tmp_path)
    assert result.returncode == 2
    assert json.loads(result.stdout) == {
        "peft": peft.__version__,
        "supported": [member.value for member in peft.TaskType],
        "files": 1,
        "findings": [
            {
                "file": str(wrong),
                "line": 3,
                "key": "task_type",
                "value": "CASUAL_LM",
                "suggestion": "CAUSAL_LM",
                "advice": HINT,
                "fixable": True,
                "fixed": False,
            }
        ],
        "weights": [],
        "statements": [],
        "problems": [
            {
                "file": str(broken),
                "message": "broken JSON in line 1: Expecting property name enclosed in double quotes",
            }
        ],
        "exit_code": 2,
    }


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "[1, NaN]"])
def test_json_of_what_json_has_no_numbers_for(tmp_path: Path, value: str) -> None:
    """What ``--json`` prints is JSON, whatever Python's JSON reader lets through."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    result = check("--json", adapter(tmp_path, f'{{"task_type": {value}}}'.encode()))
    [finding] = json.loads(result.stdout, parse_constant=refuse)["findings"]
    assert finding["value"] == json.loads(value, parse_constant=str)


@pytest.mark.parametrize("kind", ["[{}]", '{{"a": {}}}'], ids=["lists", "objects"])
def test_json_of_a_deep_value(tmp_path: Path, kind: str) -> None:
    """A value that JSON's reader takes, however deep it is, has a report; its depth stands there as a short text."""
    start, end = kind.format("|").split("|")
    deep = start * 900 + "1" + end * 900
    result = check("--json", adapter(tmp_path, f'{{"task_type": {deep}}}'.encode()))
    assert (result.returncode, result.stderr) == (1, "")
    value = json.loads(result.stdout)["findings"][0]["value"]
    for _ in range(20):
        [value] = value if isinstance(value, list) else value.values()
    assert isinstance(value, str)
    assert len(value) < 200


def test_long_and_dangerous_texts_are_shown_short_and_quoted(tmp_path: Path) -> None:
    """Neither a value nor a name of a file can flood or drive the terminal."""
    file = adapter(tmp_path / "a\x1b[31m\n", json.dumps({"task_type": "\x1b[2J" + "x" * 100_000}).encode())
    shown = check(file).stdout
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) < 300 + len(str(tmp_path))


def test_names_in_no_encoding(tmp_path: Path) -> None:
    """A path that is no text in any encoding is reported all the same."""
    file = adapter(tmp_path / os.fsdecode(b"caf\xe9"))
    assert r"caf\udce9" in check(file).stdout
    assert json.loads(check("--json", file).stdout)["findings"][0]["file"] == str(file)


# What is mended


@pytest.mark.parametrize(
    ("around", "old", "new"),
    [
        (b'{"task_type":@}', b'"CASUAL_LM"', b'"CAUSAL_LM"'),
        (b'{\r\n\t"task_type" :\t@ ,\r\n"r":8}\r\n', b'"CASUAL_LM"', b'"CAUSAL_LM"'),
        (b'\xef\xbb\xbf{"r": "\xc3\xa9", "task_type": @}', b'"causal-lm"', b'"CAUSAL_LM"'),
        (b'{"a": "\xf0\x9f\xa4\x97", "task_type": @} \n\n', b'"CASUAL_LM"', b'"CAUSAL_LM"'),
        (b'{"task_type": "CASUAL_LM", "task_type": @}', b'"SEQ_CSL"', b'"SEQ_CLS"'),
        (b'{"x": {"task_type": "CASUAL_LM"}, "task_type": @}', b'"CASUAL_LM"', b'"CAUSAL_LM"'),
        (b'{"task\\u005ftype": @, "e": "\\u00e9"}', b'"C\\u0041SUAL_LM"', b'"CAUSAL_LM"'),
        (b'{"a": "\\"task_type\\": \\"CASUAL_LM\\"", "task_type": @}', b'"CASUAL_LM"', b'"CAUSAL_LM"'),
        (b'{"task_type": @, "r": 8}', b'[\n"CAUSAL_LM"\n]', b'"CAUSAL_LM"'),
        (b'{"task_type": @, "r": 1e400}', b'"None"', b"null"),
    ],
    ids=["plain", "crlf", "bom", "emoji", "twice", "nested", "escapes", "in-a-string", "list", "null"],
)
def test_fix_changes_the_value_and_nothing_else(tmp_path: Path, around: bytes, old: bytes, new: bytes) -> None:
    """Every byte outside the last top-level ``task_type`` value stays."""
    file = adapter(tmp_path, around.replace(b"@", old))
    result = check("--fix", file)
    assert file.read_bytes() == around.replace(b"@", new)
    assert (result.returncode, result.stderr) == (0, "")
    assert "  fixed: " in result.stdout
    assert result.stdout.endswith("1 file checked, 1 fixed, 0 wrong.\n")
    assert check(file).returncode == 0


@pytest.mark.parametrize("value", ["MASKED_LM", "asdf", "", "SEQ", 17, True, ["CAUSAL_LM", "SEQ_CLS"]], ids=repr)
def test_no_fix_without_a_safe_suggestion(tmp_path: Path, value: object) -> None:
    """Where it is not clear what was meant, the file stays as it is."""
    file = adapter(tmp_path, json.dumps({"task_type": value}).encode())
    before = file.read_bytes(), file.stat()
    assert check("--fix", file).returncode == 1
    assert (file.read_bytes(), file.stat().st_ino) == (before[0], before[1].st_ino)


def test_good_files_are_not_touched(tmp_path: Path) -> None:
    """``--fix`` writes nothing where nothing is wrong."""
    file = adapter(tmp_path, RIGHT)
    before = file.stat()
    assert check("--fix", file).returncode == 0
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_was_fixed_and_what_was_left_are_counted(tmp_path: Path) -> None:
    """With ``--fix`` the summary tells how many are fixed and how many are still wrong."""
    for name, content in [("a", WRONG), ("b", WRONG), ("c", WRONG.replace(b"CASUAL_LM", b"NONSENSE"))]:
        adapter(tmp_path / name).write_bytes(content)
    result = check("--fix", tmp_path)
    assert result.stdout.endswith("3 files checked, 2 fixed, 1 wrong.\n")
    assert result.returncode == 1


def test_a_fixed_file_loads_in_peft(config: Path) -> None:
    """The PEFT that refused the file before loads it now, with the task type that was meant."""
    peft.LoraConfig(r=5).save_pretrained(config.parent)
    config.write_bytes(config.read_bytes().replace(b'"task_type": null', b'"task_type": "CASUAL_LM"'))
    with pytest.raises(ValueError, match="Invalid task type"):
        peft.PeftConfig.from_pretrained(config.parent)
    assert check("--fix", config).returncode == 0
    loaded = peft.PeftConfig.from_pretrained(config.parent)
    assert (loaded.task_type, loaded.r) == (peft.TaskType.CAUSAL_LM, 5)


def test_extended_attributes_are_kept(config: Path) -> None:
    """The mended file has what the system keeps of a file beside its content."""
    try:
        os.setxattr(config, "user.origin", b"a model of mine")
    except OSError as error:
        pytest.skip(f"the file system of {config.parent} has no extended attributes: {error}")
    assert check("--fix", config).returncode == 0
    assert config.read_bytes() == RIGHT
    assert os.getxattr(config, "user.origin") == b"a model of mine"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755], ids=oct)
def test_mode_and_owner_are_kept(config: Path, mode: int) -> None:
    """The mended file has the mode of the old one, and its owner where the system permits."""
    if os.getuid() == 0:
        os.chown(config, 1234, 2345)
    config.chmod(mode)
    before = config.stat()
    assert check("--fix", config).returncode == 0
    after = config.stat()
    assert stat.S_IMODE(after.st_mode) == mode
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_mtime_ns > before.st_mtime_ns


def test_a_link_stays_a_link(config: Path, tmp_path: Path) -> None:
    """What a symbolic link points to is mended; the link stays."""
    link = tmp_path / "snapshot" / "adapter_config.json"
    link.parent.mkdir()
    link.symlink_to("../adapter/adapter_config.json")
    assert check("--fix", link).returncode == 0
    assert link.is_symlink()
    assert config.read_bytes() == RIGHT
    assert os.listdir(link.parent) == os.listdir(config.parent) == ["adapter_config.json"]


def test_the_cache_of_the_hub(tmp_path: Path) -> None:
    """A link into the blobs of the Hub's cache, which revisions share, is reported and left alone, and it is said."""
    blob = tmp_path / "models--a--b" / "blobs" / "0123abc"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(WRONG)
    link = tmp_path / "models--a--b" / "snapshots" / "main" / "adapter_config.json"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../blobs/0123abc")
    for result in (check(tmp_path), check("--fix", tmp_path)):
        assert (result.returncode, result.stderr) == (1, "")
        finding, advice, _, count = result.stdout.splitlines()
        assert finding == f"{link}:3: task_type 'CASUAL_LM'"
        assert advice == f"  {HINT} In the cache of the Hub, for all to use: --fix only mends a copy."
        assert count == "1 file checked, 1 wrong."
    assert blob.read_bytes() == WRONG
    shutil.copytree(link.parent, tmp_path / "copy")
    assert check("--fix", tmp_path / "copy").returncode == 0
    assert (blob.read_bytes(), (tmp_path / "copy" / link.name).read_bytes()) == (WRONG, RIGHT)


def test_another_hard_link_is_mentioned(config: Path, tmp_path: Path) -> None:
    """Replacing a file parts it from its other hard links; the user is told."""
    other = tmp_path / "backup.json"
    os.link(config, other)
    result = check("--fix", config)
    assert result.returncode == 0
    assert one_line(result) == f"peft-strict: {config}: fixed; its other hard links keep the old content"
    assert (config.read_bytes(), other.read_bytes()) == (RIGHT, WRONG)


def test_a_file_that_changed_meanwhile_is_left_alone(config: Path) -> None:
    """What another program wrote after we read is not overwritten."""
    loaded = adapter_files.read(str(config))
    config.write_bytes(b"something new")
    with pytest.raises(adapter_files.UnusableError, match="changed while it was being read"):
        adapter_files.replace(str(config), loaded, RIGHT)
    assert config.read_bytes() == b"something new"
    assert os.listdir(config.parent) == ["adapter_config.json"]


WITHOUT_ROOM = """
import resource, sys
from peft_strict.commands.cli import main
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, most))
code = main(["check", "--fix", sys.argv[1]])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # what measures the tests writes at the end
sys.exit(code)
"""


def test_disk_full(config: Path) -> None:
    """If the new content cannot be written, the old file is whole, no other file is left, and a sentence says so."""
    config.write_bytes(WRONG + b" " * 5000)
    result = python("-c", WITHOUT_ROOM, config)
    assert result.returncode == 2
    assert one_line(result) == f"peft-strict: {config}: not fixed: {os.strerror(errno.EFBIG).lower()}"
    assert config.read_bytes() == WRONG + b" " * 5000
    assert os.listdir(config.parent) == ["adapter_config.json"]
    assert "1 not usable, 1 wrong." in result.stdout


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C while fixing: one line, exit code 130, every file whole, nothing left behind."""
    files = [adapter(tmp_path / f"{number:04}") for number in range(3000)]
    command = [sys.executable, "-m", "peft_strict", "check", "--fix", str(tmp_path)]
    options = {"env": environment(), "preexec_fn": obey_ctrl_c, "text": True}
    with subprocess.Popen(command, stdout=-1, stderr=-1, **options) as process:
        while files[5].read_bytes() == WRONG:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()
    assert process.returncode == 130
    assert (stdout, stderr) == ("", "peft-strict: interrupted; every file is whole, fixed or as it was\n")
    assert {file.read_bytes() for file in files} == {WRONG, RIGHT}
    assert all(os.listdir(file.parent) == ["adapter_config.json"] for file in files)


def test_interrupted_without_fix(tmp_path: Path) -> None:
    """Ctrl-C while nothing is being fixed says nothing of fixed files."""
    adapter(tmp_path)
    code = "import sys, peft_strict.commands.check as check; from peft_strict.commands.cli import main\n"
    code += "def stop(*_, **__): raise KeyboardInterrupt\ncheck.lines = stop; sys.exit(main(['check', sys.argv[1]]))"
    result = python("-c", code, tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "peft-strict: interrupted\n")


@pytest.mark.parametrize("step", ["open", "fsync", "utime", "replace"])
def test_interrupted_at_a_step(config: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Ctrl-C right after any step leaves one whole file and no other, even when the new file has only been made."""
    done = getattr(os, step)

    def interrupted(*arguments: object, **options: object) -> None:
        done(*arguments, **options)
        raise KeyboardInterrupt

    loaded = adapter_files.read(str(config))
    monkeypatch.setattr(os, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        adapter_files.replace(str(config), loaded, RIGHT)
    monkeypatch.undo()
    assert config.read_bytes() == (RIGHT if step == "replace" else WRONG)
    assert os.listdir(config.parent) == ["adapter_config.json"]


@pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])
def test_the_collector(config: Path, monkeypatch: pytest.MonkeyPatch, is_on: bool) -> None:
    """Python's collector does not run while files are read, and is afterwards as it was, whatever happens."""
    was_on = gc.isenabled()
    seen = []

    def interrupted(path: str) -> None:
        seen.append(gc.isenabled())
        raise KeyboardInterrupt

    monkeypatch.setattr(adapter_files, "read", interrupted)
    (gc.enable if is_on else gc.disable)()
    try:
        with pytest.raises(KeyboardInterrupt):
            command.run([str(config)], fix=False, values=False, as_json=False)
        assert (seen, gc.isenabled()) == ([False], is_on)
    finally:
        (gc.enable if was_on else gc.disable)()


# What cannot be used


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"task_type": "CASUAL_LM",}', "broken JSON in line 1: "),
        (b'{\n"task_type": "CASUAL_LM"\n\x00}', "broken JSON in line 3: "),
        (b"", "broken JSON in line 1: Expecting value"),
        (b'["CASUAL_LM"]', "no adapter config: its JSON is not an object"),
        (b'{"task_type": "CASUAL_LM", "x": "\xe9"}', "not UTF-8 text"),
        ('{"task_type": "CASUAL_LM"}'.encode("utf-16"), "not UTF-8 text"),
        (b'{"task_type": "CASUAL_LM", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "cannot be read as JSON: "),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS, not the config: fetch it with"),
        (WRONG + b" " * (16 << 20), "larger than 16 MB, so no adapter config: not read"),
    ],
    ids=["comma", "nul", "empty", "list", "latin-1", "utf-16", "deep", "lfs", "large"],
)
def test_unusable_files(tmp_path: Path, content: bytes, message: str) -> None:
    """Each gets one line with the reason, exit code 2, and is not written."""
    file = adapter(tmp_path, content)
    result = check("--fix", file)
    assert result.returncode == 2
    assert one_line(result).startswith(f"peft-strict: {file}: {message}")
    assert result.stdout == "0 files checked, 1 not usable, 0 wrong.\n"
    assert file.read_bytes() == content


def test_a_hundred_megabytes_are_not_loaded(tmp_path: Path) -> None:
    """A huge file is refused quickly and without its size in memory."""
    file = tmp_path / "model.safetensors"
    with file.open("wb") as stream:
        stream.truncate(100_000_000)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (80_000_000, 80_000_000))

    result = check(file, preexec_fn=limit)
    assert result.returncode == 2
    assert one_line(result).endswith("larger than 16 MB, so no adapter config: not read")


def test_another_json_file(tmp_path: Path) -> None:
    """A file of another name is checked if it looks like an adapter config, and named if it does not."""
    model = tmp_path / "config.json"
    model.write_text('{"hidden_size": 8}')
    config = tmp_path / "lora.json"
    config.write_bytes(WRONG)
    result = check(model, config)
    assert result.returncode == 2
    assert one_line(result).endswith(f"{model}: not an adapter config: it has neither task_type nor peft_type")
    assert f"{config}:3: task_type 'CASUAL_LM'" in result.stdout


def test_missing_path(tmp_path: Path) -> None:
    """A path that does not exist gets a line; the other paths are checked all the same."""
    config = adapter(tmp_path)
    result = check(tmp_path / "nowhere", config)
    assert result.returncode == 2
    assert one_line(result) == f"peft-strict: {tmp_path}/nowhere: no such file or folder"
    assert HINT in result.stdout


@with_dev_full
def test_a_complaint_that_cannot_be_written(tmp_path: Path) -> None:
    """A full disk behind stderr leaves the exit code what it is."""
    with open("/dev/full", "w") as full:
        result = check(tmp_path / "nowhere", capture_output=False, stdout=subprocess.PIPE, stderr=full)
    assert (result.returncode, result.stdout) == (2, "0 files checked, 1 not usable, 0 wrong.\n")


def test_named_pipe(tmp_path: Path) -> None:
    """What is not a regular file is not waited for."""
    os.mkfifo(tmp_path / "adapter_config.json")
    result = check(tmp_path, timeout=20)
    assert result.returncode == 2
    assert one_line(result).endswith("adapter_config.json: not a regular file")


UNPRIVILEGED = """
import os, sys
from peft_strict.releases import source
from peft_strict.commands.cli import main
found = source.installed()
source.installed = lambda: found
main(["check", "--fix", sys.argv[1]])  # loads all there is to load: others may not read this interpreter's home
is_root = os.getuid() == 0
if is_root:
    os.setgroups([])
    os.setresgid(65534, 65534, 0)
    os.setresuid(65534, 65534, 0)
code = main(["check", "--fix", sys.argv[2]])
if is_root:  # what measures the tests writes at the end
    os.setresuid(0, 0, 0)
    os.setresgid(0, 0, 0)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "message"),
    [
        (0o000, 0o777, "adapter_config.json: permission denied"),
        (0o666, 0o000, "adapter: permission denied"),
        (0o444, 0o777, "adapter_config.json: not fixed: permission denied"),
        (0o666, 0o555, "adapter_config.json: not fixed: permission denied"),
    ],
    ids=["unreadable", "closed-folder", "read-only", "read-only-folder"],
)
def test_no_permission(tmp_path: Path, file_mode: int, folder_mode: int, message: str) -> None:
    """Without the rights to read or write there is one line, and nothing is changed."""
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o755)
        config = adapter(Path(open_to_all, "adapter"))
        config.chmod(file_mode)
        config.parent.chmod(folder_mode)
        result = python("-c", UNPRIVILEGED, adapter(tmp_path), config.parent)
        config.parent.chmod(0o755)
        config.chmod(0o644)
        assert result.returncode == 2
        assert one_line(result).endswith(message)
        assert config.read_bytes() == WRONG
        assert os.listdir(config.parent) == ["adapter_config.json"]


def test_peft_is_needed_and_named(config: Path) -> None:
    """Without PEFT nobody can say what is right: a sentence and exit code 2."""
    bare = interpreters.clean(interpreters.HERE).python
    result = interpreters.execute(bare, "-m", "peft_strict", "check", config)
    assert result.returncode == 2
    assert one_line(result) == "peft-strict: cannot tell which task types are right: PEFT is not installed here"


# How folders are searched


@pytest.mark.parametrize("name", ["peft.py", "peft/__init__.py", "peft/data.txt"], ids=["module", "package", "folder"])
def test_something_else_named_peft(config: Path, tmp_path: Path, name: str) -> None:
    """What ``import peft`` finds instead of PEFT, beside the user or in front of it, is named; exit code 2."""
    other = tmp_path / "here" / name
    other.parent.mkdir(parents=True)
    other.touch()
    options = ["-S"] if "data" in name else []  # a mere folder counts only where no package is installed
    result = python(*options, "-m", "peft_strict", "check", config, cwd=tmp_path / "here")
    where = other if other.suffix == ".py" else other.parent
    assert result.returncode == 2
    assert one_line(result) == (
        "peft-strict: cannot tell which task types are right: "
        f"`import peft` finds {str(where)!r} first, which is not Hugging Face's PEFT"
    )


def test_folders_are_searched(tmp_path: Path) -> None:
    """All below a folder is searched for files of exactly that name, in order."""
    names = [
        "b/adapter_config.json",
        "a/deep/er/adapter_config.json",
        "adapter_config.json",
        ".hidden/adapter_config.json",
    ]
    for name in names:
        adapter((tmp_path / name).parent)
    (tmp_path / "adapter_config.json.bak").write_bytes(WRONG)
    (tmp_path / "config.json").write_bytes(b"not ours")
    result = check(tmp_path)
    found = [line.rpartition(":3:")[0] for line in result.stdout.splitlines() if ":3:" in line]
    assert found == [str(tmp_path / name) for name in (names[2], names[3], names[1], names[0])]
    assert (result.returncode, result.stderr) == (1, "")


def test_a_folder_without_configs(tmp_path: Path) -> None:
    """Nothing to check is not "all good"."""
    result = check(tmp_path)
    assert result.returncode == 2
    assert one_line(result) == f"peft-strict: {tmp_path}: no adapter_config.json in this folder"


def test_links_are_followed_once(config: Path, tmp_path: Path) -> None:
    """A linked folder is searched, and each folder only once."""
    search = tmp_path / "search"
    search.mkdir()
    (search / "one").symlink_to(config.parent)
    (search / "two").symlink_to(config.parent)
    result = check(search)
    assert result.stdout.startswith(f"{search}/one/adapter_config.json:3:")
    assert result.stdout.endswith("1 file checked, 1 wrong (1 can be mended with --fix).\n")
    assert result.returncode == 1


@pytest.mark.parametrize(
    ("name", "target"),
    [("latest", "."), ("up", ".."), ("self", "self"), ("adapter_config.json", "adapter_config.json")],
)
def test_links_in_circles(tmp_path: Path, name: str, target: str) -> None:
    """A link that leads back gets a line, the rest is checked."""
    adapter(tmp_path / "top" / "z")
    (tmp_path / "top" / "a").mkdir()
    (tmp_path / "top" / "a" / name).symlink_to(target)
    result = check(tmp_path / "top", timeout=20)
    assert result.returncode == 2
    assert one_line(result) == f"peft-strict: {tmp_path}/top/a/{name}: this link leads in a circle"
    assert HINT in result.stdout


def test_a_broken_link(tmp_path: Path) -> None:
    """A config that is a link to nothing is named; links of other names to nothing do not matter."""
    (tmp_path / "adapter_config.json").symlink_to("gone")
    (tmp_path / "other").symlink_to("gone")
    result = check(tmp_path)
    assert result.returncode == 2
    assert one_line(result).endswith("adapter_config.json: the file this link points to does not exist")


IMPATIENT = """
import sys
from peft_strict.commands import console
from peft_strict.commands.cli import main
console._PROGRESS_SECONDS = 0
sys.exit(main(["check", *sys.argv[1:]]))
"""


def test_progress_is_for_terminals(tmp_path: Path) -> None:
    """How far it has come is shown on a terminal, taken away at the end, and never written to a pipe."""
    for number in range(20):
        adapter(tmp_path / str(number), RIGHT)
    assert python("-c", IMPATIENT, tmp_path).stderr == ""
    ours, theirs = pty.openpty()
    result = python("-c", IMPATIENT, tmp_path, capture_output=False, stdout=subprocess.PIPE, stderr=theirs)
    shown = os.read(ours, 100_000).decode()
    assert "21 folders searched, 20 files checked" in shown
    assert shown.endswith("\r\x1b[K")
    assert result.stdout == "20 files checked, 0 wrong.\n"


def test_a_reader_that_leaves(config: Path) -> None:
    """``| head`` ends the report without noise; the exit code still tells."""
    command = [sys.executable, "-m", "peft_strict", "check", str(config)]
    with subprocess.Popen(command, env=environment(), stdout=-1, stderr=-1, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@with_dev_full
def test_a_report_that_cannot_be_written(config: Path) -> None:
    """A full disk behind stdout is a sentence and exit code 2."""
    with open("/dev/full", "w") as full:
        result = check(config, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 2
    assert one_line(result) == "peft-strict: cannot write the report: No space left on device"


def test_neither_peft_nor_torch_is_imported(config: Path) -> None:
    """Checking takes no seconds: PEFT is read, not imported."""
    code = (
        "import sys; from peft_strict.commands.cli import main; main(['check', sys.argv[1]]);"
        "print(sorted({'peft', 'torch', 'transformers', 'wrapt', 'numpy'} & {*sys.modules}))"
    )
    assert python("-c", code, config).stdout.endswith("\n[]\n")


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("mount") is None, reason="mounting needs root")
def test_a_full_file_system(tmp_path: Path) -> None:
    """The same on a real file system without space."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], check=False).returncode:
        pytest.skip("this machine forbids mounting")
    try:
        config = adapter(tmp_path / "adapter", WRONG + b" " * 4000)
        filler = tmp_path / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"x" * 100_000)
        result = check("--fix", config)
        assert result.returncode == 2
        assert one_line(result) == f"peft-strict: {config}: not fixed: no space left on device"
        assert config.read_bytes() == WRONG + b" " * 4000
        assert os.listdir(config.parent) == ["adapter_config.json"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)
