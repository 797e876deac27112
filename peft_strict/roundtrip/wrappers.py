"""The names that wrappers of torch, accelerate and trainers put in between, in the paths of modules and of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

if TYPE_CHECKING:
    from collections.abc import Iterable

# Parts of a path that are no module of the model, and what puts them there.
BETWEEN = {
    "_checkpoint_wrapped_module": "activation checkpointing",
    "_fsdp_wrapped_module": "FSDP",
    "_orig_mod": "torch.compile",
}
# First parts of the names of a state dict that was taken from the outside of a wrapper.
_IN_FRONT = {"module": "DistributedDataParallel", "model": "a LightningModule", "_orig_mod": "a compiled model"}


class Difference(NamedTuple):
    """How given names differ from the names of the model.

    Attributes:
        more: What the given ones have in front.
        less: What they lack in front.
        between: The wrapper whose name they have in the middle, or ``""``.
    """

    more: str = ""
    less: str = ""
    between: str = ""


def may_be_in(text: str) -> bool:
    """Whether a part of `BETWEEN` may be in a path, or in one of several: a quick look that passes over nearly all."""
    return "_wrapped_module" in text or "_orig_mod" in text


def strip(path: str) -> str:
    """Return a path without the parts that wrappers put in."""
    if not may_be_in(path):
        return path
    return ".".join(part for part in path.split(".") if part not in BETWEEN)


def between(paths: Iterable[str]) -> str:
    """Return the first part of a wrapper that is in one of the paths, or ``""``."""
    for path in paths:
        for part in path.split("."):
            if part in BETWEEN:
                return part
    return ""


def outside(prefix: str) -> str:
    """Return what the state dict was taken from whose names start with this, in words, or ``""``."""
    return _IN_FRONT.get(prefix.partition(".")[0], "")


def difference(given: Iterable[str], expected: Iterable[str]) -> Optional[Difference]:
    """Say how the given names differ from those that were expected, if it is the same for a name of each.

    Args:
        given: Names of tensors, foreign ones among them.
        expected: Names that the model has; some are enough.

    Returns:
        ``None`` if no given name is an expected one with something more or less in front, or in between.
    """
    wanted = list(expected)[:4]
    for name in given:
        for other in wanted:
            if name.endswith(other) and name != other and name[-len(other) - 1] == ".":
                return Difference(more=name[: -len(other)])
            if other.endswith(name) and name != other and other[-len(name) - 1] == ".":
                return Difference(less=other[: -len(name)])
            if name != other and between([name]) and strip(name) == strip(other):
                return Difference(between=between([name]))
    return None


def cut_out(given: Iterable[str], expected: Iterable[str]) -> str:
    """Return what PEFT has cut out of names as the name of their adapter, with the dot in front; ``""`` if nothing.

    PEFT up to 0.17 removes that wherever it is: an adapter ``a`` makes ``layer.0ttention`` of ``layer.0.attention``.

    Args:
        given: Names of tensors.
        expected: Some names that the model has.
    """
    names = set(given)
    for name in map(strip, expected):
        pieces = {f".{part[:length]}" for part in name.split(".")[1:] for length in range(1, len(part) + 1)}
        for piece in sorted(pieces, key=len):
            if name.replace(piece, "") in names:
                return piece
    return ""
