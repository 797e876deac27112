"""The rule at save, as pure functions of a few facts: nothing here knows torch or PEFT.

- K1: nothing is written, though the adapter has tensors in the model.
- K2: tensors without elements are written.
- K3: tensors that the adapter has in the model are not written.
- K4: parameters outside of the adapter require gradients, and are not written.

K1, K2 and K3 exclude each other, in this order; K4 may come beside K2 and K3. Not seen: tensors that are written under
names which no load will look for, and parameters that were trained once and are frozen by now.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Optional

from . import wrappers
from .loss import Loss, count, in_words, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Saved(NamedTuple):
    """What the rule looks at.

    Attributes:
        model_class: The name of the class of the model that is saved.
        adapter: The name of the adapter.
        expected: The names under which its tensors would be in the file.
        written: How many tensors are written.
        hollow: The names of those without elements.
        missing: Those of ``expected`` that are not written.
        loose: The names of parameters that require gradients, belong to no adapter, and are not written.
        nameless: Whether one of these is in no module that ``modules_to_save`` takes.
        also: For modules of these, another module that their names reach in ``modules_to_save``.
        passed: How many tensors the state dict that was passed has; ``None`` where PEFT took it itself.
        sharded: Whether the parameters in the model are parts of what DeepSpeed has spread.
        unloaded: Whether the adapter's layers have been taken out of the model.
        swapped: Whether they are of a kind that PEFT takes out where adapters are disabled.
        between: The part that a wrapper puts into the paths of the modules, or ``""``.
        difference: How the names that were passed differ from those of the model, if they do.
        rivals: The names of other adapters that are parts of the names of missing tensors.
        replaced: Whether PEFT took the state dict from a ``state_dict`` of the model that is not that of its class.
        listed: The ``modules_to_save`` of the config; ``None`` where it has no such field.
        warned: Whether PEFT itself has just warned of all tensors without elements.
    """

    model_class: str
    adapter: str
    expected: tuple[str, ...]
    written: int
    hollow: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    nameless: bool = False
    also: Mapping[str, str] = MappingProxyType({})
    passed: Optional[int] = None
    sharded: bool = False
    unloaded: bool = False
    swapped: bool = False
    between: str = ""
    difference: Optional[wrappers.Difference] = None
    rivals: tuple[str, ...] = ()
    replaced: bool = False
    listed: Optional[tuple[str, ...]] = ()
    warned: bool = False


def judge(facts: Saved) -> list[Loss]:
    """Return what is lost; an empty list if nothing is."""
    return list(_losses(facts))


def _losses(facts: Saved) -> Iterator[Loss]:
    where = f"{facts.model_class}, adapter {facts.adapter!r}"
    if not facts.written:
        if facts.unloaded and facts.swapped:
            yield in_words("K1", where, _DISABLED, "Save it where it is the active one, and not disabled.", ())
        elif facts.unloaded:
            yield in_words("K1", where, _UNLOADED, _KEEP_RESULT, ())
        elif facts.expected and not (facts.passed == 0 and facts.sharded):  # transformers writes it as a stand-in
            what = f"none of its {count(len(facts.expected), 'tensor')} will be in the file{_because(facts)}."
            yield in_words("K1", where, what, _cure(facts), facts.expected)
        return
    if facts.hollow:
        what = (
            f"{len(facts.hollow)} of {count(facts.written, 'tensor')} will be in the file without elements "
            f"({listing(facts.hollow)}): a sharded parameter was not gathered."
        )
        yield in_words("K2", where, what, _gathering(facts), facts.hollow, said=facts.warned)
    elif facts.missing:
        what = (
            f"{len(facts.missing)} of its {count(len(facts.expected), 'tensor')} will not be in the file "
            f"({listing(facts.missing)}){_because(facts)}."
        )
        yield in_words("K3", where, what, _cure(facts), facts.missing)
    if facts.loose:
        verb = "requires" if len(facts.loose) == 1 else "require"
        what = f"{listing(facts.loose)} {verb} gradients but will not be in the file, as no part of the adapter."
        yield in_words("K4", where, what, _keeping(facts), facts.loose)


_UNLOADED = "no tensor will be in the file, as the adapter has been merged or unloaded from this model."
_DISABLED = "no tensor will be in the file, as PEFT takes an adaption prompt out of the model where it is disabled."
_KEEP_RESULT = (
    "Save what merging returns, which is the whole model: merged = model.merge_and_unload(); "
    "merged.save_pretrained(...)\nTo save the adapter, do so before."
)
_GATHER = (
    "Pass the whole state dict: model.save_pretrained(..., state_dict=accelerator.get_state_dict(wrapped), "
    "is_main_process=accelerator.is_main_process); with FSDP set a full state dict."
)
_RESCUE = {
    "_checkpoint_wrapped_module": """\
Use the model's own activation checkpointing (gradient_checkpointing=True) in place of the wrapper's.
To save what is trained by now, take the wrappers out and save again:
for module in list(model.modules()):
    for name, child in list(module.named_children()):
        setattr(module, name, getattr(child, "_checkpoint_wrapped_module", child))""",
    "_fsdp_wrapped_module": """\
