"""The look at load: whether all of the file has found its place, and all of the adapter its value.

Judged is the answer of ``load_state_dict``, where PEFT returns it. Loading by transformers itself (since 5.0) does not
pass through there; it prints a report of its own.
"""

from __future__ import annotations

import contextvars
import os
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .._errors import PUBLIC
from ..releases import adapters
from ..roundtrip import facts_at_load, loaded
from . import frames, report
from .saving import deliver, is_looking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..roundtrip.loss import Loss
    from .watch import Watch

# Callers that report both kinds by themselves: transformers up to 4 (`load_adapter`), diffusers.
_TELL_THEMSELVES = ("transformers.integrations.peft", "diffusers.loaders")


class _Loading(NamedTuple):
    """A call that loads an adapter from somewhere.

    Attributes:
        source: The folder or repository.
        missing_said: Whether PEFT will warn of parameters without a value.
    """

    source: str
    missing_said: bool


_loading: contextvars.ContextVar[Optional[_Loading]] = contextvars.ContextVar("peft_strict_loading", default=None)


def placing(watch: Watch) -> Callable[..., Any]:
    """Return the wrapper for ``set_peft_model_state_dict(model, peft_model_state_dict, adapter_name, ...)``."""

    def judged(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = wrapped(*args, **kwargs)
        caller = frames.caller()
        if not is_looking(watch) or frames.is_in(caller, "peft.tuners"):  # X-LoRA's adapters, which it looks after
            return result
        given = {**dict(zip(("model", "peft_model_state_dict", "adapter_name"), args)), **kwargs}
        call = _loading.get() if frames.is_in(caller, "peft") else None
        said = any(frames.is_in(caller, package) for package in _TELL_THEMSELVES)
        losses = _losses(watch, given, result, call, said=said)
        error = deliver(watch, losses, given["model"], call.source if call else None)
        if error is not None:
            __tracebackhide__ = True
            raise error
        return result

    return judged


def loading(watch: Watch, place: int) -> Callable[..., Any]:
    """Return the wrapper for a method of ``PeftModel`` that loads an adapter.

    Args:
        watch: The rules.
        place: Which argument is ``model_id``: the first of ``load_adapter``, the second of ``from_pretrained``.
    """

    def noted(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not is_looking(watch) or _loading.get() is not None:  # `from_pretrained` calls `load_adapter`
            return wrapped(*args, **kwargs)
        model_id = args[place] if place < len(args) else kwargs.get("model_id")
        token = _loading.set(_Loading(_source(model_id, kwargs), bool(place) and adapters.warns_of_missing(wrapped)))
        try:
            return wrapped(*args, **kwargs)
        except PUBLIC as error:  # of the looks below, too
            __tracebackhide__ = True
            report.trim(error)
            raise
        finally:
            _loading.reset(token)

    return noted


def _source(model_id: Any, kwargs: dict[str, Any]) -> str:
    parts = [str(part) for part in (model_id, kwargs.get("subfolder")) if isinstance(part, (str, os.PathLike))]
    return os.path.join(*parts) if parts else ""


def _file(source: str) -> Optional[str]:
    paths = (os.path.join(source, f"adapter_model.{ending}") for ending in ("safetensors", "bin"))
    return next(filter(os.path.isfile, paths), None)  # PEFT looks in this order


def _losses(
    watch: Watch, given: dict[str, Any], result: Any, call: Optional[_Loading], *, said: bool
) -> Sequence[Loss]:
    try:
        facts = facts_at_load.gather(
            given["model"],
            given.get("adapter_name", "default"),
            given["peft_model_state_dict"],
            result,
            source=call.source if call else None,
            file=_file(call.source) if call else None,
            foreign=watch.misfits.was_foreign(given["model"]),
        )
    except Exception:  # a foreign model or answer that cannot be read: no opinion, and no load that fails
        return ()
    if facts is None:
        return ()
    if given.get("ignore_mismatched_sizes"):  # PEFT warns of what it has left out
        facts = facts._replace(unfilled=())
    return loaded.judge(facts._replace(said=said, missing_said=call is not None and call.missing_said))
