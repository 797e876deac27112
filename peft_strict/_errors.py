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
    """What the errors and warnings share: a message plus named attributes, kept through pickling."""

    def __init__(self, message: str, **attributes: Any) -> None:
        super().__init__(message)
        self.__dict__.update(attributes)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: _portable(value) for name, value in self.__dict__.items()}
        return type(self), (str(self.args[0]),), state


class InvalidFieldError(_Report, ValueError):
    """A value that a field of a PEFT config does not have.

    Attributes:
        code: The rule that spoke (``"F1"``, ``"M1"``), or ``""`` for a wrong task type.
        field: The name of the field.
        value: What was passed.
        allowed: The values that the field has, as far as they are texts.
        suggestion: What was probably meant, or ``None`` if there is no safe answer.
        config_class: The name of the config class, or ``None`` outside of a config.
        source: The file the value was read from, or the adapter that was being loaded (code ``"M1"``), or ``None``.
        fix: The text to write instead, such as ``use_rslora=False``.
    """

    code: str = ""
    field: str = ""
    value: object = None
    allowed: tuple[str, ...] = ()
    suggestion: object = None
    config_class: Optional[str] = None
    source: Optional[str] = None
    fix: str = ""


class InvalidTaskTypeError(InvalidFieldError):
    """A ``task_type`` that PEFT does not know, or that it would not use as given.

    A ``ValueError`` whose message starts with PEFT's own sentence (PEFT >= 0.14, ``PeftConfigMixin.__post_init__``),
    so code that catches or matches PEFT's error keeps working on every release. Only where the task type is missing
    (code ``"M1"``: prompt learning needs one) PEFT has no such sentence.

    Attributes:
        supported: The names of the task types that the installed PEFT knows; ``allowed`` holds the same.
    """

    field: str = "task_type"
    suggestion: Optional[str] = None
    supported: tuple[str, ...] = ()

    @property
    def allowed(self) -> tuple[str, ...]:  # type: ignore[override]
        """The same as ``supported``."""
        return self.supported


class MisfitError(_Report, ValueError):
    """A right config on a model that it does not fit: its ``task_type``, or names that the model does not have.

    Raised with ``misfit="raise"``, and for code ``M2``, where PEFT itself would fail with an obscure error, also with
    ``misfit="warn"``. Code ``N1`` is raised once PEFT has accepted the config, when the adapter is in the model
    already: the model has to be loaded anew.

    Attributes:
        code: The rule that spoke (``"M2"``, ``"H1"``, ``"H2"``, ``"P1"``, ``"S1"``, ``"T1"``, ``"N1"``).
        task_type: The task type of the config, or ``None``.
        model_class: The name of the base model's class.
        config_class: The name of the config class.
        fix: The text to write instead, such as ``task_type="SEQ_CLS"``.
        source: The folder or name of the adapter that was being loaded, or ``None``.
    """

    code: str = ""
    task_type: Optional[str] = None
    model_class: str = ""
    config_class: str = ""
    fix: str = ""
    source: Optional[str] = None


class RoundTripError(_Report, ValueError):
    """Something that was trained is not in what is saved, or something that was saved did not find its place.

    Raised with ``roundtrip="raise"``, before the first byte is written.

    Attributes:
        code: The rule that spoke (``"K1"`` to ``"K4"`` at save, ``"R1"`` and ``"R2"`` at load).
        keys: The names of the tensors or parameters in question.
        model_class: The name of the class that was saved or loaded into.
        source: The file or folder, where it is known.
        fix: What to do about it.
    """

    code: str = ""
    keys: tuple[str, ...] = ()
    model_class: str = ""
    source: Optional[str] = None
    fix: str = ""


class PeftStrictWarning(_Report, UserWarning):
    """The base of all warnings of peft-strict.

    The message of those that have a code starts with ``peft-strict <code>:``, so that
    ``warnings.filterwarnings("ignore", message="peft-strict L1")`` silences one code.

    Attributes:
        code: The rule that spoke; ``""`` for a wrong task type.
        fix: The text to write instead, or ``""``.
    """

    code: str = ""
    fix: str = ""


class InvalidFieldWarning(PeftStrictWarning):
    """A wrong value of a field, reported with ``invalid="warn"``, or one that works by chance (code ``F2``)."""


class TaskTypeWarning(InvalidFieldWarning):
    """A wrong ``task_type``, reported with ``invalid="warn"``."""


class MisfitWarning(PeftStrictWarning):
    """A right config on a model that it does not fit, reported with ``misfit="warn"``."""


class RoundTripWarning(PeftStrictWarning):
    """What a save or a load loses, reported with ``roundtrip="warn"``."""


PUBLIC = (
    InvalidFieldError,
    InvalidFieldWarning,
    InvalidTaskTypeError,
    MisfitError,
    MisfitWarning,
    PeftStrictWarning,
    RoundTripError,
    RoundTripWarning,
    TaskTypeWarning,
)

for _public in PUBLIC:
    _public.__module__ = "peft_strict"  # where users import them from, and what tracebacks should say
