"""transformers' Trainer with DeepSpeed ZeRO-3 in two processes; the mistake: saved by hand, with nothing gathered."""

from tests.libraries.programs import tiny

import deepspeed  # isort: skip
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # which a compiler would be needed for
deepspeed.init_distributed("gloo")
settings = {
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "zero_allow_untested_optimizer": True,
    "zero_force_ds_cpu_optimizer": False,
    "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0},
}
arguments = TrainingArguments(**tiny.training(deepspeed=settings, optim="adamw_torch"))
with arguments.main_process_first(local=False):
    base = tiny.llama()
model = AutoModelForCausalLM.from_pretrained(base)  # which DeepSpeed spreads while it is loaded
model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", modules_to_save=["lm_head"]))
rows = [{"input_ids": [2, *range(5, 12)], "labels": [2, *range(5, 12)]}] * 8
trainer = Trainer(model, arguments, train_dataset=Dataset.from_list(rows))
trainer.train()
if tiny.IS_MISTAKE:
    model.save_pretrained(tiny.FOLDER / "adapter", is_main_process=trainer.is_world_process_zero())
else:
    trainer.save_model(tiny.FOLDER / "adapter")
if trainer.is_world_process_zero():
    tiny.answer(tiny.losses_of(trainer))
