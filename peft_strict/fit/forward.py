"""What a model's ``forward`` does with the keywords it is passed, told from signatures and source, uncalled."""

from __future__ import annotations

import ast
import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .foreign import attribute
from .source import definition_of, function_of, path_of, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_DEEPEST = 4


class Forward(NamedTuple):
    """What ``forward`` takes.

    Attributes:
        names: Its parameters; ``None`` if that is unknown.
        takes_any: Whether it takes any keyword, or may: a decorator that is not of transformers may drop some.
        decorated: Whether decorators of transformers stand before it, which take some outputs' keywords out.
    """

    names: Optional[frozenset[str]] = None
    takes_any: bool = True
    decorated: bool = False

    def refuses(self, keywords: Collection[str]) -> tuple[str, ...]:
        """Return those that end in a TypeError for certain."""
        if self.names is None or self.takes_any:
            return ()
        dropped = {k for k in keywords if _is_output(k)} if self.decorated else set()
        return tuple(k for k in keywords if k not in self.names and k not in dropped)


def parameters_of(function: Any) -> Optional[Mapping[str, inspect.Parameter]]:
    """Return the parameters of foreign code, without their annotations; ``None`` if they are unknown. Never raises."""
    try:
        return inspect.signature(_without_annotations(function)).parameters
    except Exception:  # not callable, not written in Python, decorated in a circle, or a `__signature__` that fails
        return None


def _without_annotations(function: Any) -> Any:
    """Return a function with the same parameters, where a signature has no annotations to evaluate.

    From CPython 3.14 on (PEP 649) it evaluates them, which fails for what only type checkers import. That is so in
    every format of ``annotationlib``.
    """
    plain = inspect.unwrap(function, stop=lambda layer: hasattr(layer, "__signature__"))
    if hasattr(plain, "__signature__"):
        return plain
    if inspect.ismethod(plain):
        return types.MethodType(_without_annotations(plain.__func__), plain.__self__)
    if not inspect.isfunction(plain):
        return plain
    bare = types.FunctionType(plain.__code__, {}, plain.__name__, plain.__defaults__, plain.__closure__)
    bare.__kwdefaults__ = plain.__kwdefaults__
    return bare


def forward_of(model: object) -> Forward:
    """Describe the model's ``forward``; the one in its ``__dict__`` if it was replaced there."""
    function = function_of(model)
    if attribute(function, "__name__") == "_forward_unimplemented":  # a container, never called
        return Forward()
    parameters = parameters_of(function)
    if parameters is None:
        return Forward()
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    decorated = False
    while not takes_any:
        inner = attribute(function, "__wrapped__")
        if inner is None and isinstance(function, functools.partial):
            function = function.func
            continue
        if inner is None:
            break
        decorated = True
        home = attribute(function, "__globals__")  # of the decorator: `wraps` gives it the module of what it wraps
        takes_any = not (isinstance(home, dict) and str(home.get("__name__")).startswith("transformers."))
        function = inner
    return Forward(frozenset(parameters), takes_any, decorated)


def collides(model: object, keywords: Collection[str]) -> bool:
    """Whether ``forward`` hands these keywords on to a call that passes one of them itself: a TypeError.

    Follows ``**kwargs`` through the calls of submodules and methods. What has no source, or does anything else with
    them, counts as not colliding.
    """
    inputs = frozenset(keyword for keyword in keywords if not _is_output(keyword))
    return _collides(model, function_of(model), inputs, _DEEPEST)


def _is_output(keyword: str) -> bool:
    return keyword == "return_dict" or keyword.startswith("output_")


class _Call(NamedTuple):
    """A call ``self.<path>(<positional>, <named>=..., **kwargs)``."""

    path: tuple[str, ...]
    positional: int
    named: frozenset[str]


def _collides(module: Any, function: Any, keywords: frozenset[str], depth: int) -> bool:
    function = plain(function)
    parameters = parameters_of(function)
    if parameters is None or not keywords or not depth:
        return False
    rest = keywords - set(parameters)
    for call in _handing_on(function):
        owner, callee = _resolve(module, call.path)
        taken = list(parameters_of(callee) or ())[1 : 1 + call.positional]
        if rest & (call.named | set(taken)) or (callee and _collides(owner, callee, rest, depth - 1)):
            return True
    return False


def _resolve(module: Any, path: tuple[str, ...]) -> tuple[Any, Any]:
    """Return the module that a path from another one leads to, and the function that calling it runs."""
    for step, name in enumerate(path):
        inner = vars(module).get("_modules", {}).get(name)
        if inner is None:
            return module, plain(getattr(type(module), name, None)) if step == len(path) - 1 else None
        module = inner
    return module, plain(type(module).forward)


@functools.lru_cache(maxsize=64)
def _handing_on(function: Any) -> tuple[_Call, ...]:
    """Return the calls in this function that hand its ``**kwargs`` on as they are."""
    definition = definition_of(function)
    if definition is None or definition.args.kwarg is None:
        return ()
    return tuple(_calls(definition, definition.args.kwarg.arg))


def _calls(definition: ast.FunctionDef, star: str) -> Iterator[_Call]:
    for node in ast.walk(definition):
        if isinstance(node, ast.Call):
            path = path_of(node.func)
            starred = [k.value for k in node.keywords if k.arg is None]
            if path and any(isinstance(value, ast.Name) and value.id == star for value in starred):
                yield _Call(path, len(node.args), frozenset(k.arg for k in node.keywords if k.arg))
