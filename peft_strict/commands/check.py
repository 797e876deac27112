"""The command ``check``: finds what is wrong in saved adapters, and mends their task types where that is safe."""

from __future__ import annotations

import codecs
import contextlib
import gc
import json
import os
from typing import TYPE_CHECKING, Optional

from ..releases import source
from ..releases.vocabulary import Vocabulary
from ..roundtrip.header import LFS_POINTER
from ..roundtrip.postmortem import HEADS
from ..values.rule import method_of, misplaced
from ..values.suggest import hint
from . import adapter_files, adapter_weights, check_fields
from .check_report import UNUSABLE, Finding, Outcome, document, lines
from .console import Progress, complain, shown, write_out
from .json_members import Member, NotAnObjectError, line_of, member_at, top_level_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .adapter_weights import Told


class _Checker:
    """One run over files and folders: what was read, what was found, what could not be read."""

    def __init__(self, peft: source.Installed, fix: bool, values: bool) -> None:
        self.files = 0
        self.findings: list[Finding] = []
        self.weights: list[Told] = []
        self.statements: list[Told] = []
        self.problems: list[tuple[str, str]] = []
        self._peft = peft
        self._fix = fix
        self._weights = adapter_weights.Weights(peft.methods, values)
        self._progress = Progress()

    def check(self, path: str) -> None:
        """Check a file of any name, or every adapter config below a folder; of weights, the config beside them."""
        if not os.path.isdir(path):
            folder, name = os.path.split(path)
            beside = os.path.join(folder, adapter_files.FILE_NAME)
            is_weights = name in (adapter_weights.FILE_NAME, adapter_weights.PICKLE_NAME) and os.path.lexists(path)
            if is_weights and not os.path.lexists(beside):
                self._complain(path, f"no {adapter_files.FILE_NAME} beside it")
            else:
                self._check_file(beside if is_weights else path)
            return
        before = self.files, len(self.problems)
        try:
            for folders, files in enumerate(adapter_files.find(path, self._complain), start=1):
                for file in files:
                    self._check_file(file)
                self._progress.show(f"{folders:,} folders searched, {self.files:,} files checked")
        finally:
            self._progress.clear()
        if before == (self.files, len(self.problems)):
            self._complain(path, f"no {adapter_files.FILE_NAME} in this folder")

    def _complain(self, path: str, message: str) -> None:
        self._progress.clear()
        self.problems.append((path, message))
        complain(f"{shown(path)}: {message}")

    def _check_file(self, path: str) -> None:
        try:
            loaded = adapter_files.read(path)
            text = _decoded(loaded.content)
            values = _values(text)
            if os.path.basename(path) != adapter_files.FILE_NAME and not values.keys() & {"task_type", "peft_type"}:
                raise adapter_files.UnusableError("not an adapter config: it has neither task_type nor peft_type")
        except adapter_files.UnusableError as error:
            self._complain(path, str(error))
            return
        self.files += 1
        task_type, written = values.get("task_type"), False
        for finding in self._findings(path, values):
            member = member_at(text, *finding.key.split("."))
            finding = finding._replace(line=line_of(text, member.start))
            if self._fix and finding.fixable:
                finding = self._mend(finding, loaded, text, member)
                if finding.fixed:
                    loaded = adapter_files.read(path)
                    text = _decoded(loaded.content)
            self.findings.append(finding)
            if finding.key == "task_type":
                task_type, written = finding.suggestion, finding.fixed
        if os.path.basename(path) == adapter_files.FILE_NAME:
            self._check_weights(path, values, task_type, written)

    def _findings(self, path: str, values: Mapping[str, object]) -> Iterator[Finding]:
        for key, examine in (("task_type", self._task_type), ("peft_type", self._peft_type)):
            finding = examine(path, values[key], values) if key in values else None
            if finding is not None:
                yield finding
        yield from check_fields.find(path, values, self._peft.fields)

    def _check_weights(self, path: str, config: Mapping[str, object], task_type: object, written: bool) -> None:
        try:
            look = self._weights.look(path, config, task_type, written)
        except adapter_files.UnusableError as error:
            self._complain(path, str(error))
            return
        self.weights += look.findings
        self.statements += look.statements

    def _task_type(self, path: str, value: object, values: Mapping[str, object]) -> Optional[Finding]:
        if value is None or (isinstance(value, str) and value in self._peft.task_types):
            return None
        vocabulary = Vocabulary(dict.fromkeys(self._peft.task_types), (), {}, self._peft.methods)
        method = method_of(value, vocabulary)
        if method:
            advice = f"{method} is a PEFT method, no task: {_besides(values)}"
            return Finding(path, 0, "task_type", value, None, advice, fixable=False, fixed=False)
        meant = hint(value, tuple(self._peft.task_types))
        if meant.task_type is not None:
            means = self._peft.task_types[meant.task_type]
            advice = f'Did you mean "{meant.task_type}"' + (f" ({means[0].lower()}{means[1:]})?" if means else "?")
        elif meant.is_none:
            advice = "Did you mean null, without quotes?"
        elif meant.choices:
            advice = "Did you mean " + " or ".join(f'"{name}"' for name in meant.choices) + "?"
        elif meant.leave_out is not None:
            advice = f"PEFT has no task type for {meant.leave_out}: write null."
        else:
            advice = "If none of PEFT's task types is your task, write null."
        fixable = meant.task_type is not None or meant.is_none
        if fixable and adapter_files.is_shared(path):
            fixable = False
            advice += " In the cache of the Hub, for all to use: --fix only mends a copy."
        return Finding(path, 0, "task_type", value, meant.task_type, advice, fixable, fixed=False)

    def _peft_type(self, path: str, value: object, values: Mapping[str, object]) -> Optional[Finding]:
        if value in self._peft.methods:
            return None
        vocabulary = Vocabulary(dict.fromkeys(self._peft.task_types), (), {})
        error = misplaced(value, vocabulary, self._peft.methods, config_class="the config")
        if error is None:
            return None
        advice = f'peft_type names the PEFT method; write "task_type": "{error.suggestion}" and the method here.'
        return Finding(path, 0, "peft_type", value, error.suggestion, advice, fixable=False, fixed=False)

    def _mend(self, finding: Finding, loaded: adapter_files.Loaded, text: str, member: Member) -> Finding:
        mark = len(loaded.content) - len(text.encode())  # of the byte order mark, if any
        start, end = (mark + len(text[:index].encode()) for index in (member.start, member.end))
        value = json.dumps(finding.suggestion).encode()
        try:
            adapter_files.replace(finding.file, loaded, loaded.content[:start] + value + loaded.content[end:])
        except adapter_files.UnusableError as error:
            self._complain(finding.file, str(error))
            return finding
        if loaded.state.st_nlink > 1:
            complain(f"{shown(finding.file)}: fixed; its other hard links keep the old content")
        return finding._replace(fixed=True)


