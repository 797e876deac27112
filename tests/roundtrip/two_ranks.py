"""Two processes that train one LoRA under FSDP 2, without and with activation checkpointing, and save it."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from pathlib import Path

import peft
import torch
import torch.multiprocessing
from safetensors import safe_open
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import apply_activation_checkpointing
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import LlamaConfig, LlamaForCausalLM

import peft_strict

SCENES = ("plain", "checkpointing")
TINY = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 32}


def train(mesh: object, *, checkpointing: bool) -> peft.PeftModel:
    """Return a sharded model that has made a step."""
    torch.manual_seed(0)
    model = peft.get_peft_model(LlamaForCausalLM(LlamaConfig(**TINY)), peft.LoraConfig(task_type="CAUSAL_LM"))
    if checkpointing:
        apply_activation_checkpointing(model, check_fn=lambda each: type(each).__name__ == "LlamaDecoderLayer")
    for layer in model.base_model.model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=1.0)
    tokens = torch.arange(8)[None]
    model(input_ids=tokens, labels=tokens).loss.backward()
    optimizer.step()
    return model


def save(model: peft.PeftModel, folder: str, rank: int) -> list[str]:
    """Save as accelerate does, and return the codes that were reported."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state_dict = get_model_state_dict(model, options=options)  # empty on all ranks but the first
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.save_pretrained(folder, state_dict=state_dict, is_main_process=rank == 0)
        if rank:
            peft.get_peft_model_state_dict(model, state_dict=state_dict)  # as diffusers' scripts do on all ranks
    return [each.message.code for each in found if isinstance(each.message, peft_strict.PeftStrictWarning)]


def rank_main(rank: int, folder: str) -> None:
    """Be one of the ranks."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    for scene in SCENES:
        model = train(mesh, checkpointing=scene == "checkpointing")
        Path(folder, f"{scene}{rank}.json").write_text(json.dumps(save(model, os.path.join(folder, scene), rank)))
        torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def main() -> None:
    """Run both ranks, and print what came out of each scene: the codes of each rank, the tensors in the file."""
    peft_strict.enable()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(rank_main, (folder,), nprocs=2, start_method="fork")
        for scene in SCENES:
            codes = [json.loads(Path(folder, f"{scene}{rank}.json").read_text()) for rank in range(2)]
            with safe_open(os.path.join(folder, scene, "adapter_model.safetensors"), "pt") as file:
                found[scene] = [*codes, len(file.keys())]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
