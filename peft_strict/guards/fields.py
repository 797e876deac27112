"""The look at the fields of a config: at those passed, once the class has taken them; at all when it meets a model.

What was passed counts only if it is still there when the constructor is done: a class that reads texts by itself, as a
user's own may, has made something else of it by then. A constructor that calls another one is judged, and not that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .._errors import InvalidFieldError, InvalidFieldWarning, name_of
from ..releases.fields import NESTED, fields_of, is_newer
from ..values.fields import Finding, judge, message
from . import reading, report
from .memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ..releases.fields import Kind
    from .watch import Watch

# The rule has nothing to say about these types, which most values have.
_PLAIN = frozenset(map(id, (bool, float, int, list, set, tuple)))  # a class need not have a hash


class Found(NamedTuple):
    """A finding in a config.

    Attributes:
        finding: What is wrong.
        path: The field of the config, or the one of its sub-config: ``lora_ga_config.scale``.
        owner: The name of the class that has the field.
        where: The place, with ``{}`` for field and value.
    """

    finding: Finding
    path: str
    owner: str
    where: str


class FieldLook:
    """The look at fields on one imported copy of PEFT."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._reported: Memory[dict[str, object]] = Memory()  # the values that a config was warned of, by field

    def at(self, cls: type, names: tuple[str, ...]) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]:
        """Return the look at what the ``__init__`` of a class was passed.

        Args:
            cls: The class that owns it.
            names: The names of its positional parameters.
        """
        known: Optional[Mapping[str, Kind]] = None

        def passed(config: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Optional[Exception]:
            """Return the error to raise for what was passed, if there is one."""
            nonlocal known
            if type(config) is cls:
                if known is None:
                    known = fields_of(cls, self._watch.release.version)
                kinds = known
            else:
                kinds = self._inherited(type(config), cls)
            given = {**dict(zip(names, args)), **kwargs} if args else kwargs
            for name, value in given.items():
                if name in kinds and id(type(value)) not in _PLAIN and not _is_right(value, kinds[name]):
                    return self._judge(config, given, kinds)
            return None

        return passed

    def met(self, config: Any, used_on: str) -> Optional[Exception]:
        """Return the error to raise for a config that meets a model, if there is one.

        Args:
            config: A PEFT config.
            used_on: The name of the class that it meets.
        """
        kinds = fields_of(type(config), self._watch.release.version)
        return self._deliver(config, list(self._findings(config, kinds, kinds, f", used on {used_on}")))

    def _inherited(self, cls: type, owner: type) -> Mapping[str, Kind]:
        """Return the fields of a subclass whose constructor is the one of ``owner``; none if it has its own."""
        first = next((base for base in cls.__mro__ if "__init__" in vars(base)), None)
        return fields_of(cls, self._watch.release.version) if first is owner else {}

    def _judge(self, config: Any, given: Mapping[str, object], kinds: Mapping[str, Kind]) -> Optional[Exception]:
        if not self._watch.active:
            return None
        held = self._watch.attributes(config)
        fields = [name for name in given if name in kinds]
        kept = [name for name in fields if held.get(name, self) is given[name] or kinds[name].form == NESTED]
        return self._deliver(config, list(self._findings(config, kept, kinds, "")))

    def _findings(self, config: Any, names: Iterable[str], kinds: Mapping[str, Kind], used_on: str) -> Iterator[Found]:
        """Yield what is wrong in these fields, and in the sub-configs among them."""
        held, owner = self._watch.attributes(config), name_of(type(config))
        newer = is_newer(held.get("peft_version"), self._watch.release.version)
        doubt = "the config was saved by a newer PEFT than this" if newer else ""
        for name in names:
            value, kind = held.get(name), kinds[name]
            if name not in held:
                continue
            if kind.form == NESTED:
                yield from self._nested(name, value, f"{owner}({name}=", f"){used_on}", doubt)
                continue
            finding = judge(name, value, kind._replace(doubt=doubt) if doubt else kind)
            if finding is not None:
                yield Found(finding, name, owner, f"{owner}({{}}){used_on}")

    def _nested(self, name: str, part: object, before: str, after: str, doubt: str) -> Iterator[Found]:
        kinds = fields_of(type(part), self._watch.release.version)
        owner, held = name_of(type(part)), vars(part) if kinds else {}
        for inner, kind in kinds.items():
            finding = judge(inner, held.get(inner), kind._replace(doubt=doubt) if doubt else kind)
            if finding is not None and inner in held:
                yield Found(finding, f"{name}.{inner}", owner, f"{before}{owner}({{}}){after}")

    # -- reports -----------------------------------------------------------------------------------------------------

    def _deliver(self, config: Any, found: list[Found]) -> Optional[Exception]:
        """Raise the errors, all in one, or warn; return what is to be raised."""
        raising = self._watch.state.invalid == "raise"
        fatal = [each for each in found if raising and each.finding.code == "F1"]
        if fatal:
            return self._error(fatal)
        for each in found:
            if not self._was_reported(config, each):
                text = message(each.finding, each.where, self._source(each.path, each.finding.value))
                turned = report.warn(
                    InvalidFieldWarning(text, code=each.finding.code, fix=each.finding.fix), self._watch.release
                )
                if turned is not None:
                    return turned
                self._reported[config] = {**(self._reported.get(config) or {}), each.path: each.finding.value}
        return None

    def _error(self, found: list[Found]) -> InvalidFieldError:
        first, *others = found
        finding, source = first.finding, self._source(first.path, first.finding.value)
        texts = [message(finding, first.where, source)]
        texts += [message(each.finding, each.where).partition(": ")[2] for each in others]
        return InvalidFieldError(
            "\n  And ".join(texts),
            code=finding.code,
            field=finding.field,
            value=finding.value,
            allowed=finding.allowed,
            suggestion=finding.suggestion,
            config_class=first.owner,
            source=source,
            fix=finding.fix,
        )

    def _source(self, name: str, value: object) -> Optional[str]:
        """Return the file that a value is being read from."""
        file = reading.file_with(name, value)
        return file.path if file is not None else None

    def _was_reported(self, config: Any, found: Found) -> bool:
        known = self._reported.get(config) or {}
        return known.get(found.path, self) is found.finding.value


def _is_right(value: object, kind: Kind) -> bool:
    """Whether a value is right at a glance."""
    if type(value) is str:
        return value in kind.texts
    return value is None and (kind.takes_none or not kind.texts)
