"""Files in a bucket of an S3-compatible service.

Each method's requests are made in a thread; credentials and region are found by boto3's own rules. The parts of an
upload whose process was killed stay until `delete_prefix`, or a lifecycle rule of the bucket, takes them.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import Any, TypeVar

import boto3  # type: ignore[import-untyped]  # has no type hints
from boto3.exceptions import Boto3Error, S3UploadFailedError  # type: ignore[import-untyped]  # has no type hints
from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped]  # has no type hints
from botocore.client import BaseClient  # type: ignore[import-untyped]  # has no type hints
from botocore.config import Config  # type: ignore[import-untyped]  # has no type hints
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # has no type hints

from storage import s3_cors, s3_urls, threads
from storage.keys import check_key, check_prefix
from storage.protocol import AlreadyStored, FileTooLarge, NotStored, StorageUnavailable, Stored
from storage.s3_errors import code_of, explain

THREADS = 16
CHECKS = 4
PART_BYTES = 8 << 20
CHUNK_BYTES = 1 << 20
URLS_KEPT = 10_000
TRANSFER = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=2)
# A page or a provider may keep a file for ever, as it never changes; a cache between must not, as it is one user's.
CACHE_CONTROL = "private, max-age=31536000, immutable"
NOT_THERE = {"NoSuchKey", "404"}
# Of a service that knows no lists of uploads, or an account that has no right to them: a lifecycle rule is left.
NO_UPLOADS = {"NotImplemented", "MethodNotAllowed", "AccessDenied", "403", "404", "405", "501"}

T = TypeVar("T")


class S3Storage:
    """A bucket. `base_url` is where everyone may load its files; without, URLs are presigned.

    Raises `StorageUnavailable` where the credentials are half there; nothing is connected to yet.
    """

    def __init__(self, bucket: str, *, endpoint_url: str | None, base_url: str | None, work_dir: Path) -> None:
        self._bucket = bucket
        self._base_url = base_url
        self._work_dir = work_dir
        # Services that refuse the condition are written to without it; keys are unique in any case.
        self._conditional = True
        self._urls: dict[str, str] = {}
        self._urls_period = 0
        self._client = _make_client(bucket, endpoint_url)
        # Of its own: where the bucket hangs, nobody else waits for a thread, nor who asks whether it does.
        self._threads = ThreadPoolExecutor(THREADS, "s3")
        self._checks = ThreadPoolExecutor(CHECKS, "s3-check")
        self._host = s3_urls.host_of(self._client.meta.endpoint_url)
        for operation in ("PutObject", "CompleteMultipartUpload"):
            self._client.meta.events.register(f"provide-client-params.s3.{operation}", self._refuse_overwriting)
        s3_urls.sign_steadily(self._client)

    async def put(self, key: str, source: Path | bytes, content_type: str) -> Stored:
        check_key(key)
        return await threads.run(
            lambda stop: self._explained(lambda: self._put(key, source, content_type, stop), key),
            undo=lambda: self._delete(key),
            executor=self._threads,
        )

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[Path]:
        check_key(key)
        folder = await asyncio.to_thread(self._make_work_folder)
        try:
            path = Path(folder.name) / Path(key).name
            await threads.run(
                lambda stop: self._explained(lambda: self._download(key, path, stop), key),
                undo=lambda: None,
                executor=self._threads,
            )
            yield path
        finally:
            await asyncio.to_thread(folder.cleanup)

    async def read(self, key: str, limit: int) -> bytes:
        check_key(key)
        return await self._run(lambda: self._read(key, limit), key)

    async def url(self, key: str) -> str:
        """A presigned URL is good for an hour at least, and the same for a quarter of one, for browsers' caches."""
        check_key(key)
        if self._base_url is not None:
            return f"{self._base_url}/{key}"
        period = s3_urls.period(time.time())
        if period != self._urls_period or len(self._urls) >= URLS_KEPT:
            self._urls, self._urls_period = {}, period
        if key not in self._urls:
            # Signing may have to fetch new credentials first.
            url = await asyncio.to_thread(
                self._explained, lambda: s3_urls.presign(self._client, self._bucket, key), key
            )
            self._urls[key] = url
        return self._urls[key]

    async def public_url(self, key: str) -> str | None:
        url = await self.url(key)
        return url if s3_urls.is_public(url) else None

    async def delete(self, key: str) -> None:
        check_key(key)
        await self._run(lambda: self._delete(key), key)

    async def delete_prefix(self, prefix: str) -> None:
        check_prefix(prefix)
        # The uploads first: one that ends meanwhile is a file that is found then.
        await self._run(lambda: self._abort_prefixed(prefix), prefix)
        await self._run(lambda: self._delete_prefixed(prefix), prefix)

    async def check(self) -> None:
        await self._run(self._list_one, "", self._checks)

    async def check_cors(self, origins: Sequence[str]) -> tuple[str, ...]:
        """The origins whose pages could not load the files; `s3_cors.rule` has the rule that would let them."""
        rules = None
        if self._base_url is None:
            rules = await self._run(lambda: s3_cors.rules(self._client, self._bucket), "")
        if rules is not None:
            return tuple(origin for origin in origins if not s3_cors.allows(rules, origin))
        stored = await self._run(self._one_key, "")
        url = await self.url(stored or "requests/cors-check")
        setting = "S3_PUBLIC_URL" if self._base_url is not None else "S3_ENDPOINT_URL"
        return tuple(
            [origin for origin in origins if not await s3_cors.loads(url, origin, setting, stored=stored is not None)]
        )

    async def aclose(self) -> None:
        await asyncio.to_thread(self._client.close)

    async def _run(self, work: Callable[[], T], key: str, executor: Executor | None = None) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor or self._threads, self._explained, work, key)

    def _put(self, key: str, source: Path | bytes, content_type: str, stop: Event) -> Stored:
        byte_size, sha256 = _measure(source, stop)
        mark = token_hex(8)
        extra = {
            "ContentType": content_type,
            "CacheControl": CACHE_CONTROL,
            "Metadata": {"sha256": sha256, "put": mark},
        }
        if (byte_size >= PART_BYTES or not self._conditional) and self._head(key) is not None:
            raise AlreadyStored(key)
        try:
            self._upload(key, source, extra, stop)
        except ClientError as error:
            if self._conditional and _refuses_condition(error):
                self._conditional = False
                return self._put(key, source, content_type, stop)
            # A request that was sent again after its answer was lost finds its own file there.
            if code_of(error) not in {"PreconditionFailed", "412", "NoSuchUpload"}:
                raise
            found = self._head(key)
            if found is None:
                raise
            if found["Metadata"].get("put") != mark:
                raise AlreadyStored(key) from None
        return Stored(key, byte_size, sha256)

    def _upload(self, key: str, source: Path | bytes, extra: dict[str, Any], stop: Event) -> None:
        if stop.is_set():
            raise threads.Stopped
        if isinstance(source, bytes):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=source, **extra)
            return
        try:
            self._client.upload_file(
                str(source), self._bucket, key, ExtraArgs=extra, Callback=_stopping(stop), Config=TRANSFER
            )
        except S3UploadFailedError as error:
            if isinstance(error.__context__, ClientError):
                raise error.__context__ from None
            raise

    def _refuse_overwriting(self, params: dict[str, Any], **_: object) -> dict[str, Any]:
        return {**params, "IfNoneMatch": "*"} if self._conditional else params

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if code_of(error) in NOT_THERE:
                return None
            raise
        return found

    def _make_work_folder(self) -> tempfile.TemporaryDirectory[str]:
        try:
            self._work_dir.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryDirectory(dir=self._work_dir, prefix="download-", ignore_cleanup_errors=True)
        except OSError as error:
            raise StorageUnavailable(f"WORK_DIR: {self._work_dir} cannot be used: {error.strerror}") from error

    def _download(self, key: str, path: Path, stop: Event) -> None:
        try:
            self._client.download_file(self._bucket, key, str(path), Callback=_stopping(stop), Config=TRANSFER)
        except ClientError as error:
            if code_of(error) in NOT_THERE:
                self._list_one()
            raise
        except OSError as error:
            raise StorageUnavailable(f"WORK_DIR: {self._work_dir} cannot be used: {error.strerror}") from error

    def _read(self, key: str, limit: int) -> bytes:
        answer = self._client.get_object(Bucket=self._bucket, Key=key)
        # As a context, the body would give what is beneath it, with errors that botocore has not made its own.
        with closing(answer["Body"]) as body:
            if answer["ContentLength"] > limit:
                raise FileTooLarge(f"{key} has {answer['ContentLength']} bytes, more than {limit}")
            content: bytes = body.read()
        return content

    def _delete(self, key: str) -> None:
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if code_of(error) not in NOT_THERE:
                raise

    def _delete_prefixed(self, prefix: str) -> None:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            if found := page.get("Contents", []):
                self._delete_all([entry["Key"] for entry in found])

    def _abort_prefixed(self, prefix: str) -> None:
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix)
        try:
            for page in pages:
                for upload in page.get("Uploads", []):
                    self._abort(upload["Key"], upload["UploadId"])
        except ClientError as error:
            if code_of(error) not in NO_UPLOADS:
                raise

    def _abort(self, key: str, upload: str) -> None:
        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
        except ClientError as error:
            if code_of(error) != "NoSuchUpload":
                raise

    def _delete_all(self, keys: list[str]) -> None:
        objects = [{"Key": key} for key in keys]
        try:
            answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
        except ClientError:  # not every service has this call, or takes its checksum
            answer = {"Errors": objects}
        for left in answer.get("Errors", []):
            self._delete(left["Key"])

    def _list_one(self) -> None:
        """Unlike a HEAD request, this is answered with the service's own code where it fails."""
        self._client.list_objects_v2(Bucket=self._bucket, MaxKeys=1)

    def _one_key(self) -> str | None:
        """The key of a file that is there, if there is one."""
        listing = self._client.list_objects_v2(Bucket=self._bucket, Prefix="requests/", MaxKeys=1)
        return next((found["Key"] for found in listing.get("Contents", [])), None)

    def _explained(self, work: Callable[[], T], key: str) -> T:
        try:
            return work()
        except ClientError as error:
            if code_of(error) in NOT_THERE:
                raise NotStored(key) from None
            raise StorageUnavailable(explain(error, self._bucket, self._host)) from error
        except (BotoCoreError, Boto3Error) as error:
            raise StorageUnavailable(explain(error, self._bucket, self._host)) from error


