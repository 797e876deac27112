"""What is reported at load, with files and models that really do not fit; and the same in order, where nothing is."""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

import peft_strict
from peft_strict import RoundTripError, RoundTripWarning

from ..outcomes import reports
from ..roundtrip.scenes import (
    FRONT,
    adapted,
    checkpointed,
    classifier,
    compiled,
    language_model,
    lora,
    moved,
    tensors,
    unreadable,
    write,
)
from ..torch_build import compiles
from .test_saving import PICKS_BY_PATH, by_transformers

pytestmark = [
    pytest.mark.filterwarnings("ignore:Could not find a config file"),  # of PEFT up to 0.20, for models without a name
    pytest.mark.usefixtures("unread"),
]

MISSING = "Found missing adapter keys"  # PEFT's own warning


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """A good adapter of 8 tensors."""
    adapted().save_pretrained(tmp_path / "good")
    return tmp_path / "good"


@pytest.fixture(autouse=True)
def _quiet_peft() -> Iterator[None]:
    """PEFT's own warnings are none of ours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=MISSING)
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")
        yield


def rename(folder: Path, change: Callable[[str], str]) -> Path:
    """Rename the tensors of a file; those whose name gets empty are dropped."""
    renamed = {change(name): tensor for name, tensor in tensors(folder).items()}
    write(folder, {name: tensor for name, tensor in renamed.items() if name})
    return folder


def report(load: Callable[[], Any]) -> Any:
    """Return what loading reports, which must be one thing, at a line of this file; ``None`` if there is nothing."""
    with reports() as found:
        load()
    assert all(each.category is RoundTripWarning and each.filename == __file__ for each in found)
    assert len(found) < 2
    return found[0].message if found else None


def values(model: Any) -> list[torch.Tensor]:
    return [parameter for name, parameter in model.named_parameters() if "lora_" in name]


def same(model: Any, other: Any) -> bool:
    return all(map(torch.equal, values(model), values(other)))


# -- no place ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name: f"module.{name}", "`module.` in front, of DistributedDataParallel"),
        (lambda name: name[len(FRONT) :], f"lack `{FRONT}` in front"),
        (lambda name: name.replace(".self_attn", "._orig_mod.self_attn"), "`_orig_mod` (torch.compile) in between"),
    ],
    ids=["more", "less", "between"],
)
@pytest.mark.usefixtures("strict")
def test_renamed_tensors(folder: Path, change: Callable[[str], str], said: str) -> None:
    """The file, the names and the cause are named; the file is right after what the advice says."""
    rename(folder, change)
    model = peft.get_peft_model(language_model(), lora())
    for load in (
        lambda: model.load_adapter(folder, "default"),
        lambda: peft.PeftModel.from_pretrained(language_model(), folder),
        lambda: peft.PeftModel.from_pretrained(language_model(), model_id=str(folder)),
    ):
        found = report(load)
        assert found.code == "R1"
        assert f"8 of the 8 tensors of {folder} have no place" in str(found)
        assert said in str(found)
        assert "8 of 8 tensors of the adapter get no value" in str(found)
    exec(found.fix.partition(":")[2], {})
    assert report(lambda: model.load_adapter(folder, "default")) is None
    assert same(model, adapted())


@compiles
@pytest.mark.usefixtures("strict")
def test_saved_from_compiled_layers(tmp_path: Path) -> None:
    """Compiled layers put their name into the file, and a model that is not compiled does not take it."""
    model = adapted()
    compiled(model.base_model.model)
    model.save_pretrained(tmp_path)
    assert "`_orig_mod` (torch.compile) in between" in str(
        report(lambda: peft.PeftModel.from_pretrained(language_model(), tmp_path))
    )
    again = peft.get_peft_model(language_model(), lora())
    compiled(again.base_model.model)
    assert report(lambda: again.load_adapter(tmp_path, "default")) is None


@compiles
@pytest.mark.usefixtures("strict")
def test_into_a_wrapped_model(folder: Path) -> None:
    """A wrapper that is in the model by then is named; before it is put around, the file finds its place."""
    model = peft.get_peft_model(language_model(), lora())
    compiled(model.base_model.model)
    found = report(lambda: model.load_adapter(folder, "default"))
    assert "the model's names have `_orig_mod` (torch.compile) in between" in str(found)
    model = checkpointed(peft.get_peft_model(language_model(), lora()))
    found = report(lambda: model.load_adapter(folder, "default"))
    assert (found is not None) == PICKS_BY_PATH == (not same(model, adapted()))


@pytest.mark.usefixtures("off")
def test_a_head_without_a_place(tmp_path: Path) -> None:
    """An adapter that was saved with its head does not bring it into a class that has none."""
    peft_strict.enable(misfit="ignore")
    model = moved(peft.get_peft_model(classifier(), lora(task_type="SEQ_CLS")))
    model.save_pretrained(tmp_path)
    found = report(lambda: peft.PeftModel.from_pretrained(language_model(), tmp_path))
    assert found.code == "R1"
    assert "1 of the 9 tensors" in str(found)
    assert "(`base_model.model.score.weight`): LlamaForCausalLM has no `score`." in str(found)
    assert "SEQ_CLS, is that of AutoModelForSequenceClassification." in found.fix
    assert report(lambda: peft.PeftModel.from_pretrained(classifier(), tmp_path)) is None


@pytest.mark.usefixtures("strict")
def test_peft_around_it_twice(folder: Path) -> None:
    """`get_peft_model` before `from_pretrained` leaves the file without a place."""
    found = report(lambda: peft.PeftModel.from_pretrained(peft.get_peft_model(language_model(), lora()), folder))
    assert "as PEFT is around it twice" in str(found)
    assert "without get_peft_model before" in found.fix


@pytest.mark.usefixtures("strict")
def test_other_layers(tmp_path: Path) -> None:
    """Tensors for a layer that has no adapter here are told with that layer."""
    adapted(target_modules=["q_proj", "up_proj"]).save_pretrained(tmp_path)
    model = peft.get_peft_model(language_model(), lora())
    found = report(lambda: model.load_adapter(tmp_path, "default"))
    assert "4 of the 8 tensors" in str(found)
    assert "`model.layers.0.mlp.up_proj` has no adapter of this kind in the model" in str(found)
    assert report(lambda: model.load_adapter(tmp_path, "second")) is None


@pytest.mark.skipif(not hasattr(peft, "MontecloraConfig"), reason="this PEFT has no Monteclora")
@pytest.mark.usefixtures("strict")
def test_no_advice_that_is_not_known_to_cure(tmp_path: Path) -> None:
    """With the right config PEFT itself may lose tensors: the advice is for another config, if it is another."""
    peft.get_peft_model(language_model(), lora(monteclora_config=peft.MontecloraConfig())).save_pretrained(tmp_path)
    assert report(lambda: peft.PeftModel.from_pretrained(language_model(), tmp_path)) is None
    found = report(lambda: peft.PeftModel.from_pretrained(language_model(), tmp_path, low_cpu_mem_usage=True))
    assert found.code == "R1"
    assert found.fix == "If its config here is not the one that it was saved with, load it with that one."


@pytest.mark.usefixtures("strict")
def test_the_function_itself() -> None:
    """State dicts that are set by hand are looked at; no file is named then."""
    tensors = peft.get_peft_model_state_dict(adapted())
    model = peft.get_peft_model(language_model(), lora())
    bare = {name[len(FRONT) :]: tensor for name, tensor in tensors.items()}
    found = report(lambda: peft.set_peft_model_state_dict(model, bare))
    assert "8 of the 8 tensors have no place" in str(found)
    mended = eval(found.fix.partition(": ")[2], {"state_dict": bare})
    assert report(lambda: peft.set_peft_model_state_dict(model, mended, adapter_name="default")) is None
    assert same(model, adapted())


@pytest.mark.usefixtures("strict")
def test_names_of_the_model() -> None:
    """A state dict of the model itself is taken by the model; PEFT up to 0.20 puts the adapter's name in again."""
    state_dict = adapted().state_dict()
    model = peft.get_peft_model(language_model(), lora())
    found = report(lambda: peft.set_peft_model_state_dict(model, state_dict))
    assert (found is None) == same(model, adapted())
    if found is not None:
        assert "which have `default` in them already; 8 of 8 tensors" in str(found)
        eval(found.fix.partition(": ")[2], {"model": model, "state_dict": state_dict})
        assert same(model, adapted())


