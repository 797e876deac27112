"""Reads the header of a safetensors file: the names, types, shapes and places of its tensors, without their values.

The format (https://huggingface.co/docs/safetensors): 8 bytes, little-endian, with the length of the header; the
header, a JSON object; then the values of all tensors, one behind the other without a gap, up to the end of the file.
What the safetensors library refuses is refused here, so that what is read is what a load would get. A type that is not
known here is taken as it is, and the size that follows from it is not looked at.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

if TYPE_CHECKING:
    from typing import BinaryIO

# A LoRA on every expert of the largest public models (94,000 matrices) has 15 MB. The library's own limit is 100 MB,
# whose JSON takes 1 GB of memory.
LARGEST = 32 * 1024 * 1024
_LIBRARY_LIMIT = 100_000_000
_LENGTH_BYTES = 8
LFS_POINTER = b"version https://git-lfs"
# How files of other kinds start that are found under the name of weights.
_OTHER_KINDS = {
    b"PK\x03\x04": "it starts with 'PK', as torch.save has it",
    b"<": "it starts with '<', as a web page does",
}
_NO_LENGTH = "its first 8 bytes are not the length of a header"
_LARGEST_NUMBER = 2**64

# safetensors 0.8, Dtype::bitsize
_BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


class BrokenError(ValueError):
    """The file is not what safetensors would load; the message is a sentence for the user."""


class CutOffError(BrokenError):
    """The file ends before its header or the values that the header names."""


class Tensor(TypedDict):
    """What the header says of one tensor, as it stands there.

    Attributes:
        dtype: The type of its values, as safetensors names it: ``"F32"``, ``"BF16"``, ...
        shape: Its shape.
        data_offsets: The places of its first byte and behind its last, counted from the start of all values.
    """

    dtype: str
    shape: list[int]
    data_offsets: list[int]


class Header(NamedTuple):
    """What a safetensors file holds.

    Attributes:
        tensors: The tensors by their names, in the order of the header.
        data_start: The place in the file where the values start.
    """

    tensors: dict[str, Tensor]
    data_start: int


def read(file: BinaryIO, size: int) -> Header:
    """Read the header of a safetensors file.

    Args:
        file: The file, open at its start.
        size: Its size in bytes.

    Raises:
        CutOffError: if the file ends too early.
        BrokenError: if it is no safetensors file, or one that cannot be loaded, or its header is larger than any
            adapter's.
        OSError: if it cannot be read.
    """
    data_start, text = _text(file, size)
    tensors = _entries(text)
    tensors.pop("__metadata__", None)
    end = _end_of_values(tensors)
    if data_start + end > size:
        raise CutOffError(f"cut off: its header names {data_start + end:,} bytes, the file has {size:,}")
    if data_start + end < size:
        more = f"{size - data_start - end:,} bytes more than its header names"
        raise BrokenError(f"the file has {more}: copy or save it anew")
    return Header(tensors, data_start)


def _text(file: BinaryIO, size: int) -> tuple[int, str]:
    """Return where the values start, and the header."""
    first = file.read(_LENGTH_BYTES)
    if len(first) < _LENGTH_BYTES:
        raise CutOffError("the file is empty" if not size else f"cut off: it has {size} bytes, less than a header")
    if first == LFS_POINTER[:_LENGTH_BYTES] and (first + file.read(len(LFS_POINTER))).startswith(LFS_POINTER):
        raise BrokenError("a pointer of Git LFS, not the weights: fetch them with `git lfs pull`")
    length = int.from_bytes(first, "little")
    if length > _LIBRARY_LIMIT:
        seen = next((kind for start, kind in _OTHER_KINDS.items() if first.startswith(start)), _NO_LENGTH)
        raise BrokenError(f"not a safetensors file: {seen}")
    content = file.read(min(length, LARGEST))
    if content.lstrip()[:1] not in (b"{", b""):
        raise BrokenError("not a safetensors file: its header does not start with '{'")
    if length > LARGEST:
        raise BrokenError(f"its header has more than {LARGEST >> 20} MB, more than any adapter's: not read")
    if len(content) < length:
        raise CutOffError(f"cut off inside the header: that has {length:,} bytes, the file {size:,}")
    try:
        return _LENGTH_BYTES + length, content.decode()
    except UnicodeDecodeError as error:
        raise BrokenError("its header is not UTF-8 text") from error


def _entries(text: str) -> dict[str, Any]:
    """Return the header as Python reads it: where a name comes twice, the last one, as in the library."""
    try:
        entries = _decode(text)
    except (ValueError, RecursionError) as error:  # also a number too long for Python
        raise BrokenError(f"its header cannot be read as JSON: {error}") from error
    if not isinstance(entries, dict):
        raise BrokenError("its header is no JSON object")
    return entries


def _end_of_values(tensors: dict[str, Any]) -> int:
    """Require that each entry is right, and that the values stand one behind the other; return where they end.

    It is one loop, because every tensor of thousands of adapters goes through it.
    """
    here, in_order = 0, True
    for name, entry in tensors.items():
        try:
            dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        except (TypeError, KeyError, ValueError) as error:
            raise _fault(name, "no dtype, shape and data_offsets") from error
        if type(dtype) is not str or type(shape) is not list or type(start) is not int or type(end) is not int:
            raise _fault(name, "a dtype, shape or data_offsets of the wrong kind")
        if not 0 <= start <= end:
            raise _fault(name, "impossible data_offsets")
        bits = _BITS.get(dtype, 0)
        for each in shape:
            if type(each) is not int or each < 0:
                raise _fault(name, "an impossible shape")
            bits *= each
            if bits > _LARGEST_NUMBER:  # and the product of a hostile shape would take for ever
                raise _fault(name, "a shape larger than any memory")
        if bits != 8 * (end - start) and dtype in _BITS:
            raise _fault(name, f"{end - start:,} bytes, not what its dtype and shape take,")
        if start != here:
            in_order = False
        here = end
    return here if in_order else _end_in_order(tensors)


def _fault(name: str, what: str) -> BrokenError:
    return BrokenError(f"its header has {what} for {quoted(name)}")


def _end_in_order(tensors: dict[str, Tensor]) -> int:
    """Return where the values end that stand in another order than their entries."""
    here = 0
    for start, end in sorted([tensor["data_offsets"] for tensor in tensors.values()]):
        if start != here:
            raise BrokenError("its header has tensors that " + ("overlap" if start < here else "leave a gap"))
        here = end
    return here


def quoted(name: str) -> str:
    """Return the name of a tensor as it can be printed, and not longer than a line."""
    return repr(name if len(name) <= 100 else f"{name[:60]}...{name[-37:]}")
