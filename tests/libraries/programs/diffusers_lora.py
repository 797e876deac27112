"""The LoRA loaders of diffusers; the mistake: the adapter is saved from a model with activation checkpointing."""

import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import apply_activation_checkpointing

from tests.libraries.programs import tiny

model = tiny.unet()
model.add_adapter(LoraConfig(r=4, init_lora_weights="gaussian", target_modules=["to_k", "to_q"]))
if tiny.IS_MISTAKE:
    apply_activation_checkpointing(model, check_fn=lambda each: type(each).__name__ == "BasicTransformerBlock")
optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
noise, text = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 16)
for _ in range(3):
    model(noise, 1, text).sample.square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
FOLDER, FILE = tiny.FOLDER / "adapter", "lora.safetensors"
model.save_lora_adapter(FOLDER, weight_name=FILE)
save_file(load_file(FOLDER / FILE), FOLDER / "adapter_model.safetensors")  # its own has its metadata in any order
other = tiny.unet()
if not tiny.IS_MISTAKE:
    other.load_lora_adapter(FOLDER, prefix=None, weight_name=FILE, use_safetensors=True)
tiny.answer([other(noise, 1, text).sample.square().mean().item()])
