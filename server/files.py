"""`/files/{key}`: the files of the local storage, for those who may see them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from storage import InvalidKey, NotStored, StorageUnavailable
from storage.keys import content_type
from storage.local import LocalStorage

NAME_LENGTH = 120


def file_route(storage: LocalStorage, authorize: Callable[[Request, str], Awaitable[bool]]) -> Route:
    """GET and HEAD, with ranges and conditions. To who is not authorised for a key, there is no such file.

    `?download=NAME` has the browser save the file under that name, with the key's extension.
    """

    async def serve(request: Request) -> Response:
        key = request.path_params["key"]
        try:
            path, found = await storage.find(key)
        except (InvalidKey, NotStored):
            raise HTTPException(404) from None
        except StorageUnavailable:
            raise HTTPException(503) from None
        if not await authorize(request, key):
            raise HTTPException(404)
        return _answer(request, key, path, found)

    return Route("/files/{key:path}", serve, methods=["GET"], name="file")


def _answer(request: Request, key: str, path: Path, found: os.stat_result) -> Response:
    # A file never changes under its key, so the key alone tells versions apart.
    etag = f'"{hashlib.sha256(key.encode()).hexdigest()[:32]}"'
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
    }
    if _has(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    name = request.query_params.get("download")
    return StoredFileResponse(
        path,
        headers=headers,
        media_type=content_type(key),
        stat_result=found,
        filename=None if name is None else _file_name(name, key),
    )


class StoredFileResponse(FileResponse):
    """Starlette's, which answers every Range with 206 or an error: one of no concern to it is to be ignored."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD" or not _range(scope).strip().lower().startswith(b"bytes="):
            scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"range"]}
        await super().__call__(scope, receive, send)


def _range(scope: dict[str, Any] | Scope) -> bytes:
    return next((value for name, value in scope["headers"] if name == b"range"), b"")


def _has(if_none_match: str, etag: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in tags or "*" in tags


def _file_name(wanted: str, key: str) -> str:
    """A name that no system takes for a path, ending as the key does."""
    last = Path(key)
    stem = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]+', " ", wanted).strip(". ").removesuffix(last.suffix)
    return (stem[:NAME_LENGTH].strip() or last.stem) + last.suffix
