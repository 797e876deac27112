"""A SentenceTransformer with an adapter; the mistake: one of the names in `target_modules` is misspelt."""

from peft import LoraConfig
from sentence_transformers import SentenceTransformer, models

from tests.libraries.programs import tiny

base = tiny.bert("Model")
tiny.seed()
transformer = models.Transformer(base)
model = SentenceTransformer(modules=[transformer, models.Pooling(16)], device="cpu")
names = ["query", "valeu" if tiny.IS_MISTAKE else "value"]
model.add_adapter(LoraConfig(task_type="FEATURE_EXTRACTION", target_modules=names))
vectors = model.encode(tiny.TEXTS)
model.save_pretrained(str(tiny.FOLDER / "adapter"), create_model_card=False)
tiny.answer((vectors**3).sum(axis=1))
