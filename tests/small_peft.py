"""A small real package named ``peft``, laid out like PEFT, for Pythons that have no torch."""

from __future__ import annotations

import textwrap
from pathlib import Path

FILES = {
    "__init__.py": """\
        __version__ = "0.99.0"

        from .config import PeftConfig
        from .mapping import get_peft_model
        from .peft_model import PeftModel
        from .tuners import AdaLoraConfig, IA3Config, LoraConfig
        from .utils import PeftType, TaskType
        """,
    "__main__.py": """\
        from . import LoraConfig

        LoraConfig(task_type="CASUAL_LM")
        """,
    "config.py": """\
        from dataclasses import dataclass, field
        from typing import Optional, Union

        from .utils import PeftType, TaskType


        @dataclass
        class PeftConfigMixin:
            task_type: Optional[Union[str, TaskType]] = field(default=None)
            peft_type: Optional[Union[str, PeftType]] = field(default=None)

            def __post_init__(self):
                if self.task_type is not None and self.task_type not in list(TaskType):
                    names = ", ".join(member.value for member in TaskType)
                    raise ValueError(
                        f"Invalid task type: '{self.task_type}'. Must be one of the following task types: {names}."
                    )

            @classmethod
            def from_json_file(cls, path_json_file, **kwargs):
                import json

                with open(path_json_file) as file:
                    return json.load(file)


        @dataclass
        class PeftConfig(PeftConfigMixin):
            inference_mode: bool = field(default=False)
        """,
    "functional.py": """\
        from .mapping import get_peft_model
        """,
    "mapping.py": """\
        from .peft_model import PeftModel, PeftModelForCausalLM
        from .utils import PeftType

        MODEL_TYPE_TO_PEFT_MODEL_MAPPING = {"CAUSAL_LM": PeftModelForCausalLM}
        PEFT_TYPE_TO_CONFIG_MAPPING = {}


        def register(method, config_class):
            PEFT_TYPE_TO_CONFIG_MAPPING[method] = config_class


        def get_peft_model(model, peft_config):
            return MODEL_TYPE_TO_PEFT_MODEL_MAPPING[peft_config.task_type](model, peft_config)
        """,
    "peft_model.py": """\
        class PeftModel:
            def __init__(self, model, peft_config, adapter_name="default"):
                self.base_model = model
                self.peft_config = {adapter_name: peft_config}

            def add_adapter(self, adapter_name, peft_config):
                self.peft_config[adapter_name] = peft_config


        class PeftModelForCausalLM(PeftModel):
            pass
        """,
    "utils.py": """\
        import enum


        class PeftType(str, enum.Enum):
            LORA = "LORA"
            ADALORA = "ADALORA"
            IA3 = "IA3"


        class TaskType(str, enum.Enum):
            SEQ_CLS = "SEQ_CLS"
            CAUSAL_LM = "CAUSAL_LM"
        """,
    "tuners/__init__.py": """\
        from .ia3 import IA3Config
        from .lora import AdaLoraConfig, LoraConfig
        """,
    "tuners/ia3.py": """\
        from dataclasses import dataclass

        from ..config import PeftConfig
        from ..mapping import register
        from ..utils import PeftType


        @dataclass
        class IA3Config(PeftConfig):
            def __post_init__(self):
                super().__post_init__()
                self.peft_type = PeftType.IA3


        register(PeftType.IA3, IA3Config)
        """,
    "tuners/lora/__init__.py": """\
        from ...mapping import register
        from ...utils import PeftType
        from .config import AdaLoraConfig, LoraConfig

        register(PeftType.LORA, LoraConfig)
        register(PeftType.ADALORA, AdaLoraConfig)
        """,
    "tuners/lora/config.py": """\
        from dataclasses import dataclass, field

        from ...config import PeftConfig
        from ...utils import PeftType


        @dataclass
        class LoraConfig(PeftConfig):
            r: int = field(default=8, metadata={"help": "Lora attention dimension"})

            def __post_init__(self):
                super().__post_init__()
                self.peft_type = PeftType.LORA


        @dataclass
        class AdaLoraConfig(LoraConfig):
            def __post_init__(self):
                super().__post_init__()
                self.peft_type = PeftType.ADALORA
        """,
}


def write(folder: Path) -> Path:
    """Write the package into a folder; return the folder."""
    for name, text in FILES.items():
        path = folder / "peft" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder
