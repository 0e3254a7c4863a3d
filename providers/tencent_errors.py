"""What each of Tencent Cloud's error codes means for a job, as one table.

From the error lists of ai3d, aiart and the common errors of the platform; ai3d's own list is kept short by its SDK, so
codes are told by their family where they are not told by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from events.outcome import FailureCode
from providers.protocol import ProviderError

BUSY = FailureCode.PROVIDER_BUSY
UNAVAILABLE = FailureCode.PROVIDER_UNAVAILABLE
CONTENT = FailureCode.CONTENT_REJECTED
MISCONFIGURED = FailureCode.PROVIDER_MISCONFIGURED
REJECTED = FailureCode.PROVIDER_REJECTED

RETRYABLE = frozenset({BUSY, UNAVAILABLE})

# The picture was given by URL and could not be fetched there: it is worth sending it along instead.
DOWNLOAD_ERRORS = frozenset({"FailedOperation.ImageDownloadError", "FailedOperation.DownloadError"})

CODES: Mapping[str, FailureCode] = {
    "FailedOperation.EngineServerLimitExceeded": BUSY,
    "FailedOperation.InnerError": UNAVAILABLE,
    "FailedOperation.ServerError": UNAVAILABLE,
    "FailedOperation.ConsoleServerError": UNAVAILABLE,
    "FailedOperation.RpcFail": UNAVAILABLE,
    "FailedOperation.RequestTimeout": UNAVAILABLE,
    "FailedOperation.EngineServerError": UNAVAILABLE,
    "FailedOperation.EngineRequestTimeout": UNAVAILABLE,
    "FailedOperation.Unknown": UNAVAILABLE,
    "FailedOperation.ImageDownloadError": UNAVAILABLE,
    "FailedOperation.DownloadError": UNAVAILABLE,
    "FailedOperation.GenerateImageFailed": CONTENT,
    "OperationDenied.TextIllegalDetected": CONTENT,
    "OperationDenied.ImageIllegalDetected": CONTENT,
    "FailedOperation.ServiceNotActivated": MISCONFIGURED,
    "FailedOperation.ResourcePackExhausted": MISCONFIGURED,
    "FailedOperation.ServiceStopArrears": MISCONFIGURED,
    "FailedOperation.ImageDecodeFailed": REJECTED,
    "FailedOperation.ImageResolutionExceed": REJECTED,
    "FailedOperation.ImageSizeExceed": REJECTED,
    "FailedOperation.RequestEntityTooLarge": REJECTED,
    "FailedOperation.JobNotExist": REJECTED,
}

# By what stands before the dot, for the codes that are not named above.
FAMILIES: Mapping[str, FailureCode] = {
    "RequestLimitExceeded": BUSY,
    "InternalError": UNAVAILABLE,
    "ServiceUnavailable": UNAVAILABLE,
    "FailedOperation": UNAVAILABLE,
    "OperationDenied": REJECTED,
    "AuthFailure": MISCONFIGURED,
    "UnauthorizedOperation": MISCONFIGURED,
    "UnsupportedRegion": MISCONFIGURED,
    "ResourceUnavailable": MISCONFIGURED,
    "ResourceInsufficient": MISCONFIGURED,
    "ResourcesSoldOut": MISCONFIGURED,
    "LimitExceeded": MISCONFIGURED,
    "IpInBlacklist": MISCONFIGURED,
    "IpNotInWhitelist": MISCONFIGURED,
    "InvalidAction": MISCONFIGURED,
    "ActionOffline": MISCONFIGURED,
    "NoSuchProduct": MISCONFIGURED,
    "NoSuchVersion": MISCONFIGURED,
    "InvalidParameter": REJECTED,
    "InvalidParameterValue": REJECTED,
    "InvalidRequest": REJECTED,
    "MissingParameter": REJECTED,
    "UnknownParameter": REJECTED,
    "UnsupportedOperation": REJECTED,
    "RequestSizeLimitExceeded": REJECTED,
}

MESSAGES: Mapping[FailureCode, str] = {
    BUSY: "Tencent Cloud has too much to do just now for this account",
    UNAVAILABLE: "Tencent Cloud could not do the work just now",
    CONTENT: "Tencent Cloud refused the content",
    MISCONFIGURED: "Tencent Cloud refused the account, its keys, permissions or balance",
    REJECTED: "Tencent Cloud refused the request",
}


def failure_code(code: str) -> FailureCode:
    """The meaning of an error code. One that nobody knows is tried again: a call that was refused costs nothing."""
    return CODES.get(code) or FAMILIES.get(code.partition(".")[0], UNAVAILABLE)


def refusal(code: str, request_id: str | None = None, words: str = "", job_ended: bool = False) -> ProviderError:
    """The error for an error code; `words` are Tencent's own, quoted, and shown where they say what to change."""
    meaning = failure_code(code)
    shown = words if meaning is REJECTED else ""
    return ProviderError(
        meaning,
        f"{MESSAGES[meaning]} ({code or 'no code'}){shown}.",
        retryable=meaning in RETRYABLE,
        provider_code=code or None,
        provider_request_id=request_id,
        job_ended=job_ended,
    )
