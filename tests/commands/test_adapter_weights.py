"""The part of ``check`` that looks at the weights beside a config."""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import peft
import pytest
import safetensors.torch
import torch

from peft_strict.commands import adapter_files, adapter_weights
from peft_strict.commands.adapter_weights import Weights
from peft_strict.roundtrip import header

from ..command_line import peft_strict, python
from ..roundtrip import adapters
from ..torch_build import compiles


@pytest.fixture(name="sound", scope="module")
def _sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA that PEFT has saved after training."""
    return adapters.save(tmp_path_factory.mktemp("sound") / "adapter")


@pytest.fixture(name="adapter")
def _adapter(sound: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(sound, tmp_path / "adapter"))


def weights(folder: Path) -> Path:
    return folder / "adapter_model.safetensors"


def rewrite(folder: Path, change: Any) -> None:
    """Save the tensors anew, as ``change`` gives them back."""
    file = weights(folder)
    safetensors.torch.save_file(change(safetensors.torch.load_file(file)), file)


def reconfigure(folder: Path, **changes: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}, indent=2))


def check(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return peft_strict("check", *arguments, **options)


def look(folder: Path, *, values: bool = False, task_type: object = None) -> adapter_weights.Look:
    """Look at the weights in a folder as ``check`` does, in this process."""
    config = json.loads((folder / "adapter_config.json").read_text())
    return Weights(["LORA", "IA3", "XLORA"], values).look(
        str(folder / "adapter_config.json"), config, task_type or config.get("task_type"), False
    )


def kinds(found: adapter_weights.Look) -> tuple[list[str], list[str]]:
    return [told.kind for told in found.findings], [told.kind for told in found.statements]


# What is reported


def test_sound_weights_are_not_mentioned(adapter: Path) -> None:
    """Of a sound adapter the report is as it is without any weights."""
    for option in ([], ["--values"]):
        result = check(adapter, *option)
        assert (result.returncode, result.stdout, result.stderr) == (0, "1 file checked, 0 wrong.\n", "")


def test_report(adapter: Path) -> None:
    """A finding about weights names their file and what to do, is counted apart, and makes the exit code 1."""
    rewrite(adapter, lambda tensors: {})
    result = check(adapter)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.splitlines() == [
        f"{weights(adapter)}: it holds no tensors: nothing of the adapter was saved",
        "  Save the adapter anew from the model that was trained.",
        "1 file checked, 0 wrong, 1 with findings in the weights.",
    ]


def test_statements_are_told_apart(adapter: Path) -> None:
    """What may be meant comes last, under a line of its own, and the exit code stays 0."""
    reconfigure(adapter, modules_to_save=["lm_head"])
    result = check(adapter)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "Not counted as wrong:",
        f"{weights(adapter)}: modules_to_save names what is not in the file: 'lm_head'",
        "1 file checked, 0 wrong.",
    ]


def test_json(adapter: Path, tmp_path: Path) -> None:
    """``--json`` has the findings and the statements about weights in lists of their own."""
    reconfigure(adapter, r=4, modules_to_save=["lm_head"])
    result = check("--json", tmp_path)
    found = json.loads(result.stdout)
    assert found["exit_code"] == result.returncode == 1
    assert found["findings"] == found["problems"] == []
    assert found["weights"] == [
        {
            "file": str(weights(adapter)),
            "kind": "rank",
            "message": "r is 4 in the config, and 8 in the file",
            "advice": "PEFT will not load these weights with this config: find the one that was saved with them.",
        }
    ]
    assert found["statements"] == [
        {
            "file": str(weights(adapter)),
            "kind": "unsaved",
            "message": "modules_to_save names what is not in the file: 'lm_head'",
            "advice": "",
        }
    ]


def test_the_summary_counts_adapters(sound: Path, tmp_path: Path) -> None:
    """An adapter with two findings counts once."""
    for name in "ab":
        folder = Path(shutil.copytree(sound, tmp_path / name))
        rewrite(folder, lambda tensors: {key: each for key, each in tensors.items() if "v_proj.lora_B" not in key})
        reconfigure(folder, r=4)
    result = check(tmp_path)
    assert result.stdout.count(".safetensors: ") == 4
    assert result.stdout.endswith("2 files checked, 0 wrong, 2 with findings in the weights.\n")


# Real damage


def as_peft_saves(folder: Path, state: dict[str, Any] | None, model: Any = None) -> None:
    """Save a trained LoRA with the state dict that a trainer passes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = adapters.trained(adapters.tiny(), adapters.config("LORA")) if model is None else model
        made.save_pretrained(folder, state_dict=state)


