"""Guards the processes that this one starts: `enable` with ``children=True``.

A forked child is as its parent. Any other begins with an interpreter of its own (``spawn``, the server of
``forkserver``, which is the default of CPython 3.14 on Linux, ``subprocess``, a subinterpreter), and that asks
``PEFT_STRICT``. So the variable is set, and set back to what it was.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from .._standby import VARIABLE, State, text_of
from .wiring import PTH_NAME, pth_files


def guard_children(state: State) -> list[str]:
    """Set the variable to the modes of this process; return a sentence for each kind of child that does not see it."""
    with state.lock:
        found, text = os.environ.get(VARIABLE), text_of(state.invalid, state.misfit, state.roundtrip)
        before = state.variable[0] if state.variable is not None and found == state.variable[1] else found
        state.variable = (before, text)
        os.environ[VARIABLE] = text
    complaints = []
    if not pth_files():
        complaints.append(f"no {PTH_NAME} is live in this interpreter, so one that is started like it is not guarded")
    if found != text and _server_runs():
        complaints.append(
            "the fork server of multiprocessing runs already, and its children go by what PEFT_STRICT was when it was "
            "started: call enable(children=True) before the first of them"
        )
    return [f"peft-strict: children=True: {complaint}" for complaint in complaints]


def let_children_be(state: State) -> None:
    """Set the variable back to what it was, unless somebody else has set it since."""
    with state.lock:
        if state.variable is None:
            return
        before, text = state.variable
        state.variable = None
        if os.environ.get(VARIABLE) == text:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before


def _server_runs() -> bool:
    server: Any = getattr(sys.modules.get("multiprocessing.forkserver"), "_forkserver", None)
    return getattr(server, "_forkserver_pid", None) is not None
