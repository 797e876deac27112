"""The reader of safetensors headers, compared with the safetensors library where both have a say."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from peft_strict.roundtrip import header

GOOD = {
    "b.lora_A.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "__metadata__": {"format": "pt"},
    "b.lora_B.weight": {"dtype": "BF16", "shape": [3, 2], "data_offsets": [24, 36]},
}


def written(entries: object, data: int = 36, *, length: int | None = None) -> bytes:
    """Return a file with this header, or these bytes for one."""
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + bytes(data)


def read(content: bytes) -> header.Header:
    return header.read(io.BytesIO(content), len(content))


def entry(**changes: Any) -> dict[str, Any]:
    return {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **changes}}


def test_what_is_read() -> None:
    """Names, types, shapes and places come back as they stand there; the metadata is no tensor."""
    found = read(written(GOOD))
    assert list(found.tensors) == ["b.lora_A.weight", "b.lora_B.weight"]
    assert found.tensors["b.lora_B.weight"] == GOOD["b.lora_B.weight"]
    assert found.data_start == len(written(GOOD, 0))


@pytest.mark.parametrize("dtype", sorted({*safetensors.torch._TYPES}))
def test_types_of_the_library(dtype: str) -> None:
    """A tensor of each type that torch has comes out of the library as a file that is read."""
    made = torch.empty(4, 8, dtype=safetensors.torch._TYPES[dtype])
    found = read(safetensors.torch.save({"x": made})).tensors["x"]
    assert (found["dtype"], found["data_offsets"][1]) == (dtype, made.nbytes)
    assert dtype in header._BITS


@pytest.mark.parametrize(
    "entries", [{}, {"__metadata__": {}}, entry(shape=[]), entry(shape=[0, 9], data_offsets=[0, 0])]
)
def test_small_files(entries: dict[str, Any]) -> None:
    """No tensor at all, a tensor of one value and one without values are files that can be loaded."""
    content = written(entries, 4 if entries.get("x", {}).get("shape") == [] else 0)
    safetensors.deserialize(content)
    assert len(read(content).tensors) == len(entries.keys() - {"__metadata__"})


def test_a_type_of_tomorrow() -> None:
    """A type that is not known here is taken, whatever size it has."""
    assert read(written(entry(dtype="F2"), 4)).tensors["x"]["dtype"] == "F2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\x00" * 5, "cut off: it has 5 bytes, less than a header"),
        (written(GOOD, length=300), "cut off inside the header: that has 300 bytes, the file "),
        (written(b"", 0, length=64), "cut off inside the header: that has 64 bytes, the file 8"),
        (written(GOOD)[:60], "cut off inside the header: that has "),
        (written(GOOD, 35), "cut off: its header names "),
        (written(GOOD, 0), "cut off: its header names "),
    ],
    ids=["empty", "no-length", "in-header", "no-header", "in-text", "last-byte", "no-values"],
)
def test_cut_off(content: bytes, message: str) -> None:
    """A file that ends too early is told apart from one that is broken in another way."""
    with pytest.raises(header.CutOffError, match=message):
        read(content)


NO_SAFETENSORS = "not a safetensors file: its first 8 bytes are not the length of a header"
BROKEN = {
    "length-2^63": (written(GOOD, length=2**63), NO_SAFETENSORS),
    "length-2^64-1": (written(GOOD, length=2**64 - 1), NO_SAFETENSORS),
    "zip": (
        b"PK\x03\x04\x00\x00\x08\x08" + bytes(100),
        "not a safetensors file: it starts with 'PK', as torch.save has it",
    ),
    "page": (b"<!DOCTYPE html>", "not a safetensors file: it starts with '<', as a web page does"),
    "text": (b"not a tensor in here", NO_SAFETENSORS),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS, not the weights"),
    "bracket": (written(b"  []", 0), "not a safetensors file: its header does not start with '{'"),
    "length-0": (written(b"", 0), "its header cannot be read as JSON"),
    "list": (written(b"[]", 0), "not a safetensors file"),
    "broken": (written(b"{'x': 1}", 0), "its header cannot be read as JSON"),
    "two": (written(b"{}{}", 0), "its header cannot be read as JSON: Extra data"),
    "latin-1": (written(b'{"\xe9": 1}', 0), "its header is not UTF-8 text"),
    "nan": (written(b'{"x": NaN}', 0), "its header cannot be read as JSON: NaN is no JSON"),
    "infinity": (written(b'{"x": [-Infinity]}', 0), "its header cannot be read as JSON: -Infinity is no JSON"),
    "deep": (written(b'{"x": ' + b"[" * 100_000, 0), "its header cannot be read as JSON"),
    "number": (written(b'{"x": ' + b"1" * 10_000 + b"}", 0), "its header "),
    "entry-null": (written({"x": None}, 0), "no dtype, shape and data_offsets for 'x'"),
    "entry-list": (written({"x": ["dtype", "shape", "data_offsets"]}, 0), "no dtype, shape and data_offsets"),
    "no-shape": (written({"x": {"dtype": "F32", "data_offsets": [0, 4]}}), "no dtype, shape and data_offsets"),
    "three-places": (written(entry(data_offsets=[0, 4, 8])), "no dtype, shape and data_offsets"),
    "dtype-number": (written(entry(dtype=32)), "of the wrong kind for 'x'"),
    "dtype-list": (written(entry(dtype=["F32"])), "of the wrong kind for 'x'"),
    "shape-text": (written(entry(shape="1")), "of the wrong kind"),
    "shape-object": (written(entry(shape={})), "of the wrong kind"),
    "place-float": (written(entry(data_offsets=[0.0, 4])), "of the wrong kind"),
    "place-bool": (written(entry(shape=[0], data_offsets=[False, False])), "of the wrong kind"),
    "shape-float": (written(entry(shape=[1.0])), "an impossible shape"),
    "shape-bool": (written(entry(shape=[True])), "an impossible shape"),
    "shape-negative": (written(entry(shape=[-1])), "an impossible shape"),
    "shape-negative-twice": (written(entry(shape=[-1, -1])), "an impossible shape"),
    "places-swapped": (written(entry(data_offsets=[4, 0])), "impossible data_offsets"),
    "place-negative": (written(entry(data_offsets=[-4, 0])), "impossible data_offsets"),
    "shape-vast": (written(entry(shape=[2**62] * 3)), "a shape larger than any memory"),
    "shape-many": (written(entry(shape=[2**62] * 300_000)), "a shape larger than any memory"),
    "too-many-bytes": (written(entry(data_offsets=[0, 8]), 8), "8 bytes, not what its dtype and shape take"),
    "too-few-bytes": (written(entry(shape=[2]), 4), "4 bytes, not what its dtype and shape take"),
    "overlap": (written({**entry(), "y": entry(shape=[1])["x"]}), "tensors that overlap"),
    "overlap-inside": (
        written({"x": entry(shape=[4], data_offsets=[0, 16])["x"], "y": entry(data_offsets=[8, 12])["x"]}, 16),
        "tensors that overlap",
    ),
    "gap": (written(entry(data_offsets=[4, 8]), 8), "tensors that leave a gap"),
    "twice": (
        written(
            b'{"x":%s,"x":%s}'
            % (b'{"dtype":"U8","shape":[4],"data_offsets":[0,4]}', b'{"dtype":"U8","shape":[4],"data_offsets":[4,8]}'),
            8,
        ),
        "leave a gap",
    ),
    "longer": (written(GOOD, 40), "the file has 4 bytes more than its header names"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_broken(content: bytes, message: str) -> None:
    """Each file that the library refuses gets a sentence that says what is wrong."""
    with pytest.raises(header.BrokenError, match=message) as caught:
        read(content)
    assert not isinstance(caught.value, header.CutOffError)
    assert len(str(caught.value)) < 250
    with pytest.raises(safetensors.SafetensorError):
        safetensors.deserialize(content)


def test_a_million_tensors() -> None:
    """A header larger than any adapter's is refused by its length, and not read."""
    text = b"{" + b" " * header.LARGEST + b"}"
    with pytest.raises(header.BrokenError, match="more than 32 MB, more than any adapter's: not read"):
        read(written(text, 0))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(
            {f"m{n}": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(30_000)}
        ).encode(),
        b'{"x":' + b"[" * (2 << 20),
        b'{"x":' + b"9" * (2 << 20),
        b"{" + b" " * (4 << 20),
        b"{" + b'"":[],' * (600_000),
    ],
    ids=["tensors", "nested", "digits", "spaces", "names"],
)
def test_time_and_memory_are_bounded(text: bytes) -> None:
    """However a header is filled, it takes a few seconds and a small multiple of its size."""
    content = written(text, 30_000)
    tracemalloc.start()
    start = time.process_time()
    try:
        read(content)
    except header.BrokenError:
        pass
    else:
        assert b"m29999" in text
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - start < 20
    assert most < 30 * len(content)


