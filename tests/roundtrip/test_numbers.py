"""Zeros and NaN in saved tensors, of every type that torch has."""

from __future__ import annotations

import io
import math
import struct
import time
from typing import Any

import pytest
import safetensors.torch
import torch

from peft_strict.roundtrip import header, numbers

FLOATS = ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0"]
DTYPES = {name: safetensors.torch._TYPES[name] for name in FLOATS if name in safetensors.torch._TYPES}


def opened(content: bytes) -> tuple[io.BytesIO, header.Header]:
    file = io.BytesIO(content)
    return file, header.read(file, len(content))


def saved(tensors: dict[str, Any]) -> tuple[io.BytesIO, header.Header]:
    return opened(safetensors.torch.save(tensors))


def many_numbers(dtype: Any) -> Any:
    """Return all numbers of a type of one byte; of one of two bytes, some with each first byte."""
    if torch.empty(0, dtype=dtype).element_size() == 1:
        return torch.arange(256).to(torch.uint8).view(dtype)
    lower = torch.tensor([0x00, 0x01, 0x7F, 0x80, 0x81, 0xFF])
    return (torch.arange(256)[:, None] * 256 + lower).flatten().to(torch.uint16).view(dtype)


@pytest.mark.parametrize("name", DTYPES)
def test_nan(name: str) -> None:
    """NaN is found in the first and the last place, and neither infinity nor a large number is taken for one."""
    dtype = DTYPES[name]
    sound = torch.ones(1000, dtype=torch.float32)
    values = {"sound": sound.to(dtype)}
    for place in (0, 999):
        bad = sound.clone()
        bad[place] = math.nan
        values[f"bad{place}"] = bad.to(dtype)
    assert numbers.with_nan(*saved(values)) == ["bad0", "bad999"]


@pytest.mark.parametrize("name", [name for name in DTYPES if name not in ("F64", "F32")])
def test_the_small_types(name: str) -> None:
    """Of each number, what is said is what torch says."""
    everything = many_numbers(DTYPES[name])
    wide = everything.to(torch.float32).isnan()
    file, found = saved({str(number): everything[number : number + 1] for number in range(len(everything))})
    assert {int(number) for number in numbers.with_nan(file, found)} == {*wide.nonzero().flatten().tolist()}


@pytest.mark.parametrize(
    ("name", "code", "bits", "expected"),
    [
        ("F32", "<I", 0x7F800000, False),
        ("F32", "<I", 0xFF800000, False),
        ("F32", "<I", 0x7F7FFFFF, False),
        ("F32", "<I", 0x7F800001, True),
        ("F32", "<I", 0xFFC00000, True),
        ("F64", "<Q", 0x7FF0000000000000, False),
        ("F64", "<Q", 0xFFF0000000000001, True),
        ("F64", "<Q", 0x7FEFFFFFFFFFFFFF, False),
    ],
)
def test_the_border_of_nan(name: str, code: str, bits: int, expected: bool) -> None:
    """Infinity and the largest number are none; the smallest NaN is one."""
    data = struct.pack(code, bits)
    text = b'{"x":{"dtype":"%s","shape":[1],"data_offsets":[0,%d]}}' % (name.encode(), len(data))
    found = numbers.with_nan(*opened(len(text).to_bytes(8, "little") + text + data))
    assert found == (["x"] if expected else [])


def test_types_without_nan() -> None:
    """Whole numbers have none, whatever their bytes."""
    assert numbers.with_nan(*saved({"x": torch.full((9,), -1, dtype=torch.int32), "y": torch.ones(3).bool()})) == []


def test_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor is read in parts; what is in its last part is seen."""
    monkeypatch.setattr(numbers, "_CHUNK", 64)
    bad = torch.ones(1001)
    bad[-1] = math.nan
    last = torch.zeros(1001)
    last[-1] = 1e-30
    file, found = saved({"bad": bad, "last": last, "zero": torch.zeros(1001)})
    assert numbers.with_nan(file, found) == ["bad"]
    assert not numbers.all_zero(file, found, ["zero", "last"])
    assert numbers.all_zero(file, found, ["zero"])


def test_a_file_that_was_cut_meanwhile() -> None:
    """What has become shorter since the header was read is told, not taken for zeros."""
    file, found = saved({"x": torch.zeros(100)})
    file.truncate(300)
    with pytest.raises(header.BrokenError, match="it changed while it was being read"):
        numbers.all_zero(file, found, ["x"])
    with pytest.raises(header.BrokenError, match="it changed while it was being read"):
        numbers.with_nan(file, found)


def test_zeros_end_at_the_first_number() -> None:
    """To see that an adapter was trained, one chunk is read."""

    class Counted(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.reads += 1
            return super().read(size)

    content = safetensors.torch.save({f"b{number:03}": torch.ones(100) for number in range(300)})
    file = Counted(content)
    found = header.read(file, len(content))
    before = file.reads
    assert not numbers.all_zero(file, found, sorted(found.tensors))
    assert file.reads == before + 1


def test_a_whole_adapter_takes_no_time() -> None:
    """84 MB, the LoRA of a model of 7B, are read for NaN in much less than a second."""
    file, found = saved({f"t{number}": torch.rand(46_875) for number in range(448)})
    start = time.process_time()
    assert numbers.with_nan(file, found) == []
    assert time.process_time() - start < 1
