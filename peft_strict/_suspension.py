"""Switching the checks off for one context."""

from __future__ import annotations

import contextlib
import contextvars

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

is_suspended: contextvars.ContextVar[bool] = contextvars.ContextVar("peft_strict_suspended", default=False)


@contextlib.contextmanager
def suspended() -> Iterator[None]:
    """Run a block without any check, as if peft-strict were off.

    Nests, and holds for the current context only (PEP 567): a thread started inside the block is checked as usual, an
    asyncio task created inside it inherits the suspension. Usable as a decorator. Nothing is checked later for what
    was let through, except that a config which meets a model outside of the block is looked at there.

    >>> with peft_strict.suspended():
    ...     config.task_type = "MY_OWN_NAME"
    """
    token = is_suspended.set(True)
    try:
        yield
    finally:
        is_suspended.reset(token)
