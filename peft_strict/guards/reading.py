"""Guards where configs are read from files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .patching import Place, wrapping
from .watch import note_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .watch import Watch


def places(watch: Watch) -> Iterator[Place]:
    """Yield the places where PEFT reads a config."""

    def read(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = wrapped(*args, **kwargs)
        if watch.active:
            path = args[0] if args else kwargs.get("path_json_file")
            note_source(found, path, watch)
            watch.fields.note_source(found, path)
        return found

    yield Place(watch.release.config_base, "from_json_file", wrapping(read))
