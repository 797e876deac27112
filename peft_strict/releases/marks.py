"""Reads from the source of the installed PEFT how each of its methods names its tensors in a saved adapter.

Read in the sources of PEFT 0.2.0 to 0.21.2:

- The names of a method's tensors have a part that starts with the method's prefix (``lora_``, ``ia3_``, ``hada_``).
  The prefix is an attribute of the model class in ``peft/tuners/<method>/model.py`` since 0.7, or an argument of
  ``register_peft_method`` in ``peft/tuners/<method>/__init__.py``. Where it stands in neither, nothing is known of the
  method: its tensors are named in another way (adaption prompt, X-LoRA), or the release is older.
- Prompt learning saves one tensor, ``prompt_embeddings``, in all releases.
"""

from __future__ import annotations

import importlib.util
import os
import re
from typing import TYPE_CHECKING

from .source import text

if TYPE_CHECKING:
    import importlib.machinery
    from collections.abc import Iterable

PROMPT_EMBEDDINGS = "prompt_embeddings"
_PROMPT_LEARNING = ("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CPT", "CARTRIDGE")

# Found much faster than by ^ for the start of a line.
_ATTRIBUTE = re.compile(r"""\n    prefix(?::\s*str)?\s*=\s*["'](\w+)["']""")
_ARGUMENT = re.compile(r"""\bprefix=["'](\w+)["']""")


def marks(methods: Iterable[str]) -> dict[str, str]:
    """Return how a part of the name of each tensor starts, for each of these methods of which that is known.

    Args:
        methods: Names of methods of the installed PEFT, such as ``"LORA"``.
    """
    spec = importlib.util.find_spec("peft")
    if spec is None:
        return {}
    found = {method: PROMPT_EMBEDDINGS if method in _PROMPT_LEARNING else _prefix(spec, method) for method in methods}
    return {method: mark for method, mark in found.items() if mark}


def _prefix(spec: importlib.machinery.ModuleSpec, method: str) -> str:
    """Return the prefix of a method, or ``""``."""
    for folder in spec.submodule_search_locations or ():
        home = os.path.join(folder, "tuners", method.lower())
        for pattern, module in ((_ARGUMENT, "__init__.py"), (_ATTRIBUTE, "model.py")):
            found = pattern.search(text(spec, os.path.join(home, module)))
            if found:
                return found[1]
    return ""
