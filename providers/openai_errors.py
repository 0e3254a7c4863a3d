"""What an OpenAI-compatible service's refusal means, by its error code and its HTTP status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import SecretStr

from events.outcome import FailureCode
from providers.protocol import ProviderError
from providers.quote import LONGEST, quote, shown
from providers.retry_after import retry_after

CODES: Mapping[str, FailureCode] = {
    "insufficient_quota": FailureCode.PROVIDER_MISCONFIGURED,
    "billing_hard_limit_reached": FailureCode.PROVIDER_MISCONFIGURED,
    "billing_not_active": FailureCode.PROVIDER_MISCONFIGURED,
    "account_deactivated": FailureCode.PROVIDER_MISCONFIGURED,
    "invalid_api_key": FailureCode.PROVIDER_MISCONFIGURED,
    "model_not_found": FailureCode.PROVIDER_MISCONFIGURED,
    "content_policy_violation": FailureCode.CONTENT_REJECTED,
    "content_filter": FailureCode.CONTENT_REJECTED,
    "moderation_blocked": FailureCode.CONTENT_REJECTED,
}

STATUSES: Mapping[int, FailureCode] = {
    401: FailureCode.PROVIDER_MISCONFIGURED,
    402: FailureCode.PROVIDER_MISCONFIGURED,
    403: FailureCode.PROVIDER_MISCONFIGURED,
    408: FailureCode.PROVIDER_UNAVAILABLE,
    409: FailureCode.PROVIDER_UNAVAILABLE,
    425: FailureCode.PROVIDER_UNAVAILABLE,
    429: FailureCode.PROVIDER_BUSY,
    451: FailureCode.CONTENT_REJECTED,
}

RETRYABLE = frozenset({FailureCode.PROVIDER_BUSY, FailureCode.PROVIDER_UNAVAILABLE})

MESSAGES: Mapping[FailureCode, str] = {
    FailureCode.PROVIDER_BUSY: "The service has too much to do just now",
    FailureCode.PROVIDER_UNAVAILABLE: "The service is not available just now",
    FailureCode.PROVIDER_MISCONFIGURED: "The service refused the account, its key, quota or model name",
    FailureCode.CONTENT_REJECTED: "The service refused the prompt for its content",
    FailureCode.PROVIDER_REJECTED: "The service refused the request",
}


class Refusal(ProviderError):
    """An answer with an HTTP status other than 200; `location` is where a redirect points to."""

    status: int
    location: str | None = None


def request_id(headers: httpx.Headers) -> str | None:
    found: str | None = headers.get("x-request-id") or headers.get("x-siliconcloud-trace-id")
    return found


def refusal(status: int, headers: httpx.Headers, body: bytes, secret: SecretStr | None) -> Refusal:
    """The error for an answer with an HTTP status other than 200."""
    fields = _fields(body)
    names = [str(fields[name]) for name in ("code", "type") if fields.get(name)]
    known = [CODES[name] for name in names if name in CODES]
    code = known[0] if known else _by_status(status)
    # What else a service says may name accounts and parts of keys; of a refused request, it says what to change.
    words = quote(fields.get("message"), secret) if code is FailureCode.PROVIDER_REJECTED else ""
    error = Refusal(
        code,
        f"{MESSAGES[code]} (HTTP {status}){words}.",
        retryable=code in RETRYABLE,
        provider_code=shown(names[0], LONGEST, secret) if names else None,
        provider_request_id=request_id(headers),
        retry_after=retry_after(headers.get("retry-after")),
    )
    error.status = status
    error.location = headers.get("location")
    return error


def _by_status(status: int) -> FailureCode:
    if status >= 500:
        return FailureCode.PROVIDER_UNAVAILABLE
    if status < 400:
        # A redirect: the base URL is not the service's own.
        return FailureCode.PROVIDER_MISCONFIGURED
    return STATUSES.get(status, FailureCode.PROVIDER_REJECTED)


def _fields(body: bytes) -> dict[str, Any]:
    """`code`, `type` and `message`, out of OpenAI's `{"error": {…}}` or SiliconFlow's `{"code", "message", "data"}`."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(answer, dict):
        return {}
    inner = answer.get("error")
    if isinstance(inner, str):
        return {"message": inner}
    return inner if isinstance(inner, dict) else answer
