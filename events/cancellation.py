"""Cancellations that get lost on the way.

Before Python 3.12 `wait_for`, by which redis-py writes, may swallow one (python/cpython#86296).
"""

from __future__ import annotations

import asyncio


def is_cancelled() -> bool:
    """Whether the running task was told to end. Who goes round for ever asks before each round."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
