"""``%load_ext peft_strict`` and ``%unload_ext peft_strict``."""

from __future__ import annotations

from .activation import disable, enable


def load_ipython_extension(ipython: object) -> None:
    """Switch on with the defaults and print what is guarded. Called by IPython for ``%load_ext peft_strict``."""
    print(enable())


def unload_ipython_extension(ipython: object) -> None:
    """Switch off again. Called by IPython for ``%unload_ext peft_strict``."""
    print(disable())
