"""The measured cells of names that name nothing: what is said, against what is trained and what would be saved.

Each cell is one mistake in one list of one method on one model. Where something is said, nothing under the name that
was meant is trained or saved; and with the list that the report writes, nothing is said and it is both.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import peft
import pytest
import torch
import transformers
from torch import nn

import peft_strict

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 32,
}


class Plain(nn.Module):
    """A model that is not of transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Embedding(32, 16)
        layers = nn.ModuleList(nn.ModuleDict({"q_proj": nn.Linear(16, 16), "v_proj": nn.Linear(16, 16)}) for _ in "ab")
        self.body = nn.ModuleDict({"layers": layers})
        self.pooler_head = nn.Linear(16, 16)
        self.lm_head = nn.Linear(16, 32)


class Kind(NamedTuple):
    """A model with names of its own.

    Attributes:
        build: Returns one.
        first: A name of two that are adapted.
        second: The other, of which the mistakes are made.
        typo: A slip in it.
        head: A module to save.
        foreign: What another architecture calls a module to save, and what this one does; ``None`` if it does not say.
        fields: Fields that the model needs.
    """

    build: Callable[[], nn.Module]
    first: str
    second: str
    typo: str
    head: str
    foreign: tuple[str, str] | None
    fields: Mapping[str, Any] = MappingProxyType({})


KINDS = {
    "llama": Kind(
        lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)),
        "q_proj",
        "v_proj",
        "v_prj",
        "lm_head",
        ("wte", "embed_tokens"),
    ),
    "gpt2": Kind(
        lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=32)),
        "c_attn",
        "c_proj",
        "c_porj",
        "lm_head",
        ("embed_tokens", "wte"),
        {"fan_in_fan_out": True},
    ),
    "bert": Kind(
        lambda: transformers.BertForSequenceClassification(transformers.BertConfig(**SIZES)),
        "query",
        "value",
        "vlaue",
        "pooler",
        ("embed_tokens", "word_embeddings"),
    ),
    "t5": Kind(
        lambda: transformers.T5ForConditionalGeneration(
            transformers.T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=2, num_heads=2, vocab_size=32)
        ),
        "q",
        "SelfAttention.v",
        "SelfAttenton.v",
        "lm_head",
        ("wte", "shared"),
    ),
    "plain": Kind(Plain, "q_proj", "v_proj", "v_porj", "lm_head", None),
}
LORA = peft.LoraConfig
METHODS: dict[str, tuple[type[peft.PeftConfig], dict[str, Any]]] = {
    "adalora": (peft.AdaLoraConfig, {"init_r": 2, "target_r": 1, "total_step": 10}),
    "ia3": (peft.IA3Config, {"feedforward_modules": []}),
    "loha": (peft.LoHaConfig, {"r": 2}),
    "lokr": (peft.LoKrConfig, {"r": 2}),
    "oft": (peft.OFTConfig, {"r": 2, "oft_block_size": 0}),
    "boft": (peft.BOFTConfig, {"boft_block_size": 2}),
    "vera": (peft.VeraConfig, {"r": 2}),
    "fourierft": (peft.FourierFTConfig, {"n_frequency": 4}),
    "hra": (peft.HRAConfig, {"r": 2}),
    "ln_tuning": (peft.LNTuningConfig, {}),
}


class Cell(NamedTuple):
    """A mistake.

    Attributes:
        fields: Makes the fields of the config, for a kind of model.
        code: What is said; ``""`` for nothing, ``"refused"`` where PEFT raises.
        lost: The name that was meant, of which nothing is trained.
    """

    fields: Callable[[Kind], dict[str, Any]]
    code: str
    lost: Callable[[Kind], str] = lambda kind: kind.second


def _targets(change: Callable[[str], str]) -> Callable[[Kind], dict[str, Any]]:
    return lambda kind: {"target_modules": [kind.first, change(kind.second)]}


def _saved(change: Callable[[str], str]) -> Callable[[Kind], dict[str, Any]]:
    return lambda kind: {"target_modules": [kind.first], "modules_to_save": [change(kind.head)]}


def _head(kind: Kind) -> str:
    return kind.head


