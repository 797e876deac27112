"""``python -m tests.readme``: compare the generated parts with what is there, or write them."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

from . import generated


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.readme", description=sys.modules[__package__].__doc__)
    parser.add_argument("--write", action="store_true", help="write what differs")
    is_writing = parser.parse_args().write
    stale = {path: text for path, text in generated.files().items() if not generated.is_current(path, text)}
    for path, text in stale.items():
        if is_writing:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(generated.REPOSITORY)}")
        else:
            sys.stdout.writelines(_difference(path, text))
    return int(bool(stale) and not is_writing)


def _difference(path: Path, text: str) -> Iterator[str]:
    name = str(path.relative_to(generated.REPOSITORY))
    before = path.read_text() if path.exists() else ""
    return difflib.unified_diff(before.splitlines(True), text.splitlines(True), name, f"{name} (now)")


if __name__ == "__main__":
    sys.exit(main())
