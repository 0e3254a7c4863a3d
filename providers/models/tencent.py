"""Models by Tencent Cloud's Hunyuan 3D (`ai3d`), from a picture, in its Pro or Rapid edition."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from events.outcome import FailureCode
from providers.models.picture import fits, fitted
from providers.protocol import ModelPoll, PollState, ProviderError, ProviderFile, SourceImage
from providers.tencent import TencentClient, trusted_hosts
from providers.tencent_errors import DOWNLOAD_ERRORS
from settings import Settings

SERVICE, VERSION = "ai3d", "2025-05-13"
ACTIONS = {"pro": "HunyuanTo3DProJob", "rapid": "HunyuanTo3DRapidJob"}
MAX_CONCURRENT = {"pro": 3, "rapid": 1}
URL_LIMIT_BYTES = 8_000_000
# Its documentation leaves open whether 6 MB is before or after base64; this fits either way.
BASE64_LIMIT_BYTES = 6_000_000 * 3 // 4
# Best first: one file with nothing beside it, then the ones that have less to say or come packed.
USABLE = ("GLB", "OBJ", "ZIP", "STL")
PICTURES = frozenset({"IMAGE", "PNG", "JPG", "JPEG", "WEBP"})


class TencentModels:
    """`max_concurrent` is how many jobs an account may have at once; `trusted_hosts` is for fetching the files."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = TencentClient(settings, SERVICE, VERSION)
        self._urls_work = True
        self.max_concurrent = MAX_CONCURRENT[settings.tencent_model_edition]
        self.trusted_hosts = trusted_hosts(settings)

    async def submit(self, image: SourceImage) -> str:
        if image.url and self._urls_work and await asyncio.to_thread(fits, image.content, URL_LIMIT_BYTES):
            try:
                return await self._submit({"ImageUrl": image.url})
            except ProviderError as error:
                # The service refused the job because it cannot reach the picture, so that it has none yet.
                if error.failure.provider_code not in DOWNLOAD_ERRORS:
                    raise
        content = await asyncio.to_thread(fitted, image.content, BASE64_LIMIT_BYTES)
        return await self._submit({"ImageBase64": base64.b64encode(content).decode()})

    async def _submit(self, picture: dict[str, Any]) -> str:
        edition = self._settings.tencent_model_edition
        job_id = await self._client.submit(f"Submit{ACTIONS[edition]}", _options(self._settings) | picture)
        # The edition goes along, so that a job is asked after in its own, whatever the setting is by then.
        return f"{edition}/{job_id}"

    async def poll(self, job_id: str) -> ModelPoll:
        edition, _, id_ = job_id.partition("/")
        if edition not in ACTIONS:
            raise ProviderError(
                FailureCode.PROVIDER_REJECTED, "The job is none of Tencent Cloud's.", retryable=False, job_ended=True
            )
        answer = await self._client.query(f"Query{ACTIONS[edition]}", id_)
        match answer.get("Status"):
            case "WAIT":
                return ModelPoll(PollState.WAITING)
            case "RUN":
                return ModelPoll(PollState.RUNNING)
            case "DONE":
                return _done(answer)
            case "FAIL":
                raise self._failed(answer)
        raise ProviderError(
            FailureCode.PROVIDER_UNAVAILABLE,
            "Tencent Cloud answered with a state that makes no sense.",
            retryable=True,
            provider_request_id=answer.get("RequestId"),
        )

    async def check(self) -> None:
        await self._client.check(f"Query{ACTIONS[self._settings.tencent_model_edition]}", "TENCENT_MODEL_EDITION")

    def _failed(self, answer: dict[str, Any]) -> ProviderError:
        code = answer.get("ErrorCode")
        if code in DOWNLOAD_ERRORS:
            # Found out too late to send the picture along this time: the next submit does.
            self._urls_work = False
        return self._client.failed(code, answer.get("ErrorMessage"), answer.get("RequestId"))

    async def aclose(self) -> None:
        await self._client.aclose()


def _options(settings: Settings) -> dict[str, Any]:
    if settings.tencent_model_edition == "rapid":
        return {"EnableGeometry": settings.tencent_generate_type == "Geometry"}
    options: dict[str, Any] = {
        "Model": settings.tencent_model_version,
        "GenerateType": settings.tencent_generate_type,
    }
    if settings.tencent_face_count is not None:
        options["FaceCount"] = settings.tencent_face_count
    return options


def _done(answer: dict[str, Any]) -> ModelPoll:
    found = answer.get("ResultFile3Ds")
    items = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    files = [file for item in items if (file := _file(item.get("Url"), item.get("Type")))]
    usable = sorted((file for file in files if file.format in USABLE), key=lambda file: USABLE.index(file.format))
    if not usable:
        raise ProviderError(
            FailureCode.BAD_OUTPUT,
            "Tencent Cloud finished without a model that can be used.",
            retryable=False,
            provider_request_id=answer.get("RequestId"),
            job_ended=True,
        )
    previews = [file for item in items if (file := _file(item.get("PreviewImageUrl"), "IMAGE"))]
    previews += [file for file in files if file.format in PICTURES]
    return ModelPoll(PollState.DONE, 100, tuple(usable), previews[0] if previews else None)


def _file(url: object, format_: object) -> ProviderFile | None:
    if isinstance(url, str) and url and isinstance(format_, str):
        return ProviderFile(format_.upper(), url=url)
    return None
