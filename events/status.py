"""The states of a request and its parts, and the moves between them that are legal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)


class RequestPhase(StrEnum):
    IMAGE_GENERATION = "IMAGE_GENERATION"
    AWAITING_SELECTION = "AWAITING_SELECTION"
    MODEL_GENERATION = "MODEL_GENERATION"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


class RequestStatus(StrEnum):
    IMAGE_PENDING = "IMAGE_PENDING"
    IMAGE_GENERATING = "IMAGE_GENERATING"
    IMAGE_COMPLETED = "IMAGE_COMPLETED"
    IMAGE_FAILED = "IMAGE_FAILED"
    MODEL_PENDING = "MODEL_PENDING"
    MODEL_GENERATING = "MODEL_GENERATING"
    MODEL_COMPLETED = "MODEL_COMPLETED"
    MODEL_FAILED = "MODEL_FAILED"
    CANCELLED = "CANCELLED"

    @property
    def phase(self) -> RequestPhase:
        return PHASES[self]


class ImageStatus(StrEnum):
    PENDING = "PENDING"
    GENERATING = "GENERATING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ModelStatus(StrEnum):
    PENDING = "PENDING"
    GENERATING = "GENERATING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class JobStatus(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ModelStage(StrEnum):
    QUEUED = "QUEUED"
    GENERATING = "GENERATING"
    DOWNLOADING = "DOWNLOADING"
    PREPARING = "PREPARING"
    UPLOADING = "UPLOADING"


class IllegalMove(Exception):
    """A verb tried a move that the table of legal moves does not have: a fault of the program."""


PHASES: Mapping[RequestStatus, RequestPhase] = {
    RequestStatus.IMAGE_PENDING: RequestPhase.IMAGE_GENERATION,
    RequestStatus.IMAGE_GENERATING: RequestPhase.IMAGE_GENERATION,
    RequestStatus.IMAGE_COMPLETED: RequestPhase.AWAITING_SELECTION,
    # All four failed: nothing is under way, and it is the user's turn to retry an image or to leave.
    RequestStatus.IMAGE_FAILED: RequestPhase.AWAITING_SELECTION,
    RequestStatus.MODEL_PENDING: RequestPhase.MODEL_GENERATION,
    RequestStatus.MODEL_GENERATING: RequestPhase.MODEL_GENERATION,
    RequestStatus.MODEL_COMPLETED: RequestPhase.COMPLETED,
    RequestStatus.MODEL_FAILED: RequestPhase.AWAITING_SELECTION,
    RequestStatus.CANCELLED: RequestPhase.CANCELLED,
}

REQUEST_MOVES: Mapping[RequestStatus, frozenset[RequestStatus]] = {
    RequestStatus.IMAGE_PENDING: frozenset(
        {
            RequestStatus.IMAGE_GENERATING,
            # An image was tried again, and another one is selected before that has started.
            RequestStatus.MODEL_PENDING,
            RequestStatus.CANCELLED,
        }
    ),
    RequestStatus.IMAGE_GENERATING: frozenset(
        {
            RequestStatus.IMAGE_COMPLETED,
            RequestStatus.IMAGE_FAILED,
            RequestStatus.MODEL_PENDING,
            RequestStatus.CANCELLED,
        }
    ),
    RequestStatus.IMAGE_COMPLETED: frozenset(
        {RequestStatus.IMAGE_PENDING, RequestStatus.MODEL_PENDING, RequestStatus.CANCELLED}
    ),
    RequestStatus.IMAGE_FAILED: frozenset({RequestStatus.IMAGE_PENDING, RequestStatus.CANCELLED}),
    RequestStatus.MODEL_PENDING: frozenset({RequestStatus.MODEL_GENERATING, RequestStatus.CANCELLED}),
    RequestStatus.MODEL_GENERATING: frozenset(
        {RequestStatus.MODEL_COMPLETED, RequestStatus.MODEL_FAILED, RequestStatus.CANCELLED}
    ),
    RequestStatus.MODEL_COMPLETED: frozenset({RequestStatus.MODEL_PENDING}),
    RequestStatus.MODEL_FAILED: frozenset({RequestStatus.MODEL_PENDING, RequestStatus.CANCELLED}),
    RequestStatus.CANCELLED: frozenset(),
}

IMAGE_MOVES: Mapping[ImageStatus, frozenset[ImageStatus]] = {
    ImageStatus.PENDING: frozenset({ImageStatus.GENERATING, ImageStatus.CANCELLED}),
    ImageStatus.GENERATING: frozenset({ImageStatus.COMPLETED, ImageStatus.FAILED, ImageStatus.CANCELLED}),
    ImageStatus.COMPLETED: frozenset(),
    ImageStatus.FAILED: frozenset({ImageStatus.PENDING}),
    ImageStatus.CANCELLED: frozenset(),
}

MODEL_MOVES: Mapping[ModelStatus, frozenset[ModelStatus]] = {
    ModelStatus.PENDING: frozenset({ModelStatus.GENERATING, ModelStatus.CANCELLED}),
    ModelStatus.GENERATING: frozenset({ModelStatus.COMPLETED, ModelStatus.FAILED, ModelStatus.CANCELLED}),
    ModelStatus.COMPLETED: frozenset(),
    ModelStatus.FAILED: frozenset(),
    ModelStatus.CANCELLED: frozenset(),
}

JOB_MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED}),
    JobStatus.RUNNING: frozenset({JobStatus.PENDING, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset({JobStatus.PENDING}),
    JobStatus.CANCELLED: frozenset(),
}


def check_move(moves: Mapping[S, Collection[S]], old: S, new: S, what: object) -> None:
    """Raise `IllegalMove` unless `what` may go from one status to the other."""
    if new not in moves[old]:
        raise IllegalMove(f"{what}: {old} to {new}")
