"""The libraries, each with its programs and what its mistake is told as."""

from __future__ import annotations

from typing import NamedTuple


class Program(NamedTuple):
    """One program.

    Attributes:
        library: What it shows, as the README names it.
        name: The module in ``programs``.
        needs: The distribution that must be installed.
        code: The code of the report that its mistake gets; ``""`` is a wrong task type.
        launcher: The words between ``python`` and the program, for those that start it in another way.
        beside: What is fetched without dependencies into a folder of its own.
    """

    library: str
    name: str
    needs: str
    code: str
    launcher: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


ACCELERATE = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes=1", "--num_machines=1")
ACCELERATE += ("--mixed_precision=no", "--dynamo_backend=no")
TWO_PROCESSES = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
DEEPSPEED = ("deepspeed==0.19.8", "einops", "hjson", "msgpack", "ninja", "py-cpuinfo")

PROGRAMS = (
    Program("transformers, `Trainer`", "transformers_trainer", "transformers", "H2"),
    Program("transformers, `add_adapter`", "transformers_add_adapter", "transformers", "N1"),
    Program("accelerate launch", "transformers_trainer", "accelerate", "H2", launcher=ACCELERATE),
    Program("DeepSpeed ZeRO-3", "deepspeed_zero", "transformers", "K2", launcher=TWO_PROCESSES, beside=DEEPSPEED),
    Program("diffusers, `UNet2DConditionModel`", "diffusers_unet", "diffusers", "N1"),
    Program("diffusers, saving and loading LoRA", "diffusers_lora", "diffusers", "K1"),
    Program("TRL, `SFTTrainer`", "trl_sft", "trl", "N1"),
    Program("TRL, `SFTTrainer`, resumed", "trl_resume", "trl", "R1"),
    Program("TRL, `DPOTrainer`", "trl_dpo", "trl", "N1"),
    Program("TRL, `RewardTrainer`", "trl_reward", "trl", "H2"),
    Program("TRL, `GRPOTrainer`", "trl_grpo", "trl", "F1"),
    Program("sentence-transformers", "sentence_transformer", "sentence-transformers", "N1"),
    Program("SetFit", "set_fit", "setfit", ""),
    Program("Lightning", "lightning_module", "lightning", "H2"),
    Program("Lightning, a state dict", "lightning_state_dict", "lightning", "K1"),
    Program("lm-eval, `HFLM`", "lm_eval_adapter", "lm_eval", "F1"),
    Program("hydra, OmegaConf", "hydra_config", "hydra-core", ""),
    Program("jsonargparse", "jsonargparse_cli", "jsonargparse", ""),
    Program("bitsandbytes, 4 bit", "bitsandbytes_4bit", "bitsandbytes", "H2"),
    Program("bitsandbytes, 8 bit", "bitsandbytes_8bit", "bitsandbytes", "H2"),
    Program("torchao, int8", "torchao_int8", "torchao", "H2"),
    Program("quanto, int8", "quanto_int8", "optimum-quanto", "H2"),
    Program("LLaMA-Factory", "llama_factory", "trl", "N1", beside=("llamafactory==0.9.5", "trl==0.24.0")),
    Program(
        "axolotl", "axolotl_adapter", "bitsandbytes", "N1", beside=("axolotl==0.19.0", "addict", "posthog", "distro")
    ),
)
