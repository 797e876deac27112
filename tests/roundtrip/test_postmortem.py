"""The rule of what a saved adapter tells, as tables. Nothing here needs PEFT or torch."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peft_strict.roundtrip import postmortem
from peft_strict.roundtrip.postmortem import Adapter

MARKS = {
    "LORA": "lora_",
    "ADALORA": "lora_",
    "IA3": "ia3_",
    "LOHA": "hada_",
    "VERA": "vera_lambda_",
    "TRAINABLE_TOKENS": "trainable_tokens_",
    "FROD": "frod_",
    "OSF": "osf_",
    "PROMPT_TUNING": "prompt_embeddings",
    "P_TUNING": "prompt_embeddings",
}
Q = "base_model.model.model.layers.0.q_proj"
A, B = f"{Q}.lora_A.weight", f"{Q}.lora_B.weight"
HEAD = "base_model.model.classifier.weight"


def tensor(*shape: int, dtype: str = "F32") -> Any:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [0, 0]}


PAIR = {A: tensor(8, 16), B: tensor(16, 8)}


def renamed(old: str, new: str) -> dict[str, Any]:
    return {name.replace(old, new): each for name, each in PAIR.items()}


def adapter(tensors: dict[str, Any], task_type: object = None, **config: Any) -> Adapter:
    return Adapter({"peft_type": "LORA", "r": 8, **config}, task_type, tensors, MARKS)


def kinds(found: Any) -> list[str]:
    return [remark.kind for remark in found]


SOUND = {
    "pair": adapter(PAIR),
    "old-names": adapter({f"{Q}.lora_A": tensor(8, 16), f"{Q}.lora_B": tensor(16, 8)}),
    "embedding": adapter({f"{Q}.lora_embedding_A": tensor(8, 64), f"{Q}.lora_embedding_B": tensor(16, 8)}),
    "convolution": adapter({A: tensor(8, 3, 3, 3), B: tensor(6, 8, 1, 1)}),
    "bias-of-b": adapter({**PAIR, f"{Q}.lora_B.bias": tensor(16)}),
    "magnitude": adapter({**PAIR, f"{Q}.lora_magnitude_vector": tensor(16)}),
    "rank-pattern": adapter({A: tensor(4, 16), B: tensor(16, 4)}, rank_pattern={"q_proj": 4}),
    "qalora": adapter({A: tensor(8, 4), B: tensor(16, 8)}, r=16, use_qalora=True),
    "experts": adapter({A: tensor(32, 16), B: tensor(16, 32)}, target_parameters=["experts.down_proj"]),
    "stacked-experts": adapter({A: tensor(4, 8, 16), B: tensor(4, 16, 8)}),
    "rank-no-number": adapter(PAIR, r="8"),
    "rank-true": adapter(PAIR, r=True),
    "rank-vast": adapter(PAIR, r=10**4000),
    "no-rank": Adapter({"peft_type": "LORA"}, None, PAIR, MARKS),
    "pruned": adapter({f"{Q}.lora_A": tensor(0, 16), f"{Q}.lora_B": tensor(16, 0)}, peft_type="ADALORA"),
    "no-tokens": adapter({"base_model.model.emb.trainable_tokens_delta": tensor(0, 4)}, peft_type="TRAINABLE_TOKENS"),
    "kept-whole": adapter({f"{Q}.osf_svd_params.S_low": tensor(0)}, peft_type="OSF"),
    "no-sparse-part": adapter({f"{Q}.frod_lambda_s_values": tensor(0)}, peft_type="FROD"),
    "empty-buffer": adapter({**PAIR, "base_model.model.head.scale": tensor(0)}),
    "empty-numbers": adapter({**PAIR, f"{Q}.lora_indices.weight": tensor(0, dtype="I64")}),
    "tokens-beside": adapter({"base_model.model.emb.trainable_tokens_delta": tensor(2, 4)}),
    "unknown-method": adapter({A: tensor(0), HEAD: tensor(0)}, peft_type="XLORA"),
    "method-of-a-plugin": adapter({f"{Q}.ia3_l": tensor(8)}, peft_type="MINE"),
    "no-method": Adapter({}, None, PAIR, MARKS),
    "method-no-text": adapter(PAIR, peft_type=["LORA"]),
    "prompt": adapter({"prompt_embeddings": tensor(4, 16)}, peft_type="PROMPT_TUNING"),
    "module-in-the-base": adapter({f"base_model.model.module.{name[17:]}": each for name, each in PAIR.items()}),
    "another-front": adapter(renamed("base_model", "policy.base_model")),
    "base-module-of-such-a-name": adapter({f"{Q}.lora_A.{end[-13:]}": each for end, each in PAIR.items()}),
}


@pytest.mark.parametrize("sound", SOUND.values(), ids=SOUND)
def test_exemptions(sound: Adapter) -> None:
    """What only looks odd is passed over."""
    assert list(postmortem.findings(sound)) == []


DAMAGED = {
    "empty": (adapter({}), "empty", "it holds no tensors"),
    "empty-unknown-method": (adapter({}, peft_type="XLORA2"), "empty", "it holds no tensors"),
    "without-elements": (
        adapter({A: tensor(0), B: tensor(0)}),
        "elements",
        f"2 of its 2 tensors have no elements: '{A}' and 1 more",
    ),
    "head-without-elements": (
        adapter({**PAIR, HEAD: tensor(0)}),
        "elements",
        f"1 of its 3 tensors have no elements: '{HEAD}'",
    ),
    "flat": (adapter({A: tensor(64), B: tensor(64)}), "flat", "2 of its 2 tensors are matrices of LoRA in one dim"),
    "other-method": (
        adapter(PAIR, peft_type="IA3"),
        "method",
        f"peft_type is IA3, but its tensors are those of LORA or ADALORA: '{A}' and 1 more",
    ),
    "prompt-of-lora": (adapter({"prompt_embeddings": tensor(4, 16)}), "method", "those of PROMPT_TUNING or P_TUNING"),
    "lora-of-prompt": (adapter(PAIR, peft_type="P_TUNING"), "method", "peft_type is P_TUNING, but its tensors are"),
    "a-alone": (adapter({A: tensor(8, 16)}), "half", f"1 of its lora_A have no lora_B: '{A}'"),
    "b-alone": (adapter({**PAIR, B.replace("q", "v"): tensor(16, 8)}), "half", "1 of its lora_B have no lora_A: "),
    "rank": (adapter(PAIR, r=16), "rank", "r is 16 in the config, and 8 in the file"),
    "rank-of-a-convolution": (adapter({A: tensor(4, 3, 3, 3), B: tensor(6, 4, 1, 1)}), "rank", "and 4 in the file"),
    "many-ranks": (
        adapter({f"{Q}{each}.lora_{half}.weight": tensor(each, each) for each in range(1, 9) for half in "AB"}),
        "rank",
        "r is 8 in the config, and 1, 2, 3, ... in the file",
    ),
    "ranks": (
        adapter({**PAIR, A.replace("q", "v"): tensor(4, 16), B.replace("q", "v"): tensor(16, 4)}, r=16),
        "rank",
        "r is 16 in the config, and 4, 8 in the file",
    ),
    "compiled-layers": (
        adapter(renamed("layers.0", "layers.0._orig_mod")),
        "wrapper",
        "2 of its 2 tensors have `_orig_mod` in their names (torch.compile): 'base_model.model.model.layers.0._o",
    ),
    "checkpointed": (
        adapter(renamed("layers.0", "layers.0._checkpoint_wrapped_module")),
        "wrapper",
        "`_checkpoint_wrapped_module` in their names (activation checkpointing)",
    ),
    "fsdp": (adapter(renamed("model.layers", "_fsdp_wrapped_module.layers")), "wrapper", "(FSDP)"),
    "ddp": (adapter(renamed("base_model", "module.base_model")), "wrapper", "`module` in their names (Distr"),
    "lightning": (adapter(renamed("base_model", "model.base_model")), "wrapper", "`model` in their names (a Light"),
    "compiled": (adapter(renamed("base_model", "_orig_mod.base_model")), "wrapper", "(a compiled model)"),
}


@pytest.mark.parametrize(("damaged", "kind", "message"), DAMAGED.values(), ids=DAMAGED)
def test_findings(damaged: Adapter, kind: str, message: str) -> None:
    """Each kind of damage is told, once and with what shows it."""
    [found] = postmortem.findings(damaged)
    assert found.kind == kind
    assert message in found.message
    assert found.advice.endswith(".")


def test_a_part_of_a_name_is_no_wrapper() -> None:
    """A wrapper's name counts as a whole part of a name only."""
    assert kinds(postmortem.findings(adapter(renamed("q_proj", "my_orig_mod_proj")))) == []


