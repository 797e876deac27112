"""The value rule and its messages, as pure functions: nothing here knows PEFT, wrapt or torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from .._errors import InvalidTaskTypeError, name_of
from .suggest import Hint, hint, misspelled
from .texts import squash

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from typing import TypeGuard

    from ..releases.vocabulary import Vocabulary

_LONGEST = 200
_LEAVE_OUT = "leave task_type out, and name a new head, if the model has one, in modules_to_save"


def lookup(value: object, vocabulary: Vocabulary) -> tuple[bool, Any]:
    """Say whether ``value`` is right, and what PEFT should store for it.

    Right are ``None``, whatever equals exactly one member, and the names registered in PEFT's task-to-model mapping.
    Never raises, whatever the value does in ``__eq__`` or ``__hash__``.
    """
    if value is None:
        return True, None
    if _is_text(value):
        text = str.__str__(value)  # the characters, whatever a subclass makes of == and hash()
        if text in vocabulary.members:
            return True, vocabulary.members[text]
        return text in vocabulary.registered, value
    equal = [member for member in vocabulary.members.values() if _equals(value, member)]
    return (True, equal[0]) if len(equal) == 1 else (False, value)


def _is_text(value: object) -> TypeGuard[str]:
    """Whether it is a string by its real type: proxies and mocks claim to be one, and ``__class__`` may raise."""
    return issubclass(type(value), str)


def _equals(value: object, member: object) -> bool:
    try:
        return bool(value == member)
    except Exception:  # a foreign __eq__ or __bool__ (numpy's raises for arrays): such a value equals no member
        return False


def invalid(
    value: object,
    vocabulary: Vocabulary,
    *,
    where: str,
    config_class: Optional[str] = None,
    source: Optional[str] = None,
) -> InvalidTaskTypeError:
    """Build the error for a value that `lookup` refuses.

    Args:
        value: What was passed.
        vocabulary: The task types of the installed PEFT.
        where: The place, as an expression with ``{}`` where the value stands, such as ``LoraConfig(task_type={})``.
        config_class: The name of the config class.
        source: The file the value was read from.
    """
    supported = tuple(vocabulary.members)
    found = hint(value, supported)
    lines = [_sentence(value, supported), f"  in {where.replace('{}', short(value))}"]
    if source is not None:
        lines.append(f"  read from {source}")
    method = method_of(value, vocabulary)
    lines.append("  " + (_of_method(method, config_class) if method else _advice(found, vocabulary.meanings)))
    return InvalidTaskTypeError(
        "\n".join(lines),
        value=value,
        supported=supported,
        suggestion=found.task_type,
        fix=_fix(found.task_type),
        config_class=config_class,
        source=source,
    )


def misplaced(
    value: object, vocabulary: Vocabulary, methods: Container[object], *, config_class: str
) -> Optional[InvalidTaskTypeError]:
    """Build the error for a task type given as ``peft_type``, or return ``None`` if ``value`` is something else.

    A member, its text and its evident misspellings count; PEFT's own method names (``methods``) never do.
    """
    if not _is_text(value):
        return None
    text = str.__str__(value)
    supported = tuple(vocabulary.members)
    meant = text if text in vocabulary.members else None
    if meant is None and text not in methods and text.upper() not in methods:
        meant = misspelled(text, supported)
    if meant is None:
        return None
    return InvalidTaskTypeError(
        f"`peft_type` got a task type; write `task_type={meant!r}`.\n"
        f"  in {config_class}(peft_type={short(value)})\n"
        f"  `peft_type` names the PEFT method, which {config_class} sets by itself: your task type would be lost.",
        value=value,
        supported=supported,
        suggestion=meant,
        fix=_fix(meant),
        config_class=config_class,
        source=None,
    )


def replaced(value: object, left: object, vocabulary: Vocabulary, *, config_class: str) -> InvalidTaskTypeError:
    """Build the error for a right value that the config class does not keep."""
    supported = tuple(vocabulary.members)
    kept = short(left)
    suggestion = str.__str__(left) if _is_text(left) else None
    return InvalidTaskTypeError(
        f"{_sentence(value, supported)}\n"
        f"  in {config_class}(task_type={short(value)})\n"
        f"  {config_class} does not keep it: it has set task_type to {kept}. "
        f"Write task_type={kept}, or use another config class.",
        value=value,
        supported=supported,
        suggestion=suggestion,
        fix=_fix(suggestion),
        config_class=config_class,
        source=None,
    )


def without_effect(written: object, vocabulary: Vocabulary, *, config_class: str) -> str:
    """Say that ``task_type = ...`` in the body of a config class has no effect, as it is no field of the dataclass."""
    right, stored = lookup(written, vocabulary)
    meant = str.__str__(stored) if right and _is_text(stored) else hint(written, tuple(vocabulary.members)).task_type
    advice = (
        f"Write `task_type: str = {meant!r}` there and put @dataclasses.dataclass on the class, "
        f"or pass task_type={meant!r}."
        if meant
        else "Take the line out."
    )
    return (
        f"peft-strict: `task_type = {short(written)}` in the body of class {config_class} has no effect: "
        f"its configs do not get it.\n  {advice}"
    )


def missing(
    vocabulary: Vocabulary,
    *,
    config_class: str,
    model_class: str,
    fitting: Optional[str],
    source: Optional[str] = None,
    loader: Optional[str] = None,
) -> InvalidTaskTypeError:
    """Build the error for prompt learning without a task type, code M1.

    ``get_peft_model`` then fails (``KeyError: None``); a ``PeftModel`` made by hand does not use the prompt. PEFT has
    no sentence for it that the message could start with.

    Args:
        vocabulary: The task types of the installed PEFT.
        config_class: The name of the config class.
        model_class: The name of the base model's class.
        fitting: The task type that fits the model, or ``None``.
        source: Where the adapter is being loaded from; ``None`` where a new one is made.
        loader: The name of PEFT's class for ``fitting``.
    """
    given, meaning = f" from {source}" if source else "", _meaning(fitting, vocabulary.meanings)
    if source is None:
        fix = _fix(fitting)
        advice = f" For {model_class} write task_type={fitting!r}{meaning}." if fitting else ""
    elif fitting and loader:
        fix = f'write "task_type": "{fitting}" into its adapter_config.json, or load it with {loader}.from_pretrained'
        advice = f" If it was trained as {fitting}{meaning}, {fix}."
    else:
        fix = "load it with PEFT's class for the task that it was trained for"
        advice = f" Instead, {fix}."
    return InvalidTaskTypeError(
        f"peft-strict M1: {config_class} without a task_type{given}, used on {model_class}: "
        "its prompt would not be used.\n"
        f"  Prompt learning needs a task type: only PEFT's class for a task adds the prompt.{advice}",
        code="M1",
        value=None,
        supported=tuple(vocabulary.members),
        suggestion=fitting,
        fix=fix,
        config_class=config_class,
        source=source,
    )


def short(value: object) -> str:
    """Return a short text for any value; never raises."""
    import reprlib

    if _is_text(value):
        value = str.__str__(value)  # an enum member or a subclass: its characters are what PEFT compares
        text = repr(value[:_LONGEST])
        if len(value) <= _LONGEST and len(text) <= 2 * _LONGEST:  # escapes take up to ten times the space
            return text
        return f"{text[:60]}...' ({len(value):,} characters)"
    if issubclass(type(value), type):
        return f"<class {name_of(value)}>"
    try:
        text = str.__str__(reprlib.repr(value))  # a repr may be a subclass of str, too
    except Exception:  # a foreign __repr__: its failure is not the user's news here
        text = f"<{name_of(type(value))} whose repr fails>"
    return " ".join(text[:_LONGEST].split())


def _sentence(value: object, supported: tuple[str, ...]) -> str:
    """PEFT's own sentence (>= 0.14, ``PeftConfigMixin.__post_init__``), word for word."""
    if _is_text(value):
        text = str.__str__(value)
        shown = text if len(text) <= _LONGEST else f"{text[:60]}..."
    else:
        shown = short(value)
    return f"Invalid task type: '{shown}'. Must be one of the following task types: {', '.join(supported)}."


