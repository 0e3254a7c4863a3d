"""The eight event types, how they are stored, and what a client is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, assert_never

import msgspec

from events.status import ModelStage, RequestPhase, RequestStatus

UrlOf = Callable[[str], Awaitable[str]]
"""Makes the URL of a stored file from its key."""


class _Data(msgspec.Struct, frozen=True, tag_field="name", rename="camel"):
    """What an event tells, beside its envelope. Files are kept as storage keys: URLs expire, keys do not."""


class ImageGenerating(_Data, frozen=True, tag="image:generating"):
    image_id: str
    index: int
    prompt: str


class ImageCompleted(_Data, frozen=True, tag="image:completed"):
    image_id: str
    index: int
    image_key: str
    completed_at: datetime


class ImageFailed(_Data, frozen=True, tag="image:failed"):
    image_id: str
    index: int
    error_message: str


class TaskUpdated(_Data, frozen=True, tag="task:updated"):
    status: RequestStatus
    phase: RequestPhase


class ModelGenerating(_Data, frozen=True, tag="model:generating"):
    model_id: str
    image_index: int


class ModelProgress(_Data, frozen=True, tag="model:progress"):
    model_id: str
    progress: int
    stage: ModelStage
    estimated: bool


class ModelCompleted(_Data, frozen=True, tag="model:completed"):
    model_id: str
    model_key: str
    preview_key: str | None
    completed_at: datetime


class ModelFailed(_Data, frozen=True, tag="model:failed"):
    model_id: str
    error_message: str


EventData = (
    ImageGenerating
    | ImageCompleted
    | ImageFailed
    | TaskUpdated
    | ModelGenerating
    | ModelProgress
    | ModelCompleted
    | ModelFailed
)


class RequestEvent(msgspec.Struct, frozen=True):
    """One event as it stands in the log: numbered within its request from 1, without a gap."""

    request_id: str
    user_id: str
    sequence: int
    occurred_at: datetime
    data: EventData

    @property
    def id(self) -> str:
        return f"{self.request_id}.{self.sequence}"

    @property
    def name(self) -> str:
        """The wire name, such as `image:completed`."""
        return str(self.data.__struct_config__.tag)


_decoder: msgspec.json.Decoder[EventData] = msgspec.json.Decoder(EventData)


def encode_data(data: EventData) -> str:
    """The column `data` of an event's row."""
    return msgspec.json.encode(data).decode()


def decode_data(text: str) -> EventData:
    return _decoder.decode(text)


def rfc3339(moment: datetime) -> str:
    """RFC 3339, UTC, milliseconds: `2025-12-11T12:00:00.000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


async def payload(event: RequestEvent, url_of: UrlOf) -> dict[str, Any]:
    """The `data` of an event as a client of the SSE stream gets it."""
    return {
        "requestId": event.request_id,
        "sequence": event.sequence,
        "occurredAt": rfc3339(event.occurred_at),
        **await _fields(event.data, url_of),
    }


async def _fields(data: EventData, url_of: UrlOf) -> dict[str, Any]:
    match data:
        case ImageGenerating():
            return {"imageId": data.image_id, "index": data.index, "prompt": data.prompt}
        case ImageCompleted():
            return {
                "imageId": data.image_id,
                "index": data.index,
                "imageUrl": await url_of(data.image_key),
                "completedAt": rfc3339(data.completed_at),
            }
        case ImageFailed():
            return {"imageId": data.image_id, "index": data.index, "errorMessage": data.error_message}
        case TaskUpdated():
            return {"status": data.status.value, "phase": data.phase.value}
        case ModelGenerating():
            return {"modelId": data.model_id, "imageIndex": data.image_index}
        case ModelProgress():
            return {
                "modelId": data.model_id,
                "progress": data.progress,
                "stage": data.stage.value,
                "estimated": data.estimated,
            }
        case ModelCompleted():
            return {
                "modelId": data.model_id,
                "modelUrl": await url_of(data.model_key),
                "previewImageUrl": await url_of(data.preview_key) if data.preview_key else None,
                "completedAt": rfc3339(data.completed_at),
            }
        case ModelFailed():
            return {"modelId": data.model_id, "errorMessage": data.error_message}
        case _:
            assert_never(data)
