"""The look at the names in a config: taken before adapters go in, and spoken of once PEFT has accepted them.

Before, because PEFT then rewrites the lists (defaults filled in, experts that transformers 5 has fused, long lists
made short) and renames the modules. After, because nothing is to be said of what PEFT refuses or warns of itself:

- all of ``target_modules`` dead: an error, or a warning where ``target_parameters`` matched (0.17);
- all of ``target_parameters`` dead: a warning (0.17);
- nothing excluded though ``exclude_modules`` is set: a warning (0.14).

Only lists are looked at: not regular expressions, ``"all-linear"``, patterns by name, or layers. Never X-LoRA and
adaption prompts, whose lists are read in another way, and never configs for inference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from ..releases.adapters import excludes_saved
from . import tree
from .evidence import is_loaded, parameters
from .foreign import attribute, inside, text_of
from .names import (
    EXCLUDED,
    FEEDFORWARD,
    FIELDS,
    PARAMETERS,
    SAVED,
    TARGETS,
    Embeddings,
    Names,
    asks_for_embeddings,
    dead,
    nearest,
)
from .unknown import Misnamed, Unknown, in_words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Lists = dict[str, tuple[str, ...]]

_OTHER_WAYS = ("XLORA", "ADAPTION_PROMPT")
_OF_ADAPTED = (EXCLUDED, FEEDFORWARD)  # what is lost by a dead entry is how a module is adapted
_MOST = 100  # dead entries of one list that are looked up


class Look(NamedTuple):
    """What there was before adapters went in.

    Attributes:
        model: The base model.
        config: The config.
        lists: Its lists, as they were.
        live: The entries that name something, by field.
        unknown: The entries that name nothing and may be spoken of.
        adapted: Whether the model had adapters already.
        excludes: Whether a whole name in ``modules_to_save`` names something: PEFT may take that for an exclusion.
    """

    model: Any
    config: Any
    lists: Lists
    live: Lists
    unknown: list[Unknown]
    adapted: bool
    excludes: bool


def before(model: Any, config: Any, *, added: Collection[str], skipped: Collection[str] = ()) -> Optional[Look]:
    """Look at the names in a config that is about to meet a model.

    Args:
        model: The base model; it may already carry the layers of an earlier adapter.
        config: The config.
        added: All names that PEFT adds to ``modules_to_save`` by itself, for any task.
        skipped: The fields that are not what the user wrote.

    Returns:
        ``None`` if nothing is ever to be said of this config, or of this model.
    """
    if attribute(config, "inference_mode") is True or text_of(attribute(config, "peft_type")) in _OTHER_WAYS:
        return None
    lists = {field: entries for field in FIELDS if field not in skipped and (entries := _list_of(config, field))}
    modules = tree.modules_of(model) if lists else []
    if modules is None:
        return None
    names = Names(path for path, _ in modules)
    every = {PARAMETERS: tree.parameter_names(model, modules)} if PARAMETERS in lists else {}
    live: Lists = {}
    gone: Lists = {}
    for field, entries in lists.items():
        lost = [entry for entry in entries if dead(entry, every.get(field, names), field)]
        live[field] = tuple(entry for entry in entries if entry not in lost)
        gone[field] = tuple(entry for entry in lost if not (field == SAVED and entry in added))
    unknown = _judged(model, config, dict(modules), {**dict.fromkeys(lists, names), **every}, lists, gone)
    adapted = any(tree.is_adapted(module) for _, module in modules) if gone.get(EXCLUDED) else False
    excludes = any(not dead(entry, names, TARGETS) for entry in live.get(SAVED, ()))
    return Look(model, config, lists, live, unknown, adapted, excludes)


def _list_of(config: object, field: str) -> tuple[str, ...]:
    """Return the texts in a list; in order, if it has one. A text on its own is a pattern, or no list of names."""
    entries = attribute(config, field)
    if not isinstance(entries, (list, tuple, set, frozenset)):
        return ()
    texts = [text for entry in entries if (text := text_of(entry))]
    return tuple(sorted(texts) if isinstance(entries, (set, frozenset)) else texts)


def _judged(
    model: Any, config: Any, modules: Mapping[str, Any], names: Mapping[str, Names], lists: Lists, gone: Lists
) -> list[Unknown]:
    """Return the dead entries that have a hint, and those of ``modules_to_save`` that have nothing near at all."""
    asking = any(asks_for_embeddings(entry, field) for field, entries in gone.items() for entry in entries)
    asked = tree.embeddings_of(model, list(modules.items())) if asking else Embeddings()
    of_norms = text_of(attribute(config, "peft_type")) == "LN_TUNING"
    found = []
    for field, entries in gone.items():
        of_layers = field in (TARGETS, FEEDFORWARD) and not of_norms
        keep = tree.is_adaptable if of_layers else tree.holds_weights
        may = names[field].only(lambda path, keep=keep: keep(tree.inner(modules[path])))  # type: ignore[misc]
        meant = names[field] if field == PARAMETERS else may
        for entry in entries[:_MOST]:
            near = nearest(meant, entry, lists[field], asked, field)
            if near.taken is False if near else field == SAVED:
                found.append(Unknown(field, entry, near))
    return found


def rewritten(look: Look, fields: Collection[str] = FIELDS) -> dict[str, Any]:
    """Return the lists that PEFT has filled in or changed since, by field."""
    changed = {}
    for field in fields:
        entries = attribute(look.config, field)
        if isinstance(entries, (list, tuple, set, frozenset)) and set(_list_of(look.config, field)) != set(
            look.lists.get(field, ())
        ):
            changed[field] = entries
    return changed


def after(look: Look, *, adds: Collection[str], of_head: bool = False) -> Optional[Misnamed]:
    """Say what is lost, now that PEFT has accepted the config.

    Args:
        look: What `before` returned.
        adds: The names that PEFT has added to ``modules_to_save`` for this task type.
        of_head: Whether it was said already that the head is neither trained nor saved.
    """
    changed = rewritten(look) if look.unknown else {}
    heads = _heads(look.model) if of_head else ()
    unknown = [
        each
        for each in look.unknown
        if not _is_told(look, each) and not _is_converted(each, changed) and not _is_in(each, heads)
    ]
    if any(each.field in _OF_ADAPTED for each in unknown):
        reached = _adapted(look)
        unknown = [
            each
            for each in unknown
            if each.field not in _OF_ADAPTED or (each.near and reached.issuperset(each.near.names))
        ]
    if not unknown:
        return None
    # What is left unsaid of the head was meant nevertheless.
    meant = {each.entry: each.near.names for each in look.unknown if each.near and _is_in(each, heads)}
    lists = {
        field: [
            name
            for entry in entries
            if not (field == SAVED and entry in adds)
            for name in (meant.get(entry, (entry,)) if field == SAVED else (entry,))
        ]
        for field, entries in look.lists.items()
    }
    names = {"model_class": type(look.model).__name__, "config_class": type(look.config).__name__}
    return in_words(unknown, lists, **names)


def _is_told(look: Look, each: Unknown) -> bool:
    """Whether PEFT has warned of it."""
    live = look.live
    if live.get(each.field):
        return False
    if each.field == TARGETS:
        return bool(live.get(PARAMETERS))
    if each.field == EXCLUDED:
        return not (look.excludes and excludes_saved())
    return each.field == PARAMETERS


def _is_converted(each: Unknown, changed: Mapping[str, Any]) -> bool:
    """Whether PEFT has made a parameter of the module, as it does for experts that transformers 5 has fused."""
    return each.field == TARGETS and PARAMETERS in changed and each.entry not in changed.get(TARGETS, (each.entry,))


def _heads(model: Any) -> Collection[str]:
    """Return the names of the modules outside of the base model, or of what was loaded where that has no name."""
    base = text_of(attribute(model, "base_model_prefix"))
    children = {name: child for name, child in inside(model, "_modules").items() if name != base}
    return [
        name
        for name, child in children.items()
        if not any(is_loaded(one.parameter) for one in parameters(child, name))
    ]


def _is_in(each: Unknown, heads: Collection[str]) -> bool:
    near = each.near.names if each.near else ()
    return each.field == SAVED and bool(near) and all(name.partition(".")[0] in heads for name in near)


def _adapted(look: Look) -> set[str]:
    """Return each name under which there is an adapter; nothing if some were there before."""
    modules = [] if look.adapted else tree.modules_of(look.model) or []
    paths = [path.split(".") for path, module in modules if tree.is_adapted(module)]
    return {".".join(parts[at:]) for parts in paths for at in range(len(parts))}


def task_type(config: object) -> Optional[str]:
    """Return the task type of a config as a text, if it has one."""
    return text_of(attribute(config, "task_type"))
