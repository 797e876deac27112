"""Reads the task types of the installed PEFT from its source, without importing it: an import takes seconds.

The two enums are plain assignments of strings in all releases: in ``peft/utils/peft_types.py`` since 0.5, in
``peft/utils/config.py`` before.
"""

from __future__ import annotations

import ast
import enum
import importlib.machinery
import importlib.util
import os
import re
from typing import NamedTuple, Optional

from . import live
from .source_fields import SourceFields

_HOMES = ("peft_types.py", "config.py")
_VERSION = re.compile(r"""^__version__\s*=\s*["']([^"']+)["']""", re.MULTILINE)


class Installed(NamedTuple):
    """What a check of files needs to know about the installed PEFT.

    Attributes:
        version: PEFT's version, or ``"?"`` where its source does not say.
        task_types: The task types, with what each means, or ``""`` where PEFT does not say (before 0.8).
        methods: The names of PEFT's methods, which are right as ``peft_type``.
        fields: What is declared of the other fields of its configs; of nothing where its source cannot be read.
    """

    version: str
    task_types: dict[str, str]
    methods: tuple[str, ...]
    fields: SourceFields


def installed() -> Installed:
    """Describe the PEFT that ``import peft`` would import.

    It is imported only where its source cannot be read (compiled files only) or does not look as expected.

    Raises:
        ImportError: if there is no PEFT, something else of that name is found first (a ``peft.py`` or a ``peft``
            folder of the user's), or PEFT has to be imported and fails to.
    """
    spec = importlib.util.find_spec("peft")
    if spec is None:
        raise ImportError("PEFT is not installed here")
    if spec.submodule_search_locations is None:
        raise ImportError(_not_peft(spec))
    return _from_source(spec) or _from_import(spec)


def _not_peft(spec: importlib.machinery.ModuleSpec) -> str:
    where = spec.origin or ", ".join(spec.submodule_search_locations or ())
    return f"`import peft` finds {where!r} first, which is not Hugging Face's PEFT"


def _from_source(spec: importlib.machinery.ModuleSpec) -> Optional[Installed]:
    for folder in spec.submodule_search_locations or ():
        for home in _HOMES:
            source = text(spec, os.path.join(folder, "utils", home))
            found = _enums(source) if source else {}
            if found.get("TaskType") and "PeftType" in found:
                version = _VERSION.search(text(spec, os.path.join(folder, "__init__.py")))
                return _describe(version[1] if version else "?", found["TaskType"], found["PeftType"], (folder,))
    return None


def _from_import(spec: importlib.machinery.ModuleSpec) -> Installed:
    try:
        import peft
    except Exception as error:  # whatever torch and its libraries raise on a broken machine: it is no PEFT we can ask
        raise ImportError(f"PEFT cannot be imported: {error}") from error
    try:
        return _describe(str(peft.__version__), peft.TaskType, peft.PeftType)
    except AttributeError as error:
        raise ImportError(_not_peft(spec)) from error


def _describe(
    version: str, task_type: type[enum.Enum], peft_type: type[enum.Enum], folders: tuple[str, ...] = ()
) -> Installed:
    known = live.meanings(task_type)
    names = [str(member.value) for member in task_type]
    methods = tuple(str(member.value) for member in peft_type)
    means = {name: known.get(name, "") for name in names}
    return Installed(version, means, methods, SourceFields(folders, version))


def text(spec: importlib.machinery.ModuleSpec, path: str) -> str:
    """Return a file of the package, from a folder or from inside a zip, or ``""`` if it cannot be had."""
    read = getattr(spec.loader, "get_data", None)
    try:
        return bytes(read(path)).decode() if read else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _enums(source: str) -> dict[str, type[enum.Enum]]:
    """Return the enums of strings that a module's source defines at its top, made anew."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # written for a newer Python, or no Python at all
        return {}
    return {node.name: _enum(node) for node in tree.body if isinstance(node, ast.ClassDef) and _members(node)}


def _enum(node: ast.ClassDef) -> type[enum.Enum]:
    made = enum.Enum(node.name, _members(node), type=str)  # type: ignore[misc]
    made.__doc__ = ast.get_docstring(node, clean=False)  # cleaning imports inspect; the meanings need none
    return made


def _members(node: ast.ClassDef) -> dict[str, str]:
    if not any(isinstance(base, ast.Attribute) and base.attr == "Enum" for base in node.bases):
        return {}
    return {
        statement.targets[0].id: statement.value.value
        for statement in node.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    }
