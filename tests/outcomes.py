"""How the tests look at what a guard reports."""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from peft_strict import InvalidTaskTypeError, PeftStrictWarning


@contextlib.contextmanager
def reports() -> Iterator[list[warnings.WarningMessage]]:
    """Collect our warnings, all of them."""
    caught: list[warnings.WarningMessage] = []
    with warnings.catch_warnings(record=True) as everything:
        warnings.simplefilter("always")
        yield caught
    caught += [each for each in everything if issubclass(each.category, PeftStrictWarning)]


def refused(function: Callable[..., Any], *args: Any, **words: Any) -> InvalidTaskTypeError:
    """Return the error that the call ends in. Its traceback must not hold more than one frame of ours."""
    with pytest.raises(InvalidTaskTypeError) as caught:
        function(*args, **words)
    printed = "".join(traceback.format_exception(type(caught.value), caught.value, caught.value.__traceback__))
    assert printed.count("/peft_strict/") <= 1, printed
    return caught.value


@contextlib.contextmanager
def parser_of(cls: Any) -> Iterator[Any]:
    """Yield transformers' parser for a class, or ``None`` if it fails. It overwrites the types of the fields."""
    from transformers import HfArgumentParser

    fields = dataclasses.fields(cls)
    types = [field.type for field in fields]
    parser = None
    try:
        with contextlib.suppress(TypeError, ValueError):
            parser = HfArgumentParser(cls)
        yield parser
    finally:
        for field, kind in zip(fields, types):
            field.type = kind
