"""What wrong values do in plain PEFT, cell by cell: which lose something without a word, and which of those are told.

A cell is one wrong value of one field: a no for a switch, a slip in a text of a set, ``None`` for a start. Each goes
the whole way on a tiny Llama: config, model, two steps of training, save, load. It is a *loss* where PEFT neither
refuses nor says anything, and what comes out is not what the right value gives. Not tried: ``"False"`` for the start
of an adapter and for what a file holds, which keep what is usual; and what only a hub, a GPU or other data would show.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import peft
import tokenizers
import torch
import transformers

import peft_strict
from peft_strict import InvalidFieldError, InvalidFieldWarning

from ..roundtrip.adapters import METHODS, arguments, save, tiny
from .cells import Field, fields

NOES = ("False", "false", "no", "0")
# Fields that PEFT gives a set of texts in its docs only.
DOCUMENTED = {("TinyLoraConfig", "init_weights"): ["uniform"]}
# What a field needs beside it to have an effect.
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("OFTConfig", "coft"): {"eps": 1e-9},
    ("LoKrConfig", "rank_dropout_scale"): {"rank_dropout": 0.5},
    ("PrefixTuningConfig", "prefix_projection"): {"encoder_hidden_size": 8},
    ("CPTConfig", "opt_weighted_loss_type"): {
        "cpt_token_ids": [1, 2, 3, 4],
        "cpt_mask": [1, 1, 1, 1],
        "cpt_tokens_type_mask": [1, 2, 3, 4],
        "opt_loss_decay_factor": 0.5,
    },
}


class Cell(NamedTuple):
    """A wrong value, and the right one."""

    method: str
    field: str
    wrong: object
    right: object


def cells() -> Iterator[Cell]:
    """Yield the wrong values of each method."""
    methods = {arguments(method)[0]: method for method in METHODS}
    for field in fields():
        if field.cls not in methods:
            continue
        method, starts = methods[field.cls], field.name.startswith("init_")
        texts = field.members or DOCUMENTED.get((field.cls.__name__, field.name), [])
        if field.declared == {bool} and not starts and not field.name.startswith("save_"):
            yield from (Cell(method, field.name, word, False) for word in NOES)
        for text in texts:
            yield from (Cell(method, field.name, wrong, text) for wrong in _slips(text, field))
        if starts and field.default is not None and field.default is not dataclasses.MISSING:
            yield Cell(method, field.name, None, field.default)


def _slips(text: str, field: Field) -> Iterator[str]:
    """Yield a text in another case, with a letter less, and with two that have changed places."""
    other_case = text.lower() if text.isupper() else text.title()
    slips = (other_case, text[:2] + text[3:], text[0] + text[2:3] + text[1:2] + text[3:])
    yield from dict.fromkeys(slip for slip in slips if slip and slip not in field.members)


class Outcome(NamedTuple):
    """What came out of a config: what PEFT said, and what was trained, lost in two steps, saved and loaded."""

    said: frozenset[str]
    trained: tuple[str, ...]
    losses: tuple[float, ...]
    saved: tuple[str, ...]
    loaded: tuple[float, ...]


@functools.cache
def outcome(method: str, name: str, value: object) -> Optional[Outcome]:
    """Take a value the whole way; ``None`` where PEFT refuses it, soon or late."""
    with warnings.catch_warnings(record=True) as caught, tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("always")
        try:
            result = _outcome(method, {name: value}, folder)
        except Exception:  # whatever PEFT or torch raises
            return None
    return result._replace(said=frozenset(str(each.message) for each in caught if each.category is not FutureWarning))


def _outcome(method: str, values: dict[str, Any], folder: str) -> Outcome:
    cls, needed = _needed(method, folder)
    (name,) = values
    config = cls(**{**needed, **BESIDE.get((cls.__name__, name), {}), **_source(cls, values, folder), **values})
    model = tiny(use_cache=False)  # as X-LoRA wants it
    torch.manual_seed(0)
    model = peft.get_peft_model(model, config)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.Adam(trained.values(), lr=0.02)
    ids, losses = torch.arange(20).reshape(2, 10), []
    tasks = {"task_ids": torch.tensor([0, 0])} if method in ("MULTITASK_PROMPT_TUNING", "POLY") else {}
    for _ in range(2):
        loss = model(input_ids=ids, labels=ids, **tasks).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(round(loss.item(), 6))
    model.save_pretrained(folder)
    saved = tuple(sorted(f"{key} {tuple(each.shape)}" for key, each in peft.get_peft_model_state_dict(model).items()))
    loaded = peft.PeftModel.from_pretrained(tiny(use_cache=False), folder).eval()
    with torch.no_grad():
        logits = loaded(input_ids=ids, **tasks).logits
    return Outcome(
        frozenset(), tuple(trained), tuple(losses), saved, tuple(logits[0, -1, :8].mul(1e6).round().tolist())
    )


def _needed(method: str, folder: str) -> tuple[Any, dict[str, Any]]:
    """Return the config class of a method, with the arguments that it needs; X-LoRA mixes two adapters."""
    cls, needed = arguments(method)
    if method == "SHADOW":  # what it targets are blocks of layers
        needed.pop("target_modules", None)
    if method == "XLORA":
        adapter = save(Path(folder, "adapter"))
        needed.update(hidden_size=16, adapters={"0": str(adapter), "1": str(adapter)})
    return cls, needed


def _source(cls: type, values: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return the text and the tokenizer, or the saved prompt, that a soft prompt starts from."""
    if "prompt_tuning_init" not in values:
        return {}
    if cls is peft.PromptTuningConfig:
        words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1, "c": 2, "?": 3}, unk_token="?"))
        words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?").save_pretrained(folder)
        return {"prompt_tuning_init_text": "a b c a", "tokenizer_name_or_path": folder}
    start = {"prompt_embeddings": torch.ones(4, 16), "prefix_task_cols": torch.ones(1, 4, 1)}
    start["prefix_task_rows"] = torch.ones(1, 1, 16)
    torch.save(start, f"{folder}/start.bin")
    return {"prompt_tuning_init_state_dict_path": f"{folder}/start.bin", "num_ranks": 1}


