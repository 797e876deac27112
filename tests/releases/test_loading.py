"""Whether an adapter is being loaded, and from where."""

from __future__ import annotations

import functools
import sys
import types
from pathlib import Path
from typing import Any, Optional

import peft
import pytest

from peft_strict.releases.loading import loaded_from

from ..ways_in.rows import lora, saved_adapter, tiny_lm

pytestmark = pytest.mark.filterwarnings("ignore")  # those of PEFT are not the matter here

ASKED = []


def of_this_file(frame: types.FrameType) -> bool:
    return frame.f_code.co_filename == __file__


def _asking(self: Any, *args: Any, **kwargs: Any) -> None:
    ASKED.append(loaded_from(sys._getframe(1), of_this_file))
    raise InterruptedError


def _asked(action: Any, monkeypatch: pytest.MonkeyPatch) -> Optional[str]:
    """Return what is known where the action has an adapter meet its model."""
    with monkeypatch.context() as patch:
        patch.setattr(peft.PeftModel, "__init__", _asking)
        patch.setattr(peft.PeftModel, "add_adapter", _asking)
        with pytest.raises(InterruptedError):
            action()
    return ASKED.pop()


def test_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the adapter is known in each way to load one; and none where a new adapter is made."""
    with saved_adapter() as folder:
        model = peft.get_peft_model(tiny_lm(), lora(task_type="CAUSAL_LM"))
        config = peft.LoraConfig.from_pretrained(folder)
        for path in (folder, Path(folder)):
            assert _asked(lambda path=path: peft.PeftModel.from_pretrained(tiny_lm(), path), monkeypatch) == folder
        if hasattr(peft.PeftModel, "load_adapter"):  # since 0.3
            assert _asked(lambda: model.load_adapter(folder, "second"), monkeypatch) == folder
            assert _asked(lambda: model.add_adapter("second", config), monkeypatch) is None
        assert _asked(lambda: peft.get_peft_model(tiny_lm(), config), monkeypatch) is None


def test_frames_of_others() -> None:
    """A function of that name that is not PEFT's loads no adapter; what the user's code makes meanwhile is another."""

    def from_pretrained(model_id: object) -> Optional[str]:
        return loaded_from(sys._getframe(), of_this_file)

    def made_meanwhile() -> Optional[str]:
        return loaded_from(sys._getframe(), of_this_file)

    assert from_pretrained("somewhere") is None
    assert loaded_from(None, of_this_file) is None
    space: dict[str, Any] = {"__name__": "peft.peft_model"}
    exec("def from_pretrained(model_id, make): return make()", space)
    assert space["from_pretrained"]("somewhere", made_meanwhile) is None
    between = functools.partial(eval, "loaded_from(sys._getframe(), of_this_file)", globals())
    assert space["from_pretrained"]("somewhere", between) == "somewhere"


@pytest.mark.parametrize("model_id", [3, None, b"bytes"])
def test_names_that_are_no_paths(model_id: object) -> None:
    """What is not the text of a path is not reported as one."""
    space = {"__name__": "peft.peft_model", **{each.__name__: each for each in (loaded_from, of_this_file, sys)}}
    exec("def from_pretrained(model_id):\n    return loaded_from(sys._getframe(), of_this_file)", space)
    found: Any = space["from_pretrained"]
    assert found(model_id) is None
    assert found("a/b") == "a/b"
