"""What sets one figure of a kind apart from another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from providers.images.clay import Clay


@dataclass(frozen=True, slots=True)
class Character:
    """How this picture's figure differs from the others of its kind. `random` is the prompt's own."""

    random: np.random.Generator
    eyes: float = 1.0

    def between(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))


Figure = Callable[[Clay, Character], None]
