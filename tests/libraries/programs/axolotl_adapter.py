"""axolotl's own way from its settings to an adapter; the mistake: a misspelt name in `lora_target_modules`."""

from axolotl.loaders.adapter import load_adapter
from axolotl.utils.dict import DictDefault
from transformers import AutoModelForCausalLM

from tests.libraries.programs import tiny

base = tiny.llama()
tiny.seed()
settings = {
    "adapter": "lora",
    "base_model": base,
    "lora_r": 4,
    "lora_alpha": 8,
    "lora_dropout": 0.0,
    "peft_use_dora": None,
}
names = ["q_proj", "v_prj" if tiny.IS_MISTAKE else "v_proj"]
plain = AutoModelForCausalLM.from_pretrained(base)
model, _ = load_adapter(plain, DictDefault({**settings, "lora_target_modules": names}), "lora")
model.save_pretrained(tiny.FOLDER / "adapter")
tiny.answer([model.num_parameters()])
