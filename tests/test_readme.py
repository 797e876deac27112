"""The README is true: its programs and commands do what stands there, its tables and pictures are up to date.

- A ``python`` block runs as ``train.py`` in an empty folder. The ``text`` block behind it is its output, in one piece;
  a program that fails ends with it. Folders of the program's own files are left out.
- A ``console`` block holds commands, each behind ``$``, with what they print; a line ``...`` stands for any lines.
- What takes minutes (set-up, benchmarks) is not run, but it must be what CI runs, or be there.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from peft_strict import _standby
from peft_strict.fit import rule
from peft_strict.fit.misfit import Misfit
from peft_strict.values import parse

from .readme import generated, page, running, task_types, terminal, ways_map
from .ways_in.rows import numbers

README = page.README.read_text()
BLOCKS = list(page.blocks(README))
SET_UP = "-m venv"
SLOW = "python -m tests."


def commands() -> list[tuple[str, str]]:
    """Return the commands of the ``console`` blocks, each with what it prints."""
    parts = [re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:] for block in BLOCKS if block.kind == "console"]
    return [(command, printed) for part in parts for command, _, printed in (each.partition("\n") for each in part)]


def is_run(command: str) -> bool:
    return SET_UP not in command and SLOW not in command


def shows(output: str, shown: str) -> bool:
    """Whether the shown lines stand in the output in one piece; ``...`` there stands for any lines."""
    lines = [".*(?:\n.*)*" if line.strip() == "..." else re.escape(line) for line in shown.strip().splitlines()]
    return re.search(rf"^{chr(10).join(lines)}$", output, re.MULTILINE) is not None


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=f"line{block.line}") for block in BLOCKS if block.kind == "python"]
)
def test_program(block: page.Block) -> None:
    """A program prints what is shown, and fails if an error is shown."""
    output = running.python(block.text)
    shown = (block.shown or "").strip()
    fails = re.search(r"^[\w.]+Error: ", shown, re.MULTILINE) is not None
    assert output.exit_code == int(fails), output.text
    assert shows(output.text, shown), output.text
    if fails:
        assert output.text.strip().endswith(shown)


@pytest.mark.parametrize(
    ("command", "printed"), [pytest.param(*pair, id=pair[0][:40]) for pair in commands() if is_run(pair[0])]
)
def test_command(tmp_path: Path, command: str, printed: str) -> None:
    """A command prints what is shown, in a folder with a saved adapter that has a typo."""
    if "adapter" in command:
        save_typo(tmp_path / "adapter")
    output = running.shell(command, tmp_path)
    assert output.exit_code == int(bool(printed) and "doctor" not in command), output.text
    if printed:
        assert shows(output.text.strip(), printed)
        assert printed.strip().startswith("...") or output.text.startswith(printed.splitlines()[0])


def save_typo(folder: Path) -> None:
    """Save an adapter's config as PEFT up to 0.13 does with a typo."""
    import peft

    peft.LoraConfig(task_type="CAUSAL_LM").save_pretrained(folder)
    file = folder / "adapter_config.json"
    file.write_text(file.read_text().replace("CAUSAL_LM", "CASUAL_LM"))


def test_each_block_is_tested() -> None:
    """Every block is a program, a command, or the text behind one, but for the first line and the ``.pth`` file."""
    shown = [block.shown for block in BLOCKS if block.kind == "python"]
    others = [block.text for block in BLOCKS if block.kind not in ("python", "console") and block.text not in shown]
    pth = (page.REPOSITORY / "peft_strict" / "peft_strict.pth").read_text()
    assert others == ["PEFT_STRICT=1 python train.py\n", pth]


# -- set-up and commands that take long -------------------------------------------------------------------------------


def test_first_try(tmp_path: Path) -> None:
    """The command to try it sets up as CI does, and then refuses the typo."""
    (command,) = (command for command, _ in commands() if SET_UP in command and "run -c" in command)
    _, install, run = command.split(" && ")
    constrained, what = _installed_by(install)
    assert (constrained, what) == (_installed_by(_ci_line("pip"))[0], ["."])
    output = running.shell(run.replace(".venv/bin/", ""), tmp_path)
    assert output.exit_code == 1
    assert "a text is true whatever it says: this switches it on." in output.text


