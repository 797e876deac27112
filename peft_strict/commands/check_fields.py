"""What the command ``check`` says to the fields of a saved config whose values come from a finite set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..releases.fields import SWITCH, Kind, is_newer
from ..values.fields import judge, plain
from .check_report import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..releases.source_fields import SourceFields

_DOUBT = "the file was saved by a newer PEFT than the installed one"


def find(path: str, config: Mapping[str, object], known: SourceFields) -> Iterator[Finding]:
    """Yield what is wrong in a config, in the order of its file, and then in the configs inside of it.

    What is mended is a plain yes or no that is written as a text for a bool: nothing else is sure to be meant.

    Args:
        path: The file.
        config: What is in it.
        known: The fields of the installed PEFT.
    """
    method = config.get("peft_type")
    parts = known.parts_of_method(method)
    doubt = _DOUBT if is_newer(config.get("peft_version"), known.version) else ""
    yield from _find(path, "", config, known.of_method(method), doubt)
    for name, kinds in parts.items():
        part = config.get(name)
        if isinstance(part, dict):
            yield from _find(path, f"{name}.", part, kinds, doubt)


def _find(
    path: str, before: str, config: Mapping[str, object], kinds: Mapping[str, Kind], doubt: str
) -> Iterator[Finding]:
    for key, value in config.items():
        kind = kinds.get(key) if value is None or isinstance(value, str) else None
        if kind is None:
            continue
        finding = judge(key, value, kind._replace(doubt=doubt) if doubt else kind)
        if finding is None:
            continue
        lost = finding.lost.replace("None", "null", 1) if value is None else finding.lost
        advice = f"{lost[0].upper()}{lost[1:]}. {_write(key, kind, finding.suggestion, finding.fix)}"
        fixable = kind.form == SWITCH and plain(value) is not None
        yield Finding(path, 0, f"{before}{key}", value, finding.suggestion, advice, fixable, fixed=False)


def _write(key: str, kind: Kind, suggestion: object, fix: str) -> str:
    if fix:
        return f'Write "{key}": {json.dumps(suggestion)}.'
    if kind.form == SWITCH:
        return "Write true or false."
    if not kind.texts:
        return "Write a list."
    words = [json.dumps(text) for text in kind.texts] + (["true", "false"] if kind.takes_bool else [])
    return f"It takes {', '.join(words)}."
