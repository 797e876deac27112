"""A sample of ``python -m tests.fit``."""

from __future__ import annotations

import pytest
import transformers

from .all_classes import CannotBuild, classes, wrongly_new

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # those of torch and transformers are not the matter here
    pytest.mark.skipif(int(transformers.__version__.partition(".")[0]) < 5, reason="transformers < 5 sets no marks"),
]

SAMPLE = {
    "LayoutLMForTokenClassification": 2,
    "NomicBertForSequenceClassification": None,
    "MT5ForSequenceClassification": None,
    "UMT5ForQuestionAnswering": 2,
    "OwlViTForObjectDetection": None,
    "CLIPForImageClassification": 2,
    "PatchTSMixerForRegression": None,
    "Wav2Vec2BertForXVector": None,
    "Qwen2VLForConditionalGeneration": 0,
    "OlmoeForCausalLM": 0,
    "FunnelForTokenClassification": 2,
}


@pytest.mark.parametrize("own", [True, False], ids=["its own checkpoint", "a base checkpoint"])
@pytest.mark.parametrize("name", SAMPLE)
def test_nothing_is_wrongly_new(name: str, own: bool) -> None:
    """Of its own checkpoint nothing is called new; of a base model's only what transformers says was missing."""
    model_type = classes().get(name) or pytest.skip(f"transformers {transformers.__version__} does not list {name}")
    try:
        wrong, new = wrongly_new(name, model_type, own=own)
    except CannotBuild as error:
        pytest.skip(str(error))
    assert not wrong
    if own:
        assert not new
    elif SAMPLE[name] is None:
        assert new
    else:
        assert len(new) == SAMPLE[name]
