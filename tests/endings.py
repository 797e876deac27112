"""What is to be cleared up when the tests of this process are over."""

from __future__ import annotations

import atexit
import contextlib

# Closed by conftest as soon as the last test is done: pytest-xdist kills a worker that takes ten seconds to exit.
ENDINGS = contextlib.ExitStack()
atexit.register(ENDINGS.close)  # for what uses the helpers without pytest