def _make_client(bucket: str, endpoint_url: str | None) -> BaseClient:
    try:
        return boto3.session.Session().client("s3", endpoint_url=endpoint_url, config=_config(endpoint_url))
    except BotoCoreError as error:
        raise StorageUnavailable(explain(error, bucket, s3_urls.host_of(endpoint_url or "//Amazon S3"))) from error


def _config(endpoint_url: str | None) -> Config:
    return Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "standard", "total_max_attempts": 3},
        # Each of the threads may send two parts at once.
        max_pool_connections=2 * THREADS,
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint_url else "auto"},
        # The newer checksums are refused by many services that are not Amazon's.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _measure(source: Path | bytes, stop: Event) -> tuple[int, str]:
    """The size in bytes and the SHA-256."""
    if isinstance(source, bytes):
        return len(source), hashlib.sha256(source).hexdigest()
    digest, byte_size = hashlib.sha256(), 0
    with source.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            if stop.is_set():
                raise threads.Stopped
            digest.update(chunk)
            byte_size += len(chunk)
    return byte_size, digest.hexdigest()


def _stopping(stop: Event) -> Callable[[int], None]:
    """A progress callback; what it raises ends the transfer, and a multipart upload is aborted."""

    def progress(_: int) -> None:
        if stop.is_set():
            raise threads.Stopped

    return progress


def _refuses_condition(error: ClientError) -> bool:
    code = code_of(error)
    if code in {"InvalidArgument", "InvalidRequest"}:
        return "if-none-match" in str(error).lower()
    return code in {"NotImplemented", "501"}
