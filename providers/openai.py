"""The client of an OpenAI-compatible service: one request, bounded in size and time, with its errors told apart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from events.outcome import FailureCode
from providers.addresses import authority
from providers.openai_advice import advice
from providers.openai_errors import refusal, request_id
from providers.protocol import ProviderError
from settings import Settings

CONNECT_SECONDS = 10
MODELS_LIMIT_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object that the service answered with, and the service's own id of the request."""

    body: dict[str, Any]
    request_id: str | None

    def bad(self, message: str) -> ProviderError:
        """The error for an answer that is not what was asked for; another try may bring a better one."""
        return ProviderError(FailureCode.BAD_OUTPUT, message, retryable=True, provider_request_id=self.request_id)


class OpenAIClient:
    def __init__(self, settings: Settings, timeout: float) -> None:
        """`timeout`, in seconds, is for the wait between two parts of an answer; the caller bounds the whole."""
        self._key = settings.openai_api_key
        self._base_url = settings.openai_base_url
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"} if self._key else {}
        self._http = httpx.AsyncClient(headers=headers, timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS))

    async def post(self, path: str, body: dict[str, Any], limit_bytes: int) -> Answer:
        """POST `body` to `path` under the base URL. Raises `ProviderError`."""
        return await self._ask("POST", path, body, limit_bytes)

    async def check(self, setting: str, model: str) -> None:
        """Ask which models there are, which costs nothing. Raises `ProviderError`, naming the setting to correct.

        `setting` is the one that names the `model`.
        """
        try:
            answer = await self._ask("GET", "/models", None, MODELS_LIMIT_BYTES)
        except ProviderError as error:
            if error.failure.code is FailureCode.PROVIDER_BUSY:
                return
            line = advice(error, self._base_url)
            raise ProviderError(error.failure.code, line, error.failure.retryable) from None
        listed = answer.body.get("data")
        names = {item.get("id") for item in listed if isinstance(item, dict)} if isinstance(listed, list) else set()
        if names and model not in names:
            line = f"{setting}: {authority(self._base_url)} has no model {model}; set one that it lists"
            raise ProviderError(FailureCode.PROVIDER_MISCONFIGURED, line, retryable=False)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None, limit_bytes: int) -> Answer:
        try:
            async with self._http.stream(method, self._base_url + path, json=body) as response:
                content = await _read(response, limit_bytes)
        except httpx.TimeoutException:
            raise _unavailable("The service did not answer in time.") from None
        except httpx.HTTPError as error:
            raise _unavailable(f"The connection to the service failed ({type(error).__name__}).") from None
        if response.status_code != 200:
            raise refusal(response.status_code, response.headers, content, self._key)
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            raise _unavailable("The service answered with something that is not JSON.", response) from None
        if not isinstance(answer, dict):
            raise _unavailable("The service answered with something that is no JSON object.", response)
        return Answer(answer, request_id(response.headers))

    async def aclose(self) -> None:
        await self._http.aclose()


async def _read(response: httpx.Response, limit_bytes: int) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content.extend(chunk)
        if len(content) > limit_bytes:
            message = f"The service's answer is larger than {limit_bytes / 1e6:g} MB."
            raise ProviderError(
                FailureCode.BAD_OUTPUT, message, retryable=False, provider_request_id=request_id(response.headers)
            )
    return bytes(content)


def _unavailable(message: str, response: httpx.Response | None = None) -> ProviderError:
    found = request_id(response.headers) if response is not None else None
    return ProviderError(FailureCode.PROVIDER_UNAVAILABLE, message, retryable=True, provider_request_id=found)
