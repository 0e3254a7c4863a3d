"""What a provider is: three small protocols, what they take and give, and the one error they raise.

A provider is a class made once per process with the settings as its only argument and closed with `aclose()`. It may
have `async def check(self) -> None`, which `maquette doctor` calls: it must cost nothing, and raises a `ProviderError`
whose message is one line that says what is wrong and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol, runtime_checkable

from events.outcome import Failure, FailureCode


class ProviderError(Exception):
    """A provider could not do its work.

    `message` reaches the user. `retryable` asks for another attempt; PROVIDER_BUSY waits its turn without
    using an attempt up. `retry_after` is in seconds. `job_ended`, from `poll`, says that the job itself is
    over, so that another attempt submits anew; without it, another attempt polls the same job on.
    """

    def __init__(
        self,
        code: FailureCode,
        message: str,
        retryable: bool,
        provider_code: str | None = None,
        provider_request_id: str | None = None,
        retry_after: float | None = None,
        job_ended: bool = False,
    ) -> None:
        super().__init__(message)
        self.failure = Failure(code, message, retryable, provider_code, provider_request_id)
        self.retry_after = retry_after
        self.job_ended = job_ended


@dataclass(frozen=True, slots=True)
class OptimizedPrompt:
    """`prompt` is the improved prompt; `variants` are the four images' own prompts, which may all be the same."""

    prompt: str
    variants: tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One picture: its bytes (PNG, JPEG or WebP), or a URL that is fetched at once."""

    content: bytes | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class SourceImage:
    """The picture that a model is made from. `url` is set where the storage is public."""

    content: bytes
    media_type: str
    url: str | None = None


class PollState(Enum):
    WAITING = auto()
    RUNNING = auto()
    DONE = auto()


@dataclass(frozen=True, slots=True)
class ProviderFile:
    """A file of a finished model, by URL or as a local path. `format` is the provider's word for it, such as `GLB`.

    A local path belongs to the provider: it is read, never moved or deleted.
    """

    format: str
    url: str | None = None
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class ModelPoll:
    """How far the provider is. `progress` is 0 to 100, or None where the provider gives no figure.

    A job that failed is a `ProviderError` raised by `poll`.
    """

    state: PollState
    progress: float | None = None
    files: tuple[ProviderFile, ...] = ()
    preview: ProviderFile | None = None


class PromptProvider(Protocol):
    async def optimize(self, prompt: str) -> OptimizedPrompt:
        """Improve a prompt of 1 to 2,000 characters for 3D printing."""

    async def aclose(self) -> None: ...


class ImageCalls(Protocol):
    """Draws a picture within one call. `max_concurrent` and `trusted_hosts` may be there, as in `ModelProvider`."""

    async def generate(self, prompt: str, index: int) -> ImageResult:
        """Draw one picture; `index` is 0 to 3. A call whose answer is lost is made again."""

    async def aclose(self) -> None: ...


@runtime_checkable
class ImageJobs(Protocol):
    """Draws a picture by a job that goes on by itself. The attributes of `ModelProvider` may be there."""

    async def submit(self, prompt: str, index: int) -> str:
        """Start a job for one picture; `index` is 0 to 3. Returns and raises what `ModelProvider.submit` does."""

    async def poll(self, job_id: str) -> ImageResult | None:
        """The picture of a job that was submitted, perhaps by another process; None while it is not yet drawn."""

    async def aclose(self) -> None: ...


ImageProvider = ImageCalls | ImageJobs


class ModelProvider(Protocol):
    """Three attributes may be there.

    `free = True` says that a submit costs nothing: one whose outcome is unknown is repeated. `max_concurrent` is how
    many jobs the account may have at once, over all workers. `trusted_hosts` are the `host:port` that files may be
    fetched from although they are not on the public internet.
    """

    async def submit(self, image: SourceImage) -> str:
        """Start a job; returns the provider's id of it. Any error but `ProviderError` means: outcome unknown."""

    async def poll(self, job_id: str) -> ModelPoll:
        """Ask for the state of a job that was submitted, perhaps by another process."""

    async def aclose(self) -> None: ...
