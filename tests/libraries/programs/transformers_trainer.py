"""transformers' Trainer on a classifier with a new head; the mistake: no task type."""

from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments

from tests.libraries.programs import tiny

base = tiny.llama()
tiny.seed()
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
config = LoraConfig(task_type=None if tiny.IS_MISTAKE else "SEQ_CLS", target_modules=["q_proj", "v_proj"])
model = get_peft_model(model, config)
rows = [{**tiny.tokenizer()(text), "labels": number % 2} for number, text in enumerate(tiny.TEXTS)]
trainer = Trainer(
    model,
    TrainingArguments(**tiny.training()),
    train_dataset=Dataset.from_list(rows),
    processing_class=tiny.tokenizer(),
)
trainer.train()
trainer.save_model(tiny.FOLDER / "adapter")
tiny.answer(tiny.losses_of(trainer))
