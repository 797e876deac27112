"""The task types of the installed PEFT: what each means, the classes it goes with, and what PEFT adds by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Fact(NamedTuple):
    """One task type.

    Attributes:
        name: Its text, or ``None`` for "no task type".
        meaning: The first sentence that PEFT's own docstring has on it.
        model: The Auto class of transformers whose models it is for, or ``None`` for all.
        wrapper: The class that ``get_peft_model`` puts around the model.
        loader: The class that loads model and adapter at once.
        added: The modules that PEFT trains and saves without being told.
    """

    name: str | None
    meaning: str
    model: str | None
    wrapper: str
    loader: str
    added: tuple[str, ...]


def facts() -> Iterator[Fact]:
    """Yield all task types in PEFT's order, then what happens without one."""
    import peft
    from peft import auto

    from peft_strict.releases import live

    release = live.live_release()
    means = live.meanings(release.task_type)
    loaders = {cls._target_peft_class: cls for cls in vars(auto).values() if hasattr(cls, "_target_peft_class")}
    for name in (*release.supported, None):
        wrapper = peft.PeftModel if name is None else release.tasks[name]
        loader = loaders[wrapper]
        model = getattr(loader._target_class, "__name__", None)
        added = live.added_modules(wrapper)
        yield Fact(name, means.get(name or "", ""), model, wrapper.__name__, loader.__name__, added)


def markdown() -> str:
    """Return the README's table."""
    lines = [
        "| `task_type` | meaning | models<br>wrapped in<br>loaded by | also trained and saved |",
        "|---|---|---|---|",
    ]
    for fact in facts():
        model = f"`{fact.model}`" if fact.model else "any model"
        added = "<br>".join(f"`{name}`" for name in fact.added) or "-"
        classes = f"{model}<br>`{fact.wrapper}`<br>`{fact.loader}`"
        lines.append(f"| `{fact.name}` | {fact.meaning or 'none of these'} | {classes} | {added} |")
    return "\n".join(lines)


def docstring_lines() -> Iterator[str]:
    """Yield what the docstring of ``parse_task_type`` says on each task type."""
    for fact in facts():
        if fact.name:
            added = f"; PEFT adds {' and '.join(fact.added)} to modules_to_save" if fact.added else ""
            yield f"- {fact.name}: {fact.meaning}, for {fact.model} ({fact.wrapper}){added}."
