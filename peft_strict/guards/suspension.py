"""Switching the checks off for one context."""

from __future__ import annotations

import contextlib
import contextvars

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# How many blocks are open. A count, as blocks in generators may end in another order, or in another context.
is_suspended: contextvars.ContextVar[int] = contextvars.ContextVar("peft_strict_suspended", default=0)


@contextlib.contextmanager
def suspended() -> Iterator[None]:
    """Run a block without any check, as if peft-strict were off.

    Nests, and holds for the current context only (PEP 567): a thread started inside the block is checked as usual, an
    asyncio task created inside it inherits the suspension. Where Python has threads inherit the context
    (``-X thread_inherit_context=1``, the default of free-threaded builds), a thread started inside the block is as
    such a task: suspended until it ends, whenever the block ends. Usable as a decorator of ordinary functions (of
    ``async`` functions and generators it covers the call only, not the body). A right text is still stored as the
    ``TaskType`` member. Nothing is checked later for what was let through, except that a config which meets a model
    outside of the block is looked at there.

    >>> with peft_strict.suspended():
    ...     config.task_type = "MY_OWN_NAME"
    """
    blocks = is_suspended  # a generator that is open until the interpreter ends outlives our globals
    blocks.set(blocks.get() + 1)
    try:
        yield
    finally:
        blocks.set(max(blocks.get() - 1, 0))
