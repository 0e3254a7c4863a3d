"""Pictures by Tencent Cloud's Hunyuan (`aiart`): a job is submitted, asked after, and its picture fetched."""

from __future__ import annotations

import asyncio
from typing import Any

from events.outcome import FailureCode
from providers.images.download import download_picture
from providers.protocol import ImageResult, ProviderError
from providers.tencent import TencentClient, trusted_hosts
from settings import Settings

SERVICE, VERSION = "aiart", "2022-12-29"
LONGEST_CHARACTERS = {"SubmitTextToImageJob": 1024, "SubmitTextToImageProJob": 100}
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, PAUSE_GROWTH = 0.5, 5.0, 1.5


class TencentImages:
    """`max_concurrent` is how many jobs an account may have at once."""

    max_concurrent = 1

    def __init__(self, settings: Settings) -> None:
        self._action: str = settings.tencent_image_action
        self._client = TencentClient(settings, SERVICE, VERSION)
        self._trusted_hosts = trusted_hosts(settings)

    async def generate(self, prompt: str, index: int) -> ImageResult:
        job_id = await self._client.submit(self._action, _params(self._action, prompt, index))
        url = await self._finished(job_id)
        return ImageResult(content=await download_picture(url, trusted_hosts=self._trusted_hosts))

    async def check(self) -> None:
        await self._client.check(self._action.replace("Submit", "Query"), "TENCENT_IMAGE_ACTION")

    async def _finished(self, job_id: str) -> str:
        """The picture's URL, when it is drawn. It asks until the caller ends it: giving up would mean paying again."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)
            try:
                answer = await self._client.query(self._action.replace("Submit", "Query"), job_id)
            except ProviderError as error:
                if error.failure.retryable:
                    continue
                raise
            match answer.get("JobStatusCode"):
                case "5":
                    return _url(answer)
                case "4":
                    raise self._client.failed(
                        answer.get("JobErrorCode"), answer.get("JobErrorMsg"), answer.get("RequestId")
                    )

    async def aclose(self) -> None:
        await self._client.aclose()


def _params(action: str, prompt: str, index: int) -> dict[str, Any]:
    params: dict[str, Any] = {
        "Prompt": prompt[: LONGEST_CHARACTERS[action]],
        "Resolution": "1024:1024",
        # The watermark would be modelled, and rewriting the prompt again takes 20 s more.
        "LogoAdd": 0,
        "Revise": 0,
    }
    if action == "SubmitTextToImageJob":
        params["Seed"] = index + 1
    return params


def _url(answer: dict[str, Any]) -> str:
    urls = answer.get("ResultImage")
    if isinstance(urls, list) and urls and isinstance(urls[0], str):
        return urls[0]
    raise ProviderError(
        FailureCode.BAD_OUTPUT,
        "Tencent Cloud finished without a picture.",
        retryable=True,
        provider_request_id=answer.get("RequestId"),
    )
