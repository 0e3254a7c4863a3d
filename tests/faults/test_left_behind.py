"""What a worker that was killed leaves behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tasks.scratch import KEPT_SECONDS
from tests.working import bench


def test_a_worker_that_starts_removes_old_folders_of_killed_ones(tmp_path: Path) -> None:
    old, young = (tmp_path / "work" / name for name in ("model-old", "model-young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "source").write_bytes(b"mesh")
    past = time.time() - KEPT_SECONDS - 60
    os.utime(old, (past, past))
    with bench(tmp_path):
        assert list((tmp_path / "work").iterdir()) == [young]
