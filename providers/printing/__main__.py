"""The child process that prepares one file: `python -m providers.printing SOURCE SIZE_MM FOLDER SECONDS`."""

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
    source, size_mm, folder, seconds = sys.argv[1:]
    _bound("RLIMIT_AS", MEMORY_BYTES)
    _bound("RLIMIT_CPU", int(seconds))
    # What goes over a bound leaves no gigabytes in a core file.
    _bound("RLIMIT_CORE", 0)
    # Loaded under the bound: numpy's own start counts as well.
    child = importlib.import_module("providers.printing.child")
    sys.stdout.buffer.write(msgspec.json.encode(child.answer(Path(source), float(size_mm), Path(folder))))


def _end_with_parent() -> None:
    # Nothing is ever written to it: it ends when the parent closes it, or dies.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _bound(name: str, most: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        # Windows has no such module, and macOS refuses the bound on memory.
        resource = importlib.import_module("resource")
        kind = getattr(resource, name)
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


if __name__ == "__main__":
    main()
