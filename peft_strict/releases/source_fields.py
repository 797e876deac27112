"""Reads what the fields of the installed PEFT's configs are declared to hold from its source, without importing it.

The same as `fields` reads of the live classes, as far as it is certain: a class, its bases and the enums are found by
their names, which are unique in PEFT; whatever else stands in an annotation has no opinion.
"""

from __future__ import annotations

import ast
import glob
import os
import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Optional

from .fields import MISSING, NESTED, NEWEST, UNKNOWN, Declared, Kind, is_newer, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Where config classes, their bases and their enums are in 0.2 to 0.21.2, and where PEFT puts them down by method.
_MODULES = ("config.py", "utils/*.py", "tuners/*.py", "tuners/*/config.py")
_REGISTERED = re.compile(r"register_peft_method\(\s*name=\"(\w+)\"[^)]*?config_cls=(\w+)")
_MAPPED = re.compile(r"^\s+\"(\w+)\": (\w+Config),$", re.MULTILINE)
_CLASS = re.compile(r"\nclass (\w+)")  # found much faster than by ^ for the start of a line

_LISTS = frozenset({"list", "List"})
_PLAIN = frozenset({"bool", "str"})
_OTHERS = frozenset({"int", "float", "dict", "Dict", "tuple", "Tuple", "set", "Any", "Callable"})


class _Class(NamedTuple):
    """A class of PEFT's: its own fields, its bases, and the texts of an enum."""

    fields: tuple[ast.AnnAssign, ...]
    bases: tuple[str, ...]
    texts: tuple[str, ...]


