"""What the end of a job leaves behind: why it failed, or how well the model prints."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class FailureCode(StrEnum):
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    PROVIDER_BUSY = "PROVIDER_BUSY"
    PROVIDER_REJECTED = "PROVIDER_REJECTED"
    CONTENT_REJECTED = "CONTENT_REJECTED"
    PROVIDER_MISCONFIGURED = "PROVIDER_MISCONFIGURED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    TIMED_OUT = "TIMED_OUT"
    BAD_OUTPUT = "BAD_OUTPUT"
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    INTERNAL = "INTERNAL"


class Failure(msgspec.Struct, frozen=True):
    """Why a job, or one attempt of it, failed. `message` is for the user and holds nothing secret."""

    code: FailureCode
    message: str
    retryable: bool
    provider_code: str | None = None
    provider_request_id: str | None = None


class ModelFormat(StrEnum):
    GLB = "GLB"
    OBJ = "OBJ"
    STL = "STL"
    THREE_MF = "THREE_MF"


class PrintIssueCode(StrEnum):
    NOT_WATERTIGHT = "NOT_WATERTIGHT"
    NON_MANIFOLD = "NON_MANIFOLD"
    MULTIPLE_BODIES = "MULTIPLE_BODIES"
    DEGENERATE_FACES = "DEGENERATE_FACES"
    THIN_WALLS = "THIN_WALLS"
    TOO_LARGE = "TOO_LARGE"
    EMPTY = "EMPTY"


class PrintIssue(msgspec.Struct, frozen=True):
    code: PrintIssueCode
    message: str


class PrintReport(msgspec.Struct, frozen=True):
    """Measured on the mesh as it will be printed: millimetres, Z up, resting on the bed.

    `volume_cm3` is None where the mesh encloses no volume.
    """

    printable: bool
    watertight: bool
    width_mm: float
    depth_mm: float
    height_mm: float
    volume_cm3: float | None
    triangle_count: int
    body_count: int
    issues: tuple[PrintIssue, ...] = ()
