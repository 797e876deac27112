"""``python -m tests.roundtrip.zero_ranks``: adapters under DeepSpeed, in two processes on the CPU or on one GPU.

DeepSpeed is not in the test extra: see .ci/deepspeed. No kernels are built, as the optimizer is torch's.
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import deepspeed
import peft
import torch
import torch.multiprocessing
from safetensors.torch import load_file
from transformers import LlamaForSequenceClassification
from transformers.integrations import HfDeepSpeedConfig

import peft_strict
from peft_strict.roundtrip.saved import Saved, judge

from .scenes import language_model

WITH_HEAD = {"modules_to_save": ["lm_head"]}
WORLD = 1 if torch.cuda.is_available() else 2


def settings(stage: int, threshold: int) -> dict[str, Any]:
    """Return a config for DeepSpeed. Parameters with fewer elements than the threshold are not spread."""
    zero = {"stage": stage, **({"stage3_param_persistence_threshold": threshold} if stage == 3 else {})}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": zero,
    }


def trained(stage: int = 3, threshold: int = 0, **options: Any) -> tuple[peft.PeftModel, Any]:
    """Train a LoRA of 8 tensors for a step, and return the model and DeepSpeed's engine."""
    config = peft.LoraConfig(task_type="CAUSAL_LM", **options)
    model = peft.get_peft_model(language_model(), config)
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-2)
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=settings(stage, threshold))
    tokens = torch.arange(8, device=engine.device)[None]
    engine.backward(engine(input_ids=tokens, labels=tokens).loss)
    engine.step()
    return model, engine


def save(folder: Path, stage: int = 3, threshold: int = 0, **options: Any) -> None:
    """Save what this process has."""
    model, engine = trained(stage, threshold, **options)
    model.save_pretrained(folder, is_main_process=engine.global_rank == 0)


def save_all(folder: Path) -> None:
    """Save the state dict that DeepSpeed gathers, as accelerate and the Trainer do."""
    model, engine = trained(**WITH_HEAD)
    state_dict = engine._zero3_consolidated_16bit_state_dict()
    model.save_pretrained(folder, state_dict=state_dict, is_main_process=engine.global_rank == 0)


def save_as_advised(folder: Path) -> None:
    """Do what K2 says."""
    model, _ = trained(**WITH_HEAD)
    lines = judge(Saved("", "default", ("a",), 1, hollow=("a",), sharded=True))[0].fix.splitlines()[1:3]
    exec("\n".join(lines).replace("...", "folder"), {"deepspeed": deepspeed, "model": model, "folder": folder})


def save_half(folder: Path) -> None:
    """Gather some of the parameters only."""
    model, engine = trained(**WITH_HEAD)
    some = [each for name, each in model.named_parameters() if "lora_" in name]
    with deepspeed.zero.GatheredParameters(some):
        model.save_pretrained(folder, is_main_process=engine.global_rank == 0)


def save_half_frozen(folder: Path) -> None:
    """Save what transformers' Trainer gathers, which leaves out what is frozen."""
    model, engine = trained()
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "lora_B" in name
    state_dict = engine._zero3_consolidated_16bit_state_dict(exclude_frozen_parameters=True)
    model.save_pretrained(folder, state_dict=state_dict, is_main_process=engine.global_rank == 0)


def save_more(folder: Path) -> None:
    """Train a norm as well, which is not saved."""
    model = peft.get_peft_model(language_model(), peft.LoraConfig(task_type="CAUSAL_LM"))
    model.base_model.model.model.norm.weight.requires_grad = True
    engine, *_ = deepspeed.initialize(
        model=model, optimizer=torch.optim.AdamW(model.parameters()), config=settings(3, 0)
    )
    with deepspeed.zero.GatheredParameters(list(model.parameters())):
        model.save_pretrained(folder, is_main_process=engine.global_rank == 0)


def load(folder: Path, prefix: str = "") -> None:
    """Load tensors whose names have something in front into a model that has been spread, and save it."""
    model, engine = trained()
    rank = engine.global_rank
    mine = [each for name, each in model.named_parameters() if ".default" in name]
    with deepspeed.zero.GatheredParameters(mine, modifier_rank=0):
        if rank == 0:
            given = {f"{prefix}{name}": tensor + 1 for name, tensor in peft.get_peft_model_state_dict(model).items()}
            peft.set_peft_model_state_dict(model, given)
    with deepspeed.zero.GatheredParameters(mine):
        model.save_pretrained(folder, is_main_process=rank == 0)


