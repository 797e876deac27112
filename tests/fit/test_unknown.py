"""The words for names that a model does not have. Nothing here imports PEFT, torch or transformers."""

from __future__ import annotations

import pytest

from peft_strict.fit.names import EXCLUDED, FEEDFORWARD, PARAMETERS, SAVED, TARGETS, Near
from peft_strict.fit.unknown import Unknown, in_words

V = Unknown(TARGETS, "v_prj", Near(("v_proj",)))
K = Unknown(TARGETS, "k_prj", Near(("k_proj",)))
WTE = Unknown(SAVED, "embed_tokens", Near(("wte",), "embedding"))
FOO = Unknown(SAVED, "foo", None)
OUT = Unknown(EXCLUDED, "o_prj", Near(("o_proj",)))
EXPERTS = Unknown(PARAMETERS, "experts.up", Near(("experts.gate_up_proj",)))


@pytest.mark.parametrize(
    ("unknown", "lists", "code", "text"),
    [
        pytest.param(
            [V],
            {TARGETS: ["q_proj", "v_prj"]},
            "N1",
            "`target_modules` names `v_prj`, which this model does not have: nothing is trained for it.\n"
            "  Did you mean `v_proj`?\n"
            '  Write target_modules=["q_proj", "v_proj"]',
            id="one",
        ),
        pytest.param(
            [K, V],
            {TARGETS: ["k_prj", "q_proj", "v_prj"]},
            "N1",
            "`target_modules` names `k_prj` and `v_prj`, which this model does not have: "
            "nothing is trained for them.\n"
            "  For `k_prj`, did you mean `k_proj`?\n"
            "  For `v_prj`, did you mean `v_proj`?\n"
            '  Write target_modules=["k_proj", "q_proj", "v_proj"]',
            id="two of a list",
        ),
        pytest.param(
            [WTE],
            {SAVED: ["embed_tokens", "lm_head"]},
            "N1",
            "`modules_to_save` names `embed_tokens`, which this model does not have: "
            "nothing is trained or saved for it.\n"
            "  This model's embedding is `wte`.\n"
            '  Write modules_to_save=["wte", "lm_head"]',
            id="an embedding",
        ),
        pytest.param(
            [FOO],
            {SAVED: ["foo", "lm_head"]},
            "N2",
            "`modules_to_save` names `foo`, which this model does not have: nothing is trained or saved for it.\n"
            "  Leave `foo` out, or write the name that this model has for it\n"
            '  Write modules_to_save=["lm_head"]',
            id="no near name",
        ),
        pytest.param(
            [FOO],
            {SAVED: ["foo"]},
            "N2",
            "`modules_to_save` names `foo`, which this model does not have: nothing is trained or saved for it.\n"
            "  Leave `foo` out, or write the name that this model has for it\n"
            "  Write modules_to_save=None",
            id="no near name and no other",
        ),
        pytest.param(
            [OUT],
            {EXCLUDED: ["o_prj"]},
            "N1",
            "`exclude_modules` names `o_prj`, which this model does not have: `o_proj` is adapted all the same.\n"
            "  Did you mean `o_proj`?\n"
            '  Write exclude_modules=["o_proj"]',
            id="an exclusion",
        ),
        pytest.param(
            [Unknown(FEEDFORWARD, "down_prj", Near(("down_proj",)))],
            {FEEDFORWARD: ["down_prj"]},
            "N1",
            "`feedforward_modules` names `down_prj`, which this model does not have: "
            "the outputs of `down_proj` are scaled, not the inputs.\n"
            "  Did you mean `down_proj`?\n"
            '  Write feedforward_modules=["down_proj"]',
            id="a feedforward module",
        ),
        pytest.param(
            [V],
            {TARGETS: ["k_proj", "v_prj"], FEEDFORWARD: ["v_prj"]},
            "N1",
            "`target_modules` names `v_prj`, which this model does not have: nothing is trained for it.\n"
            "  Did you mean `v_proj`?\n"
            '  Write target_modules=["k_proj", "v_proj"], feedforward_modules=["v_proj"]',
            id="a feedforward module that is not adapted",
        ),
        pytest.param(
            [FOO, EXPERTS, V, WTE],
            {TARGETS: ["v_prj"], SAVED: ["embed_tokens", "foo"], PARAMETERS: ["experts.up"]},
            "N1",
            "`target_modules` names `v_prj`, which this model does not have: nothing is trained for it; "
            "`modules_to_save` names `foo` and `embed_tokens`, which this model does not have: "
            "nothing is trained or saved for them; "
            "`target_parameters` names `experts.up`, which this model does not have: nothing is trained for it.\n"
            "  For `experts.up`, did you mean `experts.gate_up_proj`?\n"
            "  For `v_prj`, did you mean `v_proj`?\n"
            "  For `embed_tokens`, this model's embedding is `wte`\n"
            "  Leave `foo` out, or write the name that this model has for it\n"
            '  Write target_modules=["v_proj"], modules_to_save=["wte"], target_parameters=["experts.gate_up_proj"]',
            id="three fields",
        ),
        pytest.param(
            [Unknown(TARGETS, name, Near(("gate_up_proj",))) for name in ("gate_proj", "up_proj")],
            {TARGETS: ["gate_proj", "up_proj", "o_proj"]},
            "N1",
            "`target_modules` names `gate_proj` and `up_proj`, which this model does not have: "
            "nothing is trained for them.\n"
            "  For `gate_proj`, did you mean `gate_up_proj`?\n"
            "  For `up_proj`, did you mean `gate_up_proj`?\n"
            '  Write target_modules=["gate_up_proj", "o_proj"]',
            id="two that meant one",
        ),
        pytest.param(
            [Unknown(TARGETS, "q_proj,v_proj", Near(("q_proj", "v_proj")))],
            {TARGETS: ["q_proj,v_proj", "o_proj", "q_proj"]},
            "N1",
            "`target_modules` names `q_proj,v_proj`, which this model does not have: nothing is trained for it.\n"
            "  Did you mean `q_proj` and `v_proj`?\n"
            '  Write target_modules=["q_proj", "v_proj", "o_proj"]',
            id="one that meant two",
        ),
        pytest.param(
            [V],
            {TARGETS: ["v_prj"], SAVED: ["v_prj", "lm_head"]},
            "N1",
            "`target_modules` names `v_prj`, which this model does not have: nothing is trained for it.\n"
            "  Did you mean `v_proj`?\n"
            '  Write target_modules=["v_proj"]',
            id="the same entry in a list of which nothing is said",
        ),
    ],
)
def test_report(unknown: list[Unknown], lists: dict[str, list[str]], code: str, text: str) -> None:
    """A report says which names, what is lost, what was meant, and the whole list to write."""
    found = in_words(unknown, lists, model_class="GPT2LMHeadModel", config_class="LoraConfig")
    assert found.message == f"peft-strict {code}: GPT2LMHeadModel with LoraConfig: {text}"
    assert found.code == code
    assert found.message.endswith(found.fix)


