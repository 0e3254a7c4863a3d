"""What Query does."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import argument

from db import queries
from db.queues import queue_states
from events.status import RequestStatus
from resolvers.context import Info
from schema.connections import (
    GenerationRequestConnection,
    GenerationRequestEdge,
    ModelConnection,
    ModelEdge,
    page_info,
    window,
)
from schema.errors import ErrorCode, api_error
from schema.inputs import RequestFilter
from schema.types import GeneratedImage, GenerationRequest, Model, Node, Provider, Queue, Viewer

First = Annotated[int | None, argument(description="How many at most, from the start: 0 to 100.")]
After = Annotated[str | None, argument(description="Only those after this cursor.")]
Last = Annotated[int | None, argument(description="How many at most, from the end: 0 to 100.")]
Before = Annotated[str | None, argument(description="Only those before this cursor.")]


async def _request(info: Info, request_id: str) -> GenerationRequest | None:
    request = await info.context.loaders.request.load(request_id)
    if request is None or request.user_id != info.context.caller.user_id:
        return None
    return GenerationRequest.of(request)


async def _model(info: Info, model_id: str) -> Model | None:
    model = await info.context.loaders.model.load(model_id)
    if model is None or model.user_id != info.context.caller.user_id:
        return None
    return Model.of(model)


async def _image(info: Info, image_id: str) -> GeneratedImage | None:
    image = await info.context.loaders.image.load(image_id)
    if image is None or await _request(info, image.request_id) is None:
        return None
    return GeneratedImage.of(image)


def _statuses(wanted: RequestFilter | None) -> list[RequestStatus] | None:
    if wanted is None or (wanted.phase is None and wanted.status is None):
        return None
    return [
        status
        for status in RequestStatus
        if (wanted.phase is None or status.phase in wanted.phase) and (wanted.status is None or status in wanted.status)
    ]


@strawberry.type(description="What can be read.")
class Query:
    @strawberry.field(description="Anything by its id; null when it does not exist or belongs to another user.")
    async def node(self, info: Info, id: Annotated[strawberry.ID, argument(description="Its id.")]) -> Node | None:  # noqa: A002  # the argument's name
        match id.split("_", 1)[0]:
            case "req":
                return await _request(info, id)
            case "img":
                return await _image(info, id)
            case "mdl":
                return await _model(info, id)
            case _:
                return None

    @strawberry.field(description="A request; null when it does not exist or belongs to another user.")
    async def request(
        self,
        info: Info,
        id: Annotated[strawberry.ID, argument(description="Its id.")],  # noqa: A002  # the argument's name
    ) -> GenerationRequest | None:
        return await _request(info, id)

    @strawberry.field(description="The caller's requests, newest first.")
    async def requests(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[RequestFilter | None, argument(description="Which.")] = None,  # noqa: A002  # the argument's name
    ) -> GenerationRequestConnection:
        database, user_id, statuses = info.context.database, info.context.caller.user_id, _statuses(filter)
        page = await queries.page_of_requests(database, user_id, window(first, after, last, before), statuses)
        return GenerationRequestConnection(
            edges=[GenerationRequestEdge(cursor=row.id, node=GenerationRequest.of(row)) for row in page.rows],
            page_info=page_info(page),
            count=lambda: queries.count_requests(database, user_id, statuses),
        )

    @strawberry.field(description="A model; null when it does not exist or belongs to another user.")
    async def model(
        self,
        info: Info,
        id: Annotated[strawberry.ID, argument(description="Its id.")],  # noqa: A002  # the argument's name
    ) -> Model | None:
        return await _model(info, id)

    @strawberry.field(description="The caller's models, newest first.")
    async def models(
        self, info: Info, first: First = 20, after: After = None, last: Last = None, before: Before = None
    ) -> ModelConnection:
        database, user_id = info.context.database, info.context.caller.user_id
        page = await queries.page_of_models(database, user_id, window(first, after, last, before))
        return ModelConnection(
            edges=[ModelEdge(cursor=row.id, node=Model.of(row)) for row in page.rows],
            page_info=page_info(page),
            count=lambda: queries.count_models(database, user_id),
        )

    @strawberry.field(description="Who asks.")
    async def viewer(self, info: Info) -> Viewer:
        caller, limit = info.context.caller, info.context.active_request_limit
        return Viewer(
            id=strawberry.ID(caller.user_id),
            is_operator=caller.is_operator,
            active_requests=await queries.count_active(info.context.database, caller.user_id),
            active_request_limit=limit or None,
        )

    @strawberry.field(description="What improves prompts, draws images and makes models here.")
    def providers(self, info: Info) -> list[Provider]:
        settings = info.context.resources.settings
        return [
            Provider(part=part, name=name, is_stand_in=name == "local")
            for part, name in (
                ("prompt", settings.prompt_provider),
                ("image", settings.image_provider),
                ("model", settings.model_provider),
            )
        ]

    @strawberry.field(description="The queues of jobs. Operators only: code FORBIDDEN otherwise.")
    async def queues(self, info: Info) -> list[Queue]:
        if not info.context.caller.is_operator:
            raise api_error(ErrorCode.FORBIDDEN, "Only operators may see the queues.")
        return [Queue.of(queue) for queue in await queue_states(info.context.database)]
