"""Whether a page of another origin may load the bucket's files, as the viewer of a model does."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import httpx
from botocore.client import BaseClient  # type: ignore[import-untyped]  # has no type hints
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # has no type hints

from storage.protocol import StorageUnavailable
from storage.s3_errors import code_of

NO_RULES = "NoSuchCORSConfiguration"
NOT_SAID = {"NotImplemented", "501", "MethodNotAllowed", "405", "AccessDenied", "403"}


def rule(origins: Sequence[str]) -> str:
    """The rule to set, in JSON as `aws s3api put-bucket-cors --cors-configuration` takes it."""
    allowed = {
        "AllowedOrigins": list(origins),
        "AllowedMethods": ["GET", "HEAD"],
        "AllowedHeaders": ["Range"],
        "ExposeHeaders": ["Content-Length", "Content-Range", "ETag"],
        "MaxAgeSeconds": 3600,
    }
    return json.dumps({"CORSRules": [allowed]})


def rules(client: BaseClient, bucket: str) -> list[dict[str, Any]] | None:
    """The bucket's rules; None where the service does not say."""
    try:
        found: list[dict[str, Any]] = client.get_bucket_cors(Bucket=bucket)["CORSRules"]
    except ClientError as error:
        if code_of(error) == NO_RULES:
            return []
        if code_of(error) in NOT_SAID:
            return None
        raise
    return found


def allows(rules: Sequence[dict[str, Any]], origin: str) -> bool:
    return any(
        "GET" in rule["AllowedMethods"] and any(_matches(pattern, origin) for pattern in rule["AllowedOrigins"])
        for rule in rules
    )


def _matches(pattern: str, origin: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), origin) is not None


async def loads(url: str, origin: str, setting: str, *, stored: bool) -> bool:
    """Ask as the viewer in a browser would: by a GET, which needs no preflight.

    `setting` is the one that the URL's host comes from. Where nothing is `stored` there, the answer to a preflight
    is as good: not every host says of a file that it lacks who may load it.
    """
    host = httpx.URL(url).host
    asked = {"Origin": origin, "Range": "bytes=0-0"}
    try:
        async with httpx.AsyncClient(timeout=10, follow_redirects=True) as client:
            async with client.stream("GET", url, headers=asked) as answer:
                if stored and not answer.is_success:
                    raise StorageUnavailable(
                        f"{setting}: {host} answers HTTP {answer.status_code} for a file of the bucket; correct it, "
                        "or let the files be read there"
                    )
            if stored or _lets(answer, origin):
                return _lets(answer, origin)
            preflight = {"Origin": origin, "Access-Control-Request-Method": "GET"}
            answer = await client.options(url, headers=preflight)
    except httpx.HTTPError as error:
        raise StorageUnavailable(
            f"{setting}: {host} cannot be reached from here; correct it, or mend {host}"
        ) from error
    return answer.is_success and _lets(answer, origin)


def _lets(answer: httpx.Response, origin: str) -> bool:
    return answer.headers.get("access-control-allow-origin") in {"*", origin}
