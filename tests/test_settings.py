"""The modes, the words of ``PEFT_STRICT``, and where the state lives."""

from __future__ import annotations

import sys

import pytest

import peft_strict
from peft_strict import _settings


class Rude(str):
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Nameless:
    def __repr__(self) -> str:
        raise RuntimeError("no")


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
    "value", ["x" * 1_000_000, Rude("raises"), Nameless(), b"raise"], ids=["huge", "str", "object", "bytes"]
)
def test_a_bad_mode_that_is_hard_to_show(off: None, value: object) -> None:
    """Whatever is given as a mode, the error is a short ValueError."""
    with pytest.raises(ValueError, match="is not a mode") as caught:
        peft_strict.enable(invalid=value)
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


DEFAULTS = ("raise", "warn")


@pytest.mark.parametrize(
    ("text", "modes"),
    [
        *((text, None) for text in (None, "", "  ", "0", "off", "no", "false", "OFF", " False\n")),
        *((text, DEFAULTS) for text in ("1", "on", "yes", "true", "ON", " True ")),
        *((text, ("warn", "warn")) for text in ("warn", "Warn")),
        *((text, ("raise", "raise")) for text in ("raise", "error", "RAISE", " error\t")),
    ],
)
def test_the_words_of_the_variable(text: str | None, modes: tuple[str, str] | None) -> None:
    """Each known word, stripped and in any case, switches as documented, without a complaint."""
    assert _settings.parse_variable(text) == (modes, None)


@pytest.mark.parametrize("text", ["2", "y", "enabled", "strict", "wran", "ja", "on!"])
def test_an_unknown_word_is_on(text: str) -> None:
    """Any other word switches on with the defaults, and a complaint of one line names the allowed ones."""
    modes, complaint = _settings.parse_variable(text)
    assert modes == DEFAULTS
    assert complaint is not None
    assert f"PEFT_STRICT={text!r}" in complaint
    assert "\n" not in complaint
    for word in ("1 on yes true", "warn", "raise error", "0 off no false"):
        assert word in complaint


def test_a_long_word_is_cut() -> None:
    """A word of up to 40 characters is shown whole, of a longer one the first 40."""
    for word, shown in (("x" * 40, "x" * 40), ("x" * 41, "x" * 40 + "...")):
        _, complaint = _settings.parse_variable(word)
        assert f"PEFT_STRICT={shown!r} is" in str(complaint)


def test_a_huge_word_is_cut() -> None:
    """The complaint stays one short line."""
    _, complaint = _settings.parse_variable("x\n" * 100_000)
    assert complaint is not None
    assert len(complaint) < 300
    assert "\n" not in complaint


def test_a_new_state() -> None:
    """Nothing is switched on, decided, patched or wrong before somebody says so; the modes are the defaults."""
    new = _settings.State()
    assert (new.on, new.decided, new.installs, new.problem) == (False, False, [], None)
    assert (new.invalid, new.misfit) == DEFAULTS


def test_the_state_is_found_again(off: None) -> None:
    """While we are on, the state can be reached from the finder on ``sys.meta_path``; while off, a new one is made."""
    assert _settings.current_state() is not _settings.state
    peft_strict.enable()
    assert _settings.current_state() is _settings.state
    assert [hasattr(finder, "peft_strict_state") for finder in sys.meta_path].count(True) == 1
