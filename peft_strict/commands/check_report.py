"""What the command ``check`` found, as text for people and as a JSON document for programs."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ..values.rule import short
from .console import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..releases.source import Installed
    from .adapter_weights import Told

GOOD, FOUND, UNUSABLE = 0, 1, 2


class Finding(NamedTuple):
    """One wrong value in one file; the fields are the keys of ``--json``.

    Attributes:
        file: The path, as it was given or found.
        line: The line of the value.
        key: ``"task_type"``, ``"peft_type"``, or another field; ``"eva_config.whiten"`` in a config inside of it.
        value: What stands there.
        suggestion: The task type, or the value, that was meant, or ``None``.
        advice: What to do, as a sentence.
        fixable: Whether ``--fix`` can mend it. With no suggestion, it then writes ``null``.
        fixed: Whether it did.
    """

    file: str
    line: int
    key: str
    value: object
    suggestion: object
    advice: str
    fixable: bool
    fixed: bool


class Outcome(NamedTuple):
    """One run of ``check``.

    Attributes:
        peft: The installed PEFT, whose task types are right.
        fix: Whether mending was asked for.
        files: How many files were checked.
        findings: What is or was wrong in them.
        weights: What is wrong with the weights beside them.
        statements: What is so with those weights, and may be meant.
        problems: Paths that could not be read, searched or written, and why.
    """

    peft: Installed
    fix: bool
    files: int
    findings: list[Finding]
    weights: list[Told]
    statements: list[Told]
    problems: list[tuple[str, str]]

    @property
    def left(self) -> list[Finding]:
        """The findings that were not mended."""
        return [finding for finding in self.findings if not finding.fixed]

    @property
    def exit_code(self) -> int:
        """2 if there was a problem, else 1 if a finding is left, else 0."""
        if self.problems:
            return UNUSABLE
        return FOUND if self.left or self.weights else GOOD


def document(outcome: Outcome) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return {
        "peft": outcome.peft.version,
        "supported": list(outcome.peft.task_types),
        "files": outcome.files,
        "findings": [{**finding._asdict(), "value": _portable(finding.value)} for finding in outcome.findings],
        "weights": [told._asdict() for told in outcome.weights],
        "statements": [told._asdict() for told in outcome.statements],
        "problems": [{"file": path, "message": message} for path, message in outcome.problems],
        "exit_code": outcome.exit_code,
    }


def _portable(value: object, levels: int = 20) -> object:
    """Return a value that was read from JSON as JSON can hold and programs can read it.

    Texts stand for what JSON has no numbers for (``NaN``, ``Infinity``) and for what lies deeper than ``levels``.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if not isinstance(value, (list, dict)):
        return value
    if not levels:
        return short(value)
    if isinstance(value, list):
        return [_portable(item, levels - 1) for item in value]
    return {key: _portable(item, levels - 1) for key, item in value.items()}


def lines(outcome: Outcome) -> Iterator[str]:
    """Yield the report for people; the problems are not in it, they went to stderr as they came."""
    for finding in outcome.findings:
        yield f"{shown(finding.file)}:{finding.line}: {finding.key} {short(finding.value)}"
        yield f"  fixed: {json.dumps(finding.suggestion)}" if finding.fixed else f"  {finding.advice}"
    if any(finding.key in ("task_type", "peft_type") for finding in outcome.left):
        yield f"PEFT {outcome.peft.version} knows: {', '.join(outcome.peft.task_types)}."
    for told in outcome.weights:
        yield from _told(told)
    if outcome.statements:
        yield "Not counted as wrong:"
    for told in outcome.statements:
        yield from _told(told)
    yield _summary(outcome)


def _told(told: Told) -> Iterator[str]:
    yield f"{shown(told.file)}: {told.message}"
    if told.advice:
        yield f"  {told.advice}"


def _summary(outcome: Outcome) -> str:
    parts = ["1 file checked" if outcome.files == 1 else f"{outcome.files:,} files checked"]
    if outcome.problems:
        parts.append(f"{len(outcome.problems):,} not usable")
    if len(outcome.findings) > len(outcome.left):
        parts.append(f"{len(outcome.findings) - len(outcome.left):,} fixed")
    fixable = 0 if outcome.fix else sum(finding.fixable for finding in outcome.left)
    parts.append(f"{len(outcome.left):,} wrong" + (f" ({fixable:,} can be mended with --fix)" if fixable else ""))
    if outcome.weights:
        parts.append(f"{len({told.file for told in outcome.weights}):,} with findings in the weights")
    return ", ".join(parts) + "."
