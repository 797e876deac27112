"""TRL's DPOTrainer; the mistake: `modules_to_save` names another architecture's embedding."""

from datasets import Dataset
from peft import LoraConfig
from trl import DPOConfig, DPOTrainer

from tests.libraries.programs import tiny

base = tiny.llama()
config = LoraConfig(
    task_type="CAUSAL_LM",
    target_modules=["q_proj", "v_proj"],
    modules_to_save=["wte" if tiny.IS_MISTAKE else "embed_tokens"],
)
pairs = [{"prompt": "the cat", "chosen": "sat on a mat", "rejected": "ran to house"}] * 4
trainer = DPOTrainer(
    base, args=DPOConfig(**tiny.training()), train_dataset=Dataset.from_list(pairs), peft_config=config
)
trainer.train()
trainer.save_model(tiny.FOLDER / "adapter")
tiny.answer(tiny.losses_of(trainer))
