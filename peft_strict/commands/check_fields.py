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
    """Yield what is wrong in a config, in the order of its file.

    What is mended is a plain yes or no that is written as a text for a bool: nothing else is sure to be meant.

    Args:
        path: The file.
        config: What is in it.
        known: The fields of the installed PEFT.
    """
    kinds = known.of_method(config.get("peft_type"))
    doubt = _DOUBT if is_newer(config.get("peft_version"), known.version) else ""
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
        yield Finding(path, 0, key, value, finding.suggestion, advice, fixable, fixed=False)


def _write(key: str, kind: Kind, suggestion: object, fix: str) -> str:
    if fix:
        return f'Write "{key}": {json.dumps(suggestion)}.'
    if kind.form == SWITCH:
        return "Write true or false."
    if not kind.texts:
        return "Write a list."
    words = [json.dumps(text) for text in kind.texts] + (["true", "false"] if kind.takes_bool else [])
    return f"It takes {', '.join(words)}."
