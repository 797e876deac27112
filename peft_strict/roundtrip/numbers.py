"""Looks into the values of saved tensors, with nothing but Python's own means: zeros and NaN.

A chunk of bytes is searched at the speed of ``bytes`` methods. A number that is NaN has all bits of its exponent set,
and the byte that the exponent starts in is then one of a few. Numbers of that size are not in a sound adapter, so that
one by one is looked only where something is odd.
"""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING

from .header import BrokenError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from .header import Header, Tensor

_CHUNK = 4 * 1024 * 1024

# For each type: its bytes, the last bytes of its numbers that may be NaN, the unsigned integers that are looked at one
# by one, and infinity as one of them: what is larger, without its sign, is NaN.
_WIDE = {
    "F64": (8, b"\x7f\xff", "Q", 0x7FF0_0000_0000_0000),
    "F32": (4, b"\x7f\xff", "I", 0x7F80_0000),
    "BF16": (2, b"\x7f\xff", "H", 0x7F80),
    "F16": (2, b"\x7c\x7d\x7e\x7f\xfc\xfd\xfe\xff", "H", 0x7C00),
}
_BYTES = {
    "F8_E4M3": b"\x7f\xff",
    "F8_E5M2": b"\x7d\x7e\x7f\xfd\xfe\xff",
    "F8_E4M3FNUZ": b"\x80",
    "F8_E5M2FNUZ": b"\x80",
    "F8_E8M0": b"\xff",
}


def with_nan(file: BinaryIO, header: Header) -> list[str]:
    """Return the names of the tensors with a NaN among their values; types of less than a byte are not looked at.

    Args:
        file: The file that the header was read from.
        header: Its header.

    Raises:
        BrokenError: if the file has become shorter meanwhile.
        OSError: if it cannot be read.
    """
    return [
        name
        for name, tensor in header.tensors.items()
        if (tensor["dtype"] in _WIDE or tensor["dtype"] in _BYTES)
        and any(_has_nan(chunk, tensor["dtype"]) for chunk in _chunks(file, header, tensor))
    ]


def all_zero(file: BinaryIO, header: Header, names: Iterable[str]) -> bool:
    """Whether these tensors hold nothing but zeros; ends at the first that does not. Raises what `with_nan` does."""
    return all(not any(chunk.strip(b"\0") for chunk in _chunks(file, header, header.tensors[name])) for name in names)


def _chunks(file: BinaryIO, header: Header, tensor: Tensor) -> Iterator[bytes]:
    start, end = tensor["data_offsets"]
    file.seek(header.data_start + start)
    while start < end:
        chunk = file.read(min(_CHUNK, end - start))
        if len(chunk) < min(_CHUNK, end - start):
            raise BrokenError("it changed while it was being read")
        start += len(chunk)
        yield chunk


def _has_nan(chunk: bytes, dtype: str) -> bool:
    if dtype in _BYTES:
        return _any_of(chunk, _BYTES[dtype])
    width, last_bytes, code, infinity = _WIDE[dtype]
    if not _any_of(chunk[width - 1 :: width], last_bytes):
        return False
    numbers = array(code, chunk)
    if sys.byteorder == "big":  # pragma: no cover - the file is little-endian
        numbers.byteswap()
    without_sign = 2 ** (8 * width - 1) - 1
    return any(number & without_sign > infinity for number in numbers)


def _any_of(data: bytes, values: bytes) -> bool:
    return any(value in data for value in values)