def _meaning(name: Optional[str], meanings: Mapping[str, str]) -> str:
    words = meanings.get(name or "")
    return f" ({words[0].lower()}{words[1:]})" if words else ""


def _fix(task_type: Optional[str]) -> str:
    return f'task_type="{task_type}"' if task_type else ""


def method_of(value: object, vocabulary: Vocabulary) -> str:
    """Return the name of the PEFT method that ``value`` is (``lora``, ``PeftType.LORA``), or an empty text."""
    text = squash(str.__str__(value)[:_LONGEST].rpartition(".")[2]) if _is_text(value) else ""
    names = [str.__str__(method) for method in vocabulary.methods if _is_text(method)]
    return next((name for name in names if text and squash(name) == text), "")


def _of_method(method: str, config_class: Optional[str]) -> str:
    sets = f"{config_class or 'the class of the config'} sets the method by itself"
    return f"{method} is a PEFT method, no task: {sets}. If none of these is your task, {_LEAVE_OUT}."


def _advice(found: Hint, meanings: Mapping[str, str]) -> str:
    if found.task_type is not None:
        return f"Did you mean {found.task_type!r}{_meaning(found.task_type, meanings)}?"
    if found.is_none:
        return "Did you mean None, without quotes?"
    if found.choices:
        choices = " or ".join(f"{name!r}{_meaning(name, meanings)}" for name in found.choices)
        return f"Did you mean {choices}? If none of these is your task, {_LEAVE_OUT}."
    if found.leave_out is not None:
        return f"PEFT has no task type for {found.leave_out}: {_LEAVE_OUT}."
    return f"If none of these is your task, {_LEAVE_OUT}."
