"""URLs of a bucket's files: presigned so that they stay the same for a while, and which of them others could reach."""

from __future__ import annotations

import ipaddress
import time
from urllib.parse import urlsplit

from botocore.auth import AUTH_TYPE_MAPS, SIGV4_TIMESTAMP, S3SigV4QueryAuth  # type: ignore[import-untyped]  # no hints
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # has no type hints
from botocore.client import BaseClient  # type: ignore[import-untyped]  # has no type hints

PERIOD_SECONDS = 15 * 60
VALID_SECONDS = 3600
STEADY = "maquette-s3v4-query"


def period(now: float) -> int:
    """The start of the period that `now` is in; in Unix time, as `now` is."""
    return int(now) // PERIOD_SECONDS * PERIOD_SECONDS


class SteadyQueryAuth(S3SigV4QueryAuth):  # type: ignore[misc]  # botocore has no type hints
    """Signs as of the start of the period, so that every process gives one key the same URL all through it."""

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        request.context["timestamp"] = time.strftime(SIGV4_TIMESTAMP, time.gmtime(period(time.time())))
        super()._modify_request_before_signing(request)


def sign_steadily(client: BaseClient) -> None:
    """Have the client's presigned URLs of files made by `SteadyQueryAuth`; its own requests are signed as ever."""
    AUTH_TYPE_MAPS[STEADY] = SteadyQueryAuth

    def choose(signature_version: str, **_: object) -> str | None:
        return STEADY if signature_version == "s3v4-query" else None

    client.meta.events.register_first("choose-signer.s3.GetObject", choose)


def presign(client: BaseClient, bucket: str, key: str) -> str:
    """A URL that is good for at least `VALID_SECONDS`."""
    url: str = client.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=VALID_SECONDS + PERIOD_SECONDS
    )
    return url


def host_of(url: str) -> str:
    """Host and port, without the user and password that a URL may hold."""
    return urlsplit(url).netloc.rpartition("@")[2]


def is_public(url: str) -> bool:
    """Whether the host's name or address is one that a service elsewhere could reach."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal", ".lan", ".home.arpa"))
