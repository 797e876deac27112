"""A UNet of diffusers with an adapter; the mistake: one of the names in `target_modules` is misspelt."""

import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

from tests.libraries.programs import tiny

model = tiny.unet()
model.add_adapter(
    LoraConfig(r=4, init_lora_weights="gaussian", target_modules=["to_k", "toq" if tiny.IS_MISTAKE else "to_q"])
)
optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
noise, text = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 16)
losses = []
for _ in range(3):
    loss = model(noise, 1, text).sample.square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
(tiny.FOLDER / "adapter").mkdir()
save_file(get_peft_model_state_dict(model), tiny.FOLDER / "adapter" / "adapter_model.safetensors")
tiny.answer(losses)
