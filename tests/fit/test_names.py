"""Dead names and hints, as tables of names. Nothing here imports PEFT, torch or transformers."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from peft_strict.fit.names import (
    EXCLUDED,
    FEEDFORWARD,
    NOT_ASKED,
    PARAMETERS,
    SAVED,
    TARGETS,
    Embeddings,
    Names,
    dead,
    nearest,
)


def _layers(prefix: str, count: int, names: str) -> list[str]:
    return [f"{prefix}.{index}.{name}" for index in range(count) for name in names.split()]


_LLAMA_LAYER = (
    "self_attn self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj mlp mlp.gate_proj mlp.up_proj "
    "mlp.down_proj input_layernorm"
)
LLAMA = Names(["model", "model.embed_tokens", "model.layers", *_layers("model.layers", 12, _LLAMA_LAYER), "lm_head"])
GPT2 = Names(
    [
        "transformer.wte",
        "transformer.wpe",
        *_layers("transformer.h", 2, "attn.c_attn attn.c_proj mlp.c_fc mlp.c_proj ln_1 ln_2"),
        "lm_head",
    ]
)
PHI3 = Names(_layers("layers", 2, "self_attn.qkv_proj self_attn.o_proj mlp.gate_up_proj mlp.down_proj"))
OPT = Names(
    _layers("decoder.layers", 2, "self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.out_proj fc1 fc2")
)
MAMBA = Names(_layers("layers", 2, "mixer.in_proj mixer.x_proj mixer.dt_proj mixer.out_proj"))
BERT = Names(
    [
        "bert.embeddings.word_embeddings",
        "bert.embeddings.position_embeddings",
        *_layers(
            "bert.encoder.layer",
            2,
            "attention.self.query attention.self.key attention.self.value attention.output.dense intermediate.dense "
            "output.dense",
        ),
        "classifier",
    ]
)
T5 = Names(
    ["shared", *_layers("encoder.block", 2, "layer.0.q layer.0.k layer.0.v layer.0.o layer.1.wi_0 layer.1.wi_1")]
)
DEEPSEEK = Names(_layers("layers", 2, "self_attn.q_a_proj self_attn.q_b_proj self_attn.kv_b_proj self_attn.o_proj"))
MOE = Names(_layers("layers", 2, "self_attn.q_proj self_attn.v_proj mlp.gate mlp.experts"))
SHARED = Names(_layers("layers", 2, "mlp.gate mlp.shared_expert.gate_proj"))
SD3 = Names(_layers("blocks", 2, "attn.to_q attn.to_k attn.add_q_proj attn.to_out.0 attn.to_add_out"))
PARTS = Names(["ff.net.0.proj", "ff.net.2", "norm_out.linear", "block.conv", "time_proj"])
OWN = Embeddings("wte", "lm_head")


def hint(
    names: Names, entry: str, others: list[str], embeddings: Embeddings = NOT_ASKED, field: str = TARGETS
) -> str | None:
    """Return what a dead entry meant and no other one takes, separated by blanks."""
    near = nearest(names, entry, others, embeddings, field)
    return " ".join(near.names) if near and not near.taken else None


@pytest.mark.parametrize(
    ("entry", "targets", "saved"),
    [
        pytest.param("v_proj", False, False, id="the last part"),
        pytest.param("self_attn.v_proj", False, False, id="two parts"),
        pytest.param("model.layers.3.self_attn.v_proj", False, False, id="the whole name"),
        pytest.param("lm_head", False, False, id="a name at the top"),
        pytest.param("head", True, False, id="the tail of a part, which saving takes"),
        pytest.param("n.v_proj", True, False, id="the tail of a path, which saving takes"),
        pytest.param("v_prj", True, True, id="a slip"),
        pytest.param("V_proj", True, True, id="another case"),
        pytest.param("mlp.v_proj", True, True, id="another module's"),
        pytest.param("model.layers.30.self_attn.v_proj", True, True, id="a layer beyond the last"),
        pytest.param("layers.1.mlp.up_proj", False, False, id="a layer's number that others end in"),
        pytest.param("1.mlp.up_proj", False, False, id="a number"),
        pytest.param("v_proj.", True, True, id="a dot behind"),
    ],
)
def test_dead(entry: str, targets: bool, saved: bool) -> None:
    """An entry is dead where PEFT finds nothing: by whole parts, or by the end of the name where PEFT compares so."""
    assert dead(entry, LLAMA, TARGETS) is targets
    assert dead(entry, LLAMA, EXCLUDED) is targets
    assert dead(entry, LLAMA, PARAMETERS) is targets
    assert dead(entry, LLAMA, SAVED) is saved
    assert dead(entry, LLAMA, FEEDFORWARD) is saved


@pytest.mark.parametrize("field", [TARGETS, SAVED, EXCLUDED, PARAMETERS, FEEDFORWARD])
def test_dead_is_what_the_plain_comparison_says(field: str) -> None:
    """The look-up by last parts agrees with PEFT's comparison of each name with each entry."""
    paths = list(LLAMA.paths)
    tails = {path[at:] for path in paths for at in range(len(path))} | {"x", "x_proj", ".", ""}
    for entry in tails:
        if field in (SAVED, FEEDFORWARD):
            plain = any(path.endswith(entry) for path in paths)
        else:
            plain = any(path == entry or path.endswith(f".{entry}") for path in paths)
        assert dead(entry, LLAMA, field) is not plain, entry


