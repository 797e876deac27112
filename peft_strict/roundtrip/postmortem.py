"""What the config of a saved adapter and the names and shapes of its tensors tell, as pure functions.

A finding is certain, whatever was meant: something of the adapter is not in the file, or will not find its place. A
statement is a fact that may well be meant. A method whose tensors' names are not known is passed over. Nothing of it
can be mended from the file.

Measured on 472 sound adapters of 39 methods that PEFT 0.21.2 made from its own test cases: nothing is said of them.
``python -m tests.upstream.adapters`` repeats it. Not seen: an adapter that is whole but was never trained
(`numbers` sees that of most LoRAs), a head that was lost without a task type, a resized embedding that is not in the
file, a wrong base model: none of these shows in the names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Optional

from ..releases.adapters import MAY_BE_EMPTY
from .header import quoted
from .wrappers import BETWEEN, may_be_in, outside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .header import Tensor

LORA = "LORA"
# Adapters of any method may have trained single tokens beside.
_NO_OTHER_METHOD = "TRAINABLE_TOKENS"
_FLOATS = ("F", "BF")
# The two matrices of a LoRA, side by side: how their names go on behind that of the layer.
_PART = ".lora_"
_LINEAR_A, _LINEAR_B = "A.weight", "B.weight"
_A = (_LINEAR_A, "A", "embedding_A")
_B = (_LINEAR_B, "B", "embedding_B")
# Those of them, and what belongs to them, that are zero before the first step.
_ZERO_AT_START = (".lora_B.weight", ".lora_B", ".lora_B.bias", ".lora_embedding_A")
_PLAIN = (2, 4, 5)  # dimensions on a linear layer or a convolution; in three, other programs stack all experts
_MOST = 3  # numbers in a message
_LARGEST_RANK = 2**31  # a number beyond it is no rank, and not to be printed
_NESTED = "base_model.model.base_model.model."
# PeftModelForSequenceClassification and its kind keep these without being asked; a model has one of them.
HEADS = {"SEQ_CLS": ("classifier", "score"), "TOKEN_CLS": ("classifier", "score"), "QUESTION_ANS": ("qa_outputs",)}

_SAVE_ANEW = "Save the adapter anew from the model that was trained."
_GATHER = "Save it anew, from a model whose parameters are gathered if they are sharded."
_TOGETHER = "Put the config and the weights of one adapter together."


class Remark(NamedTuple):
    """One finding or statement.

    Attributes:
        kind: A word for programs.
        message: What is so, as a sentence without its end.
        advice: What can be done, as a sentence; ``""`` where nothing has to be.
    """

    kind: str
    message: str
    advice: str


class Adapter(NamedTuple):
    """What the rule looks at.

    Attributes:
        config: The members of ``adapter_config.json``; any of them may be of any kind.
        task_type: The task type that the config has, or that is meant by the one it has.
        tensors: The tensors of the weights file.
        marks: For each method, how a part of the name of each of its tensors starts, where that is known.
    """

    config: Mapping[str, object]
    task_type: Optional[object]
    tensors: Mapping[str, Tensor]
    marks: Mapping[str, str]

    @property
    def method(self) -> str:
        """The PEFT method, or ``""``."""
        method = self.config.get("peft_type")
        return method if isinstance(method, str) else ""


def findings(adapter: Adapter) -> Iterator[Remark]:
    """Yield what is certainly wrong; of an empty file, or one of another method, no more than that."""
    if not adapter.tensors:
        yield Remark("empty", "it holds no tensors: nothing of the adapter was saved", _SAVE_ANEW)
        return
    other = _other_method(adapter)
    if other:
        yield other
        return
    for look in (_without_elements, _lora, _wrapped):
        yield from look(adapter)


def _other_method(adapter: Adapter) -> Optional[Remark]:
    own = adapter.marks.get(adapter.method)
    if own is None or any(has(name, own) for name in adapter.tensors):
        return None
    others: dict[str, list[str]] = {}
    for method, mark in adapter.marks.items():
        if method != _NO_OTHER_METHOD:
            others.setdefault(mark, []).append(method)
    for mark, methods in others.items():
        found = [name for name in adapter.tensors if has(name, mark)]
        if found:
            what = f"peft_type is {adapter.method}, but its tensors are those of {' or '.join(methods)}"
            return Remark("method", f"{what}: {some(found)}", _TOGETHER)
    return None


def has(name: str, mark: str) -> bool:
    """Whether a part of a tensor's name starts with a mark."""
    return name.startswith(mark) or f".{mark}" in name


