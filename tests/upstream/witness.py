"""A pytest plugin that writes down what peft-strict guarded while the session ran."""

from __future__ import annotations

import json
import os
import pathlib
import sys


def pytest_sessionfinish() -> None:
    status = sys.modules["peft_strict"].status().to_dict() if "peft_strict" in sys.modules else {"state": "absent"}
    pathlib.Path(os.environ["PEFT_STRICT_WITNESS"]).write_text(json.dumps(status))