@pytest.mark.parametrize(
    ("names", "entry", "meant"),
    [
        # taken off
        pytest.param(LLAMA, "Q_proj", "q_proj", id="case"),
        pytest.param(LLAMA, " q_proj", "q_proj", id="blank in front"),
        pytest.param(LLAMA, "q_proj,", "q_proj", id="comma behind"),
        pytest.param(LLAMA, "'q_proj'", "q_proj", id="quotes"),
        pytest.param(LLAMA, "['q_proj',", "q_proj", id="a list cut at its blanks"),
        pytest.param(LLAMA, "q_proj.weight", "q_proj", id="weight"),
        pytest.param(LLAMA, ".*q_proj", "q_proj", id="regular expression in front"),
        pytest.param(LLAMA, r".*\.q_proj$", "q_proj", id="regular expression around"),
        pytest.param(LLAMA, "base_model.model.lm_head", "lm_head", id="the wrapper's name"),
        pytest.param(
            LLAMA,
            "base_model.model.model.layers.3.mlp.up_proj",
            "model.layers.3.mlp.up_proj",
            id="the wrapper's name in front of a layer's",
        ),
        pytest.param(LLAMA, "q_proj,v_proj", "q_proj v_proj", id="two names in one"),
        pytest.param(LLAMA, " q_proj, mlp.up_proj;lm_head ", "q_proj mlp.up_proj lm_head", id="three names in one"),
        pytest.param(LLAMA, "q_proj v_proj", "q_proj v_proj", id="two names with a blank between"),
        pytest.param(LLAMA, "q_proj|v_proj", "q_proj v_proj", id="an alternative of names"),
        pytest.param(LLAMA, "['q_proj', 'v_proj']", "q_proj v_proj", id="a list as a text"),
        pytest.param(LLAMA, "qproj", "q_proj", id="separator left out"),
        pytest.param(LLAMA, "q-proj", "q_proj", id="another separator"),
        # slips of the pen
        pytest.param(LLAMA, "v_prj", "v_proj", id="letter left out"),
        pytest.param(LLAMA, "v_projj", "v_proj", id="letter doubled"),
        pytest.param(LLAMA, "v_porj", "v_proj", id="letters swapped"),
        pytest.param(LLAMA, "v_prok", "v_proj", id="another letter"),
        pytest.param(LLAMA, "self_atn.v_proj", "self_attn.v_proj", id="slip in an earlier part"),
        pytest.param(LLAMA, "model.layers.2.mlp.dwn_proj", "model.layers.2.mlp.down_proj", id="slip in a path"),
        pytest.param(BERT, "quary", "query", id="one word"),
        pytest.param(LLAMA, "lm_heads", "lm_head", id="plural"),
        # one part more or less
        pytest.param(PHI3, "gate_proj", "gate_up_proj", id="fused with up"),
        pytest.param(PHI3, "up_proj", "gate_up_proj", id="fused with gate"),
        pytest.param(PHI3, "out_proj", "o_proj", id="out for o"),
        pytest.param(OPT, "o_proj", "out_proj", id="o for out"),
        pytest.param(BERT, "query_proj", "query", id="a part too many"),
        pytest.param(T5, "q_proj", "q", id="a part too many beside a single letter"),
        pytest.param(GPT2, "self_attn.c_attn", "attn.c_attn", id="a word too many in an earlier part"),
        pytest.param(LLAMA, "k", "k_proj", id="a letter that is a part"),
        pytest.param(LLAMA, "attn.v_proj", "self_attn.v_proj", id="a word too few in an earlier part"),
        pytest.param(BERT, "attention.query", "attention.self.query", id="a part too few in a path"),
        pytest.param(LLAMA, "layers.3.q_proj", "layers.3.self_attn.q_proj", id="a part too few in a layer"),
        pytest.param(BERT, "attention.self.core.query", "attention.self.query", id="a part too many in a path"),
        pytest.param(PARTS, "model.ff.net.2", "ff.net.2", id="a part too many in front of a whole path"),
        # nothing certain
        pytest.param(PARTS, "ffn.net.2", None, id="the first part of three is another thing"),
        pytest.param(PARTS, "norm.linear", None, id="what is left of a part is vague"),
        pytest.param(PARTS, "quant_conv", None, id="a convolution is vague"),
        pytest.param(PARTS, "time_emb_proj", None, id="an embedding is another thing"),
        pytest.param(LLAMA, "x_proj", None, id="single letters must be equal"),
        pytest.param(LLAMA, "qk_proj", None, id="two letters must be equal"),
        pytest.param(LLAMA, "uo_proj", None, id="up must be equal"),
        pytest.param(LLAMA, "model.layers.12.mlp.up_proj", None, id="a layer beyond the last"),
        pytest.param(OPT, "fc3", None, id="a number is no slip"),
        pytest.param(GPT2, "ln_3", None, id="a number on its own is no slip"),
        pytest.param(LLAMA, "gate_up_proj", None, id="two readings"),
        pytest.param(T5, "wi", None, id="two numbers"),
        pytest.param(DEEPSEEK, "q_proj", None, id="two readings of a part more"),
        pytest.param(DEEPSEEK, "v_proj", None, id="fused into another name"),
        pytest.param(MOE, "gate_proj", None, id="a router is no gate of an MLP"),
        pytest.param(LLAMA, "gate", None, id="a gate of an MLP is no router"),
        pytest.param(SD3, "q_proj", None, id="an added projection is another thing"),
        pytest.param(SHARED, "mlp.gate_proj", None, id="the expert that all share is another thing"),
        pytest.param(SD3, "q", "to_q", id="a word before it"),
        pytest.param(MAMBA, "o_proj", None, id="an output that is not of an attention"),
        pytest.param(GPT2, "fc", None, id="too vague"),
        pytest.param(GPT2, "proj", None, id="too vague, and two readings"),
        pytest.param(GPT2, "fc1", None, id="another architecture's"),
        pytest.param(BERT, "dense_h_to_4h", None, id="two parts more"),
        pytest.param(Names(["stem.conv2"]), "Conv2d", None, id="a class, not a name with a letter more"),
        pytest.param(Names(["transformer.wpe"]), "wte", None, id="another word, not a slip"),
        pytest.param(Names(["conv_norm"]), "cond_norm", None, id="another word in a name"),
        pytest.param(Names(["v_proj_in"]), "v_porj", None, id="a slip in a name of fewer words"),
        pytest.param(Names(["gate_down_proj"]), "gat_dwn_proj", None, id="slips in two words"),
        pytest.param(Names(["block_112"]), "block_122", None, id="another number"),
        pytest.param(Names(["block_1"]), "block", None, id="a number more"),
        pytest.param(Names(["a.0.block"]), "a.block", None, id="the number of a layer more"),
        pytest.param(Names(["block_112"]), "block_abc", None, id="a word for a number"),
        pytest.param(LLAMA, "all-linear", None, id="PEFT's shorthand"),
        pytest.param(LLAMA, "q_proj|v_prj", None, id="an alternative"),
        pytest.param(LLAMA, "q_proj,v_prj", None, id="two names in one, of which one is wrong"),
        pytest.param(LLAMA, "q_proj, q_proj", None, id="one name twice"),
        pytest.param(LLAMA, "model.layers.*.self_attn.v_prj", None, id="a star"),
        pytest.param(LLAMA, "", None, id="empty"),
        pytest.param(LLAMA, "., ", None, id="nothing but signs"),
        pytest.param(LLAMA, "v_prj" * 100, None, id="long"),
        pytest.param(LLAMA, "été", None, id="other letters"),
        pytest.param(Names([]), "v_proj", None, id="no names"),
    ],
)
def test_hint(names: Names, entry: str, meant: str | None) -> None:
    """Meant is the one name that spelling, a slip of the pen or a part more leads to, or several in one text."""
    assert hint(names, entry, []) == meant


