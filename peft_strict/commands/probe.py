"""The child processes of ``doctor``: try a misspelled task type on the installed PEFT, one plain and one strict."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import sys
import tempfile
import warnings
from functools import partial
from typing import Any, Callable

TYPO = "CASUAL_LM"
REFUSED, SILENT = "refused", "silent"

_PACKAGES = ("peft", "peft-strict", "wrapt", "transformers", "torch")


def main(is_strict: bool) -> None:
    """Try everything, and write what happened to stdout as one JSON object.

    Whatever the imported libraries print goes to stderr.
    """
    # By the .pth file or a sitecustomize: nobody else has run yet.
    is_armed = any("peft_strict_state" in getattr(finder, "__dict__", ()) for finder in sys.meta_path)
    stdout = os.dup(1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    found: dict[str, Any] = {"is_armed": is_armed}
    try:
        found.update(_tried(is_strict))
    except Exception as error:  # a PEFT that cannot be imported, for whatever reason
        found["error"] = f"{type(error).__name__}: {_first_line(error)}"
    found["versions"] = versions()
    with open(stdout, "w") as stream:
        json.dump(found, stream)


def _tried(is_strict: bool) -> dict[str, Any]:
    from ..switch.activation import disable, enable, status

    if is_strict:
        enable()
    else:
        disable()
    import peft
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    classes = dict.fromkeys(PEFT_TYPE_TO_CONFIG_MAPPING.values())
    return {
        "classes": {cls.__name__: outcome(partial(cls, task_type=TYPO)) for cls in classes},
        "ways": {name: outcome(way) for name, way in _ways(peft).items()},
        "status": repr(status()),
    }


def outcome(attempt: Callable[[], object]) -> str:
    """Return what a wrong task type meets: ``"refused"``, ``"silent"``, or what else went wrong.

    No config class of PEFT 0.2.0 to 0.21.2 needs another argument to get as far as one of the first two.
    """
    try:
        attempt()
    except Exception as error:
        if _is_about_task_type(error):
            return REFUSED
        return f"{type(error).__name__}: {_first_line(error)}"
    return SILENT


def _is_about_task_type(error: Exception) -> bool:
    return isinstance(error, ValueError) and re.search("task.?type", str(error), re.IGNORECASE) is not None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


def _ways(peft: Any) -> dict[str, Callable[[], object]]:
    """Return the other ways in which a wrong task type arrives, tried on ``LoraConfig``."""

    class OwnInit(peft.LoraConfig):  # type: ignore[misc]
        def __init__(self, task_type: object) -> None:
            self.task_type = task_type

    saved = {"peft_type": "LORA", "task_type": TYPO}
    return {
        "assigned after construction": lambda: setattr(peft.LoraConfig(), "task_type", TYPO),
        "first positional argument": lambda: peft.LoraConfig(TYPO),
        "peft_type=TaskType.CAUSAL_LM": lambda: peft.LoraConfig(peft_type=peft.TaskType.CAUSAL_LM),
        "saved adapter_config.json": lambda: _load(peft.LoraConfig, saved),
        "get_peft_config(dict)": lambda: peft.get_peft_config(dict(saved)),
        "subclass with its own __init__": lambda: OwnInit(TYPO),
    }


def _load(cls: Any, saved: dict[str, str]) -> object:
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "adapter_config.json"), "w") as file:
            json.dump(saved, file)
        return cls.from_pretrained(folder)


def versions() -> dict[str, str]:
    """Return the versions that matter, ``"-"`` where a package is not installed. Imports none of them."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        module = sys.modules.get(name.replace("-", "_"))
        if module is not None:
            found[name] = str(getattr(module, "__version__", "?"))
            continue
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "-"
    return found
