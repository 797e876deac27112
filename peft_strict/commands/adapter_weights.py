"""Finds the weights that belong to a saved adapter config, and looks at them: the part of ``check`` about weights."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Optional

from ..releases.marks import marks
from ..roundtrip import header, numbers, postmortem
from ..roundtrip.postmortem import Adapter, Remark
from . import adapter_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FILE_NAME = "adapter_model.safetensors"
PICKLE_NAME = "adapter_model.bin"

# What transformers makes of an adapter that is larger than one file shall be; PEFT writes one file, whatever its size.
_PART = re.compile(r"adapter_model-\d+-of-\d+\.safetensors")
# Under which names anything may lie that holds weights.
_HOLD_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".npz", ".h5", ".msgpack", ".onnx", ".zip")
_IN_PARTS = ("XLORA",)  # the adapters that it mixes have folders of their own, and it may train nothing else


class Told(NamedTuple):
    """A finding or a statement about the weights of one adapter; the fields are the keys of ``--json``.

    Attributes:
        file: The weights file, or the config where there is none.
        kind: A word for programs, such as ``"empty"``.
        message: What is so, as a sentence without its end.
        advice: What can be done, as a sentence, or ``""``.
    """

    file: str
    kind: str
    message: str
    advice: str


class Look(NamedTuple):
    """What a look at the weights of one adapter has shown: what is wrong, and what may be meant."""

    findings: list[Told]
    statements: list[Told]


class Weights:
    """Looks at the weights beside configs.

    Args:
        methods: The methods of the installed PEFT.
        values: Whether the values of the tensors are looked at, too.
    """

    def __init__(self, methods: Iterable[str], values: bool) -> None:
        self._methods = tuple(methods)
        self._marks: Optional[dict[str, str]] = None
        self._values = values

    def look(self, path: str, config: Mapping[str, object], task_type: object, written: bool) -> Look:
        """Look at the weights that lie beside a config.

        Args:
            path: The config.
            config: What it holds.
            task_type: Its task type, or the one that is meant by it.
            written: Whether ``--fix`` has just written that into it.

        Raises:
            UnusableError: if they cannot be read, and that does not only mean that the adapter is lost. The message
                names the file.
        """
        folder = os.path.dirname(path)
        weights, pickle = os.path.join(folder, FILE_NAME), os.path.join(folder, PICKLE_NAME)
        if not os.path.lexists(weights):
            return self._without(path, pickle, config)
        try:
            findings, statements = self._tensors(weights, config, task_type)
        except adapter_files.UnusableError as error:
            raise adapter_files.UnusableError(f"{FILE_NAME} beside it: {error}") from error
        if written:
            statements = [_still(remark) if remark.kind == "head" else remark for remark in statements]
        if os.path.lexists(pickle):
            statements.append(Remark("two", f"{PICKLE_NAME} lies beside it, and PEFT loads this one", ""))
        return Look(*([Told(weights, *remark) for remark in remarks] for remarks in (findings, statements)))

    def _tensors(
        self, path: str, config: Mapping[str, object], task_type: object
    ) -> tuple[list[Remark], list[Remark]]:
        with _opened(path) as (file, size):
            try:
                found = header.read(file, size)
                adapter = Adapter(config, task_type, found.tensors, self._known())
                findings = list(postmortem.findings(adapter))
                if self._values:
                    findings += _about_values(file, found, adapter)
            except header.CutOffError as error:
                return [Remark("cut-off", str(error), "Copy or save it anew.")], []
            except header.BrokenError as error:
                raise adapter_files.UnusableError(str(error)) from error
        return findings, list(postmortem.statements(adapter))

    def _known(self) -> dict[str, str]:
        if self._marks is None:
            self._marks = marks(self._methods)
        return self._marks

    def _without(self, path: str, pickle: str, config: Mapping[str, object]) -> Look:
        """Say what can be said of a config without the file that PEFT saves beside it."""
        try:
            names = os.listdir(os.path.dirname(path) or ".")
        except OSError:  # a folder that may be entered, but not listed
            return Look([], [])
        parts = sum(_PART.fullmatch(name) is not None for name in names)
        if parts:
            message = f"its weights are in {parts} parts, which are not looked at"
            return Look([], [Told(path, "parts", message, f"PEFT loads a single {FILE_NAME}.")])
        if os.path.basename(pickle) in names:
            message = "not looked at: to unpickle a file is to run it"
            return Look([], [Told(pickle, "pickle", message, "")])
        others = any(name.startswith("adapter_model") or name.lower().endswith(_HOLD_WEIGHTS) for name in names)
        if others or not self._was_saved(path, config):
            return Look([], [])
        message = "the adapter that it was saved with is not beside it: no weights in this folder"
        return Look([Told(path, "absent", message, f"Copy {FILE_NAME} here, too, or save the adapter anew.")], [])

    def _was_saved(self, path: str, config: Mapping[str, object]) -> bool:
        """Whether PEFT has saved this config together with weights, and they should be beside it.

        A config that is saved alone does not say that it is for inference. In the cache of the Hub each file is
        downloaded when it is asked for, and a link says nothing about what is beside it.
        """
        method = config.get("peft_type")
        cached = os.path.islink(path) or "snapshots" in os.path.abspath(path).split(os.sep)
        known = method in self._methods and method not in _IN_PARTS
        return known and config.get("inference_mode") is True and not cached


def _still(remark: Remark) -> Remark:
    return remark._replace(message=f"--fix has mended the config, not the weights: {remark.message}")


def _about_values(file: BinaryIO, found: header.Header, adapter: Adapter) -> Iterator[Remark]:
    with_nan = numbers.with_nan(file, found)
    if with_nan:
        message = f"{postmortem.count(with_nan, found.tensors)} hold NaN: {postmortem.some(with_nan)}"
        yield Remark("nan", message, "What is computed with them is NaN: go back to a checkpoint without.")
    still = postmortem.zero_at_start(adapter)
    if still and numbers.all_zero(file, found, still):
        message = "every lora_B is zero, as before the first step: the LoRA adds nothing"
        yield Remark("zero", message, "Look for why nothing was trained: which parameters required a gradient?")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[BinaryIO, int]]:
    """Open a weights file, and close it; what goes wrong becomes a sentence."""
    try:
        adapter_files.require_regular(path)
        with open(path, "rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise adapter_files.UnusableError(adapter_files.reason(path, error)) from error
