"""The client of a service of Tencent Cloud: its SDK's, with what can go wrong on the way told apart."""

from __future__ import annotations

import logging
from typing import Any

import httpx

# The SDK ships no types.
from tencentcloud.common.common_client_async import CommonClient  # type: ignore[import-untyped]
from tencentcloud.common.credential import Credential  # type: ignore[import-untyped]
from tencentcloud.common.profile.client_profile import ClientProfile  # type: ignore[import-untyped]
from tencentcloud.common.profile.http_profile import HttpProfile  # type: ignore[import-untyped]

from events.outcome import FailureCode
from providers.addresses import authority
from providers.pace import Pace
from providers.protocol import ProviderError
from providers.quote import quote, shown
from providers.tencent_advice import advice, is_about_the_job
from providers.tencent_errors import refusal
from providers.tencent_http import BoundedClient, UnansweredError
from settings import Settings

CALLS_A_SECOND = 20
LONGEST_NAME = 100
NO_JOB = "1"

# At DEBUG the SDK logs whole requests: keys' names, signatures, pictures.
logging.getLogger("tencentcloud_sdk_common").setLevel(logging.INFO)

# Raised before a byte of the request has left.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.LocalProtocolError)


class TencentClient:
    """One service in one version, for calls by their action's name."""

    def __init__(self, settings: Settings, service: str, version: str) -> None:
        self._secrets = (settings.tencentcloud_secret_id, settings.tencentcloud_secret_key)
        self._client = _sdk_client(settings, service, version)
        self._region = settings.tencentcloud_region
        self._host = authority(settings.tencentcloud_endpoint or f"https://{service}.tencentcloudapi.com")
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
        if not isinstance(job_id, (str, int)) or isinstance(job_id, bool) or not job_id:
            raise _unknown("the answer names no job", answer["RequestId"])
        return str(job_id)

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
        name = self._name(code) if isinstance(code, str) else ""
        return refusal(name, request_id, quote(words, *self._secrets), job_ended=True)

    async def aclose(self) -> None:
        await self._client.close()

    async def _call(self, action: str, params: dict[str, Any]) -> dict[str, Any]:
        await self._pace.wait(action)
        try:
            answer = await self._client.call_and_deserialize(action, params, dict)
        except NOT_SENT as error:
            raise _unavailable(f"it cannot be reached ({type(error).__name__})") from None
        except httpx.TimeoutException:
            raise UnansweredError("it did not answer in time") from None
        except httpx.HTTPError as error:
            raise UnansweredError(f"the connection broke ({type(error).__name__})") from None
        except (ValueError, RecursionError):
            raise UnansweredError("the answer makes no sense") from None
        return self._response(answer)

    def _response(self, answer: object) -> dict[str, Any]:
        response = answer.get("Response") if isinstance(answer, dict) else None
        if not isinstance(response, dict):
            raise UnansweredError("the answer makes no sense")
        request_id = response.get("RequestId")
        response["RequestId"] = self._name(request_id) if isinstance(request_id, str) else None
        error = response.get("Error")
        if isinstance(error, dict) and isinstance(code := error.get("Code"), str) and code:
            words = quote(error.get("Message"), *self._secrets)
            raise refusal(self._name(code), response["RequestId"], words)
        return response

    def _name(self, text: str) -> str:
        return shown(text, LONGEST_NAME, *self._secrets)


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
    # Without a retryer: it would submit, and pay, twice.
    http = HttpProfile(protocol=endpoint.scheme, endpoint=endpoint.netloc.decode())
    keys = Credential(
        settings.tencentcloud_secret_id.get_secret_value(), settings.tencentcloud_secret_key.get_secret_value()
    )
    profile = ClientProfile(httpProfile=http, language="en-US")
    client = CommonClient(service, version, keys, settings.tencentcloud_region, profile)
    client.http_client = BoundedClient(settings.tencent_timeout_seconds)
    return client


def _unknown(reason: str, request_id: str | None = None) -> ProviderError:
    return ProviderError(
        FailureCode.OUTCOME_UNKNOWN,
        f"Tencent Cloud may have started the job, and been paid for it, or not: {reason}.",
        retryable=False,
        provider_request_id=request_id,
    )


def _unavailable(reason: str) -> ProviderError:
    return ProviderError(
        FailureCode.PROVIDER_UNAVAILABLE, f"Tencent Cloud is not available just now: {reason}.", retryable=True
    )
