"""Which parameters count as new: those that are plainly so, and none that have merely lost their mark."""

from __future__ import annotations

import copy
import math
import os
import subprocess
import sys
import tempfile
from typing import Any, Callable, Optional

import pytest
import torch
import transformers
from torch import nn

from peft_strict.fit import evidence

from . import model_zoo as zoo
from .test_measured import lora, verdict

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # those of torch and transformers are not the matter here
    pytest.mark.skipif(int(transformers.__version__.partition(".")[0]) < 5, reason="transformers < 5 sets no marks"),
]

CLASSIFIERS = ("bert_seq", "roberta_seq", "distil_seq", "deberta_seq", "electra_seq", "modernbert_seq", "bert_tok")
HEADS = {
    **dict.fromkeys(CLASSIFIERS, "classifier"),
    **dict.fromkeys(("llama_seq", "llama_tok", "gpt2_seq"), "score"),
    **dict.fromkeys(("bert_qa", "electra_qa", "llama_qa"), "qa_outputs"),
}


_SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 16,
    "patch_size": 8,
}
_TRUNCATING = {
    "ViT": _SMALL,
    "PvtV2": {"hidden_sizes": [8, 16, 40, 64], "depths": [1, 1, 1, 1]},
    "Siglip2": {"vision_config": _SMALL, "text_config": zoo.SIGLIP["text_config"]},
}


class Packed(torch.Tensor):
    """Stands for the tensors of quantisation libraries: it says that it is of a floating type."""


def _packed(model: nn.Module, name: str) -> None:
    """Replace the weights of all linear layers."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight = nn.Parameter(module.weight.data.as_subclass(Packed), requires_grad=False)


def _linear(head: nn.Module) -> list[nn.Linear]:
    return [module for module in head.modules() if isinstance(module, nn.Linear)]


def _other(model: nn.Module, name: str) -> dict[str, torch.Tensor]:
    """Return weights for the head that somebody has trained elsewhere."""
    return {key: torch.full_like(value, 0.5) for key, value in getattr(model, name).state_dict().items()}


def _assigned(model: nn.Module, name: str) -> None:
    getattr(model, name).load_state_dict(_other(model, name), assign=True)


def _weight_norm(model: nn.Module, name: str) -> None:
    for layer in _linear(getattr(model, name)):
        nn.utils.parametrizations.weight_norm(layer)


def _weight_norm_by_hooks(model: nn.Module, name: str) -> None:
    for layer in _linear(getattr(model, name)):
        nn.utils.weight_norm(layer)


def _replaced(model: nn.Module, name: str) -> None:
    for layer in _linear(getattr(model, name)):
        layer.weight = nn.Parameter(layer.weight.detach() * 1.5)


REPLACING = (_packed, _assigned, _weight_norm, _weight_norm_by_hooks, _replaced)


@pytest.mark.parametrize("change", REPLACING, ids=lambda change: change.__name__.strip("_"))
@pytest.mark.parametrize("name", HEADS)
def test_replaced_after_loading(name: str, change: Callable[[nn.Module, str], None]) -> None:
    """A classifier that was wholly loaded stays so, whatever has taken the place of its parameters since."""
    model = zoo.build(name, own=True)
    change(model, HEADS[name])
    assert verdict(model, lora(model)) is None


@pytest.mark.parametrize("name", HEADS)
def test_replaced_elsewhere(name: str) -> None:
    """A new head is told of also where the base model's weights have been replaced."""
    model = zoo.build(name)
    _packed(getattr(model, model.base_model_prefix), "")
    found = verdict(model, lora(model))
    assert found is not None
    assert "was not loaded from the checkpoint" in found.message
    assert HEADS[name] in found.message


def _by_hand(model: nn.Module, name: str) -> None:
    getattr(model, name).load_state_dict(_other(model, name))


def _assigned_from_file(model: nn.Module, name: str) -> None:
    """Tensors that torch has read from a file count as written once, as new ones do."""
    torch.save(_other(model, name), path := f"{zoo._checkpoints().name}/head.pt")
    getattr(model, name).load_state_dict(torch.load(path), assign=True)