def classifier(task_type: object, *names: str, **config: Any) -> Adapter:
    return adapter({**PAIR, **{f"base_model.model.{name}": tensor(2, 16) for name in names}}, task_type, **config)


STATEMENTS = {
    "no-task": (classifier(None), []),
    "causal": (classifier("CAUSAL_LM"), []),
    "head": (classifier("SEQ_CLS", "classifier.weight"), []),
    "score": (classifier("SEQ_CLS", "score.weight"), []),
    "own-head": (classifier("TOKEN_CLS", "my_head.weight"), []),
    "head-with-lora": (classifier("SEQ_CLS", "classifier.lora_A.weight", "classifier.lora_B.weight"), []),
    "lost": (classifier("SEQ_CLS"), ["head"]),
    "lost-tokens": (classifier("TOKEN_CLS"), ["head"]),
    "lost-answers": (classifier("QUESTION_ANS", modules_to_save=["qa_outputs"]), ["head"]),
    "only-biases": (classifier("SEQ_CLS", "layer.0.dense.bias"), ["head"]),
    "added-by-peft": (classifier("SEQ_CLS", "score.weight", modules_to_save=["classifier", "score"]), []),
    "unsaved": (classifier("CAUSAL_LM", modules_to_save=["embed_tokens", "lm_head"]), ["unsaved"]),
    "saved": (classifier("CAUSAL_LM", "model.embed_tokens.weight", modules_to_save=["embed_tokens"]), []),
    "saved-by-its-end": (classifier("CAUSAL_LM", "lm_head.weight", modules_to_save=["head"]), []),
    "targeted-as-well": (classifier(None, "lin1.lora_A.weight", "lin1.lora_B.weight", modules_to_save=["lin1"]), []),
    "not-a-list": (classifier(None, modules_to_save="lm_head"), []),
    "not-names": (classifier(None, modules_to_save=[1, None]), []),
    "task-no-text": (classifier(["SEQ_CLS"]), []),
    "nested": (adapter(renamed("base_model.model", "base_model.model.base_model.model")), ["nested"]),
    "unknown-method": (classifier("SEQ_CLS", peft_type="XLORA"), []),
    "empty": (adapter({}, "SEQ_CLS"), []),
}


