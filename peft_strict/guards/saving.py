"""The look at save: whether what was trained is in what PEFT is about to write.

Judged is what PEFT's own function has chosen, between its choice and the first byte of the weights, on the rank that
writes. All ways of saving pass through that function; `PeftModel.save_pretrained` says in addition whether this rank
writes, and that nothing else goes into the file.
"""

from __future__ import annotations

import contextvars
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .._errors import RoundTripError, RoundTripWarning
from ..fit.forward import parameters_of
from ..releases import adapters
from ..roundtrip import facts_at_save, saved
from ..roundtrip.adapted import is_exempt
from . import frames, report

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterable

    from ..roundtrip.loss import Loss
    from .watch import Watch


class _Saving(NamedTuple):
    """A call of ``save_pretrained`` that is going on.

    Attributes:
        folder: Where to.
        writes: Whether this rank writes.
    """

    folder: str
    writes: bool


_saving: contextvars.ContextVar[Optional[_Saving]] = contextvars.ContextVar("peft_strict_saving", default=None)


def choosing(watch: Watch) -> Callable[..., Any]:
    """Return the wrapper for ``get_peft_model_state_dict(model, state_dict, adapter_name, ...)``."""

    def judged(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        written = wrapped(*args, **kwargs)
        if not is_looking(watch):
            return written
        caller = frames.caller()
        call = _saving.get() or _transformers_save(caller)
        writes = call.writes if call else _is_first_rank()
        if not writes or frames.is_in(caller, "peft.tuners"):  # PEFT's own use is no save
            return written
        given = {**dict(zip(("model", "state_dict", "adapter_name", "unwrap_compiled"), args)), **kwargs}
        error = None if written else _refusal(watch)
        if error is None:
            losses = _losses(watch, given, written, call)
            error = deliver(watch, losses, given["model"], call.folder if call else None)
        if error is not None:
            __tracebackhide__ = True
            raise error
        return written

    return judged


def saving(watch: Watch) -> Callable[..., Any]:
    """Return the wrapper for ``PeftModel.save_pretrained(save_directory, ...)``."""

    def noted(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not is_looking(watch):
            return wrapped(*args, **kwargs)
        given = _arguments(wrapped, args, kwargs)
        call = _Saving(str(given.get("save_directory", "")), bool(given.get("is_main_process", True)))
        token = _saving.set(call)
        try:
            if watch.state.roundtrip == "raise" and call.writes:
                _rehearse(instance, given)
            return wrapped(*args, **kwargs)
        except RoundTripError as error:
            __tracebackhide__ = True
            report.trim(error)
            raise
        finally:
            _saving.reset(token)

    return noted


def is_looking(watch: Watch) -> bool:
    """Whether saves and loads are to be judged here and now."""
    return watch.active and watch.state.roundtrip != "ignore"


def deliver(watch: Watch, losses: Iterable[Loss], model: Any, source: Optional[str]) -> Optional[Exception]:
    """Warn of losses, or return the error to raise for the first of them."""
    for loss in losses:
        if watch.state.roundtrip == "raise":
            name = type(model).__name__
            return RoundTripError(
                loss.message, code=loss.code, keys=loss.keys, model_class=name, source=source, fix=loss.fix
            )
        if not loss.said:
            turned = report.warn(RoundTripWarning(loss.message, code=loss.code, fix=loss.fix), watch.release)
            if turned is not None:
                return turned
    return None


def _arguments(wrapped: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**dict(zip(parameters_of(wrapped) or (), args)), **kwargs}


def _rehearse(model: Any, given: dict[str, Any]) -> None:
    """Have PEFT choose what it will write before it makes the folder and the model card.

    Not where choosing takes all ranks, which may not all do so: there the judgement comes before the weights only. A
    soft prompt takes them whatever is passed, and is not judged.

    Raises:
        RoundTripError: from the look at what is chosen.
    """
    state_dict = given.get("state_dict")
    home = adapters.home(adapters.SAVE)
    if home is None or (state_dict is None and not _is_alone()):
        return
    options = {name: given[name] for name in ("save_embedding_layers",) if name in given}
    for name in given.get("selected_adapters") or list(model.peft_config):
        if name in model.peft_config and not is_exempt(model.peft_config[name]):  # PEFT will say so otherwise
            vars(home)[adapters.SAVE](model, state_dict=state_dict, adapter_name=name, **options)


def _refusal(watch: Watch) -> Optional[Exception]:
    """Return the refusal of a save that the caller is dealing with.

    Under DeepSpeed the Trainer takes it, a ``ValueError``, for one of DeepSpeed's. It answers by an empty file and a
    checkpoint, for which the rank that was refused would wait for the others forever.
    """
    error = sys.exc_info()[1]
    if watch.state.roundtrip == "raise" and isinstance(error, RoundTripError) and error.code.startswith("K"):
        return error
    return None


def _transformers_save(frame: Optional[types.FrameType]) -> Optional[_Saving]:
    """Return the call of ``PreTrainedModel.save_pretrained`` that asks for the tensors of the adapter, if one does."""
    outer = frame.f_back if frame is not None and frame.f_code.co_name == "get_adapter_state_dict" else None
    if outer is None or outer.f_code.co_name != "save_pretrained":
        return None
    names = outer.f_locals
    return _Saving(str(names.get("save_directory", "")), bool(names.get("is_main_process", True)))


def _distributed() -> Optional[types.ModuleType]:
    module = sys.modules.get("torch.distributed")
    return module if module is not None and module.is_available() and module.is_initialized() else None


def _is_alone() -> bool:
    module = _distributed()
    return module is None or bool(module.get_world_size() == 1)


def _is_first_rank() -> bool:
    """Whether this is the rank that writes where nothing says which one does."""
    module = _distributed()
    return module is None or bool(module.get_rank() == 0)


def _losses(watch: Watch, given: dict[str, Any], written: Any, call: Optional[_Saving]) -> list[Loss]:
    model = given["model"]
    if given.get("unwrap_compiled"):
        model = getattr(model, "_orig_mod", model)
    try:
        facts = facts_at_save.gather(
            model,
            given.get("adapter_name", "default"),
            given.get("state_dict"),
            written,
            to_file=call is not None,
            headless=watch.misfits.was_headless(model),
        )
    except Exception:  # a foreign model that cannot be read: no opinion, and above all no save that fails
        return []
    return saved.judge(facts) if facts is not None else []
