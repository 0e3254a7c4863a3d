"""Why a verb does not do what a user asked: what the user can mend. Nothing was changed then."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    IMAGE_NOT_READY = "IMAGE_NOT_READY"
    MODEL_IN_PROGRESS = "MODEL_IN_PROGRESS"
    IMAGE_NOT_FAILED = "IMAGE_NOT_FAILED"
    REQUEST_CANCELLED = "REQUEST_CANCELLED"
    ALREADY_FINISHED = "ALREADY_FINISHED"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"


class Refused(Exception):
    """`message` is for the user and says what to do; `field` is the path into the input."""

    def __init__(self, refusal: Refusal, message: str, field: tuple[str, ...] | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message
        self.field = field
