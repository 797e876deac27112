"""Guards where PEFT loads what it has saved: a report then names the file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._errors import RoundTripError, RoundTripWarning
from . import reading, report
from .patching import Place, wrapping
from .reading import File
from .watch import REPORTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .watch import Watch


def places(watch: Watch) -> Iterator[Place]:
    """Yield the methods that load configs, and the one that reads a file for them."""
    release = watch.release
    automatic = getattr(sys.modules.get("peft.auto"), "_BaseAutoPeftModel", None)
    for owner, name in (
        (release.config_base, "from_pretrained"),
        (release.peft_model, "from_pretrained"),
        (release.peft_model, "load_adapter"),
        (automatic, "from_pretrained"),
    ):
        if owner is not None:
            yield Place(owner, name, wrapping(_loading))
    yield Place(release.config_base, "from_json_file", wrapping(_noting))


def _loading(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wraps a method that loads: the files that are read in it count as long as it runs."""
    token = reading.files.set({}) if reading.files.get() is None else None
    try:
        return wrapped(*args, **kwargs)
    except (*REPORTS, RoundTripError, RoundTripWarning) as error:
        __tracebackhide__ = True
        report.trim(error)
        raise
    finally:
        if token is not None:
            reading.files.reset(token)


def _noting(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Wraps ``from_json_file``."""
    found = wrapped(*args, **kwargs)
    known, path = reading.files.get(), str(args[0] if args else kwargs.get("path_json_file"))
    if known is not None and isinstance(found, dict):
        told = known[path].told if path in known else set()
        known[path] = File(path, dict(found), told)
    return found
