"""Where the values of a JSON object stand in its text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peft_strict.commands.json_members import NotAnObjectError, line_of, member_at, top_level_members

SPACE = st.text(alphabet=" \t\r\n", max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["task_type", "peft_type", "r", 'a"}', "\u00e9{"]) | st.text(max_size=4)


@st.composite
def objects(draw: st.DrawFn) -> str:
    """A JSON object with spaces anywhere, names that repeat, and either way of writing what is not ASCII."""
    ascii_only = draw(st.booleans())

    def padded(text: str) -> str:
        return draw(SPACE) + text + draw(SPACE)

    members = [
        padded(json.dumps(name, ensure_ascii=ascii_only))
        + ":"
        + padded(json.dumps(draw(VALUES), ensure_ascii=ascii_only))
        for name in draw(st.lists(NAMES, max_size=5))
    ]
    return padded("{" + (",".join(members) if members else draw(SPACE)) + "}")


@given(objects())
def test_members_are_those_that_json_reads(text: str) -> None:
    """Every name comes with the value that ``json.loads`` gives it, and no other name."""
    assert {name: member.value for name, member in top_level_members(text).items()} == json.loads(text)


@given(objects(), st.sampled_from(['"CAUSAL_LM"', "null"]))
def test_a_value_can_be_replaced_where_it_stands(text: str, new: str) -> None:
    """Another text between start and end changes that value and no other."""
    for name, member in top_level_members(text).items():
        changed = text[: member.start] + new + text[member.end :]
        assert json.loads(changed) == {**json.loads(text), name: json.loads(new)}


@given(objects(), objects())
def test_a_value_inside_of_a_value(text: str, around: str) -> None:
    """The names lead from one object into the next, and what stands there can be replaced."""
    whole = f'{around.rstrip()[:-1]}{", " if json.loads(around) else ""}"part" : {text} }}'
    for name, value in json.loads(text).items():
        member = member_at(whole, "part", name)
        assert member.value == value
        changed = json.loads(whole[: member.start] + "null" + whole[member.end :])
        assert changed == {**json.loads(whole), "part": {**json.loads(text), name: None}}


@pytest.mark.parametrize("text", ["[]", "null", "3", '"{}"', "NaN"])
def test_other_values_are_no_object(text: str) -> None:
    """JSON that is not an object is told apart from broken JSON."""
    with pytest.raises(NotAnObjectError):
        top_level_members(text)


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", '{"a": 1,}', '{"a" 1}', "{} {}", '{"a": "\n"}'])
def test_broken_text_is_refused(text: str) -> None:
    """What ``json.loads`` refuses is refused with its error."""
    with pytest.raises(json.JSONDecodeError):
        top_level_members(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [("ab", 1), ("\nab", 2), ("\r\n\r\nab", 3), ("\r\rab", 3), ("\n\r\nab\n", 3)],
    ids=["one", "lf", "crlf", "cr", "mixed"],
)
def test_lines_are_counted_as_editors_do(text: str, line: int) -> None:
    """All three ways to end a line count as one line."""
    assert line_of(text, text.index("ab")) == line