def test_a_state_dict_with_other_names(tmp_path: Path) -> None:
    """PEFT writes what it finds under its own names: of the state dict of a wrapped model, nothing or odd names."""
    made = adapters.trained(adapters.tiny(), adapters.config("LORA"))
    state = {f"module.{name}": value for name, value in made.state_dict().items()}
    as_peft_saves(tmp_path, state, made)
    [kind], _ = kinds(look(tmp_path))
    assert kind in ("empty", "wrapper")


def test_a_state_dict_that_was_not_gathered(tmp_path: Path) -> None:
    """A sharded parameter that was not gathered has no elements in the state dict, and none in the file."""
    made = adapters.trained(adapters.tiny(), adapters.config("LORA"))
    state = {name: value.new_empty(0) if "lora_" in name else value for name, value in made.state_dict().items()}
    as_peft_saves(tmp_path, state, made)
    assert kinds(look(tmp_path)) == (["elements"], [])


def test_activation_checkpointing(tmp_path: Path) -> None:
    """Under FSDP's usual setting PEFT 0.21 saves no tensor, without a word; earlier releases save them all."""
    from torch.distributed.algorithms._checkpoint import checkpoint_wrapper

    model = adapters.trained(adapters.tiny(), adapters.config("LORA"))
    layer = type(model.base_model.model.model.layers[0])
    checkpoint_wrapper.apply_activation_checkpointing(model, check_fn=lambda module: isinstance(module, layer))
    as_peft_saves(tmp_path, None, model)
    assert kinds(look(tmp_path)) == ([] if adapters.tensors(tmp_path) else ["empty"], [])
    assert not adapters.tensors(tmp_path) or peft.__version__ < "0.21"


def test_an_adapter_that_transformers_has_saved(tmp_path: Path) -> None:
    """An adapter without a ``PeftModel`` around the model is as sound."""
    model = adapters.tiny()
    model.add_adapter(adapters.config("LORA"))
    model.save_pretrained(tmp_path)
    assert len(adapters.tensors(tmp_path)) == 8
    assert kinds(look(tmp_path)) == ([], [])


@compiles
def test_compiled_layers(tmp_path: Path) -> None:
    """An adapter on layers that were compiled one by one is saved under names that the plain model does not have."""
    model = adapters.tiny()
    for number, layer in enumerate(model.model.layers):
        model.model.layers[number] = torch.compile(layer)
    adapters.save(tmp_path, model=model)
    assert kinds(look(tmp_path)) == (["wrapper"], [])


def test_a_lost_head(tmp_path: Path) -> None:
    """The config of a run that lost its head gets a task type by ``--fix``; that the head is lost is told with it."""
    model = adapters.tiny("BertForSequenceClassification", num_labels=2)
    adapters.save(tmp_path, model=model, task_type=None, target_modules=["query"])
    assert check(tmp_path).stdout == "1 file checked, 0 wrong.\n"
    reconfigure(tmp_path, task_type="SEQ_CLASSIFICATION")
    lost = "task_type is SEQ_CLS, and there is no head in the file"
    assert f"{weights(tmp_path)}: {lost}\n" in check(tmp_path).stdout
    result = check("--fix", tmp_path)
    assert f"{weights(tmp_path)}: --fix has mended the config, not the weights: {lost}\n" in result.stdout
    assert (result.returncode, result.stderr) == (0, "")
    assert f"{weights(tmp_path)}: {lost}\n" in check(tmp_path).stdout


def test_a_head_that_is_there(tmp_path: Path) -> None:
    """With the right task type from the start, the head is in the file and there is nothing to say."""
    model = adapters.tiny("BertForSequenceClassification", num_labels=2)
    adapters.save(tmp_path, model=model, task_type="SEQ_CLS", target_modules=["query"])
    assert kinds(look(tmp_path)) == ([], [])


def test_not_one_step(tmp_path: Path) -> None:
    """``--values`` tells a LoRA of which every ``lora_B`` is zero; without it only the header is read."""
    peft.get_peft_model(adapters.tiny(), adapters.config("LORA")).save_pretrained(tmp_path)
    assert kinds(look(tmp_path)) == ([], [])
    assert kinds(look(tmp_path, values=True)) == (["zero"], [])
    result = check("--values", tmp_path)
    assert result.returncode == 1
    assert "every lora_B is zero, as before the first step: the LoRA adds nothing" in result.stdout