@pytest.mark.parametrize(
    ("others", "field", "meant"),
    [
        pytest.param(["q_proj"], TARGETS, "v_proj", id="another name"),
        pytest.param(["q_proj", "v_prj"], TARGETS, "v_proj", id="the entry itself"),
        pytest.param(["v_prk"], TARGETS, "v_proj", id="another dead entry"),
        pytest.param(["v_proj"], TARGETS, None, id="the name"),
        pytest.param(["v_proj"], SAVED, None, id="the name, saved"),
        pytest.param(["proj"], TARGETS, "v_proj", id="a tail that does not reach it"),
        pytest.param(["proj"], SAVED, None, id="a tail that reaches it"),
    ],
)
def test_taken(others: list[str], field: str, meant: str | None) -> None:
    """A name that another entry reaches is no hint: nothing is lost."""
    assert hint(LLAMA, "v_prj", others, field=field) == meant
    near = nearest(LLAMA, "v_prj", others, field=field)
    assert near is not None
    assert (near.names, near.taken) == (("v_proj",), meant is None)


@pytest.mark.parametrize(
    ("entry", "meant"),
    [("q_prj", "q_proj"), ("v_prj", None), ("qproj", "q_proj"), ("vproj", None), ("o_proj", None)],
)
def test_only_what_may_be_meant(entry: str, meant: str | None) -> None:
    """A name of a module that nothing can be done with is no hint, and leaves no doubt about another one."""
    names = Names(["a.q_proj", "a.v_proj", "b.out_proj", "attn.out_proj"])
    assert hint(names.only(lambda path: path == "a.q_proj"), entry, []) == meant


