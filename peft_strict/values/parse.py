"""The value rule on its own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, overload

from ..releases.live import live_release, vocabulary
from . import rule

if TYPE_CHECKING:
    from peft import TaskType


@overload
def parse_task_type(value: None) -> None: ...
@overload
def parse_task_type(value: object) -> TaskType: ...
def parse_task_type(value: object) -> Any:
    """Return the ``TaskType`` that ``value`` is, for command lines and YAML files.

    Imports PEFT. Works whether peft-strict is switched on or not. A name that was put into PEFT's task-to-model
    mapping comes back as it is, and ``None`` (no task type) as ``None``.

    The task types, in PEFT's own words, with the models they are for and the class that PEFT wraps these in
    (tests/test_readme.py compares this with the installed PEFT):

    - SEQ_CLS: Text classification, for AutoModelForSequenceClassification (PeftModelForSequenceClassification); PEFT
      adds classifier and score to modules_to_save.
    - SEQ_2_SEQ_LM: Sequence-to-sequence language modeling, for AutoModelForSeq2SeqLM (PeftModelForSeq2SeqLM).
    - CAUSAL_LM: Causal language modeling, for AutoModelForCausalLM (PeftModelForCausalLM).
    - TOKEN_CLS: Token classification, for AutoModelForTokenClassification (PeftModelForTokenClassification); PEFT adds
      classifier and score to modules_to_save.
    - QUESTION_ANS: Question answering, for AutoModelForQuestionAnswering (PeftModelForQuestionAnswering); PEFT adds
      qa_outputs to modules_to_save.
    - FEATURE_EXTRACTION: Feature extraction, for AutoModel (PeftModelForFeatureExtraction).

    Args:
        value: A member of ``peft.TaskType``, its text, or anything equal to it.

    Raises:
        InvalidTaskTypeError: for everything else, with the task type that was probably meant.
    """
    importlib.import_module("peft")
    words = vocabulary(live_release())
    right, parsed = rule.lookup(value, words)
    if not right:
        raise rule.invalid(value, words, where="parse_task_type({})")
    return parsed
