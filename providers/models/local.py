"""Models without a service: the relief of a picture, as a closed solid on a base.

A stand-in until a model service is set. Pictures and models lie in the work folder, so that a job outlives the process
that took it.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from events.outcome import FailureCode
from providers.protocol import ModelPoll, PollState, ProviderError, ProviderFile, SourceImage
from settings import Settings

JOB_ID = re.compile(r"[0-9a-f]{32}")
KEPT_SECONDS = 24 * 3600
# How long one poll waits for the end, so that a relief, which takes about a second, mostly needs one poll.
PATIENCE_SECONDS = 2.0
LONGER_SIDE_MM = 100.0


@dataclass(slots=True)
class _Progress:
    part: float = 0.0

    def tell(self, part: float) -> None:
        self.part = part


class LocalModels:
    """A model provider that makes reliefs by itself; needs no key, costs nothing."""

    free = True

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.work_dir / "local-models"
        # One at a time: making one keeps a core busy.
        self._workers = ThreadPoolExecutor(1, thread_name_prefix="relief")
        self._under_way: dict[str, tuple[Future[None], _Progress]] = {}

    async def submit(self, image: SourceImage) -> str:
        try:
            return await asyncio.to_thread(_keep, self._folder, image.content)
        except OSError as error:
            raise _no_room(error) from error

    async def poll(self, job_id: str) -> ModelPoll:
        """Make the relief, if it is not made; raises PROVIDER_REJECTED where the picture is gone or cannot be read."""
        if not JOB_ID.fullmatch(job_id):
            raise _gone()
        model = self._folder / job_id / "model.glb"
        if job_id not in self._under_way:
            made, kept = await asyncio.to_thread(lambda: (model.exists(), (model.parent / "picture").exists()))
            if made:
                return _done(model)
            if not kept:
                raise _gone()
        ended, progress = self._under_way.get(job_id) or self._start(job_id)
        await asyncio.to_thread(wait, [ended], PATIENCE_SECONDS)
        if not ended.done():
            return ModelPoll(PollState.RUNNING, progress=round(100 * progress.part, 1))
        self._under_way.pop(job_id, None)
        try:
            ended.result()
        except OSError as error:
            raise _no_room(error) from error
        return _done(model)

    def _start(self, job_id: str) -> tuple[Future[None], _Progress]:
        progress = _Progress()
        ended = self._workers.submit(_make, self._folder / job_id, progress)
        self._under_way[job_id] = ended, progress
        return ended, progress

    async def aclose(self) -> None:
        await asyncio.to_thread(self._workers.shutdown, cancel_futures=True)


def _done(model: Path) -> ModelPoll:
    return ModelPoll(PollState.DONE, progress=100, files=(ProviderFile("GLB", path=model),))


def _gone() -> ProviderError:
    message = "The picture of this model is no longer in the work folder; select the image once more."
    return ProviderError(FailureCode.PROVIDER_REJECTED, message, retryable=False)


def _no_room(error: OSError) -> ProviderError:
    message = f"WORK_DIR cannot be written to: {error.strerror or error}. Make room or mend it."
    return ProviderError(FailureCode.STORAGE_UNAVAILABLE, message, retryable=True)


def _keep(folder: Path, content: bytes) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    _remove_old(folder)
    job_id = uuid.uuid4().hex
    # A folder under another name until it is whole.
    incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=folder))
    (incoming / "picture").write_bytes(content)
    incoming.rename(folder / job_id)
    return job_id


def _remove_old(folder: Path) -> None:
    for old in folder.iterdir():
        try:
            outdated = time.time() - old.stat().st_mtime > KEPT_SECONDS
        except FileNotFoundError:
            continue  # Another process was first.
        if outdated:
            shutil.rmtree(old, ignore_errors=True)


def _make(folder: Path, progress: _Progress) -> None:
    # scipy and trimesh take most of a second, which no start need wait for.
    from providers.models.relief import PictureError, relief  # noqa: PLC0415  # as above
    from providers.printing.mesh import Mesh  # noqa: PLC0415  # as above
    from providers.printing.writing import write_glb  # noqa: PLC0415  # as above

    try:
        mesh = relief((folder / "picture").read_bytes(), progress.tell)
    except PictureError as error:
        raise ProviderError(FailureCode.PROVIDER_REJECTED, str(error), retryable=False) from error
    except FileNotFoundError as error:
        raise _gone() from error
    part = folder / f"{uuid.uuid4().hex}.part"
    write_glb(Mesh(mesh.vertices * LONGER_SIDE_MM, mesh.faces), part)
    part.replace(folder / "model.glb")
