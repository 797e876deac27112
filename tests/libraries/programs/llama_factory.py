"""LLaMA-Factory's own way from its arguments to an adapter; the mistake: a misspelt name in `lora_target`."""

from llamafactory.hparams import FinetuningArguments, ModelArguments
from llamafactory.model.adapter import init_adapter
from transformers import AutoModelForCausalLM

from tests.libraries.programs import tiny

base = tiny.llama()
tiny.seed()
plain = AutoModelForCausalLM.from_pretrained(base)
arguments = FinetuningArguments(
    finetuning_type="lora", lora_target="q_proj,v_prj" if tiny.IS_MISTAKE else "q_proj,v_proj"
)
model = init_adapter(plain.config, plain, ModelArguments(model_name_or_path=base), arguments, is_trainable=True)
model.save_pretrained(tiny.FOLDER / "adapter")
tiny.answer([model.num_parameters()])