def test_nan(adapter: Path) -> None:
    """``--values`` tells which tensors hold NaN."""

    def spoil(tensors: dict[str, Any]) -> dict[str, Any]:
        name = sorted(tensors)[1]
        tensors[name][0, 0] = math.nan
        return {key: each.bfloat16() for key, each in tensors.items()}

    rewrite(adapter, spoil)
    assert kinds(look(adapter)) == ([], [])
    [found] = look(adapter, values=True).findings
    assert (found.kind, found.message[:30]) == ("nan", "1 of its 8 tensors hold NaN: '")
    assert found.advice.startswith("What is computed with them is NaN")


def test_a_plain_model_is_quiet_about_another_method(adapter: Path) -> None:
    """A config of one method beside the weights of another is one finding."""
    reconfigure(adapter, peft_type="IA3")
    assert kinds(look(adapter)) == (["method"], [])


# Files


CUT = {"empty": 0, "in-length": 5, "in-header": 200, "last-byte": -1}


@pytest.mark.parametrize("length", CUT.values(), ids=CUT)
def test_cut_off(adapter: Path, length: int) -> None:
    """A file that ends too early is a finding, for it is certain that the adapter is lost."""
    weights(adapter).write_bytes(weights(adapter).read_bytes()[:length])
    result = check(adapter)
    assert (result.returncode, result.stderr) == (1, "")
    assert f"{weights(adapter)}: cut off" in result.stdout or f"{weights(adapter)}: the file is empty" in result.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((2**63).to_bytes(8, "little") + b"{}", "not a safetensors file: its first 8 bytes are not the length of a"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a pointer of Git LFS, not the weights"),
        ((4).to_bytes(8, "little") + b"{...", "its header cannot be read as JSON: "),
    ],
    ids=["length", "lfs", "json"],
)
def test_unusable(adapter: Path, content: bytes, message: str) -> None:
    """What is no safetensors file gets a line on stderr and exit code 2; the config is checked all the same."""
    weights(adapter).write_bytes(content)
    reconfigure(adapter, task_type="CASUAL_LM")
    result = check(adapter)
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert line.startswith(
        f"peft-strict: {adapter}/adapter_config.json: adapter_model.safetensors beside it: {message}"
    )
    assert 'Did you mean "CAUSAL_LM"' in result.stdout


def test_named_pipe(adapter: Path) -> None:
    """What is not a regular file is not waited for."""
    weights(adapter).unlink()
    os.mkfifo(weights(adapter))
    result = check(adapter, timeout=20)
    assert (result.returncode, result.stderr.endswith("beside it: not a regular file\n")) == (2, True)


def test_a_folder_of_that_name(adapter: Path) -> None:
    """The same for a folder."""
    weights(adapter).unlink()
    weights(adapter).mkdir()
    with pytest.raises(adapter_files.UnusableError, match="beside it: not a regular file"):
        look(adapter)


def test_a_broken_link(adapter: Path) -> None:
    """Weights that are a link to nothing are named."""
    weights(adapter).unlink()
    weights(adapter).symlink_to("gone")
    with pytest.raises(adapter_files.UnusableError, match="beside it: the file this link points to does not exist"):
        look(adapter)


