"""``python -m tests.roundtrip.two_ranks``: a LoRA under FSDP 1 and 2, without and with wrappers in between, is saved.

That is done in two processes on the CPU, or in one on a GPU.
"""

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
from torch.distributed.fsdp import FullStateDictConfig, FullyShardedDataParallel, StateDictType, fully_shard
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

import peft_strict
from peft_strict.roundtrip.saved import Saved, judge

from .scenes import language_model

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WORLD = 2 if DEVICE == "cpu" else 1
State = dict[str, torch.Tensor]


def adapted() -> peft.PeftModel:
    """Return a model with a LoRA of 8 tensors."""
    return peft.get_peft_model(language_model(), peft.LoraConfig(task_type="CAUSAL_LM"))


def step(model: torch.nn.Module) -> None:
    """Make a step of training."""
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=1.0)
    tokens = torch.arange(8, device=DEVICE)[None]
    model(input_ids=tokens, labels=tokens).loss.backward()
    optimizer.step()


def second(*, checkpointing: bool) -> tuple[peft.PeftModel, State]:
    """Train under FSDP 2, and return the model and what accelerate gets as its state dict."""
    model, mesh = adapted().to(DEVICE), init_device_mesh(DEVICE, (WORLD,))
    if checkpointing:
        apply_activation_checkpointing(model, check_fn=lambda each: type(each) is LlamaDecoderLayer)
    for layer in model.base_model.model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    step(model)
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return model, get_model_state_dict(model, options=options)  # empty on all ranks but the first


def first(*, layers: bool, checkpointing: bool = False, rescue: bool = False) -> tuple[peft.PeftModel, State]:
    """Do the same under FSDP 1.

    Args:
        layers: Whether the layers are wrapped one by one, as accelerate's ``transformer_based_wrap`` does.
        checkpointing: Whether they are wrapped for activation checkpointing as well.
        rescue: Whether the wrappers are taken out before saving, by the advice.
    """
    model = adapted()
    policy = ModuleWrapPolicy([LlamaDecoderLayer]) if layers else None
    whole = FullyShardedDataParallel(
        model, auto_wrap_policy=policy, use_orig_params=True, device_id=torch.device(DEVICE)
    )
    if checkpointing:
        apply_activation_checkpointing(whole, check_fn=lambda each: type(each) is LlamaDecoderLayer)
    step(whole)
    config = FullStateDictConfig(rank0_only=True)
    with FullyShardedDataParallel.state_dict_type(whole, StateDictType.FULL_STATE_DICT, config):
        state_dict = whole.state_dict()
    if rescue:
        lines = judge(Saved("", "", ("a",), 0, passed=1, between="_fsdp_wrapped_module"))[0].fix.splitlines()
        exec("\n".join(line for line in lines if line.startswith(("for ", " "))), {"model": model})
    return model, state_dict


SCENES = {
    "fsdp2": lambda: second(checkpointing=False),
    "fsdp2, checkpointing": lambda: second(checkpointing=True),
    "fsdp1": lambda: first(layers=False),
    "fsdp1, layers": lambda: first(layers=True),
    "fsdp1, layers, rescued": lambda: first(layers=True, rescue=True),
    "fsdp1, layers, checkpointing, rescued": lambda: first(layers=True, checkpointing=True, rescue=True),
}
if WORLD == 1:  # there FSDP 1 shards nothing, and torch 2.13 fails to take a state dict of layers wrapped one by one
    SCENES = {name: train for name, train in SCENES.items() if "layers" not in name}


def save(model: peft.PeftModel, state_dict: State, folder: str, rank: int) -> list[str]:
    """Save as accelerate does, and return the codes that were reported."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.save_pretrained(folder, state_dict=state_dict, is_main_process=rank == 0)
        if rank:
            peft.get_peft_model_state_dict(model, state_dict=state_dict)  # as diffusers' scripts do on all ranks
    return [each.message.code for each in found if isinstance(each.message, peft_strict.PeftStrictWarning)]


def rank_main(rank: int, folder: str) -> None:
    """Be one of the ranks."""
    torch.set_num_threads(1)
    backend = "gloo" if DEVICE == "cpu" else "nccl"
    torch.distributed.init_process_group(backend, init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD)
    for name, train in SCENES.items():
        codes = save(*train(), os.path.join(folder, name), rank)
        Path(folder, f"{name}{rank}.json").write_text(json.dumps(codes))
        torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def main() -> None:
    """Run the ranks, and print what came out of each scene: the codes of each rank, the tensors in the file."""
    peft_strict.enable()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        if WORLD == 1:
            rank_main(0, folder)
        else:
            torch.multiprocessing.start_processes(rank_main, (folder,), nprocs=WORLD, start_method="fork")
        for scene in SCENES:
            codes = [json.loads(Path(folder, f"{scene}{rank}.json").read_text()) for rank in range(WORLD)]
            with safe_open(os.path.join(folder, scene, "adapter_model.safetensors"), "pt") as file:
                found[scene] = [*codes, len(file.keys())]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
