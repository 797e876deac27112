"""The modes, and what is said of a word that is none of them."""

from __future__ import annotations

import pytest

import peft_strict


class Rude(str):
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Nameless:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class EqualToAll:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None


@pytest.mark.parametrize("invalid", ["raise", "warn"])
@pytest.mark.parametrize("misfit", ["warn", "raise", "ignore"])
def test_every_mode_is_taken(off: None, invalid: str, misfit: str) -> None:
    """Each allowed pair of modes is what the status then says."""
    status = peft_strict.enable(invalid=invalid, misfit=misfit)
    assert (status.invalid, status.misfit) == (invalid, misfit)


def test_the_defaults(off: None) -> None:
    """Without arguments a wrong value raises and a misfit warns."""
    status = peft_strict.enable()
    assert (status.invalid, status.misfit) == ("raise", "warn")


@pytest.mark.parametrize(
    ("name", "word", "meant"),
    [
        ("invalid", "rais", "raise"),
        ("invalid", " WARN ", "warn"),
        ("invalid", "ignore", None),
        ("invalid", None, None),
        ("invalid", ["raise"], None),
        ("misfit", "ignor", "ignore"),
        ("misfit", "", None),
        ("misfit", True, None),
    ],
)
def test_a_bad_mode_is_refused(off: None, name: str, word: object, meant: str | None) -> None:
    """The error names the argument, the allowed words and the nearest of them."""
    with pytest.raises(ValueError, match="is not a mode") as caught:
        peft_strict.enable(**{name: word})
    allowed = {"invalid": "'raise', 'warn'", "misfit": "'warn', 'raise', 'ignore'"}[name]
    nearest = f" Did you mean {meant!r}?" if meant else ""
    assert str(caught.value) == f"{name}={word!r} is not a mode of peft-strict. Use one of {allowed}.{nearest}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("x" * 1_000_000, "'xxx", id="huge"),
        pytest.param(Rude("raises"), "<Rude", id="str"),
        pytest.param(Nameless(), "<Nameless", id="object"),
        pytest.param(EqualToAll(), "<", id="equal"),
        pytest.param(b"raise", "b'raise' ", id="bytes"),
        pytest.param(10**5000, "<int", id="int"),
    ],
)
def test_a_bad_mode_that_is_hard_to_show(off: None, value: object, shown: str) -> None:
    """Whatever is given as a mode, the error is a short ValueError that gives at least its type."""
    with pytest.raises(ValueError, match="is not a mode") as caught:
        peft_strict.enable(invalid=value)
    assert str(caught.value).startswith(f"invalid={shown}")
    assert len(str(caught.value)) < 300


def test_a_bad_mode_changes_nothing(off: None) -> None:
    """Nothing is switched on, and nothing else is changed, if one of the two modes is wrong."""
    with pytest.raises(ValueError, match="misfit"):
        peft_strict.enable(invalid="warn", misfit="sometimes")
    assert peft_strict.status().state == "off"
    peft_strict.enable(misfit="ignore")
    with pytest.raises(ValueError, match="invalid"):
        peft_strict.enable(invalid="sometimes", misfit="raise")
    assert (peft_strict.status().invalid, peft_strict.status().misfit) == ("raise", "ignore")
