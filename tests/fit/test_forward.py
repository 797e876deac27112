"""What ``forward`` takes, told from foreign code that cannot be asked in the usual way. The rest: ``test_facts``."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import Any

import pytest

from peft_strict.fit.forward import collides, forward_of, parameters_of

# Legal from CPython 3.14 on, which evaluates annotations when they are asked for.
ANNOTATED = {
    "for type checkers only": "x: Tensor, y: torch.Tensor | None = None",
    "with an effect": "x: evaluated.append(1), y: evaluated.append(2) = None",
    "quoted": "x: 'Tensor', y: 'not an expression' = None",
    "half quoted": "x: 'Tensor' | None, y: 'Tensor' | None = None",
    "an error": "x: 1 / 0, y: 1 / 0 = None",
    "formatted": "x: f'{Tensor}', y: f'{Tensor}' = None",
}

from_3_14 = pytest.mark.skipif(sys.version_info < (3, 14), reason="up to CPython 3.13 the function cannot be made")


def made(parameters: str, evaluated: list[int]) -> Any:
    """Return an object whose ``forward``, made by another module, has these parameters."""
    names: dict[str, Any] = {"evaluated": evaluated}
    exec(compile(f"class Net:\n    def forward(self, {parameters}): ...", "net.py", "exec", dont_inherit=True), names)
    return names["Net"]()


@from_3_14
@pytest.mark.parametrize("parameters", ANNOTATED.values(), ids=ANNOTATED)
def test_annotations_are_not_evaluated(parameters: str) -> None:
    """The parameters are told whatever the annotations name, and those are not evaluated."""
    evaluated: list[int] = []
    net = made(parameters, evaluated)
    forward = type(net).forward
    decorated = functools.update_wrapper(lambda *args, **kwargs: None, forward)
    bound = functools.update_wrapper(functools.partial(forward, net), net.forward)  # as hooks of accelerate are
    for function, names in ((forward, "self x y"), (net.forward, "x y"), (decorated, "self x y"), (bound, "x y")):
        assert " ".join(parameters_of(function) or ()) == names
    assert forward_of(net).refuses(("x", "labels")) == ("labels",)
    assert not collides(net, ("labels",))
    assert evaluated == []


def test_the_parameters_are_those_of_the_signature() -> None:
    """Names, kinds and defaults are what ``inspect.signature`` tells, and a ``__signature__`` is believed."""

    def function(a: int, /, b: str = "b", *args: int, c: int, d: int = 4, **kwargs: int) -> None: ...

    told = inspect.signature(function)
    unannotated = [p.replace(annotation=inspect.Parameter.empty) for p in told.parameters.values()]
    assert list((parameters_of(function) or {}).values()) == unannotated
    function.__signature__ = inspect.Signature([inspect.Parameter("z", inspect.Parameter.KEYWORD_ONLY)])  # type: ignore[attr-defined]
    assert list(parameters_of(function) or ()) == ["z"]


def test_a_decorator_below_a_partial() -> None:
    """What stands before ``forward`` may drop keywords, also where it has been bound by ``functools.partial``."""

    def forward(net: object, x: int) -> None: ...

    decorated = functools.update_wrapper(lambda net, **keywords: forward(net, keywords["x"]), forward)
    net = type("Net", (), {})()
    for function, refused in ((forward, ("labels",)), (decorated, ())):
        net.forward = functools.partial(function, net)
        assert forward_of(net).refuses(("x", "labels")) == refused


class Raising:
    """A callable that does not tell its signature."""

    def __call__(self) -> None: ...

    @property
    def __signature__(self) -> inspect.Signature:
        raise RuntimeError("ask somebody else")


@pytest.mark.parametrize("function", [Raising(), None, 3, "forward"], ids=["raises", "None", "number", "text"])
def test_what_has_no_signature(function: object) -> None:
    """What fails to tell its parameters, or has none to tell, is unknown; nothing raises."""
    net = type("Net", (), {"forward": function})()
    assert parameters_of(function) is None
    assert forward_of(net).refuses(("labels",)) == ()
    assert not collides(net, ("labels",))
