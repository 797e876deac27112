"""What ``check`` says to the fields of saved configs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from peft_strict.commands.check_fields import find
from peft_strict.releases.source import installed

from .test_check import adapter, check

# field, value, what is said to do, whether it is mended, and with what
WRONG: list[tuple[str, object, str, bool, object]] = [
    ("use_rslora", "False", 'Write "use_rslora": false.', True, False),
    ("use_dora", "yes", 'Write "use_dora": true.', True, True),
    ("lora_bias", "none", 'Write "lora_bias": false.', False, False),
    ("lora_bias", "", 'Write "lora_bias": false.', False, False),
    ("lora_bias", "all", "Write true or false.", False, None),
    ("modules_to_save", "lm_head", 'Write "modules_to_save": ["lm_head"].', False, ["lm_head"]),
    ("modules_to_save", "all", "Write a list.", False, None),
    ("bias", "lora", 'Write "bias": "lora_only".', False, "lora_only"),
    ("bias", "some", 'It takes "none", "all", "lora_only".', False, None),
    ("init_lora_weights", None, "Null is not one of its values", False, True),
    ("init_lora_weights", "true", 'Write "init_lora_weights": true.', False, True),
]
RIGHT: dict[str, object] = {
    "use_rslora": False,
    "use_dora": None,
    "lora_bias": 1,
    "modules_to_save": ["lm_head"],
    "bias": "vera_only",
    "init_lora_weights": "pissa_niter_16",
    "target_modules": "all-linear",
    "lora_alpha": 22.6,
    "use_new_thing": "False",
}


def found(**config: object) -> list[Any]:
    return list(find("a.json", {"peft_type": "LORA", **config}, installed().fields))


@pytest.mark.parametrize(("field", "value", "advice", "fixable", "suggestion"), WRONG)
def test_wrong(field: str, value: object, advice: str, fixable: bool, suggestion: object) -> None:
    """The advice is in JSON's words; what is mended is a plain yes or no that is written as a text for a bool."""
    (finding,) = found(**{field: value})
    assert (finding.key, finding.value, finding.fixable, finding.suggestion) == (field, value, fixable, suggestion)
    assert advice in finding.advice


PARTS: list[tuple[str, dict[str, object], str, str, bool]] = [
    ("eva_config", {"rho": 2.0, "whiten": "False"}, "whiten", 'Write "whiten": false.', True),
    ("lora_ga_config", {"scale": "stabel", "direction": "ArB2r"}, "scale", 'Write "scale": "stable".', False),
    ("corda_config", {"corda_method": "kmp"}, "corda_method", 'Write "corda_method": "kpm".', False),
    ("velora_config", {"init_type": None}, "init_type", "Null is not one of its values", False),
    ("runtime_config", {"ephemeral_gpu_offload": "no"}, "ephemeral_gpu_offload", 'offload": false.', True),
]


@pytest.mark.parametrize(("field", "part", "inner", "advice", "fixable"), PARTS, ids=lambda each: str(each)[:14])
def test_a_config_inside_of_a_config(
    field: str, part: dict[str, object], inner: str, advice: str, fixable: bool
) -> None:
    """The configs inside of a config are judged as well, each by its own fields."""
    (finding,) = found(**{field: part})
    assert (finding.key, finding.value, finding.fixable) == (f"{field}.{inner}", part[inner], fixable)
    assert advice in finding.advice
    assert found(**{field: {inner: "brand", "brand": "False"}}, peft_type="VERA") == []


@pytest.mark.parametrize("part", [{"whiten": True, "rho": "x", "brand": "False"}, {}, [], "False", None])
def test_right_configs_inside(part: object) -> None:
    """Right values are quiet, and so are fields that this PEFT does not have, and what is no config."""
    assert found(eva_config=part, kasa_config=part, loftq_config=part) == []


def test_fix_inside(tmp_path: Path) -> None:
    """``--fix`` mends a switch in a config inside of another, and keeps every other byte."""
    text = '{"whiten": 1, "peft_type": "LORA",\n "eva_config": {"rho":2.0,\n  "whiten" : "False"}}\n'
    file = adapter(tmp_path, text.encode())
    report = check("--fix", file)
    assert report.stdout.splitlines()[-3:] == [
        f"{file}:3: eva_config.whiten 'False'",
        "  fixed: false",
        "1 file checked, 1 fixed, 0 wrong.",
    ]
    assert file.read_text() == text.replace('"False"', "false")


def test_right() -> None:
    """Right values, and fields that this PEFT does not have, are not told."""
    assert found(**RIGHT) == []


@pytest.mark.parametrize("method", ["IA3", "NEW", None, ["LORA"], 1])
def test_other_methods(method: object) -> None:
    """A field counts for the methods that have it, and an unknown method has none."""
    assert found(peft_type=method, use_rslora="False") == []


def test_a_file_of_a_newer_peft() -> None:
    """A text that is not declared may be right in a file of a newer PEFT, and the finding says so."""
    (finding,) = found(bias="brand", peft_version="99.0.0")
    assert "saved by a newer PEFT" in finding.advice


def test_report_and_fix(tmp_path: Path) -> None:
    """All findings of a file have their lines; ``--fix`` mends what it may, one after the other, and nothing else."""
    config = {"peft_type": "LORA", "task_type": "causal_lm", "use_rslora": " no ", "use_dora": "On", "bias": "lora"}
    file = adapter(tmp_path, json.dumps(config, indent=1).encode())
    report = check(file)
    assert report.returncode == 1
    assert report.stdout.splitlines()[2:4] == [
        f"{file}:4: use_rslora ' no '",
        '  A text is true whatever it says: this switches it on. Write "use_rslora": false.',
    ]
    assert report.stdout.splitlines()[-1] == "1 file checked, 4 wrong (3 can be mended with --fix)."

    fixed = check("--fix", file)
    assert fixed.returncode == 1
    assert fixed.stdout.splitlines() == [
        f"{file}:3: task_type 'causal_lm'",
        '  fixed: "CAUSAL_LM"',
        f"{file}:4: use_rslora ' no '",
        "  fixed: false",
        f"{file}:5: use_dora 'On'",
        "  fixed: true",
        f"{file}:6: bias 'lora'",
        '  There is no such value. Write "bias": "lora_only".',
        "1 file checked, 3 fixed, 1 wrong.",
    ]
    mended = {**config, "task_type": "CAUSAL_LM", "use_rslora": False, "use_dora": True}
    assert file.read_text() == json.dumps(mended, indent=1)


def test_json(tmp_path: Path) -> None:
    """The document has what was meant as JSON has it."""
    file = adapter(tmp_path, b'{"peft_type": "LORA", "use_rslora": "False"}')
    (finding,) = json.loads(check("--json", file).stdout)["findings"]
    assert (finding["key"], finding["value"], finding["suggestion"]) == ("use_rslora", "False", False)
