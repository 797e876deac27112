"""``python -m tests.covered``: which lines and branches of the package the tests reach, in all their processes.

Takes three times as long as the tests alone. Words behind the command go to pytest: ``python -m tests.covered
tests/values/test_rule.py``. What a test takes away from a process (a disk with room, the right to write) it must give
back before that ends: the measurement writes then.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from . import interpreters

# `_exit` and `execv`: forked children and `peft-strict run` end by those, and would not save what they have counted.
_SETTINGS = """
[run]
branch = true
parallel = true
source_pkgs = peft_strict
data_file = {folder}/data
patch = _exit, execv
sigterm = true

[paths]
package =
    {repository}/peft_strict
    */site-packages/peft_strict
    */source/peft_strict

[report]
show_missing = true
skip_covered = true
precision = 1
fail_under = 100
exclude_also =
    if TYPE_CHECKING:
    if __name__ == "__main__":
    @overload
"""


def main() -> int:
    """Run the tests, then print what they did not reach."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "coveragerc")
        settings.write_text(_SETTINGS.format(folder=folder, repository=interpreters.REPOSITORY))
        environment = {**os.environ, interpreters.MEASURE: str(settings)}
        tests = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", *sys.argv[1:]]
        subprocess.run(tests, env=environment, cwd=interpreters.REPOSITORY, check=False)
        coverage = [sys.executable, "-m", "coverage"]
        subprocess.run([*coverage, "combine", "-q", f"--rcfile={settings}"], check=True)
        return subprocess.run([*coverage, "report", f"--rcfile={settings}"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
