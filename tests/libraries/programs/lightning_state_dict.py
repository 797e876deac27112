"""A LightningModule that saves an adapter as it trains; the mistake: with the names of the LightningModule itself."""

import lightning
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from tests.libraries.programs import tiny

base = tiny.llama()
tiny.seed()
losses = []


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        config = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"])
        self.model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        loss = self.model(**batch).loss
        losses.append(loss.item())
        return loss

    def on_train_end(self) -> None:
        state_dict = (self if tiny.IS_MISTAKE else self.model).state_dict()
        self.model.save_pretrained(tiny.FOLDER / "adapter", state_dict=state_dict)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD([weight for weight in self.parameters() if weight.requires_grad], lr=0.1)


rows = [tiny.tokenizer()(text, padding="max_length", max_length=8) for text in tiny.TEXTS]
rows = [{name: torch.tensor(value) for name, value in {**row, "labels": row["input_ids"]}.items()} for row in rows]
trainer = lightning.Trainer(
    max_steps=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
)
trainer.fit(Module(), torch.utils.data.DataLoader(rows, batch_size=2))
tiny.answer(losses)
