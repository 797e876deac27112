"""TRL's SFTTrainer; the mistake: one of the names in `target_modules` is misspelt."""

from tests.libraries.programs import tiny

from datasets import Dataset  # isort: skip
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

base = tiny.llama()
config = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "v_prj" if tiny.IS_MISTAKE else "v_proj"])
trainer = SFTTrainer(
    base,
    SFTConfig(**tiny.training(bf16=False)),
    train_dataset=Dataset.from_dict({"text": tiny.TEXTS}),
    peft_config=config,
)
trainer.train()
trainer.save_model(tiny.FOLDER / "adapter")
tiny.answer(tiny.losses_of(trainer))
