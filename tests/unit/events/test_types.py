"""The eight events as the contract has them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from events.bus import Deleted, Happened, Message
from events.status import ModelStage, RequestPhase, RequestStatus
from events.types import (
    EventData,
    ImageCompleted,
    ImageFailed,
    ImageGenerating,
    ModelCompleted,
    ModelFailed,
    ModelGenerating,
    ModelProgress,
    RequestEvent,
    TaskUpdated,
    decode_data,
    encode_data,
    payload,
    rfc3339,
)

THEN = datetime(2025, 12, 11, 12, 0, 0, 123_999, UTC)
WIRE_THEN = "2025-12-11T12:00:00.123Z"

# Name, data, and what a client is given beside requestId, sequence and occurredAt.
EIGHT: list[tuple[str, EventData, dict[str, object]]] = [
    (
        "image:generating",
        ImageGenerating("img_1", 2, "an owl 🦉"),
        {"imageId": "img_1", "index": 2, "prompt": "an owl 🦉"},
    ),
    (
        "image:completed",
        ImageCompleted("img_1", 2, "a/b.png", THEN),
        {"imageId": "img_1", "index": 2, "imageUrl": "https://files/a/b.png", "completedAt": WIRE_THEN},
    ),
    (
        "image:failed",
        ImageFailed("img_1", 2, "It was refused."),
        {"imageId": "img_1", "index": 2, "errorMessage": "It was refused."},
    ),
    (
        "task:updated",
        TaskUpdated(RequestStatus.MODEL_FAILED, RequestPhase.AWAITING_SELECTION),
        {"status": "MODEL_FAILED", "phase": "AWAITING_SELECTION"},
    ),
    ("model:generating", ModelGenerating("mdl_1", 3), {"modelId": "mdl_1", "imageIndex": 3}),
    (
        "model:progress",
        ModelProgress("mdl_1", 40, ModelStage.GENERATING, True),
        {"modelId": "mdl_1", "progress": 40, "stage": "GENERATING", "estimated": True},
    ),
    (
        "model:completed",
        ModelCompleted("mdl_1", "m.glb", "p.png", THEN),
        {
            "modelId": "mdl_1",
            "modelUrl": "https://files/m.glb",
            "previewImageUrl": "https://files/p.png",
            "completedAt": WIRE_THEN,
        },
    ),
    ("model:failed", ModelFailed("mdl_1", "It broke."), {"modelId": "mdl_1", "errorMessage": "It broke."}),
]


async def url_of(key: str) -> str:
    return f"https://files/{key}"


def event(data: EventData) -> RequestEvent:
    return RequestEvent("req_1", "ann", 7, THEN, data)


def test_there_are_eight():
    assert {type(data) for _, data, _ in EIGHT} == set(EventData.__args__)


@pytest.mark.parametrize(("name", "data", "given"), EIGHT, ids=[name for name, _, _ in EIGHT])
async def test_an_event_as_it_is_stored_and_given(name: str, data: EventData, given: dict[str, object]):
    assert event(data).name == name
    assert decode_data(encode_data(data)) == data
    assert msgspec.json.decode(encode_data(data))["name"] == name
    assert await payload(event(data), url_of) == {
        "requestId": "req_1",
        "sequence": 7,
        "occurredAt": WIRE_THEN,
        **given,
    }


@pytest.mark.parametrize(("name", "data", "given"), EIGHT, ids=[name for name, _, _ in EIGHT])
def test_an_event_is_broadcast_whole(name: str, data: EventData, given: dict[str, object]):
    message = Happened((event(data), event(data)))
    assert msgspec.json.decode(msgspec.json.encode(message), type=Message) == message


def test_a_deletion_is_broadcast():
    assert msgspec.json.decode(msgspec.json.encode(Deleted("req_1")), type=Message) == Deleted("req_1")


async def test_a_model_without_a_preview():
    given = await payload(event(ModelCompleted("mdl_1", "m.glb", None, THEN)), url_of)
    assert given["previewImageUrl"] is None


def test_no_url_and_no_secret_is_stored():
    for _, data, _ in EIGHT:
        assert "https://" not in encode_data(data)


def test_an_id_is_unique_within_all_requests():
    assert event(EIGHT[0][1]).id == "req_1.7"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (THEN, WIRE_THEN),
        (datetime(2025, 1, 2, 3, 4, 5, 0, UTC), "2025-01-02T03:04:05.000Z"),
        (datetime(2025, 1, 2, 3, 4, 5, 9_000, UTC), "2025-01-02T03:04:05.009Z"),
        (datetime(2025, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2024-12-31T23:00:00.000Z"),
    ],
)
def test_moments_are_rfc_3339_with_milliseconds(moment: datetime, text: str):
    assert rfc3339(moment) == text
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
