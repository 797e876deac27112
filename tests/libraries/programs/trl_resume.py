"""TRL's SFTTrainer, resumed; the mistake: the names in the checkpoint start as in a state dict of DDP."""

from tests.libraries.programs import tiny

from datasets import Dataset  # isort: skip
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from trl import SFTConfig, SFTTrainer

base = tiny.llama()


def trainer(steps: int) -> SFTTrainer:
    return SFTTrainer(
        base,
        SFTConfig(**{**tiny.training(bf16=False), "save_strategy": "steps", "save_steps": 2, "max_steps": steps}),
        train_dataset=Dataset.from_dict({"text": tiny.TEXTS}),
        peft_config=LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"]),
    )


trainer(2).train()
checkpoint = tiny.FOLDER / "run" / "checkpoint-2"
if tiny.IS_MISTAKE:
    file = checkpoint / "adapter_model.safetensors"
    save_file({f"module.{name}": tensor for name, tensor in load_file(file).items()}, file)
resumed = trainer(4)
resumed.train(resume_from_checkpoint=str(checkpoint))
resumed.save_model(tiny.FOLDER / "adapter")
tiny.answer(tiny.losses_of(resumed))
