"""What Mutation does: check the input, call a verb, wake a worker."""

from __future__ import annotations

import math
from typing import Annotated

import strawberry
from strawberry import argument

from db import creation, images, models, requests
from db.creation import NewRequest
from db.refusal import Refusal, Refused
from db.tables import IDEMPOTENCY_KEY_LENGTH
from resolvers.context import Context, Info
from schema.inputs import (
    CancelRequestInput,
    CreateRequestInput,
    DeleteRequestInput,
    RetryImageInput,
    SelectImageInput,
)
from schema.payloads import (
    CancelRequestPayload,
    CreateRequestPayload,
    DeleteRequestPayload,
    RetryImagePayload,
    SelectImagePayload,
    UserError,
)
from schema.types import GeneratedImage, GenerationRequest, Model
from tasks.actors import generate_image, generate_model
from tasks.files import delete_prefix
from tasks.prompts import IMAGE_COUNT, checked_prompt, is_text

LONGEST_SIDE_MM = 2_000


def _invalid(message: str, field: str) -> Refused:
    return Refused(Refusal.INVALID_INPUT, message, ("input", field))


def _checked_key(key: str | None) -> str | None:
    if key is not None and not 1 <= len(key) <= IDEMPOTENCY_KEY_LENGTH:
        raise _invalid(f"The idempotency key must have 1 to {IDEMPOTENCY_KEY_LENGTH} characters.", "idempotencyKey")
    if key is not None and not is_text(key):
        raise _invalid("The idempotency key has characters that no text has; remove them.", "idempotencyKey")
    return key


async def _create(context: Context, given: CreateRequestInput) -> CreateRequestPayload:
    user_id = context.caller.user_id
    prompt, key = checked_prompt(given.prompt), _checked_key(given.idempotency_key)
    if key is not None:
        same = await creation.find_same(context.database, user_id, key, prompt, given.optimize_prompt)
        if same is not None:
            return CreateRequestPayload(request=GenerationRequest.of(same))
    if given.optimize_prompt:
        await requests.check_room(context.database, user_id, context.active_request_limit)
    optimized = await context.optimizer.improve(prompt, optimize=given.optimize_prompt)
    new = NewRequest(user_id, prompt, given.optimize_prompt, key, optimized.prompt, optimized.variants)
    request, jobs = await context.resources.create_request(new)
    context.resources.sender.send(generate_image.message(job) for job in jobs)
    return CreateRequestPayload(request=GenerationRequest.of(request))


async def _select(context: Context, given: SelectImageInput) -> SelectImagePayload:
    if not 0 <= given.index < IMAGE_COUNT:
        raise _invalid(f"The index must be 0 to {IMAGE_COUNT - 1}.", "index")
    if not (math.isfinite(given.size_mm) and 1 <= given.size_mm <= LONGEST_SIDE_MM):
        raise _invalid(f"The size must be 1 to {LONGEST_SIDE_MM} millimetres.", "sizeMm")
    request, model, job = await models.select_image(
        context.database,
        context.caller.user_id,
        given.request_id,
        given.index,
        given.size_mm,
        context.active_request_limit,
        context.resources.settings.max_attempts,
    )
    context.resources.sender.send([generate_model.message(job)])
    return SelectImagePayload(request=GenerationRequest.of(request), model=Model.of(model))


@strawberry.type(description="What can be changed.")
class Mutation:
    @strawberry.mutation(description="Write a prompt: four images are drawn.")
    async def create_request(
        self,
        info: Info,
        input: Annotated[CreateRequestInput, argument(description="The prompt.")],  # noqa: A002  # the argument's name
    ) -> CreateRequestPayload:
        try:
            return await _create(info.context, input)
        except Refused as refused:
            return CreateRequestPayload(user_errors=[UserError.of(refused)])

    @strawberry.mutation(description="Pick an image: it is made into a model.")
    async def select_image(
        self,
        info: Info,
        input: Annotated[SelectImageInput, argument(description="Which, and how large.")],  # noqa: A002  # the argument's name
    ) -> SelectImagePayload:
        try:
            return await _select(info.context, input)
        except Refused as refused:
            return SelectImagePayload(user_errors=[UserError.of(refused)])

    @strawberry.mutation(description="Generates a FAILED image again; the other three are left alone.")
    async def retry_image(
        self,
        info: Info,
        input: Annotated[RetryImageInput, argument(description="Which.")],  # noqa: A002  # the argument's name
    ) -> RetryImagePayload:
        context = info.context
        try:
            image = await images.retry(
                context.database, context.caller.user_id, input.image_id, context.active_request_limit
            )
        except Refused as refused:
            return RetryImagePayload(user_errors=[UserError.of(refused)])
        context.resources.sender.send([generate_image.message(image.job.id)])
        return RetryImagePayload(image=GeneratedImage.of(image))

    @strawberry.mutation(description="Stops what is under way; what is completed stays.")
    async def cancel_request(
        self,
        info: Info,
        input: Annotated[CancelRequestInput, argument(description="Which.")],  # noqa: A002  # the argument's name
    ) -> CancelRequestPayload:
        try:
            request = await requests.cancel(info.context.database, info.context.caller.user_id, input.request_id)
        except Refused as refused:
            return CancelRequestPayload(user_errors=[UserError.of(refused)])
        return CancelRequestPayload(request=GenerationRequest.of(request))

    @strawberry.mutation(description="Deletes the request, its models, its events and its stored files.")
    async def delete_request(
        self,
        info: Info,
        input: Annotated[DeleteRequestInput, argument(description="Which.")],  # noqa: A002  # the argument's name
    ) -> DeleteRequestPayload:
        try:
            prefix = await requests.remove(info.context.database, info.context.caller.user_id, input.request_id)
        except Refused as refused:
            return DeleteRequestPayload(user_errors=[UserError.of(refused)])
        await delete_prefix(info.context.resources, prefix)
        return DeleteRequestPayload(deleted_request_id=input.request_id)