@pytest.mark.usefixtures("strict")
def test_a_replaced_state_dict() -> None:
    """Scripts for PEFT 0.2 put a `state_dict` onto the model, which misleads PEFT 0.21; without it all is loaded."""
    model = adapted()
    tensors = peft.get_peft_model_state_dict(model)
    again = peft.get_peft_model(language_model(), lora())
    again.state_dict = lambda: peft.get_peft_model_state_dict(model)
    found = report(lambda: peft.set_peft_model_state_dict(again, tensors))
    assert (found is None) == same(again, model)
    if found is not None:
        assert "the model's `state_dict` has been replaced" in str(found)
        exec(found.fix.partition(": ")[2], {"model": again})
        assert report(lambda: peft.set_peft_model_state_dict(again, tensors)) is None
        assert same(again, model)


@pytest.mark.usefixtures("strict")
def test_an_adapter_with_the_start_of_another_name(tmp_path: Path) -> None:
    """The file of `task1` by PEFT up to 0.17 has, of `task10`, tensors with a `0` in their names: nothing is lost."""
    model = moved(peft.get_peft_model(classifier(), lora(task_type="SEQ_CLS")))
    model.save_pretrained(tmp_path)
    own = tensors(tmp_path)
    other = {
        name.replace("lora_A", "lora_A0").replace("lora_B", "lora_B0"): each.clone() for name, each in own.items()
    }
    head = {f"{FRONT}score0.weight": own[f"{FRONT}score.weight"].clone()}

    def load(*parts: dict[str, torch.Tensor]) -> Any:
        write(tmp_path, {name: tensor for part in parts for name, tensor in part.items()})
        return report(lambda: peft.PeftModel.from_pretrained(classifier(), tmp_path))

    assert load(own, other, head) is None
    assert "8 of 9 tensors of the adapter get no value" in str(load(other))
    if PICKS_BY_PATH:  # earlier ones take `score0` for a part of `score`
        assert "1 of the 10 tensors" in str(load(own, head))