CELLS = {
    "right": Cell(lambda kind: {"target_modules": [kind.first, kind.second], "modules_to_save": [kind.head]}, ""),
    "all dead": Cell(lambda kind: {"target_modules": [kind.typo, "v_prk"]}, "refused"),
    "typo": Cell(lambda kind: {"target_modules": [kind.first, kind.typo]}, "N1"),
    "typo in a set": Cell(lambda kind: {"target_modules": {kind.first, kind.typo}}, "N1"),
    "typo in a tuple": Cell(lambda kind: {"target_modules": (kind.first, kind.typo)}, "N1"),
    "case": Cell(_targets(str.upper), "N1"),
    "blank in front": Cell(_targets(" {}".format), "N1"),
    "comma behind": Cell(_targets("{},".format), "N1"),
    "joined by a comma": Cell(lambda kind: {"target_modules": [kind.first, f"{kind.first},{kind.second}"]}, "N1"),
    "joined by a comma, both named as well": Cell(
        lambda kind: {"target_modules": [kind.first, kind.second, f"{kind.first},{kind.second}"]}, ""
    ),
    "saved: joined by a comma": Cell(
        lambda kind: {"target_modules": [kind.first], "modules_to_save": [f"{kind.head}, {kind.second}"]}, "N1", _head
    ),
    "weight": Cell(_targets("{}.weight".format), "N1"),
    "expression in a list": Cell(_targets(".*{}".format), "N1"),
    "the wrapper's name in front": Cell(_targets("base_model.model.{}".format), "N1"),
    "another architecture's layer": Cell(_targets(lambda _: "fc_mlp_7"), ""),
    "all-linear in a list": Cell(_targets(lambda _: "all-linear"), ""),
    "right beside its typo": Cell(lambda kind: {"target_modules": [kind.first, kind.second, kind.typo]}, ""),
    "expression with a dead alternative": Cell(lambda kind: {"target_modules": rf".*\.({kind.first}|v_prj)"}, ""),
    "saved: typo": Cell(_saved(lambda name: f"{name}s"), "N1", _head),
    "saved: case": Cell(_saved(str.upper), "N1", _head),
    "saved: weight": Cell(_saved("{}.weight".format), "N1", _head),
    "saved: expression": Cell(_saved(".*{}".format), "N1", _head),
    "saved: the wrapper's name in front": Cell(_saved("base_model.model.{}".format), "N1", _head),
    "saved: nothing near": Cell(_saved(lambda _: "nothing_of_the_kind"), "N2", _head),
    "saved: tail": Cell(_saved(lambda name: name[1:]), ""),
    "saved: right beside its typo": Cell(
        lambda kind: {"target_modules": [kind.first], "modules_to_save": [kind.head, f"{kind.head}s"]}, ""
    ),
    "excluded: all dead": Cell(
        lambda kind: {"target_modules": [kind.first, kind.second], "exclude_modules": [kind.typo]}, ""
    ),
    "layers beyond the last": Cell(lambda kind: {"target_modules": [kind.first], "layers_to_transform": [0, 99]}, ""),
    "rank of nothing": Cell(lambda kind: {"target_modules": [kind.first], "rank_pattern": {"v_prj": 4}}, ""),
}
ELSEWHERE = [
    name for name in CELLS if not name.startswith(("excluded", "layers", "rank", "expression with", "saved: joined"))
]


@pytest.fixture(autouse=True)
def _on(strict: None) -> None:
    """Switch on for every test."""