def test_it_changes_while_it_is_read(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is cut between its header and its values is told."""
    read = header.read

    def cut(*arguments: Any) -> header.Header:
        found = read(*arguments)
        os.truncate(weights(adapter), found.data_start)
        return found

    monkeypatch.setattr(header, "read", cut)
    with pytest.raises(adapter_files.UnusableError, match="it changed while it was being read"):
        look(adapter, values=True)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch bomb",)


def test_a_pickle_is_not_read(adapter: Path) -> None:
    """``adapter_model.bin`` may do anything when it is unpickled: it is named, and not opened."""
    weights(adapter).unlink()
    with (adapter / "adapter_model.bin").open("wb") as file:
        pickle.dump(Bomb(), file)
    for path in (adapter, adapter / "adapter_model.bin"):
        result = check("--values", path, cwd=adapter)
        assert (result.returncode, result.stderr) == (0, "")
        assert f"{adapter}/adapter_model.bin: not looked at: to unpickle a file is to run it\n" in result.stdout
    assert not (adapter / "bomb").exists()


def test_two_files(adapter: Path) -> None:
    """Both kinds of weights in one folder are stated: PEFT loads one of them."""
    (adapter / "adapter_model.bin").write_bytes(b"")
    [told] = look(adapter).statements
    assert (told.kind, told.message) == ("two", "adapter_model.bin lies beside it, and PEFT loads this one")


def test_no_weights(adapter: Path) -> None:
    """A config that PEFT saved with an adapter, and no weights in its folder, is a finding."""
    weights(adapter).unlink()
    result = check(adapter)
    assert result.returncode == 1
    assert f"{adapter}/adapter_config.json: the adapter that it was saved with is not beside it" in result.stdout
    assert "\n  Copy adapter_model.safetensors here, too, or save the adapter anew.\n" in result.stdout


def _alone(folder: Path) -> None:
    reconfigure(folder, inference_mode=False)


def _otherwise(folder: Path) -> None:
    (folder / "pytorch_lora_weights.safetensors").write_bytes(b"")


def _kept_elsewhere(folder: Path) -> None:
    (folder / "adapter_model.safetensors.dvc").write_text("outs: []")


def _mixture(folder: Path) -> None:
    reconfigure(folder, peft_type="XLORA")


def _plugin(folder: Path) -> None:
    reconfigure(folder, peft_type="MINE")


def _linked(folder: Path) -> None:
    (folder / "adapter_config.json").rename(folder.parent / "blob")
    (folder / "adapter_config.json").symlink_to("../blob")


@pytest.mark.parametrize(
    "change", [_alone, _otherwise, _kept_elsewhere, _mixture, _plugin, _linked], ids=lambda each: each.__name__
)
def test_no_weights_and_no_finding(adapter: Path, change: Any) -> None:
    """A config that was saved alone, belongs to weights of another name or method, or is a link, needs none beside."""
    weights(adapter).unlink()
    change(adapter)
    assert kinds(look(adapter)) == ([], [])


def test_no_weights_in_the_cache_of_the_hub(adapter: Path, tmp_path: Path) -> None:
    """There a config alone means that nothing else was asked for."""
    weights(adapter).unlink()
    snapshot = tmp_path / "models--me--mine" / "snapshots" / "0123"
    shutil.copytree(adapter, snapshot)
    assert kinds(look(snapshot)) == ([], [])


def test_weights_in_parts(adapter: Path) -> None:
    """What transformers makes of a very large adapter is stated, and not looked at."""
    weights(adapter).rename(adapter / "adapter_model-00001-of-00002.safetensors")
    shutil.copy(
        adapter / "adapter_model-00001-of-00002.safetensors", adapter / "adapter_model-00002-of-00002.safetensors"
    )
    [told] = look(adapter).statements
    assert (told.kind, told.message) == ("parts", "its weights are in 2 parts, which are not looked at")


def test_weights_that_are_given(adapter: Path) -> None:
    """The path of the weights stands for the adapter that they belong to."""
    reconfigure(adapter, r=4)
    assert "r is 4 in the config, and 8 in the file" in check(weights(adapter)).stdout
    (adapter / "adapter_config.json").unlink()
    result = check(weights(adapter))
    told = f"peft-strict: {weights(adapter)}: no adapter_config.json beside it\n"
    assert (result.returncode, result.stderr) == (2, told)
    weights(adapter).unlink()
    assert check(weights(adapter)).stderr.endswith(": no such file or folder\n")


def test_a_config_of_another_name(adapter: Path) -> None:
    """The weights beside a file of another name are not taken for its own."""
    reconfigure(adapter, r=4)
    (adapter / "adapter_config.json").rename(adapter / "old.json")
    assert check(adapter / "old.json").stdout == "1 file checked, 0 wrong.\n"


def test_nothing_heavy_is_imported(adapter: Path) -> None:
    """Weights are looked at without torch, numpy, safetensors and PEFT."""
    code = (
        "import sys; from peft_strict.commands.cli import main; main(['check', '--values', sys.argv[1]]);"
        "print(sorted({'peft', 'torch', 'safetensors', 'transformers', 'wrapt', 'numpy'} & {*sys.modules}))"
    )
    assert python("-c", code, adapter).stdout.endswith("\n[]\n")


def test_a_folder_that_cannot_be_listed(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one cannot see what is in a folder, nothing is said of what is not."""
    weights(adapter).unlink()

    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert kinds(look(adapter)) == ([], [])


def test_a_file_that_cannot_be_read(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the system while reading is a sentence."""

    def fail(*arguments: Any) -> header.Header:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(header, "read", fail)
    with pytest.raises(adapter_files.UnusableError, match="beside it: input/output error"):
        look(adapter)


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\n"])
def test_dangerous_names(adapter: Path, name: str) -> None:
    """Neither the name of a folder nor that of a tensor can drive the terminal."""
    rewrite(adapter, lambda tensors: {f"{name}.lora_A.weight": torch.zeros(8, 8)})
    folder = adapter.rename(adapter.parent / name)
    result = check(folder)
    assert result.returncode == 1
    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) == 3
