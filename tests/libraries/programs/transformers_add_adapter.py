"""transformers' own `model.add_adapter`; the mistake: one of the names in `target_modules` is misspelt."""

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM

from tests.libraries.programs import tiny

base = tiny.llama()
tiny.seed()
model = AutoModelForCausalLM.from_pretrained(base)
model.add_adapter(
    LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "v_prj" if tiny.IS_MISTAKE else "v_proj"])
)
optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
batch = tiny.tokenizer()(tiny.TEXTS[:2], return_tensors="pt", padding=True)
losses = []
for _ in range(3):
    loss = model(input_ids=batch["input_ids"], labels=batch["input_ids"]).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
model.save_pretrained(tiny.FOLDER / "adapter")
tiny.answer(losses)
