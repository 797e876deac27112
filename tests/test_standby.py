"""The words of ``PEFT_STRICT``, and where the state lives. Starting Python itself is in ``test_startup``."""

from __future__ import annotations

import sys

import pytest

import peft_strict
from peft_strict import _standby

DEFAULTS = ("raise", "warn", "warn")


@pytest.mark.parametrize(
    ("text", "modes"),
    [
        *((text, None) for text in (None, "", "  ", "0", "off", "no", "false", "OFF", " False\n")),
        *((text, DEFAULTS) for text in ("1", "on", "yes", "true", "ON", " True ")),
        *((text, ("warn", "warn", "warn")) for text in ("warn", "Warn")),
        *((text, ("raise", "raise", "raise")) for text in ("raise", "error", "RAISE", " error\t")),
        ("misfit=ignore", ("raise", "ignore", "warn")),
        (" Invalid = Warn , ROUNDTRIP=raise\n", ("warn", "warn", "raise")),
        ("misfit=raise,misfit=ignore", ("raise", "ignore", "warn")),
    ],
)
def test_the_words_of_the_variable(text: str | None, modes: tuple[str, str, str] | None) -> None:
    """Each known word, stripped and in any case, switches as documented, without a complaint."""
    assert _standby.parse_variable(text) == (modes, None)


@pytest.mark.parametrize(
    "text", ["2", "y", "enabled", "strict", "wran", "ja", "on!", "invalid=ignore", "invalid", "misfit=warn,", "x=warn"]
)
def test_an_unknown_word_is_on(text: str) -> None:
    """Any other word switches on with the defaults, and a complaint of one line names the allowed ones."""
    modes, complaint = _standby.parse_variable(text)
    assert modes == DEFAULTS
    assert complaint is not None
    assert f"PEFT_STRICT={text!r}" in complaint
    assert "\n" not in complaint
    for word in ("1 on yes true", "warn", "raise error", "0 off no false", "invalid=warn,misfit=ignore"):
        assert word in complaint


def test_a_long_word_is_cut() -> None:
    """A word of up to 40 characters is shown whole, of a longer one the first 40."""
    for word, shown in (("x" * 40, "x" * 40), ("x" * 41, "x" * 40 + "...")):
        _, complaint = _standby.parse_variable(word)
        assert f"PEFT_STRICT={shown!r} is" in str(complaint)


def test_a_huge_word_is_cut() -> None:
    """The complaint stays one short line."""
    _, complaint = _standby.parse_variable("x\n" * 100_000)
    assert complaint is not None
    assert len(complaint) < 300
    assert "\n" not in complaint


def test_a_new_state() -> None:
    """Nothing is switched on, decided, patched or wrong before somebody says so; the modes are the defaults."""
    new = _standby.State()
    assert (new.on, new.decided, new.installs, new.problem) == (False, False, [], None)
    assert (new.invalid, new.misfit, new.roundtrip) == DEFAULTS


def test_the_state_is_found_again(off: None) -> None:
    """While we are on, the state is the one that the finder on ``sys.meta_path`` carries; there is one finder."""
    peft_strict.enable()
    carried = [finder.peft_strict_state for finder in sys.meta_path if hasattr(finder, "peft_strict_state")]
    assert carried == [_standby.current_state()]


def test_what_code_has_said_wins(off: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once ``disable()`` or ``enable()`` was called, the variable changes nothing, even if it is read later."""
    monkeypatch.setenv("PEFT_STRICT", "1")
    peft_strict.disable()
    _standby.start()
    assert peft_strict.status().state == "off"
    peft_strict.enable(invalid="warn", misfit="ignore")
    _standby.start()
    assert (peft_strict.status().invalid, peft_strict.status().misfit) == ("warn", "ignore")
