"""Watches Hugging Face PEFT: what a config says is what happens, and what was trained is in the file and comes back.

>>> import peft_strict
>>> peft_strict.enable()

Importing this package patches nothing and imports neither PEFT nor wrapt, nor anything else that is heavy: it runs at
the start of every interpreter where ``PEFT_STRICT`` is set. Each name is loaded when it is first used (PEP 562).
"""

__version__ = "0.2.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._errors import (
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
    from .guards.suspension import suspended
    from .switch.activation import disable, enable, status
    from .switch.notebook import load_ipython_extension, unload_ipython_extension
    from .switch.status import Status
    from .values.parse import parse_task_type

__all__ = [
    "InvalidFieldError",
    "InvalidFieldWarning",
    "InvalidTaskTypeError",
    "MisfitError",
    "MisfitWarning",
    "PeftStrictWarning",
    "RoundTripError",
    "RoundTripWarning",
    "Status",
    "TaskTypeWarning",
    "__version__",
    "disable",
    "enable",
    "load_ipython_extension",
    "parse_task_type",
    "status",
    "suspended",
    "unload_ipython_extension",
]

_HOMES = {
    **dict.fromkeys((name for name in __all__ if name.endswith(("Error", "Warning"))), "_errors"),
    "Status": "switch.status",
    "disable": "switch.activation",
    "enable": "switch.activation",
    "load_ipython_extension": "switch.notebook",
    "parse_task_type": "values.parse",
    "status": "switch.activation",
    "suspended": "guards.suspension",
    "unload_ipython_extension": "switch.notebook",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(__import__(f"{__name__}.{home}", fromlist=[name]), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
