"""What the mutations give: the thing, or what the caller can mend."""

from __future__ import annotations

from typing import Self

import strawberry

from db.refusal import Refusal, Refused
from schema.types import GeneratedImage, GenerationRequest, Model


@strawberry.type(description="What the caller can mend. Nothing was changed when a payload carries one.")
class UserError:
    code: Refusal = strawberry.field(description="To be matched on by clients.")
    message: str = strawberry.field(description="For people: what is wrong, and what to do.")
    field: list[str] | None = strawberry.field(description="The path to the input that is wrong, if it is one.")

    @classmethod
    def of(cls, refused: Refused) -> Self:
        return cls(code=refused.refusal, message=refused.message, field=list(refused.field) if refused.field else None)


USER_ERRORS = "What the caller can mend; empty when it worked."


@strawberry.type(description="What `createRequest` gives.")
class CreateRequestPayload:
    request: GenerationRequest | None = strawberry.field(default=None, description="The new request.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="What `selectImage` gives.")
class SelectImagePayload:
    request: GenerationRequest | None = strawberry.field(default=None, description="The request.")
    model: Model | None = strawberry.field(default=None, description="The new model.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="What `retryImage` gives.")
class RetryImagePayload:
    image: GeneratedImage | None = strawberry.field(default=None, description="The image.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="What `cancelRequest` gives.")
class CancelRequestPayload:
    request: GenerationRequest | None = strawberry.field(default=None, description="The request.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)


@strawberry.type(description="What `deleteRequest` gives.")
class DeleteRequestPayload:
    deleted_request_id: strawberry.ID | None = strawberry.field(default=None, description="What was deleted.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=USER_ERRORS)