def _whole_by_hand(model: nn.Module, name: str) -> None:
    model.load_state_dict({key: value * 1.5 for key, value in model.state_dict().items()})


def _trained(model: nn.Module, name: str) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        sum(parameter.sum() for parameter in model.parameters()).backward()
        optimizer.step()


def _copied(model: nn.Module, name: str) -> None:
    """The weights alone, as where a classifier starts with a prototype of each class."""
    with torch.no_grad():
        for layer in _linear(getattr(model, name)):
            layer.weight.copy_(torch.randn_like(layer.weight))


def _copied_into_data(model: nn.Module, name: str) -> None:
    for key, value in _other(model, name).items():
        getattr(model, name).get_parameter(key).data.copy_(value)


def _given_as_data(model: nn.Module, name: str) -> None:
    for key, value in _other(model, name).items():
        getattr(model, name).get_parameter(key).data = value


def _rows_of_another(model: nn.Module, name: str) -> None:
    """Rows of the embedding, as where each class starts with the word that names it."""
    words = model.get_input_embeddings().weight.detach() * 3
    for layer in _linear(getattr(model, name)):
        layer.weight.data = words[: layer.out_features].clone()
        if layer.bias is not None:
            layer.bias.data.fill_(0.1)


FILLING = (
    _by_hand,
    _rows_of_another,
    _copied,
    _copied_into_data,
    _given_as_data,
    _assigned_from_file,
    _whole_by_hand,
    _trained,
)


@pytest.mark.parametrize("change", FILLING, ids=lambda change: change.__name__.strip("_"))
@pytest.mark.parametrize("name", ["bert_seq", "roberta_seq", "bert_tok", "bert_qa", "llama_seq", "gpt2_seq"])
def test_filled_by_hand(name: str, change: Callable[[nn.Module, str], None]) -> None:
    """A new head that has been loaded by hand or trained since is not known to be new, with biases or without."""
    model = zoo._load(name, own=False, seed=1)
    assert verdict(model, lora(model)) is not None
    change(model, HEADS[name])
    assert verdict(model, lora(model)) is None


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("change", FILLING, ids=lambda change: change.__name__.strip("_"))
def test_hung_and_filled_by_hand(change: Callable[[nn.Module, str], None], bias: bool) -> None:
    """So it is with a head that was hung onto a loaded model."""
    model = zoo._load("llama_lm", own=False, seed=1)
    model.score = nn.Linear(32, 2, bias=bias)
    assert verdict(model, lora(model, "CAUSAL_LM")) is not None
    change(model, "score")
    assert verdict(model, lora(model, "CAUSAL_LM")) is None


def test_filled_as_a_whole() -> None:
    """So it is with a head that its class draws in a way of its own, where the whole model has been written to."""
    model = zoo._load("t5_seq", own=False, seed=1)
    assert verdict(model, lora(model)) is not None
    _whole_by_hand(model, "")
    assert verdict(model, lora(model)) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_drawn(dtype: torch.dtype, seed: int) -> None:
    """Whatever the seed and the type, what was drawn looks so; of one row or many, and with zeros for biases."""
    folder = zoo.checkpoint("llama_seq")
    for labels in (1, 50):
        torch.manual_seed(seed)
        model = transformers.LlamaForSequenceClassification.from_pretrained(folder, num_labels=labels, dtype=dtype)
        assert verdict(model, lora(model)) is not None
        model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=dtype)
        for bias in (False, True):
            model.score = nn.Linear(32, labels, bias=bias, dtype=dtype)
            assert verdict(model, lora(model, "CAUSAL_LM")) is not None
        model.score.weight.data.normal_()
        model.score.bias.data.zero_()
        assert verdict(model, lora(model, "CAUSAL_LM")) is not None


