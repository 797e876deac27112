"""How the matrix counts and tells. Its run: ``python -m tests.matrix``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .matrix import table
from .matrix.cells import PEFTS, Cell, all_cells
from .ways_in.right import USES
from .ways_in.wrong import WAYS

REFUSED = {"outcome": "refused", "by_us": True, "reports": 1}
BY_PEFT = {"outcome": "refused", "by_us": False, "reports": 0}
SILENT = {"outcome": "silent", "by_us": False, "reports": 0}
VERSIONS = {"python": "3.11.7", "peft": "0.13.2", "transformers": "5.0", "torch": "2", "wrapt": "1.14"}
FAILED = {"outcome": "KeyError: None", "by_us": False, "reports": 0}


def found(
    strict: dict[str, Any] = REFUSED, use: Any = 1, left_behind: tuple[str, ...] = (), moved: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the results of a cell with three ways in, one of them not there, and one right use."""
    ways = {
        "one": {"says": "one way", "missing": None, "plain": {"": SILENT}, "strict": {"": REFUSED}},
        "two": {
            "says": "two ways",
            "missing": None,
            "plain": {"a": BY_PEFT, "b": FAILED},
            "strict": {"a": REFUSED, "b": strict},
        },
        "three": {"says": "third way", "missing": "not yet"},
    }
    plain = {"": {"answer": 1, "reports": []}}
    uses = {"use": {"missing": None, "plain": plain, "strict": {"": {"answer": use, "reports": []}}}}
    return {"versions": VERSIONS, "wrong": ways, "right": uses, "left_behind": list(left_behind), "moved": list(moved)}


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ([BY_PEFT, BY_PEFT], "refused"),
        ([BY_PEFT, SILENT, FAILED], "silent"),
        ([BY_PEFT, FAILED], "KeyError: None"),
        ([REFUSED], "refused"),
    ],
)
def test_the_worst_try_counts(outcomes: list[dict[str, Any]], worst: str) -> None:
    """A way is silent if one of its kind is."""
    assert table.outcome({str(i): outcome for i, outcome in enumerate(outcomes)}) == worst


def test_counts() -> None:
    """Ways in, those silent without and with us, right uses, those we hinder, places that moved."""
    assert table.counts(found()) == (2, 1, 0, 1, 0, 0)


@pytest.mark.parametrize(
    "broken",
    [{"strict": SILENT}, {"strict": BY_PEFT}, {"strict": FAILED}, {"strict": {**REFUSED, "reports": 2}}, {"use": 2},
     {"left_behind": ("LoraConfig.__init__",)}, {"moved": ("BaseTuner",)}],
    ids=str,
)  # fmt: skip
def test_a_cell_that_is_not_perfect(broken: dict[str, Any]) -> None:
    """Whatever is not refused by us, once, or is hindered, or left behind, or has moved, fails the command."""
    assert table.is_perfect({Cell("0.13.2"): found()})
    assert not table.is_perfect({Cell("0.13.2"): found(), Cell("0.14.0"): found(**broken)})


def test_a_right_use_that_is_reported() -> None:
    """A report on a right use hinders it."""
    results = found()
    results["right"]["use"]["strict"][""]["reports"] = ["MisfitWarning"]
    assert table.counts(results)[4] == 1


def test_the_table() -> None:
    """A line for each cell, where cells that differ in wrapt alone share one, and a line for each way."""
    other = found()
    other["versions"] = {**other["versions"], "wrapt": "1.9"}
    text = table.markdown(
        {Cell("0.13.2"): found(), Cell("0.13.2", wrapt="1.9"): other, Cell(python="3.9"): {"tests": "9 passed"}}
    )
    assert "| 0.13.2 | 5.0 | 1.9, 1.14 | 3.11 | 2 | 1 | 0 | 1 | 0 | 0 |" in text.splitlines()
    assert "| one way | 0.13.2 |  |  |  |" in text.splitlines()
    assert "| two ways |  |  | 0.13.2 |  |" in text.splitlines()
    assert "| third way |  |  |  | 0.13.2 (not yet) |" in text.splitlines()
    assert "- Python 3.9: 9 passed" in text.splitlines()


def test_another_python() -> None:
    """PEFT on another Python has a line, and none of its own among the ways; neither has a run without PEFT."""
    text = table.markdown({Cell("0.13.2", python="3.99"): {**found(), "versions": {**VERSIONS, "python": "3.99.1"}}})
    assert "| 0.13.2 | 5.0 | 1.14 | 3.99 | 2 | 1 | 0 | 1 | 0 | 0 |" in text.splitlines()
    assert "one way" not in text
    assert "9 passed" in table.markdown({Cell(python="3.9"): {"tests": "9 passed"}})


def test_spans() -> None:
    """Neighbours are told as a span."""
    assert table._spans(["a", "b", "c", "e"], ["a", "b", "c", "d", "e"]) == "a - c, e"
    assert table._spans([], ["a"]) == ""


def test_writing(tmp_path: Path) -> None:
    """The text comes between the marks, and nowhere else; twice is the same as once."""
    page = tmp_path / "README.md"
    page.write_text(f"before\n{table.START}\nold\n{table.END}\nafter\n")
    for _ in range(2):
        table.write(page, "new")
        assert page.read_text() == f"before\n{table.START}\nnew\n{table.END}\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="has no"):
        table.write(page, "new")


def test_the_data() -> None:
    """The data for the picture holds what each way ends in, in each cell."""
    data = json.loads(json.dumps(table.data({Cell("0.13.2"): found(strict=SILENT)})))
    assert data["ways"] == {"one": "one way", "two": "two ways", "three": "third way"}
    assert data["cells"][0]["ways"] == {
        "one": {"plain": "silent", "strict": "refused"},
        "two": {"plain": "KeyError: None", "strict": "silent"},
        "three": {"missing": "not yet"},
    }


def test_the_cells() -> None:
    """Every release is there, each cell once, and each has a name of its own."""
    cells = all_cells()
    assert len(cells) == len(set(cells)) == len({str(cell) for cell in cells})
    assert set(PEFTS) <= {cell.peft for cell in cells}
    assert len(WAYS) >= 17
    assert USES