def test_long_lists_are_not_written_out() -> None:
    """Of a long list only what changes is written, and of many changes the first."""
    entries = [f"layers.{index}.v_prj" for index in range(20)]
    unknown = [Unknown(TARGETS, entry, Near((entry.replace("prj", "proj"),))) for entry in entries]
    found = in_words(unknown[:1], {TARGETS: entries}, model_class="M", config_class="C")
    assert found.fix == '"layers.0.v_proj" for "layers.0.v_prj" in target_modules'
    found = in_words(unknown, {TARGETS: entries}, model_class="M", config_class="C")
    assert found.fix.endswith('"layers.2.v_proj" for "layers.2.v_prj" and 17 more in target_modules')
    assert len(found.message.splitlines()) == 5
    found = in_words(unknown[:3], {TARGETS: entries}, model_class="M", config_class="C")
    assert found.fix.endswith('"layers.2.v_proj" for "layers.2.v_prj" in target_modules')
    found = in_words(unknown[:1], {TARGETS: entries[:12]}, model_class="M", config_class="C")
    assert found.fix.startswith('target_modules=["layers.0.v_proj", "layers.1.v_prj", ')
    two = Unknown(TARGETS, "q_proj,v_proj", Near(("q_proj", "v_proj")))
    found = in_words([two], {TARGETS: [*entries, "q_proj,v_proj"]}, model_class="M", config_class="C")
    assert found.fix == '"q_proj", "v_proj" for "q_proj,v_proj" in target_modules'
    nameless = in_words([Unknown(SAVED, "foo", None)], {SAVED: [*entries, "foo"]}, model_class="M", config_class="C")
    assert nameless.fix == "no `foo` in modules_to_save"


def test_odd_entries() -> None:
    """Entries with quotes, line ends or a great length make no odd text."""
    unknown = [Unknown(TARGETS, entry, Near(("v_proj",))) for entry in ('"v_proj"', "v_proj\n", "x" * 500)]
    found = in_words(unknown, {TARGETS: [each.entry for each in unknown]}, model_class="M", config_class="C")
    assert len(found.message) < 1000
    assert [line[:6] for line in found.message.splitlines()] == ["peft-s", "  For ", "  For ", "  For ", "  Writ"]
    assert found.fix == 'target_modules=["v_proj"]'
    kept = {TARGETS: ['a"b', "c\n", "v_prj"]}
    assert in_words([V], kept, model_class="M", config_class="C").fix == """target_modules=['a"b', 'c\\n', "v_proj"]"""
