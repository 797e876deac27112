"""A LightningModule around a PEFT model; the mistake: no task type on a classifier with a new head."""

import lightning
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification

from tests.libraries.programs import tiny

base = tiny.llama()
tiny.seed()
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
config = LoraConfig(task_type=None if tiny.IS_MISTAKE else "SEQ_CLS", target_modules=["q_proj", "v_proj"])
model = get_peft_model(model, config)
losses = []


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        loss = self.model(**batch).loss
        losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([weight for weight in self.parameters() if weight.requires_grad], lr=0.1)


rows = [
    {**tiny.tokenizer()(text, padding="max_length", max_length=8), "labels": n % 2}
    for n, text in enumerate(tiny.TEXTS)
]
rows = [{name: torch.tensor(value) for name, value in row.items()} for row in rows]
trainer = lightning.Trainer(
    max_steps=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
)
trainer.fit(Module(), torch.utils.data.DataLoader(rows, batch_size=2))
model.save_pretrained(tiny.FOLDER / "adapter")
tiny.answer(losses)