def test_a_doubt_about_what_may_not_be_meant() -> None:
    """A part that tells things apart leaves a doubt only where that thing may be meant."""
    names = Names(["x.gate_up_proj", "x.up_cross_proj"])
    assert hint(names, "up_proj", []) is None
    assert hint(names.only(lambda path: "gate" in path), "up_proj", []) == "gate_up_proj"


def test_all_of_several_have_to_be_taken() -> None:
    """Of several names in one text something is lost as long as other entries do not reach each of them."""
    assert hint(LLAMA, "q_proj,v_proj", ["q_proj"]) == "q_proj v_proj"
    assert hint(LLAMA, "q_proj,v_proj", ["q_proj", "v_proj"]) is None


def test_each_of_several_has_to_be_a_name() -> None:
    """What is left of quotes is none, and neither is a name of which nothing may be meant."""
    assert hint(LLAMA, "lm_head, ''", [], field=SAVED) == "lm_head"
    assert hint(LLAMA.only(lambda path: path.endswith("q_proj")), "q_proj,v_proj", []) is None


@pytest.mark.parametrize(
    ("entry", "embeddings", "meant"),
    [
        pytest.param("embed_tokens", OWN, ("wte", "embedding"), id="another model's embedding"),
        pytest.param("model.embed_tokens", OWN, ("wte", "embedding"), id="with what it stands in"),
        pytest.param("word_embeddings", OWN, ("wte", "embedding"), id="BERT's"),
        pytest.param("embed_out", OWN, ("lm_head", "head"), id="another model's head"),
        pytest.param("lm_head", Embeddings("embed_in", "embed_out"), ("embed_out", "head"), id="a head's"),
        pytest.param("vision_tower.embeddings", OWN, None, id="of another tower"),
        pytest.param("wpe", OWN, None, id="positions"),
        pytest.param("embed_tokens", Embeddings(), None, id="a model that does not say"),
        pytest.param("lm_head", Embeddings("wte", None), None, id="a model without a head"),
        pytest.param("output", OWN, None, id="a word for many things"),
    ],
)
def test_embeddings(entry: str, embeddings: Embeddings, meant: tuple[str, str] | None) -> None:
    """For the names that models give their embedding and head, the hint is what this model calls its own."""
    near = nearest(Names(["transformer.h.0.attn.c_attn"]), entry, ["c_attn"], embeddings, SAVED)
    assert (near and (*near.names, near.role)) == meant