def test_a_long_name_is_cut() -> None:
    """The name of a tensor in a message is short and has nothing that drives a terminal."""
    with pytest.raises(header.BrokenError) as caught:
        read(written({"\x1b[2J" + "x" * 100_000: None}, 0))
    assert len(str(caught.value)) < 200
    assert "\x1b" not in str(caught.value)


_NUMBERS = st.integers(-2, 40) | st.sampled_from([2**31, 2**63, 2**64]) | st.just(1.5)
_ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "BF16", "U8", "F64", "BOOL"]) | st.none(),
        "shape": st.lists(_NUMBERS, max_size=3),
        "data_offsets": st.lists(_NUMBERS, min_size=2, max_size=2) | st.none(),
    },
)


def agrees(content: bytes) -> None:
    """Assert that what is read here is what the library loads, and nothing else is raised.

    A type that the library does not know may be one that a newer library writes: that is read here.
    """
    try:
        tensors = read(content).tensors
        ours = set(tensors)
    except header.BrokenError:
        tensors, ours = {}, None
    try:
        theirs = {name for name, _ in safetensors.deserialize(content)}
    except safetensors.SafetensorError:
        theirs = None
    if all(tensor["dtype"] in header._BITS for tensor in tensors.values()):
        assert ours == theirs


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=3), _ENTRY, max_size=3), st.integers(0, 40))
def test_the_library_is_of_the_same_mind(entries: dict[str, Any], data: int) -> None:
    """Whatever the header says, it is taken exactly when the library takes it."""
    agrees(written(entries, data))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=4), st.integers(-1, 1))
def test_files_that_hold_together(sizes: list[int], more: int) -> None:
    """Tensors of any size behind each other are taken; one byte more or less and they are not."""
    entries, here = {}, 0
    for number, size in enumerate(sizes):
        entries[f"t{number}"] = {"dtype": "F32", "shape": [size], "data_offsets": [here, here + 4 * size]}
        here += 4 * size
    agrees(written(entries, max(0, here + more)))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=64) | st.binary(max_size=40).map(lambda text: written(b"{" + text, 0)))
def test_any_bytes(content: bytes) -> None:
    """No content of a file gives anything but a header or a sentence, and the library has the same verdict."""
    agrees(content)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(written(GOOD)) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_a_good_file_with_other_bytes(place: int, new: bytes, lost: int) -> None:
    """The same for a good file in which some bytes have changed, been added or got lost."""
    content = written(GOOD)
    agrees(content[:place] + new + content[place + lost :])