def test_drawn_twice() -> None:
    """Where a class draws its head in a way of its own, more writes are its own."""
    config = transformers.CLIPConfig(**zoo.CLIP, num_labels=3)
    with tempfile.TemporaryDirectory() as folder:
        transformers.CLIPModel(config).save_pretrained(folder)
        model = transformers.CLIPForImageClassification.from_pretrained(folder, num_labels=3)
    assert model.classifier.weight._version == 2
    assert model.classifier.bias._version == 1
    assert verdict(model, lora(model, target_modules=["q_proj"])) is not None


def _truncated_in_place(tensor: Any, mean: float, std: float, a: float, b: float, generator: Any = None) -> Any:
    """Draw as torch does up to 2.11: in five steps, each of which writes to the weights."""
    low, high = (math.erf((each - mean) / std / math.sqrt(2.0)) for each in (a, b))
    with torch.no_grad():
        tensor.uniform_(low, high, generator=generator).erfinv_()
        return tensor.mul_(std * math.sqrt(2.0)).add_(mean).clamp_(min=a, max=b)


@pytest.mark.parametrize("name", _TRUNCATING)
@pytest.mark.parametrize("torch_draws", ["as it does", "in five steps"])
def test_truncated(name: str, torch_draws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head drawn from a truncated distribution is new however torch draws, and is not once it was filled."""
    if torch_draws == "in five steps":
        monkeypatch.setattr(torch.nn.init, "_no_grad_trunc_normal_", _truncated_in_place)
    config = getattr(transformers, f"{name}Config")(**_TRUNCATING[name])
    with tempfile.TemporaryDirectory() as folder:
        getattr(transformers, f"{name}Model")(config).save_pretrained(folder)
        model = getattr(transformers, f"{name}ForImageClassification").from_pretrained(folder)
    config = lora(model, None, target_modules=["query", "q_proj"])
    assert getattr(verdict(model, config), "code", None) == "H2"
    model.classifier.load_state_dict({key: torch.rand_like(it) for key, it in model.classifier.state_dict().items()})
    assert verdict(model, config) is None


def test_a_head_trained_alone() -> None:
    """A head that was trained before the model is wrapped (as in linear probing) is not new any more."""
    model = zoo.build("llama_seq")
    optimizer = torch.optim.SGD([model.score.weight], lr=0.1)
    for _ in range(5):
        model.score.weight.sum().backward()
        optimizer.step()
    assert verdict(model, lora(model)) is None


@pytest.mark.parametrize("loaded", [True, False], ids=["copied", "from-a-config"])
def test_a_bias_that_was_filled(loaded: bool) -> None:
    """Without marks, as after `deepcopy` or from a config, a bias that is not zero shows that the head was filled."""
    model: Any = zoo.build("bert_seq")
    model = copy.deepcopy(model) if loaded else type(model)(model.config)
    assert getattr(verdict(model, lora(model, None)), "code", None) == "H2"
    model.classifier.load_state_dict({key: torch.rand_like(it) for key, it in model.classifier.state_dict().items()})
    assert verdict(model, lora(model, None)) is None


def _filled(head: nn.Linear) -> None:
    head.load_state_dict({key: torch.zeros_like(it) for key, it in head.state_dict().items()})


def _spread(head: nn.Linear) -> None:
    head.weight.data = torch.randn(head.weight.shape)


@pytest.mark.parametrize(
    ("change", "told"),
    [(_filled, False), (_spread, False), (lambda head: head.to(torch.float64), True)],
    ids=["filled", "given as data", "cast"],
)
def test_filled_without_marks(change: Callable[[nn.Module], None], told: bool) -> None:
    """Without marks, too, a head that was filled by hand is not spoken of; a bare copy of a new one is."""
    model = copy.deepcopy(zoo.build("llama_seq"))
    change(model.score)
    assert (verdict(model, lora(model)) is not None) is told


def test_a_config_that_was_filled() -> None:
    """A model built from a config is not spoken of once its head, or all of it, was loaded by hand."""
    model = transformers.LlamaForSequenceClassification(transformers.LlamaConfig(**zoo.LLAMA))
    if not transformers.__version__.startswith("4."):
        assert verdict(model, lora(model)) is not None
    model.load_state_dict(copy.deepcopy(model.state_dict()))
    assert verdict(model, lora(model)) is None


@pytest.mark.parametrize("own", [True, False], ids=["loaded", "new"])
def test_moved_and_cast(own: bool) -> None:
    """Casting, moving and resizing change nothing of what is known."""
    model = zoo._load("bert_seq", own, 1).to(torch.bfloat16).to("cpu").float()
    model.resize_token_embeddings(80)
    assert (verdict(model, lora(model)) is None) is own


def _found(parameter: Any, module: Any = None, path: str = "head.weight") -> evidence.Found:
    return evidence.Found(path, parameter, module)


def test_is_new() -> None:
    """A mark means loaded; a plain parameter without one, written in place, is new; all else is unknown."""
    layer = nn.Linear(2, 2)
    assert evidence.is_new(_found(layer.weight, layer), evidence.Known()) is True
    assert evidence.is_new(_found(layer.weight, layer, "a.parametrizations.weight.original"), evidence.Known()) is None
    assert evidence.is_new(_found(nn.Parameter(torch.zeros(2)), layer), evidence.Known()) is None
    assert evidence.is_new(_found(layer.weight.data, layer), evidence.Known()) is None
    whole = nn.Linear(2, 2)
    whole.weight = nn.Parameter(torch.zeros(2, 2, dtype=torch.int8), requires_grad=False)
    assert evidence.is_new(_found(whole.weight, whole), evidence.Known()) is None
    layer.bias._is_hf_initialized = True  # type: ignore[attr-defined]
    assert evidence.is_new(_found(layer.bias, layer), evidence.Known()) is False
    assert evidence.is_new(_found(layer.weight, layer), evidence.Known()) is None
    with torch.inference_mode():
        uncounted = nn.Linear(2, 2)
    assert evidence.is_new(_found(uncounted.weight, uncounted), evidence.Known()) is None


def test_is_rewritten() -> None:
    """Only if each loaded parameter was written to has the whole model been."""
    first, second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    found = [_found(first), _found(second)]
    assert evidence.is_rewritten(found) is False
    first._is_hf_initialized = second._is_hf_initialized = True  # type: ignore[attr-defined]
    with torch.no_grad():
        first.add_(1)
        assert evidence.is_rewritten(found) is False
        second.add_(1)
    assert evidence.is_rewritten(found) is True


def test_a_bias_that_cannot_be_asked() -> None:
    """A bias without data tells nothing of what its module has been through."""
    with torch.device("meta"):
        layer = nn.Linear(2, 2)
    layer._is_hf_initialized = True  # type: ignore[assignment]
    assert evidence.has_learnt(layer) is False


def test_weights_that_cannot_be_asked() -> None:
    """Nothing is known of a layer whose weights are elsewhere, though its bias is here."""
    layer = nn.Linear(2, 2)
    assert evidence.is_new(_found(layer.bias, layer), evidence.Known()) is True
    layer.weight = nn.Parameter(torch.empty(2, 2, device="meta"))
    with torch.no_grad():
        layer.weight.zero_()  # counted as the one write of a draw
    assert evidence.is_new(_found(layer.bias, layer), evidence.Known()) is None


@pytest.mark.parametrize(
    ("rank", "part", "zero"),
    [(0, [0, 0, 0], True), (1, [0, 9, 9], True), (1, [5, 0, 0], False), (2, [9, 9, 9], None)],
    ids=["first", "last", "learnt", "behind"],
)
def test_a_bias_that_is_spread(rank: int, part: list[float], zero: Optional[bool]) -> None:
    """Of four numbers in parts of three, those that are here tell, and what fills up the last part does not."""
    layer = nn.Linear(2, 4)
    bias: Any = layer.bias
    bias.data, bias.ds_tensor = torch.empty(0), torch.tensor(part, dtype=torch.float)
    bias.ds_numel, bias.ds_zero_partition_rank = 4, rank
    assert evidence._is_zero(bias, layer) is zero


def test_a_quantised_head() -> None:
    """A new head beside weights that cannot be trained: the advice is to keep it out of quantisation first."""
    model = zoo.build("roberta_seq")
    _packed(model.classifier, "")
    found = verdict(model, lora(model))
    assert found.fix == (
        "keep `classifier.dense`, `classifier.out_proj` out of quantisation, "
        'since a quantised head cannot be trained, and write task_type="SEQ_CLS"'
    )
    assert found.message.endswith(f"Instead, {found.fix}")
    model.config.quantization_config = transformers.BitsAndBytesConfig(load_in_4bit=True)
    assert verdict(model, lora(model)).fix.startswith(
        'load the model with BitsAndBytesConfig(llm_int8_skip_modules=["classifier.dense", "classifier.out_proj"]), '
    )


FSDP = """
import sys
import torch, transformers
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.fsdp import fully_shard
torch.distributed.init_process_group("gloo")
transformers.utils.logging.set_verbosity_error()
import peft, peft_strict
peft_strict.enable(misfit="raise", roundtrip="raise")
rank = torch.distributed.get_rank()
out, *folders = sys.argv[1:]
for folder in folders:
    for task in (None, "SEQ_CLS"):
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
        place = list(model.parameters())[-1].device.type
        target = "query" if "bert" in model.config.model_type else "q_proj"
        try:
            tuned = peft.get_peft_model(model, peft.LoraConfig(target_modules=[target], task_type=task))
            said = "quiet"
        except peft_strict.MisfitError as error:
            said = error.code
        print(f"said: {place} {said}", flush=True)

whole = tuned.state_dict() if rank == 0 else {}
tuned = tuned.to("meta")
fully_shard(tuned, mesh=torch.distributed.device_mesh.init_device_mesh("cpu", (2,)))
tuned.to_empty(device="cpu")
set_model_state_dict(tuned, whole, options=StateDictOptions(full_state_dict=True, broadcast_from_rank0=True))
optimizer = torch.optim.SGD([each for each in tuned.parameters() if each.requires_grad], lr=0.1)
tuned(input_ids=torch.arange(3, 9).reshape(2, 3), labels=torch.tensor([0, 1])).loss.backward()
optimizer.step()
whole = get_model_state_dict(tuned, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
if rank == 0:
    tuned.save_pretrained(out, state_dict=whole)
    fresh = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    back = peft.get_peft_model_state_dict(peft.PeftModel.from_pretrained(fresh, out))
    (name,) = (name for name in back if "score" in name)
    print("same:", torch.equal(back[name], whole["base_model.model.score.modules_to_save.default.weight"]))
"""


def test_ram_efficient_fsdp(tmp_path: Any) -> None:
    """Two ranks that load in FSDP's frugal way: a loaded head is quiet on both; of a new one the first tells.

    The other has no head until it is sent to it. With the type that is advised, the head is trained in its
    shards, saved, and the same after loading.
    """
    if not hasattr(torch.distributed, "fsdp") or not hasattr(torch.distributed.fsdp, "fully_shard"):
        pytest.skip("this torch has no fully_shard")
    script = tmp_path / "load.py"
    script.write_text(FSDP)
    new = ("bert_seq", "llama_seq")
    folders = [*(zoo.checkpoint(name, own=True) for name in new), *(zoo.checkpoint(name) for name in new)]
    common = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(20000 + os.getpid() % 20000),
        "WORLD_SIZE": "2",
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
        "OMP_NUM_THREADS": "1",
        "USE_LIBUV": "0",  # which not every build of torch has
    }
    ranks = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "adapter"), *folders],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    first, second = (process.communicate(timeout=180)[0].splitlines() for process in ranks)
    quiet, told = "said: cpu quiet", "said: cpu H2"
    assert [line for line in first if line.startswith("said: ")] == [quiet] * 4 + [told, quiet] * 2
    assert [line for line in second if line.startswith("said: ")] == [quiet] * 4 + ["said: meta quiet"] * 4
    assert first[-1] == "same: True"
    assert [process.returncode for process in ranks] == [0, 0]