def outcome(model: nn.Module, config: peft.PeftConfig) -> tuple[list[peft_strict.MisfitWarning], set[str], set[str]]:
    """Use a config on a model; return what was said, and the names of what is trained and of what would be saved."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adapted = peft.get_peft_model(model, config)
    said = [entry.message for entry in caught if isinstance(entry.message, peft_strict.MisfitWarning)]
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    return [warning for warning in said if warning.code.startswith("N")], trained, set(saved)


def _reaches(names: set[str], module: str) -> bool:
    return any(f".{module}." in f".{name}." for name in names)


def check(kind: Kind, method: type[peft.PeftConfig], needed: dict[str, Any], cell: Cell) -> None:
    """Compare what is said of a cell with what happens, before and after its advice is followed."""
    fields = {**needed, **cell.fields(kind)}
    torch.manual_seed(0)
    if cell.code == "refused":
        with pytest.raises(ValueError, match=r"not found in the base model|No layers types compatible"):
            outcome(kind.build(), method(**fields))
        return
    said, trained, saved = outcome(kind.build(), method(**fields))
    assert [warning.code for warning in said] == ([cell.code] if cell.code else [])
    if not said:
        return
    assert not _reaches(trained, cell.lost(kind))
    assert not _reaches(saved, cell.lost(kind))
    mended = eval(f"dict({said[0].fix})")
    said, after, kept = outcome(kind.build(), method(**{**fields, **mended}))
    assert said == []
    if cell.code == "N1":
        assert _reaches(after, cell.lost(kind))
        assert _reaches(kept, cell.lost(kind))
        assert len(after) > len(trained)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", KINDS)
def test_lora(kind: str, cell: str) -> None:
    """What is said of LoRA is what happens, on five models."""
    check(KINDS[kind], LORA, {"r": 2, **KINDS[kind].fields}, CELLS[cell])


@pytest.mark.parametrize("method", METHODS)
def test_methods(method: str) -> None:
    """It is the same with every other method that has the fields."""
    kind = KINDS["plain"]
    if method == "ln_tuning":
        kind = KINDS["llama"]._replace(first="input_layernorm", second="norm", typo="nrom")
    for name in ELSEWHERE:
        check(kind, *METHODS[method], CELLS[name])


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.foreign])
def test_embeddings(kind: str) -> None:
    """What another architecture calls its embedding leads to this one's, which is then trained and saved."""
    foreign, own = KINDS[kind].foreign or ("", "")
    cell = Cell(lambda kind: {"target_modules": [kind.first], "modules_to_save": [foreign]}, "N1", lambda _: own)
    check(KINDS[kind], LORA, {"r": 2, **KINDS[kind].fields}, cell)


@pytest.mark.parametrize("kind", KINDS)
def test_one_excluded_of_two(kind: str) -> None:
    """A dead exclusion beside one that works is reported, where the module that was meant is adapted."""
    names = KINDS[kind]
    fields = {"r": 2, "target_modules": [names.first, names.second], **names.fields}
    said, trained, _ = outcome(names.build(), LORA(**fields, exclude_modules=[names.first, names.typo]))
    assert [warning.code for warning in said] == ["N1"]
    assert _reaches(trained, names.second)
    said, _, _ = outcome(names.build(), LORA(**{**fields, "target_modules": [names.first]}, exclude_modules=["x"]))
    assert said == []
    joined = f"{names.second} {names.head}"  # of which only one is adapted
    said, _, _ = outcome(names.build(), LORA(**fields, exclude_modules=[names.first, joined]))
    assert said == []


def test_excluded_of_a_classifier() -> None:
    """PEFT's own classifier counts as an exclusion, so that PEFT is silent of one that is dead: it is reported."""
    names = KINDS["bert"]
    fields = {"r": 2, "target_modules": [names.first, names.second], "exclude_modules": [names.typo]}
    said, _, _ = outcome(names.build(), LORA(**fields, task_type="SEQ_CLS"))
    assert [warning.code for warning in said] == ["N1"]
    mended = eval(f"dict({said[0].fix})")
    said, trained, _ = outcome(names.build(), LORA(**{**fields, **mended}, task_type="SEQ_CLS"))
    assert said == []
    assert not _reaches(trained, names.second)


