"""The exceptions and warnings peft-strict reports with.

All of them can be pickled with their attributes, so they cross process borders (a ``spawn`` pool, a Ray task,
a data loader worker) whole. Values that cannot be pickled travel as their short text.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


def _portable(value: object) -> object:
    """Return ``value`` if it can be pickled, else a short text that stands for it."""
    import pickle

    try:
        pickle.dumps(value)
    except Exception:  # whatever a foreign __reduce__ raises: the report must survive it
        return f"<{name_of(type(value))} that cannot be pickled>"
    return value


def name_of(cls: object) -> str:
    """Return the name of a class in short, whatever its metaclass makes of ``__name__``."""
    return str.__str__(type.__dict__["__name__"].__get__(cls))[:60]


class _Report(Exception):
    """What the two errors share: a message plus named attributes, kept through pickling."""

    def __init__(self, message: str, **attributes: Any) -> None:
        super().__init__(message)
        self.__dict__.update(attributes)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: _portable(value) for name, value in self.__dict__.items()}
        return type(self), (str(self.args[0]),), state


class InvalidTaskTypeError(_Report, ValueError):
    """A ``task_type`` that PEFT does not know, or that it would not use as given.

    A ``ValueError`` whose message starts with PEFT's own sentence (PEFT >= 0.14, ``PeftConfigMixin.__post_init__``),
    so code that catches or matches PEFT's error keeps working on every release.

    Attributes:
        value: What was passed.
        supported: The names of the task types that the installed PEFT knows.
        suggestion: The task type that was probably meant, or ``None`` if there is no safe answer.
        config_class: The name of the config class, or ``None`` outside of a config.
        source: The file the value was read from, or ``None``.
    """

    value: object = None
    supported: tuple[str, ...] = ()
    suggestion: Optional[str] = None
    config_class: Optional[str] = None
    source: Optional[str] = None


class MisfitError(_Report, ValueError):
    """A valid ``task_type`` that does not fit the base model.

    Raised with ``misfit="raise"``, and for code ``M2``, where PEFT itself would fail with an obscure error, also with
    ``misfit="warn"``.

    Attributes:
        code: The rule that spoke (``"M2"``, ``"H1"``, ``"H2"``, ``"P1"``, ``"S1"``, ``"T1"``).
        task_type: The task type of the config, or ``None``.
        model_class: The name of the base model's class.
        config_class: The name of the config class.
        fix: The text to write instead, such as ``task_type="SEQ_CLS"``.
    """

    code: str = ""
    task_type: Optional[str] = None
    model_class: str = ""
    config_class: str = ""
    fix: str = ""


class TaskTypeWarning(UserWarning):
    """A wrong ``task_type`` reported with ``invalid="warn"``, and the base of all warnings of peft-strict."""


class MisfitWarning(TaskTypeWarning):
    """A valid ``task_type`` that does not fit the base model, reported with ``misfit="warn"``.

    The message starts with ``peft-strict <code>:``, so ``warnings.filterwarnings("ignore", message="peft-strict L1")``
    silences one code.
    """


for _public in (InvalidTaskTypeError, MisfitError, TaskTypeWarning, MisfitWarning):
    _public.__module__ = "peft_strict"  # where users import them from, and what tracebacks should say