@pytest.mark.parametrize(
    ("entry", "others", "taken"),
    [
        pytest.param("wte", ["embed_tokens"], True, id="another name of the shared embedding"),
        pytest.param("wte", ["word_embeddings"], False, id="a dead one as well"),
        pytest.param("wte", ["lm_head"], False, id="the head"),
        pytest.param("embed_out", ["model.lm_head"], True, id="another name of the head"),
        pytest.param("embed_out", ["encoder"], False, id="a name for something else"),
    ],
)
def test_embeddings_of_several_architectures(entry: str, others: list[str], taken: bool) -> None:
    """A list that names the embedding, or the head, by what another architecture calls it reaches it all the same."""
    names = Names(["shared", "encoder", "encoder.embed_tokens", "model.lm_head"])
    near = nearest(names, entry, others, Embeddings("shared", "lm_head"), SAVED)
    assert near is not None
    assert near.taken is taken


def test_spelling_goes_before_the_model_s_own_names() -> None:
    """A name that only has to be spelt right is meant, whatever the model calls its embedding."""
    assert hint(Names(["a.embed_tokens", "b.wte"]), "Embed_Tokens", [], OWN) == "embed_tokens"


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        pytest.param("experts.gate_up_prj", "experts.gate_up_proj", id="slip"),
        pytest.param("experts.gate_up_proj.weight", "experts.gate_up_proj", id="a weight too many"),
        pytest.param("mlp.gate", "mlp.gate.weight", id="a module"),
        pytest.param("experts.up_proj", "experts.gate_up_proj", id="a part too few"),
        pytest.param("experts.w1", None, id="another architecture's"),
    ],
)
def test_parameters(entry: str, meant: str | None) -> None:
    """Names of parameters keep their ``.weight``."""
    names = Names(_layers("layers", 2, "mlp.gate.weight mlp.experts.gate_up_proj mlp.experts.down_proj"))
    assert hint(names, entry, [], field=PARAMETERS) == meant


def test_many_names_and_entries() -> None:
    """Five hundred dead paths on a model of twenty thousand modules take well under a second each hundred."""
    names = Names(_layers("model.layers", 2000, _LLAMA_LAYER))
    entries = [f"layers.{index}.attn.w_proj" for index in range(500)]
    start = time.process_time()
    assert not any(nearest(names, entry, entries) for entry in entries)
    assert time.process_time() - start < 5


def test_pure() -> None:
    """The rule needs no PEFT, torch or transformers."""
    code = "import sys, peft_strict.fit.names; print(sorted({'peft', 'torch', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
