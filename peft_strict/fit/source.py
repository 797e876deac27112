"""What the source of a model's class says, read and never run."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from typing import TYPE_CHECKING, Any, Optional

from .foreign import inside

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 3


def function_of(module: object, name: str = "forward") -> Any:
    """Return a method of a module; the one in its ``__dict__`` if it was replaced there."""
    try:
        return vars(module).get(name) or getattr(type(module), name, None)
    except Exception:  # a foreign __getattribute__: nothing is known of such a model
        return None


def plain(function: Any) -> Any:
    """Return the Python function under decorators and a binding; ``None`` if it is not one."""
    try:
        function = inspect.unwrap(getattr(inspect.unwrap(function), "__func__", function))
    except ValueError:  # decorators in a circle
        return None
    return function if inspect.isfunction(function) else None


@functools.lru_cache(maxsize=64)
def definition_of(function: Any) -> Optional[ast.FunctionDef]:
    """Return the parsed definition of a function; ``None`` where there is no source, as in a compiled module."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, SyntaxError, TypeError, ValueError):
        return None
    return body[0] if body and isinstance(body[0], ast.FunctionDef) else None


def attributes_in(cls: type, method: str) -> frozenset[str]:
    """Return all attributes that the definitions of a method name, in a class and those it derives from."""
    functions = [plain(vars(base)[method]) for base in cls.__mro__ if method in vars(base)]
    return frozenset().union(*(_attributes_of(function) for function in functions if function is not None))


@functools.lru_cache(maxsize=64)
def _attributes_of(function: Any) -> frozenset[str]:
    definition = definition_of(function)
    nodes = ast.walk(definition) if definition is not None else ()
    return frozenset(node.attr for node in nodes if isinstance(node, ast.Attribute))


def path_of(node: ast.AST) -> tuple[str, ...]:
    """Return the names after ``self`` in ``self.model.decoder``; empty for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return tuple(reversed(names)) if isinstance(node, ast.Name) and node.id == "self" else ()


def forward_uses(module: object, child: str) -> bool:
    """Whether ``forward``, or a method that it calls, names this child; no where there is no source to read."""
    return any(child in _named(definition) for definition in _definitions(module))


def forward_calls(module: object, child: str) -> bool:
    """Whether ``forward``, or a method that it calls, calls this child for its output, not for its hidden states."""
    nodes = [node for definition in _definitions(module) for node in ast.walk(definition)]
    return any(_is_call_of(node, child) for node in nodes) and not any(
        "hidden_states" in _text(node) for node in nodes
    )


def _text(node: ast.AST) -> str:
    value = getattr(node, "attr", None) or getattr(node, "arg", None) or getattr(node, "value", None)
    return value if isinstance(value, str) else ""


def _definitions(module: object) -> Iterator[ast.FunctionDef]:
    """Yield the definition of ``forward`` and of the methods that it calls."""
    return _reached(type(module), plain(function_of(module)), _DEEPEST)


def _reached(cls: type, function: Any, depth: int) -> Iterator[ast.FunctionDef]:
    definition = definition_of(function) if function is not None else None
    if definition is None or not depth:
        return
    yield definition
    for name in sorted(_named(definition)):
        method = plain(getattr(cls, name, None))
        if method is not None and method is not function:
            yield from _reached(cls, method, depth - 1)


def _named(definition: ast.FunctionDef) -> set[str]:
    """Return what is named as an attribute of ``self``."""
    return {path[0] for path in map(path_of, ast.walk(definition)) if path}


def forward_reads_pooled(module: object, base: str) -> bool:
    """Whether ``forward`` takes the second output of the base model, which is what its pooler returns.

    That is ``self.<base>(...)[1]`` or ``.pooler_output``, also by way of a variable; and the base's own ``forward``
    has to name its ``pooler``.
    """
    function = plain(function_of(module))
    definition = definition_of(function) if function is not None else None
    if definition is None or not forward_uses(inside(module, "_modules").get(base), "pooler"):
        return False
    outputs = {
        target.id
        for node in ast.walk(definition)
        if isinstance(node, ast.Assign) and _is_call_of(node.value, base)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return any(
        _is_call_of(value, base) or (isinstance(value, ast.Name) and value.id in outputs)
        for value in _read_as_pooled(definition)
    )


def _is_call_of(node: ast.AST, base: str) -> bool:
    return isinstance(node, ast.Call) and path_of(node.func) == (base,)


def _read_as_pooled(definition: ast.FunctionDef) -> Iterator[ast.expr]:
    """Yield each expression whose second item or ``pooler_output`` is taken."""
    for node in ast.walk(definition):
        if isinstance(node, ast.Attribute) and node.attr == "pooler_output":
            yield node.value
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == 1:
            yield node.value
