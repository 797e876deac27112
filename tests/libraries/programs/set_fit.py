"""A SetFit model whose body has an adapter; the mistake: a task type that PEFT does not know, by assignment."""

from datasets import Dataset
from peft import LoraConfig
from sentence_transformers import SentenceTransformer, models
from setfit import SetFitModel, Trainer, TrainingArguments
from setfit.modeling import LogisticRegression

from tests.libraries.programs import tiny

base = tiny.bert("Model")
tiny.seed()
body = SentenceTransformer(modules=[models.Transformer(base), models.Pooling(16)], device="cpu")
config = LoraConfig(target_modules=["query", "value"])
config.task_type = "FEATURE_EXTRACTOIN" if tiny.IS_MISTAKE else "FEATURE_EXTRACTION"
body.add_adapter(config)
rows = Dataset.from_dict({"text": tiny.TEXTS, "label": [0, 1] * 4})
arguments = TrainingArguments(output_dir=str(tiny.FOLDER / "run"), batch_size=2, max_steps=2, seed=0, report_to="none")
trainer = Trainer(
    model=SetFitModel(model_body=body, model_head=LogisticRegression()), args=arguments, train_dataset=rows
)
trainer.train()
body.save_pretrained(str(tiny.FOLDER / "adapter"), create_model_card=False)
tiny.answer((body.encode(tiny.TEXTS) ** 3).sum(axis=1))