def _without_elements(adapter: Adapter) -> Iterator[Remark]:
    mark = adapter.marks.get(adapter.method)
    if mark is None or adapter.method in MAY_BE_EMPTY:
        return
    empty = [name for name, tensor in adapter.tensors.items() if 0 in tensor["shape"] and _is_float(tensor)]
    found = [name for name in empty if has(name, mark) or name.endswith(".weight")]
    if found:
        yield Remark("elements", f"{count(found, adapter.tensors)} have no elements: {some(found)}", _GATHER)


def _lora(adapter: Adapter) -> Iterator[Remark]:
    """Tell what is wrong with the matrices of a LoRA."""
    if adapter.method != LORA:
        return
    layers: dict[str, list[str]] = {ending: [] for ending in (*_A, *_B)}  # that have such a matrix
    of_linear_a, of_linear_b = layers[_LINEAR_A], layers[_LINEAR_B]
    ranks: set[int] = set()
    others: list[tuple[str, str, list[int]]] = []
    for name, tensor in adapter.tensors.items():
        layer, _, ending = name.rpartition(_PART)
        shape = tensor["shape"]
        if ending == _LINEAR_A and len(shape) == 2:  # nearly all are this or the next
            of_linear_a.append(layer)
            ranks.add(shape[0])
        elif ending == _LINEAR_B and len(shape) == 2:
            of_linear_b.append(layer)
        elif ending in layers:
            layers[ending].append(layer)
            others.append((name, ending, shape))
    ranks.update(shape[0] for _, ending, shape in others if ending in _A and len(shape) in _PLAIN)
    yield from _flat([name for name, _, shape in others if len(shape) == 1 and shape[0]], len(adapter.tensors))
    yield from _halves(layers)
    yield from _rank(adapter.config, ranks)


def _flat(found: list[str], total: int) -> Iterator[Remark]:
    """Tell matrices with one dimension: flattened shards of them."""
    if found:
        message = f"{len(found):,} of its {total:,} tensors are matrices of LoRA in one dimension: {some(found)}"
        yield Remark("flat", message, _GATHER)


def _halves(layers: Mapping[str, list[str]]) -> Iterator[Remark]:
    for endings, others, half, other in ((_A, _B, "lora_A", "lora_B"), (_B, _A, "lora_B", "lora_A")):
        alone = [
            layer + _PART + mine
            for mine, partner in zip(endings, others)
            if layers[mine] != layers[partner]  # they are in the same order where all is well
            for layer in sorted({*layers[mine]} - {*layers[partner]})
        ]
        if alone:
            yield Remark("half", f"{len(alone):,} of its {half} have no {other}: {some(alone)}", _SAVE_ANEW)


def _rank(config: Mapping[str, object], ranks: set[int]) -> Iterator[Remark]:
    rank = config.get("r")
    several = any(config.get(key) for key in ("rank_pattern", "target_parameters", "use_qalora"))
    if several or type(rank) is not int or not 0 < rank < _LARGEST_RANK:
        return
    others = sorted(ranks - {rank, 0})
    if others:
        few = ", ".join(map(str, others[:_MOST])) + (", ..." if len(others) > _MOST else "")
        message = f"r is {rank} in the config, and {few} in the file"
        yield Remark(
            "rank",
            message,
            "PEFT will not load these weights with this config: find the one that was saved with them.",
        )