@pytest.mark.parametrize("name", ["IA3Config", "LoHaConfig", "LoraConfig"])
@pytest.mark.usefixtures("strict")
def test_another_adapter_in_the_file(tmp_path: Path, name: str) -> None:
    """PEFT up to 0.19 writes what other adapters have into a file, also of other layers: none of its own is lost."""
    if not hasattr(peft, name):
        pytest.skip(f"this PEFT has no {name}")
    options = {"feedforward_modules": []} if name == "IA3Config" else {}
    config = getattr(peft, name)(target_modules=["v_proj"], **options)
    model = moved(peft.get_peft_model(language_model(), config))
    model.save_pretrained(tmp_path)
    own = tensors(tmp_path)
    other = {
        f"{start}.other.{end}" if end == "weight" else f"{start}.{end}.other": tensor.clone()
        for name, tensor in own.items()
        for start, _, end in [name.replace("v_proj", "gate_proj").rpartition(".")]
    }
    start = f"{FRONT}model.layers.0.mlp.gate_proj"
    more = {f"{start}.{end}": torch.zeros(1) for end in ("randlora_A.other", "lora_B.other.bias")}
    write(tmp_path, {**own, **other, **more})
    assert report(lambda: peft.PeftModel.from_pretrained(language_model(), tmp_path)) is None
    write(tmp_path, other)
    assert "have no place" in str(report(lambda: peft.PeftModel.from_pretrained(language_model(), tmp_path)))


# -- no value ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("strict")
def test_a_file_that_lacks_some(folder: Path) -> None:
    """Parameters without a value are told where PEFT does not do it: it does in `from_pretrained`, since 0.14."""
    rename(folder, lambda name: name if "layers.0" in name else "")
    model = peft.get_peft_model(language_model(), lora())
    found = report(lambda: model.load_adapter(folder, "default"))
    assert found.code == "R2"
    assert "4 of 8 tensors of the adapter get no value" in str(found)
    assert "layers.1.self_attn.q_proj.lora_A.weight" in str(found)
    with warnings.catch_warnings(record=True) as everything:
        warnings.simplefilter("always")
        peft.PeftModel.from_pretrained(language_model(), folder)
    assert len([each for each in everything if MISSING in str(each.message) or "R2" in str(each.message)]) == 1


@pytest.mark.usefixtures("strict")
def test_a_part_that_is_set_by_hand() -> None:
    """Who sets some tensors of an adapter by hand may mean these only; who sets none has lost all."""
    tensors = peft.get_peft_model_state_dict(adapted())
    model = peft.get_peft_model(language_model(), lora())
    shared = {name: tensor for name, tensor in tensors.items() if "lora_A" in name}
    assert report(lambda: peft.set_peft_model_state_dict(model, shared)) is None
    found = report(lambda: peft.set_peft_model_state_dict(model, {}))
    assert "8 of 8 tensors of the adapter get no value and stay as before, as what was given holds no" in str(found)


@pytest.mark.usefixtures("strict")
def test_an_empty_file(folder: Path) -> None:
    """A file that holds nothing is told as such."""
    rename(folder, lambda name: "")
    model = peft.get_peft_model(language_model(), lora())
    assert f"as {folder} holds no tensor" in str(report(lambda: model.load_adapter(folder, "default")))


