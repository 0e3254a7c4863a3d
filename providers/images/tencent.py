"""Pictures by Tencent Cloud's Hunyuan (`aiart`): a job is submitted, and asked after until its picture has a URL."""

from __future__ import annotations

from typing import Any

from events.outcome import FailureCode
from providers.protocol import ImageResult, ProviderError
from providers.tencent import TencentClient, trusted_hosts
from settings import Settings

SERVICE, VERSION = "aiart", "2022-12-29"
LONGEST_CHARACTERS = {"SubmitTextToImageJob": 1024, "SubmitTextToImageProJob": 100}


class TencentImages:
    """`max_concurrent` is how many jobs an account may have at once; `trusted_hosts` is for fetching the pictures."""

    max_concurrent = 1

    def __init__(self, settings: Settings) -> None:
        self._action: str = settings.tencent_image_action
        self._client = TencentClient(settings, SERVICE, VERSION)
        self.trusted_hosts = trusted_hosts(settings)

    async def submit(self, prompt: str, index: int) -> str:
        job_id = await self._client.submit(self._action, _params(self._action, prompt, index))
        # The action goes along, so that a job is asked after by its own, whatever the setting is by then.
        return f"{self._action}/{job_id}"

    async def poll(self, job_id: str) -> ImageResult | None:
        action, _, id_ = job_id.partition("/")
        if action not in LONGEST_CHARACTERS:
            raise ProviderError(
                FailureCode.PROVIDER_REJECTED, "The job is none of Tencent Cloud's.", retryable=False, job_ended=True
            )
        answer = await self._client.query(_query(action), id_)
        match answer.get("JobStatusCode"):
            case "5":
                return ImageResult(url=_url(answer))
            case "4":
                raise self._client.failed(
                    answer.get("JobErrorCode"), answer.get("JobErrorMsg"), answer.get("RequestId")
                )
        return None

    async def check(self) -> None:
        await self._client.check(_query(self._action), "TENCENT_IMAGE_ACTION")

    async def aclose(self) -> None:
        await self._client.aclose()


def _query(action: str) -> str:
    return action.replace("Submit", "Query")


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
        retryable=False,
        provider_request_id=answer.get("RequestId"),
        job_ended=True,
    )
