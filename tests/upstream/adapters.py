"""``python -m tests.upstream.adapters``: what ``check`` says of adapters made from all of PEFT's own test cases.

Some 490 adapters of 39 methods, as if they had been trained: there must be nothing to say. It takes a minute or two.
tests/roundtrip/test_adapters.py does the same with one adapter of each method.
"""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import subprocess
import sys
import tempfile

from .. import command_line
from .compare import source_tests


def main() -> int:
    """Make the adapters, check them, and say how many there are of which something was said."""
    tests = source_tests("peft", importlib.metadata.version("peft"))
    with tempfile.TemporaryDirectory() as folder:
        maker = pathlib.Path(__file__).with_name("make_adapters.py")
        command = [sys.executable, str(maker), str(tests), folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        made = json.loads(done.stdout)
        checked = json.loads(command_line.peft_strict("check", "--values", "--json", folder).stdout)
        methods = {json.loads(path.read_text())["peft_type"] for path in pathlib.Path(folder).rglob("*_config.json")}
    for reason in made["refused"]:
        print(f"not made: {reason}")
    for told in [*checked["weights"], *checked["statements"], *checked["problems"], *checked["findings"]]:
        print(told)
    said = {told["file"] for key in ("weights", "statements", "problems", "findings") for told in checked[key]}
    print(f"{made['made']} adapters of {len(methods)} methods, {checked['files']} checked, {len(said)} with a remark")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