@pytest.mark.parametrize(("sound", "expected"), STATEMENTS.values(), ids=STATEMENTS)
def test_statements(sound: Adapter, expected: list[str]) -> None:
    """What may be meant is no finding; the head of a classifier that is not there is told, and told once."""
    assert kinds(postmortem.statements(sound)) == expected
    if "unknown" not in str(sound.config.get("peft_type")) and sound.tensors:
        assert "empty" not in kinds(postmortem.findings(sound))


def test_who_is_missing() -> None:
    """A statement names the task type, and the entries that are not in the file."""
    [lost] = postmortem.statements(classifier("SEQ_CLS"))
    assert lost.message == "task_type is SEQ_CLS, and there is no head in the file"
    [unsaved] = postmortem.statements(classifier(None, modules_to_save=["wte\x1b", "lm_head"]))
    assert unsaved.message == r"modules_to_save names what is not in the file: 'wte\x1b' and 1 more"


EMBEDDING = {f"{Q}.lora_embedding_A": tensor(8, 64), f"{Q}.lora_embedding_B": tensor(16, 8)}
AT_START = {
    "plain": (adapter(PAIR), [B]),
    "named": (adapter(PAIR, init_lora_weights=True), [B]),
    "gaussian": (adapter(PAIR, init_lora_weights="gaussian"), [B]),
    "eva": (adapter(PAIR, init_lora_weights="eva", eva_config={"rho": 2.0}), [B]),
    "with-bias": (adapter({**PAIR, f"{Q}.lora_B.bias": tensor(16)}), [B, f"{Q}.lora_B.bias"]),
    "embedding": (adapter(EMBEDDING), [f"{Q}.lora_embedding_A"]),
    "empty-loftq": (adapter(PAIR, loftq_config={}, eva_config=None), [B]),
    "random": (adapter(PAIR, init_lora_weights=False), []),
    "pissa": (adapter(PAIR, init_lora_weights="pissa_niter_4"), []),
    "olora": (adapter(PAIR, init_lora_weights="olora"), []),
    "loftq": (adapter(PAIR, init_lora_weights="loftq", loftq_config={"loftq_bits": 4}), []),
    "odd": (adapter(PAIR, init_lora_weights=[True]), []),
    "dora": (adapter(PAIR, use_dora=True), []),
    "variant": (adapter(PAIR, arrow_config={"top_k": 3}), []),
    "tensors-of-a-variant": (adapter({**PAIR, f"{Q}.lora_diag": tensor(8)}), []),
    "another-method": (adapter(PAIR, peft_type="ADALORA"), []),
}


@pytest.mark.parametrize(("given", "expected"), AT_START.values(), ids=AT_START)
def test_what_is_zero_at_the_start(given: Adapter, expected: list[str]) -> None:
    """It is known of a plain LoRA, by how its weights were made."""
    assert postmortem.zero_at_start(given) == expected


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from([*MARKS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
_KEYS = ["peft_type", "r", "rank_pattern", "modules_to_save", "init_lora_weights", "use_dora", "x_config"]
_NAMES = st.sampled_from([A, B, HEAD, f"module.{A}", f"{Q}._orig_mod.lora_A", "", "."]) | st.text(max_size=6)
_TENSORS = st.builds(lambda shape: tensor(*shape), st.lists(st.integers(0, 2**64), max_size=4))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(_KEYS), _JSON), _JSON, st.dictionaries(_NAMES, _TENSORS, max_size=4))
def test_whatever_stands_there(config: dict[str, Any], task_type: object, tensors: dict[str, Any]) -> None:
    """No config and no names make the rule fail, and what it says can be printed."""
    given_adapter = Adapter(config, task_type, tensors, MARKS)
    said = [*postmortem.findings(given_adapter), *postmortem.statements(given_adapter)]
    assert {*postmortem.zero_at_start(given_adapter)} <= {*tensors}
    assert all(remark.message.isprintable() and len(remark.message) < 400 for remark in said)
