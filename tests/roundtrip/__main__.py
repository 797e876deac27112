"""``python -m tests.roundtrip``: 0 reports on good adapters of every method.

Makes the adapters of PEFT's own test cases, trains them a step, saves and loads each in every way, and compares the
files with those that PEFT writes without peft-strict.

Examples:
    python -m tests.roundtrip                  # every case, some 3 minutes
    python -m tests.roundtrip --sample         # one of each method: what CI runs
    python -m tests.roundtrip --peft 0.13.2    # an older release
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
from typing import Any, Optional

from ..upstream.compare import installed_copy, source_tests


def run(*, sample: bool, version: Optional[str] = None) -> dict[str, Any]:
    """Run the cases of a release in a process of their own and return what it printed."""
    installed = importlib.metadata.version("peft")
    version = version or installed
    path = [str(source_tests("peft", version))]
    if version != installed:
        path.append(str(installed_copy("peft", version)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "HF_HUB_OFFLINE": "1"}
    environment.pop("PEFT_STRICT", None)
    worker = pathlib.Path(__file__).with_name("good_adapters.py")
    command = [sys.executable, str(worker), *(["--sample"] if sample else [])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Run, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.roundtrip", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sample", action="store_true", help="one adapter of each method")
    parser.add_argument("--peft", metavar="VERSION", help="the PEFT release (default: the installed one)")
    options = parser.parse_args()
    found = run(sample=options.sample, version=options.peft)
    counts = found["adapters"]
    print(f"{sum(counts.values())} adapters of {len(counts)} methods: {len(found['reports'])} reports")
    for line in found["reports"]:
        print(f"  {line}")
    for line in found["failures"]:
        print(f"  could not be made: {line}")
    return 1 if found["reports"] else 0


if __name__ == "__main__":
    sys.exit(main())
