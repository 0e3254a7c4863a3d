"""The object types: each made from a row, with fields that load the rows that belong to it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

from db import records
from db.log import read_events
from db.queues import QueueState
from events import outcome
from events.outcome import FailureCode, ModelFormat, PrintIssueCode
from events.status import ImageStatus, JobStatus, ModelStage, ModelStatus, RequestPhase, RequestStatus
from schema.context import Info
from schema.errors import bad_input, gone
from schema.scalars import BigInt

if TYPE_CHECKING:
    from schema.events import RequestEvent

R = TypeVar("R")
EVENTS_LIMIT = 500


@strawberry.interface(description="Anything with an id.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque, prefixed, sorts by time: `req_…`, `img_…`, `mdl_…`.")


@strawberry.type(description="Why a job failed, or its last attempt.")
class Failure:
    code: FailureCode = strawberry.field(description="To be matched on by clients.")
    message: str = strawberry.field(description="For people. It may change.")
    retryable: bool = strawberry.field(description="Whether the same thing may succeed when tried again.")
    provider_code: str | None = strawberry.field(description="The provider's own code.")
    provider_request_id: str | None = strawberry.field(description="What the provider's support asks for.")

    @classmethod
    def of(cls, text: str | None) -> Self | None:
        failure = records.decode_failure(text)
        if failure is None:
            return None
        return cls(
            code=failure.code,
            message=failure.message,
            retryable=failure.retryable,
            provider_code=failure.provider_code,
            provider_request_id=failure.provider_request_id,
        )


@strawberry.type(description="The work on one image or model.")
class Job:
    id: strawberry.ID = strawberry.field(description="`job_…`")
    status: JobStatus = strawberry.field(description="Where it stands.")
    attempts: int = strawberry.field(description="How many attempts were begun. Waiting for a busy provider is none.")
    max_attempts: int = strawberry.field(description="How many there are at most.")
    next_attempt_at: datetime | None = strawberry.field(description="When it is tried again, if it waits for that.")
    failure: Failure | None = strawberry.field(description="Why the last attempt failed, if it did.")
    started_at: datetime | None = strawberry.field(description="When the first attempt began.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")

    @classmethod
    def of(cls, job: records.Job) -> Self:
        waits = job.status is JobStatus.PENDING and job.started_at is not None
        return cls(
            id=strawberry.ID(job.id),
            status=job.status,
            attempts=job.attempts,
            max_attempts=job.max_attempts,
            next_attempt_at=job.available_at if waits else None,
            failure=Failure.of(job.failure),
            started_at=job.started_at,
            finished_at=job.finished_at,
        )


@strawberry.type(description="One of the four candidate images of a request.")
class GeneratedImage(Node):
    record: strawberry.Private[records.ImageWithJob]
    index: int = strawberry.field(description="0 to 3.")
    prompt: str = strawberry.field(description="What the image provider is given for this one.")
    image_status: ImageStatus = strawberry.field(description="Where it stands.")
    failure: Failure | None = strawberry.field(description="Why it failed, when it did.")
    completed_at: datetime | None = strawberry.field(description="When it was completed.")

    @classmethod
    def of(cls, image: records.ImageWithJob) -> Self:
        return cls(
            record=image,
            id=strawberry.ID(image.id),
            index=image.index,
            prompt=image.prompt,
            image_status=image.status,
            failure=Failure.of(image.failure),
            completed_at=image.completed_at,
        )

    @strawberry.field(description="Where the picture is, once it is completed. The link may expire; ask again.")
    async def image_url(self, info: Info) -> str | None:
        return await info.context.url_of(self.record.key) if self.record.key else None

    @strawberry.field(description="The work on it.")
    def job(self) -> Job:
        return Job.of(self.record.job)


@strawberry.type(description="A file of a completed model.")
class ModelFile:
    record: strawberry.Private[records.ModelFile]
    format: ModelFormat = strawberry.field(description="Its format.")
    byte_size: BigInt = strawberry.field(description="Its size in bytes.")
    sha256: str = strawberry.field(description="Its SHA-256 checksum, in hexadecimal.")

    @classmethod
    def of(cls, file: records.ModelFile) -> Self:
        return cls(record=file, format=file.format, byte_size=BigInt(file.byte_size), sha256=file.sha256)

    @strawberry.field(description="Where it is. The link may expire; ask again.")
    async def url(self, info: Info) -> str:
        return await info.context.url_of(self.record.key)


@strawberry.type(description="Something that stands in the way of a good print.")
class PrintIssue:
    code: PrintIssueCode = strawberry.field(description="To be matched on by clients.")
    message: str = strawberry.field(description="For people. It may change.")


@strawberry.type(
    description="Measured on the mesh as it will be printed (STL and 3MF: millimetres, Z up, resting on the bed)."
)
class PrintReport:
    printable: bool = strawberry.field(description="Whether a slicer takes it as it is.")
    watertight: bool = strawberry.field(description="Whether its surface is closed.")
    width_mm: float = strawberry.field(description="Along X, in millimetres.")
    depth_mm: float = strawberry.field(description="Along Y, in millimetres.")
    height_mm: float = strawberry.field(description="Along Z, in millimetres.")
    volume_cm3: float | None = strawberry.field(
        name="volumeCm3", description="What it encloses, in cubic centimetres; null where it is not closed."
    )
    triangle_count: int = strawberry.field(description="Its triangles.")
    body_count: int = strawberry.field(description="Its separate bodies.")
    issues: list[PrintIssue] = strawberry.field(description="What to look at before printing.")

    @classmethod
    def of(cls, report: outcome.PrintReport | None) -> Self | None:
        if report is None:
            return None
        return cls(
            printable=report.printable,
            watertight=report.watertight,
            width_mm=report.width_mm,
            depth_mm=report.depth_mm,
            height_mm=report.height_mm,
            volume_cm3=report.volume_cm3,
            triangle_count=report.triangle_count,
            body_count=report.body_count,
            issues=[PrintIssue(code=issue.code, message=issue.message) for issue in report.issues],
        )


@strawberry.type(description="A printable model, made from one image.")
class Model(Node):
    record: strawberry.Private[records.Model]
    name: str = strawberry.field(description="The beginning of the user's prompt.")
    status: ModelStatus = strawberry.field(description="Where it stands.")
    progress: int = strawberry.field(description="0 to 100, never falling.")
    stage: ModelStage | None = strawberry.field(description="What is being done; null once it has ended.")
    print_report: PrintReport | None = strawberry.field(description="How well it prints, once it is completed.")
    failure: Failure | None = strawberry.field(description="Why it failed, when it did.")
    created_at: datetime = strawberry.field(description="When its image was selected.")
    completed_at: datetime | None = strawberry.field(description="When it was completed.")
    size_mm: float = strawberry.field(description="The longest side that was asked for, in millimetres.")

    @classmethod
    def of(cls, model: records.Model) -> Self:
        return cls(
            record=model,
            id=strawberry.ID(model.id),
            name=model.name,
            status=model.status,
            progress=model.progress,
            stage=model.stage,
            print_report=PrintReport.of(records.decode_report(model.print_report)),
            failure=Failure.of(model.failure),
            created_at=model.created_at,
            completed_at=model.completed_at,
            size_mm=model.size_mm,
        )

    @strawberry.field(description="The image that it is made from.")
    async def source_image(self, info: Info) -> GeneratedImage:
        return await image_of(info, self.record.image_id)

    @strawberry.field(description="A picture of the model, once it is completed. The link may expire; ask again.")
    async def preview_image_url(self, info: Info) -> str | None:
        return await info.context.url_of(self.record.preview_key) if self.record.preview_key else None

    @strawberry.field(description="Empty until the model is completed.")
    async def files(self, info: Info) -> list[ModelFile]:
        return [ModelFile.of(file) for file in await info.context.loaders.files.load(self.record.id)]

    @strawberry.field(description="The work on it.")
    async def job(self, info: Info) -> Job:
        return Job.of(await info.context.loaders.model_job.load(self.record.id))

    @strawberry.field(description="The request that it belongs to.")
    async def request(self, info: Info) -> GenerationRequest:
        return await request_of(info, self.record.request_id)


@strawberry.type(description="A user's prompt on its way to a printable model.")
class GenerationRequest(Node):
    record: strawberry.Private[records.Request]
    prompt: str = strawberry.field(
        description="The prompt that the four images' own prompts are made from: improved, or as the user wrote it."
    )
    original_prompt: str = strawberry.field(description="What the user wrote.")
    status: RequestStatus = strawberry.field(description="Where it stands, in detail.")
    phase: RequestPhase = strawberry.field(description="Whose turn it is.")
    selected_image_index: int | None = strawberry.field(description="The image that was selected last.")
    last_event_sequence: int = strawberry.field(description="The number of its newest event; 0 before the first.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @classmethod
    def of(cls, request: records.Request) -> Self:
        return cls(
            record=request,
            id=strawberry.ID(request.id),
            prompt=request.prompt,
            original_prompt=request.original_prompt,
            status=request.status,
            phase=request.status.phase,
            selected_image_index=request.selected_image_index,
            last_event_sequence=request.last_event_sequence,
            created_at=request.created_at,
            updated_at=request.updated_at,
        )

    @strawberry.field(description="Always four, by index.")
    async def images(self, info: Info) -> list[GeneratedImage]:
        return [GeneratedImage.of(image) for image in await info.context.loaders.images.load(self.record.id)]

    @strawberry.field(description="The newest of `models`.")
    async def model(self, info: Info) -> Model | None:
        models = await info.context.loaders.models.load(self.record.id)
        return Model.of(models[0]) if models else None

    @strawberry.field(description="All that were made or tried, newest first.")
    async def models(self, info: Info) -> list[Model]:
        models = await info.context.loaders.models.load(self.record.id)
        info.context.count_models(len(models))
        return [Model.of(model) for model in models]

    @strawberry.field(description="The stored history, oldest first.")
    async def events(
        self,
        info: Info,
        after_sequence: Annotated[int | None, strawberry.argument(description="Only events after this one.")] = 0,
        first: Annotated[int | None, strawberry.argument(description="How many at most: 1 to 500.")] = 100,
    ) -> list[Annotated[RequestEvent, strawberry.lazy("schema.events")]]:
        from schema.events import event_of  # noqa: PLC0415  # the modules need each other

        if first is None:
            first = 100
        if not 1 <= first <= EVENTS_LIMIT:
            raise bad_input(f"`first` must be between 1 and {EVENTS_LIMIT}.")
        rows = await read_events(info.context.database, self.record.id, known_up_to(after_sequence), first)
        return [event_of(row) for row in rows]

    @strawberry.field(description="Where its SSE stream is: an absolute path with a short-lived token in it.")
    def events_url(self, info: Info) -> str:
        return info.context.events_url_of(self.record.id)


@strawberry.type(description="Who asks.")
class Viewer:
    id: strawberry.ID = strawberry.field(description="The user: the token's `sub`.")
    is_operator: bool = strawberry.field(description="Whether the queues may be seen.")
    active_requests: int = strawberry.field(description="Requests whose images or model are under way.")
    active_request_limit: int | None = strawberry.field(description="How many there may be; null for no limit.")


@strawberry.type(description="What does one part of the work.")
class Provider:
    part: str = strawberry.field(description="`prompt`, `image` or `model`.")
    name: str = strawberry.field(description="The name that it is set by: `local`, `openai`, `tencent`, or a class.")
    is_stand_in: bool = strawberry.field(
        description="Whether it is an offline stand-in: it works on this machine by rules, without a service behind it."
    )


@strawberry.type(description="One of the two queues of jobs.")
class Queue:
    name: str = strawberry.field(description="`images` or `models`.")
    waiting: int = strawberry.field(description="Jobs that are due and wait for a worker.")
    running: int = strawberry.field(description="Jobs that a worker has in hand.")
    delayed: int = strawberry.field(description="Jobs that wait for their next attempt.")
    dead: int = strawberry.field(description="Jobs that were given up.")
    concurrency: int = strawberry.field(description="How many all living workers do at once.")
    workers: int = strawberry.field(description="Living workers that serve it.")

    @classmethod
    def of(cls, state: QueueState) -> Self:
        return cls(**asdict(state))


async def request_of(info: Info, request_id: str) -> GenerationRequest:
    """What a row that was read belongs to, as it is now; raises NOT_FOUND if it was deleted since."""
    return GenerationRequest.of(await _there(info.context.loaders.request, request_id, "request"))


async def image_of(info: Info, image_id: str) -> GeneratedImage:
    """As `request_of`."""
    return GeneratedImage.of(await _there(info.context.loaders.image, image_id, "image"))


async def model_of(info: Info, model_id: str) -> Model:
    """As `request_of`."""
    return Model.of(await _there(info.context.loaders.model, model_id, "model"))


async def _there(loader: DataLoader[str, R | None], row_id: str, what: str) -> R:
    found = await loader.load(row_id)
    if found is None:
        raise gone(what)
    return found


def known_up_to(after_sequence: int | None) -> int:
    """The sequence after which events are asked for; raises BAD_USER_INPUT."""
    if after_sequence is not None and after_sequence < 0:
        raise bad_input("`afterSequence` must not be negative.")
    return after_sequence or 0
