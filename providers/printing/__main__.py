"""The child process that prepares one file: `python -m providers.printing SOURCE SIZE_MM FOLDER`."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from pathlib import Path

import msgspec

MEMORY_BYTES = 2 << 30


def main() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _bound_memory()
    source, size_mm, folder = sys.argv[1:]
    # Loaded under the bound: numpy's own start counts as well.
    child = importlib.import_module("providers.printing.child")
    sys.stdout.buffer.write(msgspec.json.encode(child.answer(Path(source), float(size_mm), Path(folder))))


def _end_with_parent() -> None:
    # Nothing is ever written to it: it ends when the parent closes it, or dies.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _bound_memory() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        # Windows has no such module, and macOS refuses the bound.
        resource = importlib.import_module("resource")
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    main()