def is_loss(cell: Cell) -> bool:
    """Whether plain PEFT takes the wrong value without a word, and makes something else than of the right one."""
    right, wrong = (outcome(cell.method, cell.field, value) for value in (cell.right, cell.wrong))
    if right is None or wrong is None or wrong.said - right.said:
        return False
    return wrong._replace(said=right.said) != right


def is_told(cell: Cell) -> bool:
    """Whether the constructor tells the wrong value, with the defaults of ``enable()``."""
    cls, needed = arguments(cell.method)
    peft_strict.enable()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            cls(**{**needed, **BESIDE.get((cls.__name__, cell.field), {}), cell.field: cell.wrong})
    except InvalidFieldError:
        return True
    finally:
        peft_strict.disable()
    return any(isinstance(each.message, InvalidFieldWarning) for each in caught)


def table(only: Optional[str] = None) -> dict[str, Any]:
    """Try all cells, or those of one method.

    Returns:
        How many cells there are (``cells``), which lose something without a word (``losses``), and which of those are
        not told (``untold``), each as ``Config.field=value``.
    """
    tried = [cell for cell in cells() if only in (None, cell.method)]
    losses = [cell for cell in tried if is_loss(cell)]
    untold = [cell for cell in losses if not is_told(cell)]
    shown = {cell: f"{arguments(cell.method)[0].__name__}.{cell.field}={cell.wrong!r}" for cell in losses}
    return {
        "peft": peft.__version__,
        "cells": len(tried),
        "losses": [shown[cell] for cell in losses],
        "untold": [shown[cell] for cell in untold],
        "fields": dict(Counter(shown[cell].partition("=")[0] for cell in losses)),
    }