Use FSDP 2 (fsdp_version=2), which puts nothing in between.
To save what is trained by now, take the wrappers out when the whole state dict is gathered, and save again with it:
for module in list(model.modules()):
    for name, child in list(module.named_children()):
        for part in ("_fsdp_wrapped_module", "_checkpoint_wrapped_module"):
            child = child._modules.get(part, child)
        setattr(module, name, child)""",
}


def _gathering(facts: Saved) -> str:
    """Return how to get whole tensors into the file: those of the adapter, if it is they that are written."""
    if not facts.sharded:
        return _GATHER
    parameters = "list(model.parameters())"
    if set(facts.hollow) <= set(facts.expected):
        parameters = f"[each for name, each in model.named_parameters() if {'.' + facts.adapter!r} in name]"
    return (
        "Save while they are gathered, in all processes and without state_dict:\n"
        f"with deepspeed.zero.GatheredParameters({parameters}):\n"
        "    model.save_pretrained(...)\n"
        "With accelerate: set stage3_gather_16bit_weights_on_model_save, and pass "
        "state_dict=accelerator.get_state_dict(wrapped), is_main_process=accelerator.is_main_process."
    )


def _because(facts: Saved) -> str:
    """Return the reason, where it is known, to be put behind the sentence."""
    if facts.rivals:
        whose = "whose name is" if len(facts.rivals) == 1 else "whose names are"
        return f": PEFT takes them for tensors of {_adapters(facts.rivals)}, {whose} in theirs"
    if facts.passed == 0:
        return ": the state dict that was passed is empty"
    if facts.difference is not None:
        return f": {_differs(facts.difference)}"
    if facts.passed is not None:
        is_all = not facts.written or len(facts.missing) == len(facts.expected)
        short = "none of them" if is_all else "not all of them"
        return f": the state dict that was passed has {short}" if not facts.between else f": {_in_between(facts)}"
    if facts.replaced and not facts.between:
        return ": PEFT takes them from the model's `state_dict`, which has been replaced"
    return f": {_in_between(facts)}" if facts.between else ""


def _adapters(names: Sequence[str]) -> str:
    return f"the adapter{'' if len(names) == 1 else 's'} {', '.join(map(repr, names))}"


def _in_between(facts: Saved) -> str:
    maker = wrappers.BETWEEN[facts.between]
    return f"PEFT looks for them by the paths of the modules, where `{facts.between}` ({maker}) is in between"


def _differs(difference: wrappers.Difference) -> str:
    if difference.between:
        maker = wrappers.BETWEEN[difference.between]
        return f"the names that were passed have `{difference.between}` ({maker}) in between"
    if difference.more:
        maker = wrappers.outside(difference.more)
        taken = f", from the state dict of {maker}" if maker else ""
        return f"the names that were passed start with `{difference.more}`{taken}"
    return f"the names that were passed lack `{difference.less}` in front"


def _cure(facts: Saved) -> str:
    if facts.rivals:
        name = "a name" if len(facts.rivals) == 1 else "names"
        return f"Give {_adapters(facts.rivals)} {name} that no module of the model has."
    if facts.passed == 0:
        return _GATHER
    if facts.difference is not None and facts.difference.more:
        return (
            f"Write state_dict={{name.removeprefix({facts.difference.more!r}): tensor for name, tensor in "
            "state_dict.items()}, or leave state_dict out."
        )
    if facts.difference is not None and facts.difference.less:
        return (
            f"Write state_dict={{{facts.difference.less!r} + name: tensor for name, tensor in state_dict.items()}}, "
            "or leave state_dict out."
        )
    if facts.between in _RESCUE:
        return _RESCUE[facts.between]
    if facts.passed is not None:
        whole = "Pass the state dict of the whole model that is saved, or leave state_dict out."
        return _gathering(facts) if facts.sharded else whole
    if facts.replaced and not facts.between:
        return "Take it away before saving: del model.state_dict"
    return "Save the model before it is wrapped or changed."


def _keeping(facts: Saved) -> str:
    by_hand = (
        'If you save them by yourself: warnings.filterwarnings("ignore", message="peft-strict K4")\n'
        "If they are not to be trained: set requires_grad to False."
    )
    modules = modules_of(facts.loose)
    if facts.nameless or facts.listed is None or any("base_layer" in module for module in modules):
        return by_hand
    names = ", ".join(f'"{name}"' for name in dict.fromkeys((*facts.listed, *modules)))
    clash = next((name for name in modules if name in facts.also), None)
    rename = f' (rename `{clash}` before: "{clash}" also reaches `{facts.also[clash]}`)' if clash else ""
    return f"Write modules_to_save=[{names}]{rename} in the config, so that PEFT trains and saves them.\n{by_hand}"


def modules_of(loose: tuple[str, ...]) -> list[str]:
    """Return the modules that hold these parameters, as ``modules_to_save`` takes them; ``""`` is the model itself."""
    names: dict[str, None] = {}
    for path in loose:
        holder = f"{wrappers.strip(path.rpartition('.')[0])}."
        front = next((front for front in ("base_model.model.", "base_model.") if holder.startswith(front)), "")
        names[holder[len(front) :].rstrip(".")] = None
    # A module is saved with all that is in it.
    return [name for name in names if not any(name.startswith(f"{other}.") for other in names)]
