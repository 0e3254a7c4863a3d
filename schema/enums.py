"""The enums of the API: those of the program, with words for each value."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import strawberry

from db.refusal import Refusal
from events.outcome import FailureCode, ModelFormat, PrintIssueCode
from events.status import ImageStatus, JobStatus, ModelStage, ModelStatus, RequestPhase, RequestStatus


def _described(enum: type[StrEnum], description: str, values: Mapping[str, str], name: str | None = None) -> Any:
    """Declare an enum; every value must have its description, and no other."""
    if set(values) != set(enum.__members__):
        raise TypeError(f"{enum.__name__}: descriptions and values differ: {set(values) ^ set(enum.__members__)}")
    declared: Any = strawberry.enum(enum, name=name, description=description)
    for value in declared.__strawberry_definition__.values:
        value.description = values[value.name]
    return declared


_described(
    RequestPhase,
    "Whose turn it is, and at what.",
    {
        "IMAGE_GENERATION": "The four images are under way.",
        "AWAITING_SELECTION": "It is the user's turn: select an image, or retry a failed one.",
        "MODEL_GENERATION": "The selected image is being made into a model.",
        "COMPLETED": "A model is there. Another image may still be selected.",
        "CANCELLED": "The user cancelled; nothing is under way any more.",
    },
)
_described(
    RequestStatus,
    "Where a request stands, in detail.",
    {
        "IMAGE_PENDING": "No image is started yet.",
        "IMAGE_GENERATING": "Images are being drawn.",
        "IMAGE_COMPLETED": "All four images have ended, and one at least is completed.",
        "IMAGE_FAILED": "All four images have failed; each can be retried.",
        "MODEL_PENDING": "An image is selected; its model is not started yet.",
        "MODEL_GENERATING": "The model is being made.",
        "MODEL_COMPLETED": "The model is there.",
        "MODEL_FAILED": "The model failed; an image can be selected again.",
        "CANCELLED": "The user cancelled.",
    },
)
_described(
    ImageStatus,
    "Where an image stands.",
    {
        "PENDING": "Not started yet.",
        "GENERATING": "Being drawn, or waiting for another attempt.",
        "COMPLETED": "Drawn and stored; it can be selected.",
        "FAILED": "Given up; it can be retried.",
        "CANCELLED": "Cancelled with its request.",
    },
)
_described(
    ModelStatus,
    "Where a model stands.",
    {
        "PENDING": "Not started yet.",
        "GENERATING": "Being made, or waiting for another attempt.",
        "COMPLETED": "Made; its files are there.",
        "FAILED": "Given up; an image can be selected again.",
        "CANCELLED": "Cancelled with its request.",
    },
)
_described(
    ModelStage,
    "What is being done for a model.",
    {
        "QUEUED": "It waits for a worker.",
        "GENERATING": "The provider makes it.",
        "DOWNLOADING": "The provider's result is fetched.",
        "PREPARING": "It is scaled, turned, repaired and measured for printing.",
        "UPLOADING": "Its files are stored.",
    },
)
_described(
    JobStatus,
    "Where a job stands.",
    {
        "PENDING": "It waits: for a worker, or for its next attempt.",
        "RUNNING": "A worker has it in hand.",
        "COMPLETED": "Done.",
        "FAILED": "Given up.",
        "CANCELLED": "Cancelled with its request.",
    },
)
_described(
    FailureCode,
    "Why something failed.",
    {
        "PROVIDER_UNAVAILABLE": "The provider did not answer, or not sensibly.",
        "PROVIDER_BUSY": "The provider has too much to do; the job waits its turn.",
        "PROVIDER_REJECTED": "The provider will not do this.",
        "CONTENT_REJECTED": "The provider's rules forbid the content: change the prompt.",
        "PROVIDER_MISCONFIGURED": "The operator has to mend the provider's keys, rights or credit.",
        "OUTCOME_UNKNOWN": "The provider was asked, and nobody knows whether it did the work, or billed it.",
        "TIMED_OUT": "It took longer than its deadline.",
        "BAD_OUTPUT": "The provider delivered something that cannot be used.",
        "STORAGE_UNAVAILABLE": "The files could not be stored or read.",
        "INTERNAL": "A fault of this program; its log says more.",
    },
)
_described(
    ModelFormat,
    "A file format of a model.",
    {
        "GLB": "glTF, binary: metres, Y up. For viewers.",
        "OBJ": "Wavefront OBJ: millimetres, Z up.",
        "STL": "STL, binary: millimetres, Z up. For slicers.",
        "THREE_MF": "3MF: millimetres, Z up. For slicers.",
    },
)
_described(
    PrintIssueCode,
    "What stands in the way of a good print.",
    {
        "NOT_WATERTIGHT": "The surface has holes.",
        "NON_MANIFOLD": "More than two faces meet at an edge.",
        "MULTIPLE_BODIES": "It falls into several bodies.",
        "DEGENERATE_FACES": "Faces without an area.",
        "THIN_WALLS": "Walls too thin to print.",
        "TOO_LARGE": "Larger than common printers.",
        "EMPTY": "Nothing to print.",
    },
)
_described(
    Refusal,
    "What the caller can mend.",
    {
        "INVALID_INPUT": "A value is out of its bounds.",
        "NOT_FOUND": "There is no such thing, or it is another user's.",
        "IMAGE_NOT_READY": "Only a completed image can be selected.",
        "MODEL_IN_PROGRESS": "A model is being made already.",
        "IMAGE_NOT_FAILED": "Only a failed image can be retried.",
        "REQUEST_CANCELLED": "The request is cancelled.",
        "ALREADY_FINISHED": "There is nothing left to cancel.",
        "IDEMPOTENCY_CONFLICT": "The key was used with another input.",
        "QUOTA_EXCEEDED": "Too many requests are under way.",
    },
    name="UserErrorCode",
)
