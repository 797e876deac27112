"""hydra and OmegaConf build the config; the mistake: a typo in the YAML text."""

from hydra.utils import instantiate
from omegaconf import OmegaConf
from peft import get_peft_model
from transformers import AutoModelForCausalLM

from tests.libraries.programs import tiny

base = tiny.llama()
tiny.seed()
settings = OmegaConf.create(
    f"""
    _target_: peft.LoraConfig
    _convert_: all
    r: 4
    task_type: {"CASUAL_LM" if tiny.IS_MISTAKE else "CAUSAL_LM"}
    target_modules: [q_proj, v_proj]
    """
)
config = instantiate(settings)
model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
model.save_pretrained(tiny.FOLDER / "adapter")
tiny.answer([model.num_parameters()])