def _wrapped(adapter: Adapter) -> Iterator[Remark]:
    first = next(iter(adapter.tensors))  # what is around the adapted model is in front of all names
    front, adapted, _ = first.partition("base_model.model.")
    what = outside(front) if adapted and front.count(".") == 1 else ""
    found, wrapper = (list(adapter.tensors), front[:-1]) if what else ([], "")
    if may_be_in("\n".join(adapter.tensors)):  # which is searched much faster than one by one
        for word in BETWEEN:
            if not found:
                found = [name for name in adapter.tensors if word in name.split(".")]
                wrapper, what = word, BETWEEN[word]
    if found:
        which = f"{count(found, adapter.tensors)} have `{wrapper}` in their names ({what}): {some(found)}"
        yield Remark("wrapper", which, "A model without this wrapper will not take them. Save the unwrapped model.")


def statements(adapter: Adapter) -> Iterator[Remark]:
    """Yield what is so and may be meant."""
    if not adapter.tensors or adapter.method not in adapter.marks:
        return
    head = HEADS.get(adapter.task_type, ()) if isinstance(adapter.task_type, str) else ()
    listed = adapter.config.get("modules_to_save")
    wanted = [entry for entry in listed if isinstance(entry, str)] if isinstance(listed, list) else []
    lost = bool(head) and not _has_head(adapter, (*head, *wanted))
    if lost:
        yield Remark(
            "head",
            f"task_type is {adapter.task_type}, and there is no head in the file",
            "If it was new when training began, it is lost, and has to be trained anew.",
        )
    absent = [entry for entry in wanted if not any(f"{entry}." in name for name in adapter.tensors)]
    absent = [entry for entry in absent if entry not in ("classifier", "score") and not (lost and entry in head)]
    if absent:
        yield Remark("unsaved", f"modules_to_save names what is not in the file: {some(absent)}", "")
    nested = [name for name in adapter.tensors if _NESTED in name] if _NESTED in "\n".join(adapter.tensors) else []
    if nested:
        message = f"{count(nested, adapter.tensors)} come from an adapted model inside of another: {some(nested)}"
        yield Remark("nested", message, "It fits such a model only, not the plain base.")


def _has_head(adapter: Adapter, names: Iterable[str]) -> bool:
    """Whether a module of one of these names is in the file, or any that is saved as a whole."""
    mark = adapter.marks[adapter.method]
    if any(f"{head}." in name for name in adapter.tensors for head in names):
        return True
    return any(not has(name, mark) and not name.endswith(".bias") for name in adapter.tensors)


def zero_at_start(adapter: Adapter) -> list[str]:
    """Return the tensors that are zero when training starts and not after its first step; none if it is not known.

    Known of a plain LoRA: where its matrices start from the base's weights (PiSSA and its kind), where it is a variant
    of LoRA (DoRA and all that has tensors or a config of its own), something else may have been trained.
    """
    config = adapter.config
    start = config.get("init_lora_weights", True)
    variant = config.get("use_dora") or any(
        config[key] for key in config if key.endswith("_config") and key != "eva_config"
    )
    if adapter.method != LORA or not (start is True or start in ("gaussian", "eva")) or variant:
        return []
    known = (*(_PART + ending for ending in (*_A, *_B)), ".lora_B.bias")
    if any(has(name, "lora_") and not name.endswith(known) for name in adapter.tensors):
        return []
    return [name for name in adapter.tensors if name.endswith(_ZERO_AT_START)]


def _is_float(tensor: Tensor) -> bool:
    return tensor["dtype"].startswith(_FLOATS)


def count(found: list[str], all_of_them: Mapping[str, Tensor]) -> str:
    """Return how many of all tensors these are, in words."""
    return f"{len(found):,} of its {len(all_of_them):,} tensors"


def some(names: list[str]) -> str:
    """Return the first name, and how many more there are."""
    return quoted(names[0]) + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")
