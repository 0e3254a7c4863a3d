"""The client of a service of Tencent Cloud: its SDK's, with what can go wrong on the way told apart."""

from __future__ import annotations

import logging
from typing import Any

import httpx

# The SDK ships no types.
from tencentcloud.common.common_client_async import CommonClient  # type: ignore[import-untyped]
from tencentcloud.common.credential import Credential  # type: ignore[import-untyped]
from tencentcloud.common.exception.tencent_cloud_sdk_exception import (  # type: ignore[import-untyped]
    TencentCloudSDKException,
)
from tencentcloud.common.profile.client_profile import ClientProfile  # type: ignore[import-untyped]
from tencentcloud.common.profile.http_profile import HttpProfile  # type: ignore[import-untyped]

from events.outcome import FailureCode
from providers.addresses import authority
from providers.pace import Pace
from providers.protocol import ProviderError
from providers.quote import quote
from providers.retry_after import retry_after
from providers.tencent_advice import advice, is_about_the_job
from providers.tencent_errors import refusal
from settings import Settings

CONNECT_SECONDS = 10
CALLS_A_SECOND = 20
LIMIT_BYTES = 1 << 20
NO_JOB = "1"

# At DEBUG the SDK logs whole requests: keys' names, signatures, pictures.
logging.getLogger("tencentcloud_sdk_common").setLevel(logging.INFO)

# Raised before a byte of the request has left.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.LocalProtocolError)


class UnansweredError(Exception):
    """The request was sent, or may have been, and no answer came that says what became of it."""


class TencentClient:
    """One service in one version, for calls by their action's name."""

    def __init__(self, settings: Settings, service: str, version: str) -> None:
        self._secrets = (settings.tencentcloud_secret_id, settings.tencentcloud_secret_key)
        self._client = _sdk_client(settings, service, version)
        self._region = settings.tencentcloud_region
        self._host = authority(settings.tencentcloud_endpoint or f"https://{service}.tencentcloudapi.com")
        self._client.http_client.event_hooks["response"].append(_check_response)
        self._pace = Pace(CALLS_A_SECOND)

    async def submit(self, action: str, params: dict[str, Any]) -> str:
        """Start a job, once; returns its id.

        Raises `ProviderError`: OUTCOME_UNKNOWN where the job may have been started for all that is known.
        """
        try:
            answer = await self._call(action, params)
        except UnansweredError as error:
            raise _unknown(str(error)) from None
        job_id = answer.get("JobId")
        if not isinstance(job_id, str) or not job_id:
            raise _unknown("the answer names no job", answer)
        return job_id

    async def query(self, action: str, job_id: str) -> dict[str, Any]:
        """Ask after a job. Raises `ProviderError`, with `job_ended` where there is no such job any more."""
        try:
            return await self._call(action, {"JobId": job_id})
        except UnansweredError as error:
            raise _unavailable(str(error)) from None
        except ProviderError as error:
            error.job_ended = error.failure.provider_code == "FailedOperation.JobNotExist"
            raise

    async def check(self, action: str, setting: str) -> None:
        """Ask after a job that nobody has submitted, which costs nothing: all is well if just the job is not found.

        Raises `ProviderError`, naming the setting to correct; `setting` is the one that chooses the `action`.
        """
        try:
            await self.query(action, NO_JOB)
        except ProviderError as error:
            if error.failure.code is FailureCode.PROVIDER_BUSY or is_about_the_job(error):
                return
            line = advice(error, host=self._host, region=self._region, action=action, setting=setting)
            raise ProviderError(error.failure.code, line, error.failure.retryable) from None

    def failed(self, code: object, words: object, request_id: str | None) -> ProviderError:
        """The error of a job that ended with an error code of its own."""
        return refusal(code if isinstance(code, str) else "", request_id, quote(words, *self._secrets), job_ended=True)

    async def aclose(self) -> None:
        await self._client.close()

    async def _call(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        await self._pace.wait(action)
        try:
            # As a plain dict: the SDK's own classes take an error for an empty answer where the content type of the
            # answer carries a charset.
            answer = await self._client.call_and_deserialize(action, params, dict)
        except TencentCloudSDKException as error:
            words = quote(error.get_message(), *self._secrets)
            raise refusal(str(error.get_code()), error.get_request_id(), words) from None
        except NOT_SENT as error:
            raise _unavailable(f"it cannot be reached ({type(error).__name__})") from None
        except httpx.TimeoutException:
            raise UnansweredError("it did not answer in time") from None
        except httpx.HTTPError as error:
            raise UnansweredError(f"the connection broke ({type(error).__name__})") from None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            # What the SDK makes of an answer that is not of its kind.
            raise UnansweredError("the answer makes no sense") from None
        return self._response(answer)

    def _response(self, answer: object) -> dict[str, Any]:
        response = answer.get("Response") if isinstance(answer, dict) else None
        if not isinstance(response, dict):
            raise UnansweredError("the answer makes no sense")
        error = response.get("Error")
        if isinstance(error, dict):
            raise refusal(
                str(error.get("Code", "")), response.get("RequestId"), quote(error.get("Message"), *self._secrets)
            )
        return response


def trusted_hosts(settings: Settings) -> frozenset[str]:
    """The `host:port` that results may come from although it is not on the public internet: the endpoint's own."""
    endpoint = settings.tencentcloud_endpoint
    return frozenset({authority(endpoint)} if endpoint else ())


def _sdk_client(settings: Settings, service: str, version: str) -> CommonClient:
    if settings.tencentcloud_secret_id is None or settings.tencentcloud_secret_key is None:
        raise ProviderError(
            FailureCode.PROVIDER_MISCONFIGURED, "TENCENTCLOUD_SECRET_ID and _KEY are not set.", retryable=False
        )
    endpoint = httpx.URL(settings.tencentcloud_endpoint or f"https://{service}.tencentcloudapi.com")
    timeout = httpx.Timeout(settings.tencent_timeout_seconds, connect=CONNECT_SECONDS)
    # Without keep-alive: a connection that the other side has just closed would make a submit's outcome unknown.
    # Without a retryer: it would submit, and pay, twice.
    http = HttpProfile(protocol=endpoint.scheme, endpoint=endpoint.netloc.decode(), reqTimeout=timeout, keepAlive=False)
    keys = Credential(
        settings.tencentcloud_secret_id.get_secret_value(), settings.tencentcloud_secret_key.get_secret_value()
    )
    profile = ClientProfile(httpProfile=http, language="en-US")
    return CommonClient(service, version, keys, settings.tencentcloud_region, profile)


async def _check_response(response: httpx.Response) -> None:
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
    length = response.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > LIMIT_BYTES:
        raise UnansweredError("the answer is too long")


def _unknown(reason: str, answer: dict[str, Any] | None = None) -> ProviderError:
    request_id = (answer or {}).get("RequestId")
    return ProviderError(
        FailureCode.OUTCOME_UNKNOWN,
        f"Tencent Cloud may have started the job, and been paid for it, or not: {reason}.",
        retryable=False,
        provider_request_id=request_id if isinstance(request_id, str) else None,
    )


def _unavailable(reason: str) -> ProviderError:
    return ProviderError(
        FailureCode.PROVIDER_UNAVAILABLE, f"Tencent Cloud is not available just now: {reason}.", retryable=True
    )
