"""What the build of torch at hand can: Debian's, which the tests use on CPython 3.14, lacks some parts."""

from __future__ import annotations

import importlib.util

import pytest
from torch.distributed import TCPStore


def _has_libuv() -> bool:
    try:
        TCPStore("127.0.0.1", 0, 1, True, use_libuv=True)
    except RuntimeError:
        return False
    return True


COMPILES = importlib.util.find_spec("functorch") is not None

compiles = pytest.mark.skipif(not COMPILES, reason="this build of torch has no functorch, so torch.compile fails")
launches = pytest.mark.skipif(not _has_libuv(), reason="this build of torch has no libuv, so its launchers fail")
