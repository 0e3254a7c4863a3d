"""The work: two actors, their queues, and the sweeper. `dramatiq tasks` finds them here."""

from __future__ import annotations

from tasks.actors import generate_image, generate_model, queues
from tasks.worker import working

__all__ = ["generate_image", "generate_model", "queues", "working"]