def test_set_up_for_work() -> None:
    """The command for a new maintainer installs what CI installs, except for the linters, and runs what CI runs."""
    (command,) = (command for command, _ in commands() if SET_UP in command and "pytest" in command)
    made, install, test = command.split(" && ")
    assert made == "python3.11 -m venv .venv"
    constrained, what = _installed_by(_ci_line("pip"))
    assert _installed_by(install) == (constrained, [word for word in what if word not in ("mypy", "ruff")])
    assert test.startswith(".venv/bin/python -m pytest")
    assert shlex.split(_ci_line("-m pytest")) == [test.split()[0].replace(".venv", "$venv"), *_quiet(test.split()[1:])]


def _quiet(words: list[str]) -> list[str]:
    at = words.index("pytest") + 1
    return [*words[:at], "-q", *words[at:]]


def _ci_line(part: str) -> str:
    lines = (page.REPOSITORY / ".ci" / "run").read_text().splitlines()
    return next(line for line in lines if line.startswith('"$venv') and part in line)


def _installed_by(command: str) -> tuple[str, list[str]]:
    """Return the constraints of a ``pip install``, and what it installs."""
    pip, *words = shlex.split(command)
    assert pip.endswith("/bin/pip")
    assert words[:3] == ["install", "-q", "-c"]
    assert (page.REPOSITORY / words[3]).is_file()
    return words[3], [word for word in words[4:] if word != "-e"]


def test_tools_are_there() -> None:
    """Every tool that the page names is there."""
    tools = set(re.findall(r"python -m tests\.(\w+)", README))
    for tool in tools:
        folder = page.REPOSITORY / "tests"
        assert (folder / tool / "__main__.py").is_file() or (folder / f"{tool}.py").is_file(), tool


# -- tables -----------------------------------------------------------------------------------------------------------


def test_words_of_the_variable() -> None:
    """The table of ``PEFT_STRICT`` has all words there are, each with its meaning."""
    *known, (anything, says) = page.rows(page.table_after(README, "| `PEFT_STRICT` |"))
    modes = {
        "off": None,
        "as `enable()`": (_standby.DEFAULT_INVALID, _standby.DEFAULT_MISFIT, _standby.DEFAULT_ROUNDTRIP),
        "report only; what PEFT itself cannot get past stays an error": ("warn", "warn", "warn"),
        "a report is an error, but for F2, L1 and N2, which stay warnings": ("raise", "raise", "raise"),
    }
    by_name, means = known.pop()
    assert _standby.parse_variable(by_name.strip("`")) == (("warn", "ignore", modes["as `enable()`"][2]), None)
    assert means == "these settings; those not named are as in `enable()`"
    listed = {}
    for words, meaning in known:
        found = re.findall(r"`(\w+)`", words) + ([""] if "empty" in words else [])
        listed.update(dict.fromkeys(found, modes[meaning]))
    every = (*_standby._OFF_WORDS, *_standby._ON_WORDS, *_standby._WARN_WORDS, *_standby._RAISE_WORDS)
    assert listed == {word: _standby.parse_variable(word)[0] for word in every}
    assert (anything, says) == ("anything else", "on, with a line on stderr")
    assert _standby.parse_variable("ture") == (modes["as `enable()`"], _standby.parse_variable("ture")[1])
    assert _standby.parse_variable("ture")[1]


def test_codes() -> None:
    """The table of codes has every code that a rule can give, with an anchor, and what each mode gives."""
    listed, mentioned = {}, page.table_after(README, "| code | what it says |")
    for code, _, warned, raised in page.rows(mentioned):
        anchor, name = re.fullmatch(r'<a id="(\w\d)"></a>(\w\d)', code).groups()
        assert anchor == name.lower()
        listed[name] = (warned.strip("`"), raised.strip("`"))
    misfits = [Misfit(code, "", "", None, None, "", "") for code, _ in rule._RULES]
    assert {each.code: listed.pop(each.code) for each in misfits} == {each.code: _reports(each) for each in misfits}
    rules = ("values/fields.py", "fit/unknown.py", "roundtrip/saved.py", "roundtrip/loaded.py")
    sources = "".join((page.REPOSITORY / "peft_strict" / name).read_text() for name in rules)
    assert set(listed) == set(re.findall(r'"([A-Z]\d)"', sources))


