"""What the misfit rule advises, as pure functions of the same facts.

Where an adapter is loaded, its task type is not the user's to write: the advice is what to load it on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .misfit import CLASSIFIERS, HEADLESS, fits, fitting, listing, lost, modules

if TYPE_CHECKING:
    from .misfit import Facts


def advice(code: str, facts: Facts) -> str:
    """Return what to do about a misfit of this code: a line to write (see `is_line`), or a clause."""
    fix = _fix(code, facts)
    if code in ("M2", "H1", "H2"):
        fix = _unquantised(fix, facts)
    return _load(code, facts, fix) if facts.source is not None and code != "M1" else fix


def _fix(code: str, facts: Facts) -> str:
    """Return what to write: a task type, or none, and the ``modules_to_save`` that keeps the head under it."""
    best = fitting(facts)
    best_keeps = facts.automatic.get(best or "", ())
    fine = fits(facts) or (facts.beside and not facts.kinds)
    helps = best and len(lost(facts, (*facts.saved, *best_keeps))) < len(lost(facts, facts.saved))
    if code == "H2" and fine and not facts.refused and not helps:
        return _writing(facts, "", lost(facts, facts.saved))
    if code == "M2" and facts.kinds == {HEADLESS} and facts.auto_class:
        other = f'write task_type="{best}"' if best else "leave task_type out"
        return f"load the model with {_loading(facts)}, which has the head for it; or, to train another, {other}"
    if best and best != facts.task_type:
        return _writing(facts, f'task_type="{best}"', lost(facts, (*facts.listed, *best_keeps)))
    if code == "M1" and not facts.kinds:
        return f"task_type as one of {', '.join(facts.supported)}"
    saving = _saving(facts, lost(facts, facts.listed))
    # no task type makes prompt learning work with such a model
    leaving = "use LoraConfig without task_type" if facts.prompt_learning else "leave task_type out"
    if saving:
        return f"{leaving} and write {saving}"
    known = facts.head or facts.marked or not facts.training
    return leaving if known else f"{leaving} (a new head then has to stand in modules_to_save)"


def _load(code: str, facts: Facts, fix: str) -> str:
    """Return the advice where an adapter is loaded: what to load it on, whose type is what it was trained as."""
    right = facts.auto_class is not None and not fits(facts)
    best = f"load it on {_loading(facts)}" if right else "load it on the class that it was trained on"
    merging = f"merge it there first (merge_and_unload, save_pretrained) and load {facts.model_class} from the result"
    if code in ("H1", "H2"):
        return f"{best}; for a new head on top of it, {merging}, for a new adapter with {fix}"
    if facts.kinds & CLASSIFIERS and code == "M2":
        return f"{best}; for a classifier on top of it, {merging}"
    return f"{best}, unless it was trained on {facts.model_class} itself" if code == "L1" else best


def _loading(facts: Facts) -> str:
    return f'{facts.auto_class}.from_pretrained("{facts.base_name}")' if facts.base_name else str(facts.auto_class)


def _unquantised(fix: str, facts: Facts) -> str:
    """Return the advice for a head that has to be trained and is quantised, which PEFT would fail on."""
    gone = lost(facts, facts.listed) if facts.training else []
    if not any(weight.quantised for weight in facts.head if weight.path in gone):
        return fix
    names = modules(facts, gone)
    how = f"load the model with {facts.keeps_out}" if facts.keeps_out else "keep {} out of quantisation"
    named = ", ".join(f'"{name}"' for name in names) if facts.keeps_out else listing(names)
    return f"{how.format(named)}, since a quantised head cannot be trained, and {'write ' * is_line(fix)}{fix}"


def is_line(fix: str) -> bool:
    """Whether an advice is what to write in the config, and no clause."""
    return fix.startswith(("task_type", "modules_to_save"))


def _writing(facts: Facts, line: str, gone: list[str]) -> str:
    saving = _saving(facts, gone)
    lines = ", ".join(text for text in (line, saving) if text)
    return lines if facts.can_save or not saving else f"use LoraConfig with {lines}"


def _saving(facts: Facts, gone: list[str]) -> str:
    if not gone or not facts.training:
        return ""
    parts = modules(facts, gone)
    names = ", ".join(f'"{name}"' for name in dict.fromkeys((*facts.listed, *parts)))
    clash = next((name for name in parts if name in facts.also), None)
    rename = f' (rename `{clash}` before: "{clash}" also reaches `{facts.also[clash]}`)' if clash else ""
    return f"modules_to_save=[{names}]{rename}"
