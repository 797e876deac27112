"""TRL's RewardTrainer on a head that is new; the mistake: no task type, so the head is neither trained nor saved."""

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForSequenceClassification
from trl import RewardConfig, RewardTrainer

from tests.libraries.programs import tiny

base = tiny.llama()
tiny.seed()
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
config = LoraConfig(task_type=None if tiny.IS_MISTAKE else "SEQ_CLS", target_modules=["q_proj", "v_proj"])
pairs = [{"chosen": "the cat sat on a mat", "rejected": "the dog ran to house"}] * 4
trainer = RewardTrainer(
    model,
    args=RewardConfig(**tiny.training()),
    train_dataset=Dataset.from_list(pairs),
    processing_class=tiny.tokenizer(),
    peft_config=config,
)
trainer.train()
trainer.save_model(tiny.FOLDER / "adapter")
tiny.answer(tiny.losses_of(trainer))