def _reports(misfit: Misfit) -> tuple[str, str]:
    if misfit.always_error:
        return ("InvalidTaskTypeError" if misfit.code == "M1" else "MisfitError"), "same"
    return "MisfitWarning", "MisfitWarning" if misfit.warn_only else "MisfitError"


# -- claims -----------------------------------------------------------------------------------------------------------


def test_what_plain_peft_does() -> None:
    """PEFT up to 0.13 takes the typo; later ones check constructors, 0.14 to 0.19 not of every class, and no more."""
    for release, met in ways_map.results().releases.items():
        silent = {name for name in met if ways_map.state(met[name], "plain") == "silent"}
        assert {"assignment", "peft-type-member"} <= silent, release
        assert ("positional" in silent) == (numbers(release) < (0, 14)), release
        assert ("keyword" in silent) == (numbers(release) < (0, 20)), release


def test_what_strict_does() -> None:
    """Every way in is refused on every release that has it."""
    met = [way for ways in ways_map.results().releases.values() for way in ways.values()]
    assert {ways_map.state(way, "strict") for way in met} == {"refused", "missing"}


def test_rows_of_the_matrix() -> None:
    """The table of the matrix says of each combination what the results say."""
    listed = {}
    for peft, transformers, wrapts, python, *counts in page.rows(page.table_after(README, "| PEFT | transformers |")):
        listed.update({(peft, transformers, wrapt, python): counts for wrapt in wrapts.split(", ")})
    found = {}
    for cell in json.loads(ways_map.RESULTS.read_text())["cells"]:
        if "ways" in cell:
            met = [way for way in cell["ways"].values() if "missing" not in way]
            silent = sum(way["plain"] == "silent" for way in met)
            passed = sum(way["strict"] != "refused" for way in met)
            wrapt = cell["wrapt"] + (" (pure Python)" if cell["pure_wrapt"] else "")
            counts = [len(met), silent, passed, cell["right_uses"], cell["hindered"], cell["moved"]]
            found[cell["peft"], cell["transformers"], wrapt, cell["python"].rpartition(".")[0]] = [
                str(count) for count in counts
            ]
    assert listed == found


# -- generated parts --------------------------------------------------------------------------------------------------


def test_no_section_is_empty() -> None:
    """Whatever is generated or measured stands there."""
    sections = re.findall(r"<!-- ([\w:-]+) -->\n(.*?)<!-- /\1 -->", README, re.DOTALL)
    assert len(sections) == README.count("<!-- /")
    assert [name for name, text in sections if not text.strip()] == []


def test_sections_are_current() -> None:
    """The generated tables are what the generators make of the installed PEFT and of the matrix."""
    assert generated.readme() == README, "python -m tests.readme --write"


def test_task_types_in_the_docstring() -> None:
    """The docstring of ``parse_task_type`` says of each task type what the installed PEFT says and does."""
    lines = parse.parse_task_type.__doc__.splitlines()
    items = "\n".join(line.strip() for line in lines).split("\n- ")[1:]
    items[-1] = items[-1].partition("\n\n")[0]
    assert ["- " + " ".join(item.split()) for item in items] == list(task_types.docstring_lines())


def test_terminal_is_current() -> None:
    """The picture at the top shows the first program and what it prints."""
    assert_current(terminal.pictures())


def test_map_is_current() -> None:
    """The map shows the results of the matrix."""
    assert_current(ways_map.pictures())


def assert_current(pictures: dict[str, str]) -> None:
    stale = [name for name, text in pictures.items() if not generated.is_current(generated.ASSETS / name, text)]
    assert stale == [], "python -m tests.readme --write"


def test_pictures_are_shown() -> None:
    """The page shows each picture there is, in both colour schemes."""
    shown = re.findall(r'"\.github/assets/([^"]+)"', README)
    assert sorted(shown) == sorted(path.name for path in generated.ASSETS.iterdir())
