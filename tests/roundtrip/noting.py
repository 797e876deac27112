"""What the looks at save and load could not read: they say nothing then, which is not the same as finding it good."""

from __future__ import annotations

import contextlib
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from peft_strict.roundtrip import facts_at_load, facts_at_save


@contextlib.contextmanager
def failures() -> Iterator[list[str]]:
    """Note what the looks could not read, in the list that is given."""
    found: list[str] = []

    def noting(module: types.ModuleType) -> Callable[..., Any]:
        gather = module.gather

        def noted(*args: Any, **kwargs: Any) -> Any:
            try:
                return gather(*args, **kwargs)
            except Exception:
                found.append(f"{module.__name__} failed: {traceback.format_exc(limit=-1).splitlines()[-1]}")
                raise

        return noted

    with (
        mock.patch.object(facts_at_save, "gather", noting(facts_at_save)),
        mock.patch.object(facts_at_load, "gather", noting(facts_at_load)),
    ):
        yield found