def meet(folder: Path, *, fill: bool = False, **options: Any) -> None:
    """Put a LoRA into a classifier that was spread while it was loaded, with a head that is new."""
    base = folder.parent / "base"
    if torch.distributed.get_rank() == 0 and not base.exists():
        language_model().save_pretrained(base)
    torch.distributed.barrier()
    spread = HfDeepSpeedConfig(settings(3, 0))  # in effect as long as it is there
    model = LlamaForSequenceClassification.from_pretrained(base, num_labels=4)
    head = model.score.weight
    assert head.ds_shape == (4, 16)
    assert not head.numel()
    with deepspeed.zero.GatheredParameters(head, modifier_rank=0) if fill else nullcontext():
        if fill:
            head.data.copy_(torch.linspace(0, 1, 64).reshape(4, 16))
    del spread
    peft.get_peft_model(model, peft.LoraConfig(**options))


# What is done, the codes that the first process tells, and how many tensors are in the file, with how many elements
# missing: all others are quiet.
SCENES: dict[str, tuple[Callable[[Path], None], list[str], tuple[int, int]]] = {
    "stage 1": (lambda folder: save(folder, 1), [], (8, 0)),
    "stage 2": (lambda folder: save(folder, 2), [], (8, 0)),
    "stage 3, nothing spread": (lambda folder: save(folder, threshold=10_000), [], (8, 0)),
    "stage 3, a head": (lambda folder: save(folder, **WITH_HEAD), ["K2"], (9, 9)),
    "stage 3, a head that is spread": (lambda folder: save(folder, threshold=200, **WITH_HEAD), ["K2"], (9, 1)),
    "stage 3, all but the head gathered": (save_half, ["K2"], (9, 1)),
    "stage 3, gathered by the advice": (save_as_advised, [], (9, 0)),
    "stage 3, a state dict": (save_all, [], (9, 0)),
    "stage 3, a state dict without what is frozen": (save_half_frozen, ["K3"], (4, 0)),
    "stage 3, a norm": (save_more, ["K4"], (8, 0)),
    "stage 3, loaded": (load, [], (8, 0)),
    "stage 3, loaded with other names": (lambda folder: load(folder, "module."), ["R1"], (8, 0)),
    "spread while loading": (lambda folder: meet(folder, task_type="SEQ_CLS"), [], (0, 0)),
    "spread while loading, no task type": (meet, ["H2"], (0, 0)),
    "spread while loading, filled by hand": (lambda folder: meet(folder, fill=True), [], (0, 0)),
    "spread while loading, a name": (
        lambda folder: meet(folder, task_type="SEQ_CLS", target_modules=["q_proj", "v_prj"]),
        ["N1"],
        (0, 0),
    ),
}
LOOKS_AT_THE_BASE = {"H2", "N1"}  # which every process tells, as each has the whole model


def codes(act: Callable[[Path], None], folder: Path) -> list[str]:
    """Return the codes that are told by this process."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        act(folder)
    return [each.message.code for each in found if isinstance(each.message, peft_strict.PeftStrictWarning)]


def rank_main(rank: int, folder: str) -> None:
    """Be one of the processes."""
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(WORLD))
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # which a compiler would be needed for
    accelerator = deepspeed.get_accelerator()
    accelerator.set_device(rank)
    backend = accelerator.communication_backend_name()
    torch.distributed.init_process_group(backend, init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD)
    deepspeed.init_distributed(backend)
    for name, (act, _, _) in SCENES.items():
        told = codes(act, Path(folder, name))
        Path(folder, f"{name}{rank}.json").write_text(json.dumps(told))
        torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def main() -> None:
    """Run the processes, and print how what came out of each scene differs from what is to come out."""
    peft_strict.enable()
    wrong = {}
    with tempfile.TemporaryDirectory() as folder:
        if WORLD == 1:
            rank_main(0, folder)
        else:
            torch.multiprocessing.start_processes(rank_main, (folder,), nprocs=WORLD, start_method="fork")
        for name, (_, expected, written) in SCENES.items():
            told = [json.loads(Path(folder, f"{name}{rank}.json").read_text()) for rank in range(WORLD)]
            others = expected if LOOKS_AT_THE_BASE.issuperset(expected) else []
            file = Path(folder, name, "adapter_model.safetensors")
            tensors = load_file(file).values() if file.exists() else ()
            found = len(tensors), sum(not each.numel() for each in tensors)
            if told != [expected, *[others] * (WORLD - 1)] or found != written:
                wrong[name] = [told, found]
    print(json.dumps(wrong))


if __name__ == "__main__":
    main()