def _besides(values: Mapping[str, object]) -> str:
    """Say what to write for a method's name that stands as task type, from what else the config tells."""
    if values.get("auto_mapping"):  # PEFT writes it where there is no task type, and only there
        return "the adapter was saved without a task type, as its auto_mapping shows: write null."
    listed = values.get("modules_to_save")
    saved = {name for name in listed if isinstance(name, str)} if isinstance(listed, list) else set()
    tasks = [f'"{task}"' for task, heads in HEADS.items() if saved.intersection(heads)]
    if tasks:
        return f"modules_to_save names a head, as for {' or '.join(tasks)}: write the one that it was trained for."
    return "write the task that the adapter was trained for, or null if PEFT has no task type for it."


def _decoded(content: bytes) -> str:
    if content.startswith(LFS_POINTER):
        raise adapter_files.UnusableError("a pointer of Git LFS, not the config: fetch it with `git lfs pull`")
    try:
        return content[len(codecs.BOM_UTF8) if content.startswith(codecs.BOM_UTF8) else 0 :].decode()
    except UnicodeDecodeError as error:
        raise adapter_files.UnusableError("not UTF-8 text, so no adapter config") from error


def _values(text: str) -> dict[str, object]:
    try:
        return top_level_values(text)
    except json.JSONDecodeError as error:
        raise adapter_files.UnusableError(f"broken JSON in line {error.lineno}: {error.msg}") from error
    except NotAnObjectError as error:
        raise adapter_files.UnusableError("no adapter config: its JSON is not an object") from error
    except (ValueError, RecursionError) as error:
        raise adapter_files.UnusableError(f"cannot be read as JSON: {error}") from error


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Keep Python's collector off: it would walk through the lists of every header, and JSON makes no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def run(paths: Sequence[str], *, fix: bool, values: bool, as_json: bool) -> int:
    """Check files and folders, and print what was found.

    Args:
        paths: Files of any name, or folders to search for ``adapter_config.json``.
        fix: Whether to write the suggestion over the wrong value, where there is one.
        values: Whether to read the values of all tensors, too.
        as_json: Whether to print one JSON document instead of text.

    Returns:
        0 if all is good or was mended, 1 if findings are left, 2 if something could not be read or written.
    """
    try:
        peft = source.installed()
    except ImportError as error:
        complain(f"cannot tell which task types are right: {error}")
        return UNUSABLE
    checker = _Checker(peft, fix, values)
    with _without_collector():
        for path in paths:
            checker.check(path)
    outcome = Outcome(
        peft, fix, checker.files, checker.findings, checker.weights, checker.statements, checker.problems
    )
    written = write_out(json.dumps(document(outcome), indent=2) if as_json else "\n".join(lines(outcome)))
    return outcome.exit_code if written else UNUSABLE
