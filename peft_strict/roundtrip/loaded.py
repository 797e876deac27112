"""The rule at load, as pure functions of a few facts: nothing here knows torch or PEFT.

- R1: a tensor of the file has no place in the model.
- R2: a tensor of the adapter got no value from the file. A state dict that is set by hand may be a part on purpose (as
  where clients share one of two matrices): of that only what fills nothing of the adapter is told.

Where both are so it is one loss, and R1 tells of both: names that do not fit leave as many places empty. Not seen:
tensors that find the place of another one, and files of another base model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

from . import wrappers
from .loss import Loss, count, in_words, listing

if TYPE_CHECKING:
    from collections.abc import Sequence


class Loaded(NamedTuple):
    """What the rule looks at.

    Attributes:
        model_class: The name of the class of the model that was loaded into.
        base_class: The name of the class of the base model in it.
        adapter: The name of the adapter.
        source: The folder or repository the tensors are from, or ``None`` where it is not known.
        file: The file on this machine that they are from, or ``None``.
        given: How many tensors were given.
        unplaced: The names of those without a place, as they were given.
        held: How many tensors the adapter has in the model.
        unfilled: The names of those without a value, as they would be in a file.
        difference: How the names without a place differ from those of the model, if they do.
        model_between: The part that a wrapper puts into the model's names and that the given ones lack, or ``""``.
        cut_out: What PEFT has cut out of the names without a place, or ``""``.
        absent: The path of the first module on the way to an unplaced tensor that the model does not have, or ``""``.
        task_type: The task type of the adapter, where the model it was loaded into is of another kind, or ``""``.
        auto_class: The class that loads a model for that.
        bare: The path of a module that has no adapter in the model, but a tensor of one, or ``""``.
        whole: Whether the tensors without a place have the names of the model, with that of the adapter in them.
        replaced: Whether they are called right, and the model has a ``state_dict`` that is not that of its class.
        said: Whether the library that called PEFT reports both by itself.
        missing_said: Whether PEFT itself warns of tensors without a value.
        told: Whether it was said before that the adapter is for another class of model, and all that has no place is
            the head that it brings.
    """

    model_class: str
    base_class: str
    adapter: str
    source: Optional[str]
    file: Optional[str]
    given: int
    unplaced: tuple[str, ...] = ()
    held: int = 0
    unfilled: tuple[str, ...] = ()
    difference: Optional[wrappers.Difference] = None
    model_between: str = ""
    cut_out: str = ""
    absent: str = ""
    task_type: str = ""
    auto_class: str = ""
    bare: str = ""
    whole: bool = False
    replaced: bool = False
    said: bool = False
    missing_said: bool = False
    told: bool = False


def judge(facts: Loaded) -> Sequence[Loss]:
    """Return what is lost; an empty list if nothing is."""
    where = f"{facts.model_class}, adapter {facts.adapter!r}"
    of_file = f" of {facts.source}" if facts.source else ""
    if facts.unplaced:
        empty = f"; {_keeping(facts)}" if facts.unfilled else ""
        verb = "has" if len(facts.unplaced) == 1 else "have"
        what = (
            f"{len(facts.unplaced)} of the {count(facts.given, 'tensor')}{of_file} {verb} no place in the model "
            f"({listing(facts.unplaced)}){_because(facts)}{empty}."
        )
        return [in_words("R1", where, what, _cure(facts), facts.unplaced, said=facts.said or facts.told)]
    if facts.unfilled and (facts.source is not None or len(facts.unfilled) == facts.held):
        holding = f", as {facts.source or 'what was given'} holds no tensor" if not facts.given else ""
        what = f"{_keeping(facts)}{holding} ({listing(facts.unfilled)})."
        said = facts.said or facts.missing_said
        return [in_words("R2", where, what, _SAVE_AGAIN, facts.unfilled, said=said)]
    return []


# Nothing else is known where no other cause is, and a config may well be the right one.
_ANOTHER_CONFIG = "If its config here is not the one that it was saved with, load it with that one."
_SAVE_AGAIN = f"{_ANOTHER_CONFIG} If it was saved without them, save it again from the run that trained it."


def _keeping(facts: Loaded) -> str:
    number = len(facts.unfilled)
    verbs = "gets no value and stays" if number == 1 else "get no value and stay"
    return f"{number} of {count(facts.held, 'tensor')} of the adapter {verbs} as before"


def _because(facts: Loaded) -> str:
    """Return the reason, where it is known, to be put behind the names."""
    found = facts.difference
    if facts.cut_out:
        return f": PEFT has cut `{facts.cut_out}` out of their names, as the adapter was called {facts.cut_out[1:]!r}"
    if facts.whole:
        return f": PEFT puts the adapter's name into theirs, which have `{facts.adapter}` in them already"
    if facts.replaced:
        return ": the model's `state_dict` has been replaced, and PEFT looks for the places by the names in it"
    if found is not None and found.between:
        return f": their names have `{found.between}` ({wrappers.BETWEEN[found.between]}) in between"
    if found is not None and found.more:
        maker = wrappers.outside(found.more)
        taken = f", of {maker}" if maker else ""
        return f": their names have `{found.more}` in front{taken}, and the model's have not"
    if found is not None and _is_nested(facts):
        return f": the model's names have `{found.less}` twice in front, as PEFT is around it twice"
    if found is not None:
        return f": their names lack `{found.less}` in front, which the model's have"
    if facts.model_between:
        return f": the model's names have `{facts.model_between}` ({wrappers.BETWEEN[facts.model_between]}) in between"
    if facts.bare:
        return f": `{facts.bare}` has no adapter of this kind in the model"
    return f": {facts.base_class} has no `{facts.absent}`" if facts.absent else ""


def _is_nested(facts: Loaded) -> bool:
    """Whether the tensors have the names of one `PeftModel`, and the model those of one in another."""
    less = facts.difference.less if facts.difference is not None else ""
    return bool(less) and facts.unplaced[0].startswith(less)


def _cure(facts: Loaded) -> str:
    found = facts.difference
    if facts.cut_out:
        return "Save it again from the run that trained it, with PEFT 0.18 or newer, or under another adapter name."
    if facts.whole:
        given = "state_dict" if facts.file is None else _reading(facts.file)[1]
        return f"Have the model itself take them: model.load_state_dict({given}, strict=False)"
    if facts.replaced:
        return "Take it away before loading: del model.state_dict"
    if found is not None and _is_nested(facts):
        return "Load the adapter into the base model itself, without get_peft_model before that."
    if found is not None:
        return _renaming(facts, found)
    if facts.model_between:
        return "Load the adapter before the model is wrapped or compiled."
    if facts.absent:
        known = f" Its task type, {facts.task_type}, is that of {facts.auto_class}." if facts.auto_class else ""
        layer = facts.absent.rpartition(".")[2].isdigit()  # that is one of several, and the class need not be another
        trained = "the model that it was trained on" if layer else "a model of the class that it was trained with"
        return f"Load the adapter into {trained}, which has `{facts.absent}`.{known}"
    return _ANOTHER_CONFIG


def _renaming(facts: Loaded, found: wrappers.Difference) -> str:
    if found.between:
        name = f"name.replace({found.between + '.'!r}, '')"
    elif found.more:
        name = f"name.removeprefix({found.more!r})"
    else:
        name = f"{found.less!r} + name"
    if facts.file is None:
        return f"Give the tensors the model's names: {{{name}: tensor for name, tensor in state_dict.items()}}"
    save, load = _reading(facts.file)
    imported = "import torch" if save == "torch.save" else "from safetensors.torch import load_file, save_file"
    return (
        f"Give the tensors the model's names:\n{imported}\n"
        f"{save}({{{name}: tensor for name, tensor in {load}.items()}}, {facts.file!r})"
    )


def _reading(file: str) -> tuple[str, str]:
    """Return the function that writes such a file, and the expression that reads this one."""
    if file.endswith(".bin"):
        return "torch.save", f"torch.load({file!r}, weights_only=True)"
    return "save_file", f"load_file({file!r})"