IA3_CELLS: dict[str, tuple[dict[str, Any], str]] = {
    "right": ({"target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]}, ""),
    "dead among the targets too": (
        {"target_modules": ["k_proj", "down_prj"], "feedforward_modules": ["down_prj"]},
        'target_modules=["down_proj", "k_proj"], feedforward_modules=["down_proj"]',
    ),
    "beside its name among the targets": (
        {"target_modules": ["down_proj", "down_prj"], "feedforward_modules": ["down_prj"]},
        'target_modules=["down_proj"], feedforward_modules=["down_proj"]',
    ),
    "beside an end of its name": (
        {"target_modules": ["down_proj", "mlp.down_prj"], "feedforward_modules": ["mlp.down_prj"]},
        'target_modules=["down_proj", "mlp.down_proj"], feedforward_modules=["mlp.down_proj"]',
    ),
    "dead with an expression for targets": (
        {"target_modules": r".*\.(k_proj|down_proj)", "feedforward_modules": ["down_proj,"]},
        'feedforward_modules=["down_proj"]',
    ),
    "dead with PEFT's own targets": ({"feedforward_modules": ["down_porj"]}, 'feedforward_modules=["down_proj"]'),
    "of a module that is not adapted": ({"target_modules": r".*\.k_proj", "feedforward_modules": ["down_prj"]}, ""),
    "nothing near": ({"target_modules": r".*\.(k_proj|down_proj)", "feedforward_modules": ["wo"]}, ""),
    "an end without a dot": ({"target_modules": r".*\.down_proj", "feedforward_modules": ["n_proj"]}, ""),
    "an expression": ({"target_modules": r".*\.down_proj", "feedforward_modules": r".*\.down_prj"}, ""),
}


@pytest.mark.parametrize("cell", IA3_CELLS)
def test_feedforward(cell: str) -> None:
    """A dead feedforward module of IA3 is told if the module that was meant gets the vector of the other kind."""
    fields, fix = IA3_CELLS[cell]
    model = KINDS["llama"].build()
    said, _, _ = outcome(model, peft.IA3Config(**fields))
    assert [warning.fix for warning in said] == [fix] * bool(fix)
    if not fix:
        return
    assert not _scales_inputs(model)
    model = KINDS["llama"].build()
    said, trained, saved = outcome(model, peft.IA3Config(**{**fields, **eval(f"dict({fix})")}))
    assert said == []
    assert _scales_inputs(model)
    assert _reaches(trained, "down_proj")
    assert _reaches(saved, "down_proj")


def _scales_inputs(model: nn.Module) -> bool:
    return any(
        name.endswith("down_proj") and getattr(part, "is_feedforward", 0) for name, part in model.named_modules()
    )


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        pytest.param(["k_proj.weight", "o_proj.weight"], "", id="right"),
        pytest.param(["k_proj.weight", "o_prj.weight"], "N1", id="one dead"),
        pytest.param(["o_prj.weight"], "", id="all dead, of which PEFT warns"),
    ],
)
def test_parameters(parameters: list[str], code: str) -> None:
    """Names of parameters are looked at too, but for what PEFT warns of."""
    kind = KINDS["llama"]._replace(second="o_proj")
    cell = Cell(lambda kind: {"target_modules": [kind.first], "target_parameters": parameters}, code)
    check(kind, LORA, {"r": 2}, cell)


def test_fused_experts() -> None:
    """Names of experts that transformers has fused since are PEFT's to convert, and not dead."""
    sizes = {**SIZES, "num_key_value_heads": 2}
    mixtral = transformers.MixtralForCausalLM(transformers.MixtralConfig(**sizes))
    said, trained, _ = outcome(mixtral, LORA(r=2, target_modules=["q_proj", "w1", "w2", "w3"]))
    assert said == []
    assert _reaches(trained, "experts")
    mixtral = transformers.MixtralForCausalLM(transformers.MixtralConfig(**sizes))
    said, _, _ = outcome(mixtral, LORA(r=2, target_modules=["q_proj", "v_prj", "w1", "w2", "w3"]))
    assert [warning.code for warning in said] == ["N1"]
    mixtral = transformers.MixtralForCausalLM(transformers.MixtralConfig(**sizes))
    said, _, _ = outcome(mixtral, LORA(r=2, target_modules=["q_proj", "moe.mlp.gate"]))  # PEFT makes gate.weight of it
    assert said == []


def test_prompt_learning() -> None:
    """Soft prompts that have modules to save are looked at as well."""
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2, modules_to_save=["lm_haed"])
    said, trained, _ = outcome(KINDS["llama"].build(), config)
    assert [warning.code for warning in said] == ["N1"]
    assert not _reaches(trained, "lm_head")


def test_second_adapter() -> None:
    """Beside an adapter the names are those of the base model, also of the modules that it has wrapped."""
    kind = KINDS["llama"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = peft.get_peft_model(
            kind.build(), LORA(r=2, target_modules=["q_proj", "v_proj"], modules_to_save=["lm_head"])
        )
    for targets, code in ((["q_proj", "v_proj"], []), (["q_proj", "v_prj"], ["N1"]), (["q_proj", "base_lyer"], [])):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            adapted.add_adapter(f"next{len(code)}{targets[1][0]}", LORA(r=2, target_modules=targets))
        said = [entry.message for entry in caught if isinstance(entry.message, peft_strict.MisfitWarning)]
        assert [warning.code for warning in said] == code
