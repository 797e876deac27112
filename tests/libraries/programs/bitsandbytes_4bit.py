"""A classifier that bitsandbytes has quantised to 4 bit on loading; the mistake: no task type."""

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, BitsAndBytesConfig

from tests.libraries.programs import tiny

base = tiny.llama(hidden_size=128, intermediate_size=128)
tiny.seed()
kind = BitsAndBytesConfig(load_in_4bit=True, llm_int8_skip_modules=["score"])
model = AutoModelForSequenceClassification.from_pretrained(
    base, num_labels=2, quantization_config=kind, device_map=tiny.DEVICE
)
config = LoraConfig(task_type=None if tiny.IS_MISTAKE else "SEQ_CLS", target_modules=["q_proj", "v_proj"])
model = get_peft_model(model, config)
batch = tiny.tokenizer()(tiny.TEXTS[:2], return_tensors="pt", padding=True).to(tiny.DEVICE)
loss = model(**batch, labels=torch.tensor([0, 1], device=tiny.DEVICE)).loss
loss.backward()
model.save_pretrained(tiny.FOLDER / "adapter")
tiny.answer([loss.item()])
