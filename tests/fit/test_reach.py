"""Which names reach which modules, as real PEFT takes them."""

from __future__ import annotations

from typing import Any

import peft
import pytest
import torch
from torch import nn

from peft_strict.fit.reach import also_reached, has_module, units


class Chain(nn.Sequential):
    """Its parts have names."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


def layer() -> nn.Module:
    return nn.Linear(2, 2)


CASES: dict[str, tuple[Any, list[str]]] = {
    "a layer": (layer, ["head"]),
    "layers": (lambda: nn.Sequential(layer(), layer()), ["head"]),
    "a container": (lambda: nn.ModuleList([layer(), layer()]), ["head.0", "head.1"]),
    "containers in one": (
        lambda: nn.ModuleDict({"a": nn.ModuleList([layer()]), "b": layer()}),
        ["head.a.0", "head.b"],
    ),
    "an empty container": (lambda: nn.ModuleList(), []),
    "a list of parameters": (lambda: nn.ParameterList([nn.Parameter(torch.ones(2))]), []),
    "its own name in it": (lambda: Chain(first=layer(), head=Chain(last=layer())), ["head.first", "head.head"]),
    "a name that ends so in it": (lambda: Chain(first=layer(), last_head=layer()), ["head.first", "head.last_head"]),
}


@pytest.mark.parametrize("case", CASES)
def test_units(case: str, tmp_path: Any) -> None:
    """With these names PEFT saves the module whole, and loads it again."""
    make, expected = CASES[case]

    def model() -> nn.Module:
        return Chain(body=layer(), head=make())

    assert list(units(model().get_submodule("head"), "head")) == expected
    config = peft.LoraConfig(target_modules=["body"], modules_to_save=expected)
    if not expected:
        return
    tuned = peft.get_peft_model(model(), config)
    with torch.no_grad():
        for parameter in tuned.parameters():
            parameter += parameter.requires_grad
    tuned.save_pretrained(tmp_path)
    saved = peft.get_peft_model_state_dict(tuned)
    assert sum(".head." in key for key in saved) == len(list(make().parameters()))
    back = peft.get_peft_model_state_dict(peft.PeftModel.from_pretrained(model(), tmp_path))
    assert all(torch.equal(value, back[key]) for key, value in saved.items())


def test_units_under_an_adapter() -> None:
    """What an earlier adapter has wrapped counts as it was."""
    model = Chain(body=layer(), head=layer())
    peft.get_peft_model(model, peft.LoraConfig(target_modules=["body", "head"]))
    assert list(units(model.get_submodule("head"), "head")) == ["head"]


def test_what_names_reach() -> None:
    """A name reaches all whose names end so; what is in the module itself is no other one."""
    model = Chain(value=Chain(value=layer()), inner=Chain(value=layer()))
    assert also_reached(model, ["value", "inner"]) == {"value": "inner.value"}
    assert has_module(model, ["alue"])
    assert not has_module(model, ["valu"])
    assert also_reached(model, ["value"], ["x_value"]) == {"value": "inner.value"}
    assert also_reached(model, ["inner"], ["x_inner"]) == {"inner": "x_inner"}
