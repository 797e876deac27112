"""The rows of the tables, and the small things that they are built from."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Optional

WRONG = "CASUAL_LM"
SAVED = "ways-in-"  # the folders that adapters are saved in


class Row(NamedTuple):
    """One way in, or one right use.

    Attributes:
        name: What it is called, in test ids and in the generated map.
        says: The same in words.
        function: Does it. A generator yields several of its kind, each as ``(label, function)``.
        since: The first PEFT that has this way.
        until: The last one.
        reason: Why others do not have it.
        needs: Returns the reason why this environment does not have it, or ``None``.
        names_file: Whether a report must name the file the value was read from.
    """

    name: str
    says: str
    function: Callable[[], Any]
    since: tuple[int, ...]
    until: tuple[int, ...]
    reason: str
    needs: Optional[Callable[[], Optional[str]]]
    names_file: bool

    def missing_on(self, release: tuple[int, ...]) -> Optional[str]:
        """Return why this PEFT does not have it, or ``None``."""
        return (
            None
            if self.since <= release[: len(self.since)] and release[: len(self.until)] <= self.until
            else self.reason
        )

    def tries(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Yield the label (empty if there is only one) and the function of each try."""
        if inspect.isgeneratorfunction(self.function):
            yield from self.function()
        else:
            yield "", self.function


class Table(dict[str, Row]):
    """Rows by name."""

    def row(
        self,
        says: str,
        *,
        since: tuple[int, ...] = (0,),
        until: tuple[int, ...] = (99,),
        reason: str = "",
        needs: Optional[Callable[[], Optional[str]]] = None,
        names_file: bool = False,
    ) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
        """Return the decorator that makes a row of a function, under the function's name."""

        def add(function: Callable[[], Any]) -> Callable[[], Any]:
            name = function.__name__.replace("_", "-")
            assert name not in self, name
            self[name] = Row(name, says, function, since, until, reason, needs, names_file)
            return function

        return add


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as numbers: ``(0, 13, 2)``."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def release() -> tuple[int, ...]:
    """Return the version of the installed PEFT."""
    import peft

    return numbers(peft.__version__)


def transformers_refuses_peft() -> Optional[str]:
    """Say so if the ``add_adapter`` of transformers does not work with this PEFT."""
    import transformers
    from transformers.integrations import peft as integration

    oldest = getattr(integration, "MIN_PEFT_VERSION", "0.5.0")
    if release() >= numbers(oldest):
        return None
    return f"transformers {transformers.__version__} wants PEFT >= {oldest}"


def tiny_lm() -> Any:
    """Return a Llama with two linear layers that LoRA finds, and a handful of weights."""
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(_tiny_llama())


def tiny_classifier() -> Any:
    """Return the same with a classification head."""
    import torch
    from transformers import LlamaForSequenceClassification

    torch.manual_seed(0)
    return LlamaForSequenceClassification(_tiny_llama(num_labels=2, pad_token_id=0))


def _tiny_llama(**more: Any) -> Any:
    from transformers import LlamaConfig

    sizes = {"vocab_size": 32, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    return LlamaConfig(**sizes, **heads, **more)


def lora(**more: Any) -> Any:
    """Return a ``LoraConfig`` that works on every PEFT (two target modules: 0.2 takes one for GPT-2's)."""
    import peft

    return peft.LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=["q_proj", "v_proj"], **more)


def past_us(config: Any, value: object = WRONG) -> Any:
    """Return the config with a ``task_type`` that no check has seen, as a ``__dict__`` change leaves it.

    ``__dict__`` is a copy on PEFT <= 0.3, so there the value is written while the checks are suspended.
    """
    import peft_strict

    config.__dict__["task_type"] = value
    if config.task_type is not value:
        with peft_strict.suspended():
            config.task_type = value
    return config


def registered_classes() -> list[type]:
    """Return the config classes that PEFT registers."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    return list(dict.fromkeys(PEFT_TYPE_TO_CONFIG_MAPPING.values()))


def not_ours(error: Exception) -> str:
    """Return the error as text, if PEFT or transformers raised it."""
    if type(error).__module__.partition(".")[0] == "peft_strict":
        raise error
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def entry(mapping: Any, key: str, value: object) -> Iterator[None]:
    """Put something into a mapping of PEFT's for the length of a block."""
    before = dict(mapping)
    mapping[key] = value
    try:
        yield
    finally:
        mapping.clear()
        mapping.update(before)


@contextlib.contextmanager
def saved_adapter(**changes: Any) -> Iterator[str]:
    """Yield a folder with a LoRA adapter as PEFT saves it, with these changes to its ``adapter_config.json``."""
    import peft

    with tempfile.TemporaryDirectory(prefix=SAVED) as folder:
        peft.get_peft_model(tiny_lm(), lora(task_type="CAUSAL_LM")).save_pretrained(folder)
        path = os.path.join(folder, "adapter_config.json")
        with open(path) as file:
            found = json.load(file)
        with open(path, "w") as file:
            json.dump({**found, **changes}, file)
        yield folder