class SourceFields:
    """The fields of the configs of one PEFT, which lies in these folders.

    Attributes:
        version: Its version.
    """

    def __init__(self, folders: Sequence[str], version: str) -> None:
        self.version = version
        self._folders = folders
        self._doubt = UNKNOWN if is_newer(version, NEWEST) else ""
        self._known: dict[str, dict[str, Kind]] = {}
        self._parts: dict[str, dict[str, dict[str, Kind]]] = {}
        self._homes: Optional[dict[str, str]] = None
        self._methods: dict[str, str] = {}

    def of_method(self, method: object) -> dict[str, Kind]:
        """Return what is declared of the fields of the config of a method (``"LORA"``), by name.

        Empty where the method or its class is not to be found.
        """
        if not isinstance(method, str):
            return {}
        if method not in self._known:
            if self._homes is None:
                self._homes, self._methods = self._indexed()
            name = self._methods.get(method)
            self._known[method] = dict(self._kinds(name)) if name is not None else {}
        return self._known[method]

    def parts_of_method(self, method: object) -> dict[str, dict[str, Kind]]:
        """Return the same of the configs inside of that config (``eva_config``), by the field that holds one."""
        if not isinstance(method, str) or not self.of_method(method):
            return {}
        if method not in self._parts:
            found = {}
            for name, statement in self._statements(self._methods[method]).items():
                classes = [each for part in _parts(statement.annotation) if self._is_part(each := _named(part)[0])]
                if len(classes) == 1:
                    found[name] = dict(self._kinds(classes[0]))
            self._parts[method] = found
        return self._parts[method]

    def _is_part(self, name: str) -> bool:
        known = self._class(name)
        return known is not None and bool(known.fields)

    def _indexed(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return which file each class is in, and the class of each method."""
        homes: dict[str, str] = {}
        methods: dict[str, str] = {}
        for path in self._files(*_MODULES):
            homes.update(dict.fromkeys(_CLASS.findall("\n" + _text(path)), path))
        for path in self._files("mapping.py", "tuners/*/__init__.py"):
            found = _REGISTERED.findall(_text(path)) + _MAPPED.findall(_text(path))
            methods.update((name.upper(), cls) for name, cls in found)
        return homes, methods

    def _files(self, *patterns: str) -> Iterator[str]:
        for folder in self._folders:
            for pattern in patterns:
                yield from sorted(glob.glob(os.path.join(glob.escape(folder), *pattern.split("/"))))

    def _kinds(self, owner: str) -> Iterator[tuple[str, Kind]]:
        for name, statement in self._statements(owner).items():
            default, help_text = _field(statement.value)
            declared = self._declared(statement.annotation)
            kind = kind_of(owner, name, declared, default, help_text)
            if kind is not None and kind.form != NESTED:
                yield name, kind._replace(doubt=self._doubt)

    def _statements(self, name: str) -> dict[str, ast.AnnAssign]:
        """Return the fields of a class, with those that it inherits; none where a base is not to be found."""
        found = self._class(name)
        if found is None:
            return {}
        fields: dict[str, ast.AnnAssign] = {}
        for base in reversed(found.bases):
            fields.update(self._statements(base))
        fields.update((each.target.id, each) for each in found.fields if isinstance(each.target, ast.Name))
        return fields

    def _class(self, name: str) -> Optional[_Class]:
        home = (self._homes or {}).get(name)
        return _classes(home).get(name) if home is not None else None

    def _declared(self, annotation: ast.expr) -> Optional[Declared]:
        """Say what an annotation holds; ``None`` if there is anything in it that is not known."""
        texts: list[str] = []
        kinds: set[str] = set()
        none = names = False
        for part in _parts(annotation):
            name, inner = _named(part)
            enum = self._class(name)
            if isinstance(part, ast.Constant) and part.value is None:
                none = True
            elif name == "Literal":
                words = [word.value for word in inner if isinstance(word, ast.Constant)]
                texts += [word for word in words if isinstance(word, str)]
                kinds |= {type(word).__name__ for word in words if word is not None} - {"str"}
                none = none or None in words
            elif name in _LISTS:
                kinds.add("list")
                names = names or [_named(item)[0] for item in inner] == ["str"]
            elif name in _PLAIN | _OTHERS:
                kinds.add(name if name in _PLAIN else "other")
            elif enum is not None:
                texts += enum.texts
                kinds |= set() if enum.texts else {"dataclass"}
            else:
                return None
        return Declared(tuple(texts), frozenset(kinds), none, names)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


@cache
def _classes(path: str) -> dict[str, _Class]:
    """Return the classes that a module defines at its top, by name."""
    try:
        tree = ast.parse(_text(path))
    except (SyntaxError, ValueError):  # written for a newer Python, or no Python at all
        return {}
    return {node.name: _described(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _described(node: ast.ClassDef) -> _Class:
    bases = tuple(_named(base)[0] for base in node.bases)
    values = [each.value for each in node.body if isinstance(each, ast.Assign)] if "Enum" in bases else []
    texts = tuple(value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str))
    return _Class(tuple(each for each in node.body if isinstance(each, ast.AnnAssign)), bases, texts)


def _named(node: ast.expr) -> tuple[str, list[ast.expr]]:
    """Return the last name of ``a.b.Name[x, y]``, and what is in the brackets."""
    inner: list[ast.expr] = []
    if isinstance(node, ast.Subscript):
        inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr, inner
    return (node.id if isinstance(node, ast.Name) else ""), inner


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the members of a union, however it is written, or the one there is."""
    name, inner = _named(node)
    if isinstance(node, ast.BinOp):
        yield from _parts(node.left)
        yield from _parts(node.right)
    elif name in ("Union", "Optional"):
        for each in inner:
            yield from _parts(each)
        if name == "Optional":
            yield ast.Constant(None)
    else:
        yield node


def _field(value: Optional[ast.expr]) -> tuple[object, object]:
    """Return the default of a field, where it is a constant or a member of an enum, and its help."""
    default, help_text = value, None
    if isinstance(value, ast.Call):
        words = {word.arg: word.value for word in value.keywords}
        default = words.get("default")
        metadata = words.get("metadata")
        if isinstance(metadata, ast.Dict):
            texts = dict(zip(map(_constant, metadata.keys), map(_constant, metadata.values)))
            help_text = texts.get("help")
    return _constant(default), help_text


def _constant(node: Optional[ast.expr]) -> object:
    if isinstance(node, ast.Attribute):  # PromptTuningInit.RANDOM: all of PEFT's enums have their names as texts
        return node.attr
    return node.value if isinstance(node, ast.Constant) else MISSING
