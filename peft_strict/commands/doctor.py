"""The command ``doctor``: what plain PEFT lets through in this environment, what we refuse, and how we are wired."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Optional

from .. import _standby
from ..switch import wiring
from . import probe
from .console import Progress, complain, shown, write_out

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRESS_SECONDS = 0.5
_FEW = 3  # config classes that ended alike and are shown by their names all the same
_CHILD = "import sys; sys.path[:] = {path!r}; from peft_strict.commands.probe import main; main(is_strict={strict!r})"


def run(*, as_json: bool) -> int:
    """Try a typo on the installed PEFT in two new processes, without and with the checks, and print what happened.

    Args:
        as_json: Whether to print one JSON document instead of text.

    Returns:
        0 if the strict process refused every try, 1 if it missed one, 2 if PEFT cannot be imported.
    """
    plain, strict = _probes()
    findings = _findings(plain, strict)
    written = write_out(json.dumps(findings, indent=2) if as_json else "\n".join(_lines(findings)))
    if findings["error"]:
        complain(f"PEFT cannot be imported: {findings['error']}")
    return int(findings["exit_code"]) if written else 2


def _probes() -> list[dict[str, Any]]:
    """Run both processes side by side, and return what each found."""
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(_started(is_strict)) for is_strict in (False, True)]
        progress = Progress()
        stack.callback(progress.clear)
        return [_result(child, progress) for child in children]


@contextlib.contextmanager
def _started(is_strict: bool) -> Iterator[subprocess.Popen[str]]:
    environment = {name: value for name, value in os.environ.items() if name != _standby.VARIABLE}
    environment["HF_HUB_OFFLINE"] = "1"
    if is_strict:
        environment[_standby.VARIABLE] = "1"
    code = _CHILD.format(path=sys.path, strict=is_strict)
    command = [sys.executable, *wiring.interpreter_options(), "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
    ) as child:
        try:
            yield child
        finally:  # for Ctrl-C, after which Popen itself waits only a moment; no effect on one that has ended
            child.kill()
            child.wait()


def _result(child: subprocess.Popen[str], progress: Progress) -> dict[str, Any]:
    while True:
        try:
            stdout, stderr = child.communicate(timeout=_PROGRESS_SECONDS)
            break
        except subprocess.TimeoutExpired:
            progress.show("importing PEFT in two new processes, one of them strict: this can take half a minute")
    try:
        found: dict[str, Any] = json.loads(stdout)
    except ValueError:  # it did not live to write its answer
        last = stderr.strip().rpartition("\n")[2][:200]
        return {"error": f"the process that tried it ended with code {child.returncode}. {last}".strip()}
    return found


def _findings(plain: dict[str, Any], strict: dict[str, Any]) -> dict[str, Any]:
    """Put both results together: the document that ``--json`` prints."""
    error = plain.get("error") or strict.get("error")
    tries: dict[str, list[dict[str, str]]] = {
        kind: []
        if error
        else [{"name": name, "plain": plain[kind][name], "strict": result} for name, result in strict[kind].items()]
        for kind in ("classes", "ways")
    }
    missed = [row["name"] for rows in tries.values() for row in rows if row["strict"] != probe.REFUSED]
    return {
        "typo": probe.TYPO,
        "versions": strict.get("versions") or probe.versions(),
        "activation": _activation(plain, strict),
        **tries,
        "missed": missed,
        "status": strict.get("status"),
        "error": error,
        "exit_code": 2 if error else int(bool(missed)),
    }


def _activation(plain: dict[str, Any], strict: dict[str, Any]) -> dict[str, Any]:
    """Say how the checks can be switched on here. Whether the ``.pth`` file is live was seen in the processes."""
    variable = os.environ.get(_standby.VARIABLE)
    modes, _ = _standby.parse_variable(variable)
    always_on = bool(plain.get("is_armed"))
    return {
        "pth": wiring.pth_files(),
        "pth_live": bool(wiring.pth_files()) if always_on else bool(strict.get("is_armed")),
        "variable": variable,
        "variable_modes": None if modes is None else dict(zip(("invalid", "misfit", "roundtrip"), modes)),
        "sitecustomize": getattr(sys.modules.get("sitecustomize"), "__file__", None),
        "on_without_variable": always_on,
    }


def _lines(findings: dict[str, Any]) -> Iterator[str]:
    yield from (f"{name:<14}{version}" for name, version in findings["versions"].items())
    yield ""
    yield from _activation_lines(findings["activation"])
    if findings["error"]:
        return
    for title, rows in (
        (f'task_type="{findings["typo"]}"', _in_short(findings["classes"])),
        ("other ways (LoraConfig)", findings["ways"]),
    ):
        yield ""
        yield f"{title:<33}{'plain PEFT':<13}peft-strict"
        yield from (f"{row['name']:<33}{_short(row['plain']):<13}{_short(row['strict'])}" for row in rows)
    yield ""
    yield from _verdict(findings)


def _in_short(classes: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return one row for all the config classes that ended alike, as most do; a few are left as they are."""
    alike: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in classes:
        alike.setdefault((row["plain"], row["strict"]), []).append(row)
    short = []
    for (plain, strict), rows in alike.items():
        many = [{"name": f"{len(rows)} config classes", "plain": plain, "strict": strict}]
        short += rows if len(rows) <= _FEW else many
    return short


def _short(result: str) -> str:
    """Return a result as it fits into the table: of another error only its type."""
    return result.partition(":")[0][:12]


def _activation_lines(activation: dict[str, Any]) -> Iterator[str]:
    files = ", ".join(map(shown, activation["pth"])) or "not in site-packages"
    yield f"{wiring.PTH_NAME:<17}{files} ({'live' if activation['pth_live'] else 'not live'})"
    yield f"{_standby.VARIABLE:<17}{_variable(activation)}"
    source: Optional[str] = activation["sitecustomize"]
    yield f"{'sitecustomize':<17}{shown(source) if source else 'none'}"
    if activation["on_without_variable"]:
        yield "The checks are on here without the variable."


def _variable(activation: dict[str, Any]) -> str:
    modes = activation["variable_modes"]
    value = "not set" if activation["variable"] is None else repr(activation["variable"])
    meaning = "on: " + ", ".join(f"{name}={mode!r}" for name, mode in modes.items()) if modes else "off"
    if modes and not activation["pth_live"]:
        meaning = "no effect here"
    return f"{value} ({meaning})"


def _verdict(findings: dict[str, Any]) -> Iterator[str]:
    for column, name in (("plain", "plain PEFT"), ("strict", "peft-strict")):
        counts = []
        for kind, noun in (("classes", "config classes"), ("ways", "other ways")):
            rows = findings[kind]
            refused = sum(row[column] == probe.REFUSED for row in rows)
            counts.append(f"{refused} of {len(rows)} {noun}")
        yield f"{name:<13}refuses {counts[0]:<26}{counts[1]}"
    if findings["missed"]:
        yield f"MISSED: {', '.join(findings['missed'])}"
        yield f"status: {findings['status']}"
    if not findings["activation"]["pth_live"]:
        yield f"{_standby.VARIABLE} has no effect here: call peft_strict.enable(), or use peft-strict run."
