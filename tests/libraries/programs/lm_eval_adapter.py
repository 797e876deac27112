"""lm-eval with an adapter; the mistake: the adapter was saved with a typo in its task type, by an old PEFT."""

import json

from lm_eval.models.huggingface import HFLM
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from tests.libraries.programs import tiny

base = tiny.llama()
adapter = tiny.FOLDER / "adapter"
tiny.seed()
get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(task_type="CAUSAL_LM")).save_pretrained(adapter)
if tiny.IS_MISTAKE:
    saved = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**saved, "use_rslora": "False"}))
model = HFLM(pretrained=base, peft=str(adapter), device="cpu", batch_size=1)
scores = model._loglikelihood_tokens([(("the cat", "sat"), [2, 7, 8], [9]), (("a dog", "ran"), [2, 11, 14], [15])])
tiny.answer(score for score, _ in scores)
