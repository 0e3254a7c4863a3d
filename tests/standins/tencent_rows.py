"""Error code, what it must become, whether it is tried again: the table of the adapters' requirements, by hand."""

from __future__ import annotations

from events.outcome import FailureCode as F

BUSY = [
    "RequestLimitExceeded",
    "RequestLimitExceeded.JobNumExceed",
    "RequestLimitExceeded.UinLimitExceeded",
    "FailedOperation.EngineServerLimitExceeded",
]
UNAVAILABLE = [
    "InternalError",
    "InternalError.Timeout",
    "ServiceUnavailable",
    "FailedOperation.InnerError",
    "FailedOperation.ServerError",
    "FailedOperation.ConsoleServerError",
    "FailedOperation.RpcFail",
    "FailedOperation.RequestTimeout",
    "FailedOperation.EngineServerError",
    "FailedOperation.EngineRequestTimeout",
    "FailedOperation.Unknown",
    "FailedOperation.SomethingNew",
    "FailedOperation.ImageDownloadError",
    "FailedOperation.DownloadError",
]
CONTENT = [
    "OperationDenied.TextIllegalDetected",
    "OperationDenied.ImageIllegalDetected",
    "FailedOperation.GenerateImageFailed",
]
MISCONFIGURED = [
    "AuthFailure.SignatureFailure",
    "AuthFailure.SecretIdNotFound",
    "AuthFailure.UnauthorizedOperation",
    "UnauthorizedOperation",
    "UnsupportedRegion",
    "ResourceUnavailable.InArrears",
    "ResourceUnavailable.LowBalance",
    "ResourceUnavailable.NotExist",
    "ResourceInsufficient",
    "ResourcesSoldOut.ChargeStatusException",
    "FailedOperation.ServiceNotActivated",
    "FailedOperation.ResourcePackExhausted",
    "FailedOperation.ServiceStopArrears",
    "LimitExceeded",
    "IpInBlacklist",
    "IpNotInWhitelist",
    "InvalidAction",
    "ActionOffline",
    "NoSuchProduct",
    "NoSuchVersion",
]
REJECTED = [
    "InvalidParameter",
    "InvalidParameter.InvalidParameter",
    "InvalidParameterValue.ImageEmpty",
    "InvalidParameterValue.TextLengthExceed",
    "InvalidRequest",
    "MissingParameter",
    "UnknownParameter",
    "UnsupportedOperation",
    "OperationDenied",
    "RequestSizeLimitExceeded",
    "FailedOperation.ImageDecodeFailed",
    "FailedOperation.ImageResolutionExceed",
    "FailedOperation.ImageSizeExceed",
    "FailedOperation.RequestEntityTooLarge",
    "FailedOperation.JobNotExist",
]

ROWS = [
    *((code, F.PROVIDER_BUSY, True) for code in BUSY),
    *((code, F.PROVIDER_UNAVAILABLE, True) for code in UNAVAILABLE),
    *((code, F.CONTENT_REJECTED, False) for code in CONTENT),
    *((code, F.PROVIDER_MISCONFIGURED, False) for code in MISCONFIGURED),
    *((code, F.PROVIDER_REJECTED, False) for code in REJECTED),
]
