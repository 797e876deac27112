"""``python -m tests.fit``: what the marks tell of every model class of transformers; takes half an hour."""

from __future__ import annotations

import logging
import sys
import warnings

import transformers

from .all_classes import CannotBuild, classes, wrongly_new


def main() -> int:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    transformers.utils.logging.disable_progress_bar()
    counts = dict.fromkeys(("whole", "with something new", "wrong", "not built"), 0)
    for name, model_type in classes().items():
        for own in (True, False):
            try:
                wrong, new = wrongly_new(name, model_type, own=own)
            except CannotBuild:
                counts["not built"] += 1
                continue
            counts["wrong" if wrong else "with something new" if new else "whole"] += 1
            if wrong:
                print(f"{name} ({'its own' if own else 'a base'} checkpoint): {', '.join(wrong)} is not new")
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    return int(bool(counts["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