@pytest.mark.skipif(not hasattr(peft, "PeftMixedModel"), reason="the Trainer of this transformers wants a newer PEFT")
@pytest.mark.usefixtures("strict")
def test_resuming(tmp_path: Path) -> None:
    """The Trainer resumes from a checkpoint in silence, whatever is in its file; a good one finds its place."""
    from datasets import Dataset
    from transformers import Trainer, TrainingArguments

    rows = Dataset.from_list([{"input_ids": [1, 2, 3], "labels": [1, 2, 3]}] * 2)

    def trainer(steps: int) -> Trainer:
        arguments = TrainingArguments(
            tmp_path / "out", max_steps=steps, save_steps=1, per_device_train_batch_size=1, report_to=[], use_cpu=True
        )
        return Trainer(peft.get_peft_model(language_model(), lora()), arguments, train_dataset=rows)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer(1).train()
        last = tmp_path / "out" / "checkpoint-1"
        assert report(lambda: trainer(2).train(resume_from_checkpoint=str(last))) is None
        rename(last, lambda name: f"module.{name}")
        found = report(lambda: trainer(2).train(resume_from_checkpoint=str(last)))
    assert found.code == "R1"
    assert f"8 of the 8 tensors of {last}" in str(found)


# -- what is right ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "load",
    [
        lambda folder: peft.PeftModel.from_pretrained(language_model(), folder),
        lambda folder: peft.PeftModel.from_pretrained(language_model(), folder, adapter_name="mine"),
        lambda folder: peft.PeftModel.from_pretrained(language_model(), folder, low_cpu_mem_usage=True),
        pytest.param(
            lambda folder: peft.PeftMixedModel.from_pretrained(language_model(), folder),
            marks=pytest.mark.skipif(not hasattr(peft, "PeftMixedModel"), reason="this PEFT mixes no adapters"),
        ),
        pytest.param(lambda folder: language_model().load_adapter(folder), marks=by_transformers),
        lambda folder: peft.get_peft_model(language_model(), lora()).load_adapter(folder, "second"),
    ],
    ids=["from_pretrained", "name", "low-memory", "mixed", "transformers", "second"],
)
@pytest.mark.usefixtures("strict")
def test_quiet(folder: Path, load: Callable[[Path], Any]) -> None:
    """A load that finds all places and all values is not commented on."""
    assert report(lambda: load(folder)) is None


@pytest.mark.skipif(
    "save_embedding_layers" not in inspect.signature(peft.get_peft_model_state_dict).parameters,
    reason="this PEFT saves no embedding layers by itself",
)
@pytest.mark.parametrize(
    "names",
    [["embed_tokens", "lm_head"], ["lm_head"], ["embed_tokens"], []],
    ids=["both embeddings", "head", "input", "none"],
)
@pytest.mark.usefixtures("strict")
def test_embeddings_that_are_saved_more_than_once(tmp_path: Path, names: list[str]) -> None:
    """PEFT writes the weight of an embedding that it also trains twice or three times: one of them finds its place."""
    model = adapted(modules_to_save=names)
    model.save_pretrained(tmp_path, save_embedding_layers=True)
    assert len(tensors(tmp_path)) == 8 + 2 + 2 * len(names)
    loaded: Any = None

    def load() -> None:
        nonlocal loaded
        loaded = peft.PeftModel.from_pretrained(language_model(), tmp_path)

    assert report(load) is None
    for which in ("get_input_embeddings", "get_output_embeddings"):
        assert torch.equal(getattr(loaded, which)().weight, getattr(model, which)().weight)
    rename(tmp_path, lambda name: name.replace("lora_A", "lora_C"))
    assert report(load).code == "R1"


@pytest.mark.usefixtures("strict")
def test_an_embedding_under_another_adapter(tmp_path: Path) -> None:
    """Saved with an adapter that is not its own, it is no loss where the model has the same values."""
    model = adapted()
    model.add_adapter("second", lora(target_modules=["embed_tokens"]))
    model.save_pretrained(tmp_path, save_embedding_layers=True)
    place = f"{FRONT}model.embed_tokens.base_layer.weight"
    saved = tensors(tmp_path)
    assert place in saved
    beside = place.replace("base_layer.weight", "lora_embedding_A.second")  # which PEFT up to 0.17 saves by itself
    write(tmp_path, {**saved, beside: torch.zeros(2, 32)})
    assert report(lambda: peft.PeftModel.from_pretrained(language_model(), tmp_path)) is None
    write(tmp_path, {**saved, place: saved[place] + 1})
    assert report(lambda: peft.PeftModel.from_pretrained(language_model(), tmp_path)).code == "R1"


