"""The event types of the API, each made from a row of the log."""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_never

import strawberry

from events import types as log
from events.status import ModelStage, RequestPhase, RequestStatus
from schema.context import Info
from schema.types import GeneratedImage, GenerationRequest, Model, image_of, model_of, request_of


@strawberry.interface(description="One of the eight. `name` is the wire name, the same as the SSE `event:` field.")
class RequestEvent:
    row: strawberry.Private[log.RequestEvent]
    id: strawberry.ID = strawberry.field(description="Opaque, unique.")
    sequence: int = strawberry.field(description="1, 2, 3 … within its request, without a gap: the cursor.")
    name: str = strawberry.field(description="The wire name, such as `image:completed`.")
    request_id: strawberry.ID = strawberry.field(description="The request that it belongs to.")
    occurred_at: datetime = strawberry.field(description="When it happened.")

    @strawberry.field(description="The request as it is now.")
    async def request(self, info: Info) -> GenerationRequest:
        return await request_of(info, self.row.request_id)


IMAGE_ID = "The image."
INDEX = "The image's index, 0 to 3."
MODEL_ID = "The model."
IMAGE = "The image as it is now."
MODEL = "The model as it is now."


@strawberry.type(description="`image:generating`: an image is being drawn.")
class ImageGenerating(RequestEvent):
    image_id: strawberry.ID = strawberry.field(description=IMAGE_ID)
    index: int = strawberry.field(description=INDEX)
    prompt: str = strawberry.field(description="What the image provider is given.")

    @strawberry.field(description=IMAGE)
    async def image(self, info: Info) -> GeneratedImage:
        return await image_of(info, self.image_id)


@strawberry.type(description="`image:completed`: an image is there, and can be selected.")
class ImageCompleted(RequestEvent):
    key: strawberry.Private[str]
    image_id: strawberry.ID = strawberry.field(description=IMAGE_ID)
    index: int = strawberry.field(description=INDEX)
    completed_at: datetime = strawberry.field(description="When it was completed.")

    @strawberry.field(description="Where the picture is. The link may expire; ask again.")
    async def image_url(self, info: Info) -> str:
        return await info.context.url_of(self.key)

    @strawberry.field(description=IMAGE)
    async def image(self, info: Info) -> GeneratedImage:
        return await image_of(info, self.image_id)


@strawberry.type(description="`image:failed`: an image was given up.")
class ImageFailed(RequestEvent):
    image_id: strawberry.ID = strawberry.field(description=IMAGE_ID)
    index: int = strawberry.field(description=INDEX)
    error_message: str = strawberry.field(description="Why, for people.")

    @strawberry.field(description=IMAGE)
    async def image(self, info: Info) -> GeneratedImage:
        return await image_of(info, self.image_id)


@strawberry.type(description="`task:updated`: the request's status or phase changed.")
class TaskUpdated(RequestEvent):
    status: RequestStatus = strawberry.field(description="The status that it changed to.")
    phase: RequestPhase = strawberry.field(description="The phase that it changed to.")


@strawberry.type(description="`model:generating`: a model is being made.")
class ModelGenerating(RequestEvent):
    model_id: strawberry.ID = strawberry.field(description=MODEL_ID)
    image_index: int = strawberry.field(description="The selected image's index, 0 to 3.")

    @strawberry.field(description=MODEL)
    async def model(self, info: Info) -> Model:
        return await model_of(info, self.model_id)


@strawberry.type(description="`model:progress`: how far a model is; by default, once a second at most.")
class ModelProgress(RequestEvent):
    model_id: strawberry.ID = strawberry.field(description=MODEL_ID)
    progress: int = strawberry.field(description="0 to 100, never falling.")
    stage: ModelStage = strawberry.field(
        description="What is being done. It may go back where another worker goes on; `progress` does not."
    )
    estimated: bool = strawberry.field(description="Whether the figure is our estimate, for want of the provider's.")

    @strawberry.field(description=MODEL)
    async def model(self, info: Info) -> Model:
        return await model_of(info, self.model_id)


@strawberry.type(description="`model:completed`: a model is there.")
class ModelCompleted(RequestEvent):
    key: strawberry.Private[str]
    preview_key: strawberry.Private[str | None]
    model_id: strawberry.ID = strawberry.field(description=MODEL_ID)
    completed_at: datetime = strawberry.field(description="When it was completed.")

    @strawberry.field(description="Where its GLB is. The link may expire; ask again.")
    async def model_url(self, info: Info) -> str:
        return await info.context.url_of(self.key)

    @strawberry.field(description="Where its preview is. The link may expire; ask again.")
    async def preview_image_url(self, info: Info) -> str | None:
        return await info.context.url_of(self.preview_key) if self.preview_key else None

    @strawberry.field(description=MODEL)
    async def model(self, info: Info) -> Model:
        return await model_of(info, self.model_id)


@strawberry.type(description="`model:failed`: a model was given up.")
class ModelFailed(RequestEvent):
    model_id: strawberry.ID = strawberry.field(description=MODEL_ID)
    error_message: str = strawberry.field(description="Why, for people.")

    @strawberry.field(description=MODEL)
    async def model(self, info: Info) -> Model:
        return await model_of(info, self.model_id)


EVENT_TYPES = (
    ImageGenerating,
    ImageCompleted,
    ImageFailed,
    TaskUpdated,
    ModelGenerating,
    ModelProgress,
    ModelCompleted,
    ModelFailed,
)


def event_of(row: log.RequestEvent) -> RequestEvent:
    """The API's object for a row of the log."""
    envelope: dict[str, Any] = {
        "row": row,
        "id": row.id,
        "sequence": row.sequence,
        "name": row.name,
        "request_id": row.request_id,
        "occurred_at": row.occurred_at,
    }
    data = row.data
    match data:
        case log.ImageGenerating(image_id, index, prompt):
            return ImageGenerating(**envelope, image_id=strawberry.ID(image_id), index=index, prompt=prompt)
        case log.ImageCompleted(image_id, index, key, completed_at):
            return ImageCompleted(
                **envelope, image_id=strawberry.ID(image_id), index=index, key=key, completed_at=completed_at
            )
        case log.ImageFailed(image_id, index, message):
            return ImageFailed(**envelope, image_id=strawberry.ID(image_id), index=index, error_message=message)
        case log.TaskUpdated(status, phase):
            return TaskUpdated(**envelope, status=status, phase=phase)
        case log.ModelGenerating(model_id, image_index):
            return ModelGenerating(**envelope, model_id=strawberry.ID(model_id), image_index=image_index)
        case log.ModelProgress(model_id, progress, stage, estimated):
            return ModelProgress(
                **envelope, model_id=strawberry.ID(model_id), progress=progress, stage=stage, estimated=estimated
            )
        case log.ModelCompleted(model_id, key, preview_key, completed_at):
            return ModelCompleted(
                **envelope,
                model_id=strawberry.ID(model_id),
                key=key,
                preview_key=preview_key,
                completed_at=completed_at,
            )
        case log.ModelFailed(model_id, message):
            return ModelFailed(**envelope, model_id=strawberry.ID(model_id), error_message=message)
        case _:
            assert_never(data)
