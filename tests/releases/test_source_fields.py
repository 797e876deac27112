"""The fields of configs, read from PEFT's source. That the classes have the same: ``test_field_values.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from peft_strict.releases.fields import LIST, SWITCH, TEXTS
from peft_strict.releases.source_fields import SourceFields

CONFIG = """
from dataclasses import dataclass, field
import enum, typing
from typing import Optional, Union, Literal

Alias = Literal["a", "b"]

class Init(str, enum.Enum):
    ONE = "ONE"
    TWO = "TWO"

class Other:
    pass

@dataclass
class Part:
    way: Literal["in", "out"] = "in"
    quick: bool = False
    size: int = 1

@dataclass
class Base:
    flag: bool = field(default=False, metadata={"help": "a flag"})
    names: Optional[list[str]] = None

@dataclass
class MadeConfig(Base):
    one: Literal["a", "b", None] = field(default="a")
    two: typing.Union[Init, str] = field(default=Init.ONE)
    three: "bool" = False
    four: Alias = "a"
    five: bool | Literal["x"] = True
    six: Optional[Other] = None
    seven: int = 1
    part: Optional[Part] = None
    eight: Unknown = None
    bias: str = field(default="none", metadata={"help": "'none', 'all' " "or 'made_only'"})
    names: bool = False
"""


def peft_of(folder: Path, config: str = CONFIG, version: str = "0.21.2") -> SourceFields:
    """Lay out a package as PEFT does."""
    tuner = folder / "tuners" / "made"
    tuner.mkdir(parents=True)
    (tuner / "config.py").write_text(config)
    (tuner / "__init__.py").write_text('register_peft_method(name="made", model_cls=Model, config_cls=MadeConfig)\n')
    (folder / "mapping.py").write_text(
        'PEFT_TYPE_TO_CONFIG_MAPPING = {\n    "OLD": MadeConfig,\n    "GONE": GoneConfig,\n}'
    )
    return SourceFields([str(folder)], version)


def test_annotations(tmp_path: Path) -> None:
    """What is written out is read, also of bases; what is put together elsewhere has no opinion."""
    kinds = peft_of(tmp_path).of_method("MADE")
    read = {name: (kind.form, kind.texts, kind.takes_bool, kind.takes_none) for name, kind in kinds.items()}
    assert read == {
        "flag": (SWITCH, (), True, False),
        "names": (SWITCH, (), True, False),
        "one": (TEXTS, ("a", "b"), False, True),
        "two": (TEXTS, ("ONE", "TWO"), False, False),
        "five": (TEXTS, ("x",), True, False),
        "bias": (TEXTS, ("none", "all", "made_only"), False, False),
    }
    assert (kinds["flag"].default, kinds["two"].default, kinds["one"].doubt) == (False, "ONE", "")


def test_parts(tmp_path: Path) -> None:
    """A field that holds a config of PEFT's has that one's fields; one that holds a class without fields has none."""
    peft = peft_of(tmp_path)
    parts = peft.parts_of_method("MADE")
    assert {name: (kind.form, kind.texts) for name, kind in parts.pop("part").items()} == {
        "way": (TEXTS, ("in", "out")),
        "quick": (SWITCH, ()),
    }
    assert parts == {}
    assert [peft.parts_of_method(method) for method in ("GONE", "NEW", None)] == [{}, {}, {}]


def test_methods(tmp_path: Path) -> None:
    """A method is found where it is registered, or in the mapping of older releases; else nothing is known."""
    known = peft_of(tmp_path)
    assert known.of_method("OLD") == known.of_method("MADE")
    assert known.of_method("GONE") == known.of_method("made") == known.of_method(None) == {}
    assert SourceFields((), "0.21.2").of_method("MADE") == {}


def test_a_newer_release(tmp_path: Path) -> None:
    """There is doubt about the texts of a release that nobody has verified."""
    assert peft_of(tmp_path, version="99.0").of_method("MADE")["one"].doubt


@pytest.mark.parametrize(
    "config", ["class MadeConfig(\n", "class MadeConfig(Missing):\n    it: 3 = 1\n", "\0", "\xff"]
)
def test_odd_source(tmp_path: Path, config: str) -> None:
    """A module that cannot be parsed, or has nothing that is known, says nothing."""
    known = peft_of(tmp_path, config)
    (tmp_path / "tuners" / "odd.py").write_bytes(b"class MadeConfig:\n    it: bool\n\xff")
    assert known.of_method("MADE") == {}


def test_lists(tmp_path: Path) -> None:
    """The items of a list are told apart."""
    source = (
        "class MadeConfig:\n    a: List[str] = None\n    b: typing.Optional[list[int]] = None\n    c: list | str\n"
    )
    kinds = peft_of(tmp_path, source).of_method("MADE")
    assert {name: (kind.form, kind.takes_names, kind.takes_none) for name, kind in kinds.items()} == {
        "a": (LIST, True, False),
        "b": (LIST, False, True),
    }
