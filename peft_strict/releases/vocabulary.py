"""What the value rule is told about the task types of one PEFT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping


class Vocabulary(NamedTuple):
    """The task types of one PEFT.

    Attributes:
        members: The text of each task type, with its enum member. May grow.
        registered: PEFT's task-to-model mapping, where users may have put names of their own. Live.
        meanings: What each task type means, where PEFT says so.
        methods: The names of PEFT's methods. Live.
    """

    members: dict[str, Any]
    registered: Container[object]
    meanings: Mapping[str, str]
    methods: Collection[object] = ()
