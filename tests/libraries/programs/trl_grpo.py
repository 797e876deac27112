"""TRL's GRPOTrainer; the mistake: a switch that a YAML file has made a text of."""

from datasets import Dataset
from peft import LoraConfig
from trl import GRPOConfig, GRPOTrainer

from tests.libraries.programs import tiny

base = tiny.llama()
config = LoraConfig(
    task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"], use_rslora="False" if tiny.IS_MISTAKE else False
)


def length(completions: list[str], **_: object) -> list[float]:
    return [float(len(text)) for text in completions]


trainer = GRPOTrainer(
    base,
    reward_funcs=length,
    args=GRPOConfig(**tiny.training(num_generations=2, max_completion_length=4)),
    train_dataset=Dataset.from_dict({"prompt": ["the cat", "a dog"] * 2}),
    processing_class=tiny.tokenizer(),
    peft_config=config,
)
trainer.train()
trainer.save_model(tiny.FOLDER / "adapter")
tiny.answer(tiny.losses_of(trainer))
