"""What a model's ``forward`` does with the keywords it is passed, told from signatures and source, uncalled."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

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


def forward_of(model: object) -> Forward:
    """Describe the model's ``forward``; the one in its ``__dict__`` if it was replaced there."""
    function = _function_of(model)
    if getattr(function, "__name__", "") == "_forward_unimplemented":  # a container, never called
        return Forward()
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # not a Python function, or not callable at all
        return Forward()
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    decorated = False
    while not takes_any and hasattr(function, "__wrapped__"):
        decorated = True
        takes_any = not str(getattr(function, "__globals__", {}).get("__name__")).startswith("transformers.")
        function = function.__wrapped__
    return Forward(frozenset(p.name for p in parameters), takes_any, decorated)


def collides(model: object, keywords: Collection[str]) -> bool:
    """Whether ``forward`` hands these keywords on to a call that passes one of them itself: a TypeError.

    Follows ``**kwargs`` through the calls of submodules and methods. What has no source, or does anything else with
    them, counts as not colliding.
    """
    inputs = frozenset(keyword for keyword in keywords if not _is_output(keyword))
    return _collides(model, _function_of(model), inputs, _DEEPEST)


def _is_output(keyword: str) -> bool:
    return keyword == "return_dict" or keyword.startswith("output_")


def _function_of(module: object) -> Any:
    try:
        return vars(module).get("forward") or getattr(type(module), "forward", None)
    except Exception:  # a foreign __getattribute__: nothing is known of such a model
        return None


class _Call(NamedTuple):
    """A call ``self.<path>(<positional>, <named>=..., **kwargs)``."""

    path: tuple[str, ...]
    positional: int
    named: frozenset[str]


def _collides(module: Any, function: Any, keywords: frozenset[str], depth: int) -> bool:
    function = _plain(function)
    if function is None or not keywords or not depth:
        return False
    rest = keywords - set(inspect.signature(function).parameters)
    for call in _handing_on(function):
        owner, callee = _resolve(module, call.path)
        taken = list(inspect.signature(callee).parameters)[1 : 1 + call.positional] if callee else []
        if rest & (call.named | set(taken)) or (callee and _collides(owner, callee, rest, depth - 1)):
            return True
    return False


def _resolve(module: Any, path: tuple[str, ...]) -> tuple[Any, Any]:
    """Return the module that a path from another one leads to, and the function that calling it runs."""
    for step, name in enumerate(path):
        inner = vars(module).get("_modules", {}).get(name)
        if inner is None:
            return module, _plain(getattr(type(module), name, None)) if step == len(path) - 1 else None
        module = inner
    return module, _plain(type(module).forward)


def _plain(function: Any) -> Any:
    """Return the Python function under decorators and a binding; ``None`` if it is not one."""
    try:
        function = inspect.unwrap(getattr(inspect.unwrap(function), "__func__", function))
    except ValueError:  # decorators in a circle
        return None
    return function if inspect.isfunction(function) else None


@functools.lru_cache(maxsize=64)
def _handing_on(function: Any) -> tuple[_Call, ...]:
    """Return the calls in this function that hand its ``**kwargs`` on as they are."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):  # no source at hand, as in a notebook or a compiled module
        return ()
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef) or definition.args.kwarg is None:
        return ()
    return tuple(_calls(definition, definition.args.kwarg.arg))


def _calls(definition: ast.FunctionDef, star: str) -> Iterator[_Call]:
    for node in ast.walk(definition):
        if isinstance(node, ast.Call):
            path = _path(node.func)
            starred = [k.value for k in node.keywords if k.arg is None]
            if path and any(isinstance(value, ast.Name) and value.id == star for value in starred):
                yield _Call(path, len(node.args), frozenset(k.arg for k in node.keywords if k.arg))


def _path(node: ast.expr) -> tuple[str, ...]:
    """Return the names after ``self`` in ``self.model.decoder``; empty for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return tuple(reversed(names)) if isinstance(node, ast.Name) and node.id == "self" else ()
