"""jsonargparse builds the config from a command line; the mistake: a typo on it."""

from jsonargparse import ArgumentParser
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from tests.libraries.programs import tiny

base = tiny.llama()
tiny.seed()
parser = ArgumentParser()
parser.add_class_arguments(LoraConfig, "lora")
words = [
    f"--lora.task_type={'CASUAL_LM' if tiny.IS_MISTAKE else 'CAUSAL_LM'}",
    '--lora.target_modules=["q_proj","v_proj"]',
]
config = parser.instantiate_classes(parser.parse_args(words)).lora
model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
model.save_pretrained(tiny.FOLDER / "adapter")
tiny.answer([model.num_parameters()])