@pytest.mark.usefixtures("strict")
def test_tensors_of_another_adapter(folder: Path) -> None:
    """PEFT up to 0.19 writes those of `x` into the file of `y` as well, for the `y` in `layers`: none is lost."""
    mine = tensors(folder)
    others = {name.replace(".weight", ".x.weight"): torch.zeros(1) for name in mine}
    write(folder, {**mine, **others})
    assert report(lambda: peft.PeftModel.from_pretrained(language_model(), folder, adapter_name="y")) is None
    write(folder, {**mine, FRONT + "model.layers.0.self_attn.q_proj.lora_A.bias": torch.zeros(2)})
    assert report(lambda: peft.PeftModel.from_pretrained(language_model(), folder)).code == "R1"


@pytest.mark.parametrize("adapter", ["q", "lora", "w"])
@pytest.mark.usefixtures("strict")
def test_names_that_the_adapter_has_spoilt(folder: Path, adapter: str) -> None:
    """PEFT up to 0.17 cuts an adapter's name out of the names of its tensors, wherever it is."""
    rename(folder, lambda name: name.replace(f".{adapter}", ""))
    found = report(lambda: peft.PeftModel.from_pretrained(language_model(), folder, adapter_name=adapter))
    assert f"PEFT has cut `.{adapter}` out of their names, as the adapter was called '{adapter}'" in str(found)


@pytest.mark.usefixtures("strict")
def test_modules_whose_names_the_adapter_has_spoilt(tmp_path: Path) -> None:
    """The same is said, up to 0.14, of modules that are saved whole, which stand in the model under a longer name."""
    saved = moved(peft.get_peft_model(language_model(), lora(modules_to_save=["input_layernorm", "norm"])))
    saved.save_pretrained(tmp_path)
    rename(tmp_path, lambda name: name.replace(".0", "") if "layernorm" in name else name)
    try:
        found = report(lambda: peft.PeftModel.from_pretrained(language_model(), tmp_path))
    except KeyError:
        pytest.skip("this PEFT, 0.15 or newer, fails by itself")
    assert "PEFT has cut `.0` out of their names, as the adapter was called '0'" in str(found)


@pytest.mark.skipif(
    "ignore_mismatched_sizes" not in inspect.signature(peft.set_peft_model_state_dict).parameters,
    reason="this PEFT does not take sizes that do not match",
)
@pytest.mark.usefixtures("strict")
def test_sizes_that_were_to_be_ignored(folder: Path) -> None:
    """What PEFT leaves out on request it warns of by itself."""
    model = peft.get_peft_model(language_model(), lora(r=4))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Some weights of")
        assert report(lambda: model.load_adapter(folder, "default", ignore_mismatched_sizes=True)) is None


@pytest.mark.usefixtures("strict")
def test_a_model_that_cannot_be_read(folder: Path, unread: list[str]) -> None:
    """No load fails for what we make of a model."""
    rename(folder, lambda name: f"module.{name}")
    model = unreadable(peft.get_peft_model(language_model(), lora()))
    assert report(lambda: model.load_adapter(folder, "default")) is None
    assert unread.pop()


# -- the setting ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("off")
def test_raise(folder: Path) -> None:
    """With `roundtrip="raise"` a load that loses something ends in an error, also where PEFT would only warn."""
    peft_strict.enable(roundtrip="raise")
    rename(folder, lambda name: name if "layers.0" in name else "")
    with pytest.raises(RoundTripError, match="peft-strict R2") as caught:
        peft.PeftModel.from_pretrained(language_model(), folder)
    error = caught.value
    assert (error.code, error.source, len(error.keys)) == ("R2", str(folder), 4)
    printed = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    assert printed.count("/peft_strict/") <= 1


@pytest.mark.parametrize("quiet", ["ignore", "suspended", "off"])
@pytest.mark.usefixtures("off")
def test_switched_off(folder: Path, quiet: str) -> None:
    """`roundtrip="ignore"`, a suspended block and `disable()` each keep it quiet."""
    peft_strict.enable(roundtrip="ignore" if quiet == "ignore" else "warn")
    rename(folder, lambda name: f"module.{name}")
    model = peft.get_peft_model(language_model(), lora())
    if quiet == "off":
        peft_strict.disable()
    if quiet == "suspended":
        with peft_strict.suspended():
            assert report(lambda: model.load_adapter(folder, "default")) is None
    else:
        assert report(lambda: model.load_adapter(folder, "default")) is None
