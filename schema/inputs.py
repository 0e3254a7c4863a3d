"""What the mutations take."""

from __future__ import annotations

import strawberry

from events.status import RequestPhase, RequestStatus


@strawberry.input(description="What `createRequest` takes.")
class CreateRequestInput:
    prompt: str = strawberry.field(description="1 to 2,000 characters after trimming.")
    optimize_prompt: bool = strawberry.field(default=True, description="Whether to improve the prompt for 3D printing.")
    idempotency_key: str | None = strawberry.field(
        default=None,
        description="The same key and input by the same user gives the same request, not a second one. "
        "1 to 128 characters.",
    )


@strawberry.input(description="What `selectImage` takes.")
class SelectImageInput:
    request_id: strawberry.ID = strawberry.field(description="The request.")
    index: int = strawberry.field(description="The image's index, 0 to 3.")
    size_mm: float = strawberry.field(
        default=100, description="The printed object's longest side, in millimetres: 1 to 2,000."
    )


@strawberry.input(description="What `retryImage` takes.")
class RetryImageInput:
    image_id: strawberry.ID = strawberry.field(description="The image.")


@strawberry.input(description="What `cancelRequest` takes.")
class CancelRequestInput:
    request_id: strawberry.ID = strawberry.field(description="The request.")


@strawberry.input(description="What `deleteRequest` takes.")
class DeleteRequestInput:
    request_id: strawberry.ID = strawberry.field(description="The request.")


@strawberry.input(description="Which requests to list: those that fit each list that is given.")
class RequestFilter:
    phase: list[RequestPhase] | None = strawberry.field(default=None, description="In one of these phases.")
    status: list[RequestStatus] | None = strawberry.field(default=None, description="With one of these statuses.")
