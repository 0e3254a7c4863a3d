"""The HTTP client that Tencent Cloud's SDK sends its requests with: its answers are bounded in size and in time."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from events.outcome import FailureCode
from providers.protocol import ProviderError
from providers.retry_after import retry_after

CONNECT_SECONDS = 10
LIMIT_BYTES = 1 << 20
# The SDK looks for an error only where no charset is named, and stumbles over one that is null, beside a job's id.
UNREAD_BY_SDK = {"content-type": "application/json; charset=utf-8"}


class UnansweredError(Exception):
    """The request was sent, or may have been, and no answer came that says what became of it."""


class BoundedClient(httpx.AsyncClient):
    """Gives answers that have been read whole, and are the service's own: HTTP 200, JSON, at most `LIMIT_BYTES`.

    `seconds` is for the sending, and for the answer from then to its end. `send` raises `UnansweredError`,
    `ProviderError` where the endpoint refused, and `httpx.HTTPError`.
    """

    def __init__(self, seconds: float) -> None:
        # Without keep-alive: a connection that the other side has just closed would make a submit's outcome unknown.
        limits = httpx.Limits(max_keepalive_connections=0)
        super().__init__(timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS), limits=limits)
        self._answer_seconds = seconds

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(None) as deadline:

                async def trace(event: str, _: object) -> None:
                    # Until then httpx's own limits hold, which tell what was sent from what was not.
                    if event.endswith("receive_response_headers.started"):
                        deadline.reschedule(now() + self._answer_seconds)

                request.extensions["trace"] = trace
                response = await super().send(request, stream=True)
                try:
                    _check(response)
                    content = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise UnansweredError("it did not answer in time") from None
        return httpx.Response(200, headers=UNREAD_BY_SDK, content=content, request=request)


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content.extend(chunk)
        if len(content) > LIMIT_BYTES:
            raise UnansweredError("the answer is too long")
    return bytes(content)


def _check(response: httpx.Response) -> None:
    """Stop what is no answer of the service itself, of which the SDK would tell neither status nor headers."""
    status = response.status_code
    if status == 429:
        wait = retry_after(response.headers.get("retry-after"))
        message = "Tencent Cloud has too much to do just now (HTTP 429)."
        raise ProviderError(FailureCode.PROVIDER_BUSY, message, retryable=True, retry_after=wait)
    if 300 <= status < 500 and status != 408:
        message = f"Tencent Cloud's endpoint refused the request (HTTP {status})."
        raise ProviderError(FailureCode.PROVIDER_MISCONFIGURED, message, retryable=False)
    if status != 200:
        raise UnansweredError(f"the answer was HTTP {status}")
    if response.headers.get("content-type", "").partition(";")[0].strip() not in {"application/json", "text/plain"}:
        raise UnansweredError("the answer is not JSON")
