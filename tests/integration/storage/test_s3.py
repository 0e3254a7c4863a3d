"""The storage in a bucket, by boto3 against moto's server."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import FileIO

import boto3
import httpx
import pytest

from settings import Settings
from storage import (
    AlreadyStored,
    FileTooLarge,
    InvalidKey,
    NotStored,
    StorageUnavailable,
    open_storage,
    s3_cors,
    s3_urls,
)
from storage.s3 import S3Storage
from tests.integration.storage.faulty_proxy import Answer, BreakAnswerOff, FaultyProxy, LoseAnswer
from tests.servers import Moto, free_port
from tests.waiting import until

KEY = "requests/req_1/img_1/abc.png"
SECRET = "a-secret-that-nobody-may-see"


@pytest.fixture(autouse=True)
def aws_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**Moto.environment, "AWS_SECRET_ACCESS_KEY": SECRET}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def client(moto):
    client = boto3.client("s3", endpoint_url=moto.url)
    yield client
    client.close()


@pytest.fixture
def bucket(moto):
    return moto.new_bucket()


@pytest.fixture
async def open_bucket(tmp_path):
    """Opens storages, and closes them in the end."""
    opened = []

    def open_one(bucket, url, base_url=None) -> S3Storage:
        opened.append(S3Storage(bucket, endpoint_url=url, base_url=base_url, work_dir=tmp_path / "work"))
        return opened[-1]

    yield open_one
    for storage in opened:
        await storage.aclose()


@pytest.fixture
def storage(open_bucket, moto, bucket):
    return open_bucket(bucket, moto.url)


def keys_in(client, bucket) -> list[str]:
    return [found["Key"] for found in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def uploads_in(client, bucket) -> list[object]:
    return client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


async def test_the_bucket_is_chosen_by_its_setting(moto, bucket, tmp_path):
    settings = Settings(_env_file=None, s3_bucket=bucket, s3_endpoint_url=moto.url, work_dir=tmp_path)
    storage = open_storage(settings)
    assert isinstance(storage, S3Storage)
    await storage.check()
    await storage.put(KEY, b"x", "image/png")
    assert await storage.read(KEY, 1) == b"x"
    await storage.aclose()


def test_boto3_is_not_imported_for_a_folder():
    code = (
        "import sys, storage, settings;"
        "storage.open_storage(settings.Settings(_env_file=None));"
        "print('boto3' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("S3_")}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize("size", [0, 5, 20 * 2**20 + 7])
async def test_what_is_put_is_read_back(storage, client, bucket, tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "source").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    from_path = await storage.put("a/path.glb", tmp_path / "source", "model/gltf-binary")
    assert (from_path.key, from_path.byte_size, from_path.sha256) == ("a/path.glb", size, sha256)
    from_bytes = await storage.put("a/bytes.glb", content, "model/gltf-binary")
    assert (from_bytes.byte_size, from_bytes.sha256) == (size, sha256)
    assert await storage.read("a/bytes.glb", size) == content
    async with storage.open("a/path.glb") as path:
        assert path.suffix == ".glb"
        assert path.read_bytes() == content
    assert not path.exists()
    assert list((tmp_path / "work").iterdir()) == []
    head = client.head_object(Bucket=bucket, Key="a/path.glb")
    assert head["ContentType"] == "model/gltf-binary"
    assert head["CacheControl"] == "private, max-age=31536000, immutable"
    assert head["Metadata"]["sha256"] == sha256
    assert head["ETag"].endswith('-3"') == (size > 8 * 2**20), "a large file goes in parts of 8 MiB"


@pytest.mark.parametrize("size", [5, 9 * 2**20])
async def test_a_key_is_never_reused(storage, client, bucket, tmp_path, size):
    (tmp_path / "source").write_bytes(b"2" * size)
    await storage.put(KEY, b"1" * size, "image/png")
    for source in (b"2" * size, tmp_path / "source", b"1" * size):
        with pytest.raises(AlreadyStored):
            await storage.put(KEY, source, "image/png")
    assert await storage.read(KEY, size) == b"1" * size
    assert uploads_in(client, bucket) == []


async def test_what_is_not_there(storage, tmp_path):
    for action in (storage.read(KEY, 10), storage.open(KEY).__aenter__()):
        with pytest.raises(NotStored, match="nothing is stored as requests/req_1"):
            await action
    with pytest.raises(FileNotFoundError):
        await storage.put(KEY, tmp_path / "no-such-file", "image/png")
    assert list((tmp_path / "work").iterdir()) == []


async def test_a_read_is_bounded(storage):
    await storage.put(KEY, b"12345", "image/png")
    with pytest.raises(FileTooLarge):
        await storage.read(KEY, 4)


async def test_a_key_that_is_not_well_formed_is_not_sent(storage):
    for action in (
        storage.put("../x", b"", "image/png"),
        storage.read("/x", 1),
        storage.open("a//b").__aenter__(),
        storage.url(""),
        storage.public_url("."),
        storage.delete("a b"),
        storage.delete_prefix(""),
        storage.delete_prefix("/"),
    ):
        with pytest.raises(InvalidKey):
            await action


async def test_delete_is_idempotent(storage):
    await storage.put(KEY, b"x", "image/png")
    await storage.delete(KEY)
    await storage.delete(KEY)
    with pytest.raises(NotStored):
        await storage.read(KEY, 1)


async def test_delete_prefix_takes_thousands_and_nothing_beside(storage, client, bucket):
    keys = [f"r/one/{number}.png" for number in range(1005)]
    with ThreadPoolExecutor(4) as pool:
        put = partial(client.put_object, Bucket=bucket, Body=b"")
        list(pool.map(lambda key: put(Key=key), [*keys, "r/one2/a", "r/on/a"]))
    await storage.delete_prefix("r/one/")
    assert keys_in(client, bucket) == ["r/on/a", "r/one2/a"]
    await storage.delete_prefix("r/one")
    assert keys_in(client, bucket) == ["r/on/a"]


async def test_delete_prefix_does_without_the_call_for_many(moto, open_bucket, client, bucket):
    def fault(method, path, headers):
        return Answer(501, "NotImplemented") if method == "POST" and "delete" in path else None

    with FaultyProxy(moto.port, fault) as proxy:
        storage = open_bucket(bucket, proxy.url)
        for number in range(3):
            await storage.put(f"r/{number}.png", b"x", "image/png")
        await storage.delete_prefix("r")
        assert sum(method == "DELETE" for method, _ in proxy.seen) == 3
    assert keys_in(client, bucket) == []


def leave_parts(client, bucket, *keys):
    """What a process leaves that is killed within an upload."""
    for key in keys:
        upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x")


async def test_delete_prefix_takes_the_parts_of_uploads_that_never_ended(storage, client, bucket):
    leave_parts(client, bucket, "r/one/a.glb", "r/one/a.glb", "r/one/b/c.glb", "r/one2/a.glb")
    await storage.delete_prefix("r/one/")
    assert [upload["Key"] for upload in uploads_in(client, bucket)] == ["r/one2/a.glb"]


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (Answer(501, "NotImplemented"), "GET"),
        (Answer(403, "AccessDenied"), "GET"),
        (Answer(403, "AccessDenied"), "DELETE"),
    ],
    ids=str,
)
async def test_delete_prefix_leaves_parts_that_it_may_not_take(moto, open_bucket, client, bucket, answer, refused):
    def fault(method, path, headers):
        return answer if method == refused and "upload" in path else None

    leave_parts(client, bucket, "r/a.glb")
    client.put_object(Bucket=bucket, Key="r/b.glb", Body=b"x")
    with FaultyProxy(moto.port, fault) as proxy:
        await open_bucket(bucket, proxy.url).delete_prefix("r")
        assert any(method == refused and "upload" in path for method, path in proxy.seen)
    assert keys_in(client, bucket) == []


async def test_an_upload_that_ends_while_it_is_deleted_keeps_no_other_from_it(moto, open_bucket, client, bucket):
    ended = []

    def fault(method, path, headers):
        if method != "DELETE" or ended:
            return None
        ended.append(path)
        return Answer(404, "NoSuchUpload")

    leave_parts(client, bucket, "r/a.glb", "r/b.glb")
    with FaultyProxy(moto.port, fault) as proxy:
        await open_bucket(bucket, proxy.url).delete_prefix("r")
    assert len(uploads_in(client, bucket)) == 1


async def test_a_service_that_fails_to_list_the_parts_is_asked_again_later(moto, open_bucket, bucket):
    def fault(method, path, headers):
        return Answer(500, "InternalError") if "uploads" in path else None

    with FaultyProxy(moto.port, fault) as proxy, pytest.raises(StorageUnavailable):
        await open_bucket(bucket, proxy.url).delete_prefix("r")


async def test_a_failed_upload_is_aborted(moto, open_bucket, client, bucket, tmp_path):
    def fault(method, path, headers):
        return Answer(403, "AccessDenied") if "partNumber=2" in path else None

    (tmp_path / "source").write_bytes(bytes(20 * 2**20))
    with FaultyProxy(moto.port, fault) as proxy:
        with pytest.raises(StorageUnavailable, match="grant list, get, put and delete"):
            await open_bucket(bucket, proxy.url).put(KEY, tmp_path / "source", "image/png")
        assert any(method == "PUT" and "partNumber=1" in path for method, path in proxy.seen)
    assert uploads_in(client, bucket) == []
    assert keys_in(client, bucket) == []


@pytest.mark.filterwarnings(r"ignore:Exception ignored in. <_io\.FileIO:pytest.PytestUnraisableExceptionWarning")
async def test_a_cancelled_upload_is_aborted(moto, open_bucket, client, bucket, tmp_path):
    loop, started, proceed = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def fault(method, path, headers):
        if "partNumber=2" in path:
            loop.call_soon_threadsafe(started.set)
            proceed.wait(20)

    source = tmp_path / "source"
    source.write_bytes(bytes(40 * 2**20))

    def is_closed() -> bool:
        gc.collect()
        return not any(isinstance(each, FileIO) and each.name == str(source) for each in gc.get_objects())

    with FaultyProxy(moto.port, fault) as proxy:
        storage = open_bucket(bucket, proxy.url)
        put = asyncio.create_task(storage.put(KEY, source, "image/png"))
        await asyncio.wait_for(started.wait(), 20)
        put.cancel()
        await asyncio.sleep(0)  # one turn of the loop delivers the cancellation
        proceed.set()
        with pytest.raises(asyncio.CancelledError):
            await put
    # s3transfer leaves the files of parts that were never begun to the collector, which warns of them: here, not later.
    await storage.aclose()
    del put
    await until(is_closed)
    assert uploads_in(client, bucket) == []
    assert keys_in(client, bucket) == []


async def test_an_upload_that_ends_as_it_is_cancelled_is_undone(moto, open_bucket, client, bucket):
    loop, started, proceed = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def fault(method, path, headers):
        if method == "PUT":
            loop.call_soon_threadsafe(started.set)
            proceed.wait(20)

    with FaultyProxy(moto.port, fault) as proxy:
        put = asyncio.create_task(open_bucket(bucket, proxy.url).put(KEY, b"x", "image/png"))
        await asyncio.wait_for(started.wait(), 20)
        put.cancel()
        proceed.set()
        with pytest.raises(asyncio.CancelledError):
            await put
        assert [method for method, _ in proxy.seen] == ["PUT", "DELETE"]
    assert keys_in(client, bucket) == []


@pytest.mark.parametrize("size", [1, 9 * 2**20])
async def test_an_upload_whose_answer_was_lost_is_known_as_its_own(moto, open_bucket, client, bucket, tmp_path, size):
    lost = []

    def fault(method, path, headers):
        ends_upload = (method == "POST" and "uploadId" in path) or (method == "PUT" and "uploadId" not in path)
        if ends_upload and not lost:
            lost.append(path)
            return LoseAnswer
        return None

    (tmp_path / "source").write_bytes(bytes(size))
    with FaultyProxy(moto.port, fault) as proxy:
        storage = open_bucket(bucket, proxy.url)
        stored = await storage.put(KEY, tmp_path / "source", "image/png")
        assert len(lost) == 1
        assert stored.byte_size == size
        assert len(await storage.read(KEY, size)) == size


async def test_a_service_that_knows_no_conditions_is_written_to_without(moto, open_bucket, bucket):
    def fault(method, path, headers):
        return Answer(501, "NotImplemented") if headers.get("If-None-Match") else None

    with FaultyProxy(moto.port, fault) as proxy:
        storage = open_bucket(bucket, proxy.url)
        await storage.put(KEY, b"first", "image/png")
        with pytest.raises(AlreadyStored):
            await storage.put(KEY, b"second", "image/png")
        assert await storage.read(KEY, 10) == b"first"


async def test_no_checksums_that_other_services_refuse(moto, open_bucket, bucket, tmp_path):
    names = set()

    def fault(method, path, headers):
        names.update(name.lower() for name in headers)

    (tmp_path / "source").write_bytes(bytes(9 * 2**20))
    with FaultyProxy(moto.port, fault) as proxy:
        storage = open_bucket(bucket, proxy.url)
        await storage.put("a.glb", tmp_path / "source", "model/gltf-binary")
        await storage.put("b.glb", b"x", "model/gltf-binary")
    assert "x-amz-content-sha256" in names
    assert not {name for name in names if "checksum" in name or name == "x-amz-trailer"}


async def test_a_presigned_url_loads_the_file(storage):
    await storage.put(KEY, b"content", "image/png")
    async with httpx.AsyncClient() as http:
        answer = await http.get(await storage.url(KEY), headers={"Range": "bytes=0-2"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (206, b"con", "image/png")


async def test_a_presigned_url_stays_the_same_for_a_while(storage, open_bucket, moto, bucket, monkeypatch):
    now = 1_800_000_000.0 // s3_urls.PERIOD_SECONDS * s3_urls.PERIOD_SECONDS
    monkeypatch.setattr(s3_urls.time, "time", lambda: now)
    first = await storage.url(KEY)
    monkeypatch.setattr(s3_urls.time, "time", lambda: now + s3_urls.PERIOD_SECONDS - 1)
    another_process = open_bucket(bucket, moto.url)
    assert await storage.url(KEY) == await another_process.url(KEY) == first
    monkeypatch.setattr(s3_urls.time, "time", lambda: now + s3_urls.PERIOD_SECONDS)
    assert await storage.url(KEY) != first
    query = httpx.URL(first).params
    assert int(query["X-Amz-Expires"]) == 3600 + s3_urls.PERIOD_SECONDS, "an hour, from the end of the period too"


async def test_the_steady_signature_is_botocore_s_own(storage, bucket, moto, monkeypatch):
    """At the start of a period, the URL is the one that an untouched client makes."""
    import datetime

    import botocore.auth
    from botocore.config import Config

    now = 1_800_000_000 // s3_urls.PERIOD_SECONDS * s3_urls.PERIOD_SECONDS
    monkeypatch.setattr(s3_urls.time, "time", lambda: now)
    at = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(tzinfo=None)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: at)
    plain = boto3.client("s3", endpoint_url=moto.url, config=Config(signature_version="s3v4"))
    parameters = {"Bucket": bucket, "Key": KEY}
    expected = plain.generate_presigned_url("get_object", Params=parameters, ExpiresIn=3600 + s3_urls.PERIOD_SECONDS)
    plain.close()
    assert await storage.url(KEY) == expected


async def test_public_urls(open_bucket, moto, bucket):
    public = open_bucket(bucket, moto.url, "https://files.example.com/maquette")
    assert await public.url(KEY) == await public.public_url(KEY) == f"https://files.example.com/maquette/{KEY}"
    here = open_bucket(bucket, moto.url)
    assert await here.public_url(KEY) is None, "nobody elsewhere reaches 127.0.0.1"


def assert_is_one_clear_line(caught, *words):
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 200
    assert SECRET not in message
    assert all(word in message for word in words), message


async def test_a_bucket_that_is_gone(storage, client, bucket, tmp_path):
    await storage.check()
    client.delete_bucket(Bucket=bucket)
    (tmp_path / "source").write_bytes(bytes(9 * 2**20))
    for action in (
        storage.check(), storage.put(KEY, b"x", "image/png"), storage.put(KEY, tmp_path / "source", "image/png"),
        storage.read(KEY, 1), storage.open(KEY).__aenter__(), storage.delete(KEY), storage.delete_prefix("requests"),
    ):  # fmt: skip
        with pytest.raises(StorageUnavailable) as caught:
            await action
        assert_is_one_clear_line(caught, "S3_BUCKET", bucket, "there is no bucket")


async def test_nobody_listens(open_bucket):
    port = free_port()
    storage = open_bucket("bucket", f"http://{SECRET}:{SECRET}@127.0.0.1:{port}")
    for action in (storage.check(), storage.put(KEY, b"x", "image/png")):
        with pytest.raises(StorageUnavailable) as caught:
            await asyncio.wait_for(action, 20)
        assert_is_one_clear_line(caught, "S3_ENDPOINT_URL", f"127.0.0.1:{port}", "cannot be reached")


async def test_a_file_that_breaks_off(moto, open_bucket, bucket, tmp_path):
    await open_bucket(bucket, moto.url).put(KEY, bytes(100_000), "image/png")

    def fault(method, path, headers):
        return BreakAnswerOff if method == "GET" else None

    with FaultyProxy(moto.port, fault) as proxy:
        storage = open_bucket(bucket, proxy.url)
        for action in (storage.read(KEY, 100_000), storage.open(KEY).__aenter__()):
            with pytest.raises(StorageUnavailable) as caught:
                await action
            assert_is_one_clear_line(caught, "S3_ENDPOINT_URL", "breaks off")
    assert list((tmp_path / "work").iterdir()) == []


async def test_credentials_that_are_wrong(open_bucket):
    with Moto({"INITIAL_NO_AUTH_ACTION_COUNT": "1"}) as strict:
        bucket = strict.new_bucket()
        with pytest.raises(StorageUnavailable) as caught:
            await open_bucket(bucket, strict.url).check()
    assert_is_one_clear_line(caught, "AWS_ACCESS_KEY_ID", "does not know it")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "SignatureDoesNotMatch", ("AWS_SECRET_ACCESS_KEY",)),
        (403, "AccessDenied", ("grant list, get, put and delete",)),
        (403, "ExpiredToken", ("AWS_SESSION_TOKEN", "renew")),
        (301, "PermanentRedirect", ("AWS_REGION",)),
        (403, "RequestTimeTooSkewed", ("clocks",)),
        (400, "SomethingElse", ("SomethingElse",)),
        (418, "", ("418",)),
    ],
)
async def test_what_the_service_says_is_put_plainly(moto, open_bucket, bucket, status, code, words):
    def fault(method, path, headers):
        return Answer(status, code) if method == "GET" else None

    with FaultyProxy(moto.port, fault) as proxy:
        with pytest.raises(StorageUnavailable) as caught:
            await open_bucket(bucket, proxy.url).check()
        assert_is_one_clear_line(caught, *words)


@pytest.mark.parametrize("missing", [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY",)])
async def test_credentials_that_are_missing(open_bucket, moto, bucket, monkeypatch, missing):
    for name in missing:
        monkeypatch.delenv(name)
    with pytest.raises(StorageUnavailable) as caught:
        await open_bucket(bucket, moto.url).check()
    assert_is_one_clear_line(caught, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


async def test_the_disk_for_downloads_is_no_folder(open_bucket, moto, bucket, tmp_path):
    storage = open_bucket(bucket, moto.url)
    await storage.put(KEY, b"x", "image/png")
    (tmp_path / "work").write_bytes(b"")
    with pytest.raises(StorageUnavailable, match="WORK_DIR"):
        await storage.open(KEY).__aenter__()


async def test_cors_as_the_bucket_s_rule_says(storage, client, bucket):
    mine, other = "https://app.example.com", "https://elsewhere.example.com"
    assert await storage.check_cors([mine]) == (mine,)
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration=json.loads(s3_cors.rule([mine])))
    assert await storage.check_cors([mine]) == ()
    assert await storage.check_cors([mine, other]) == (other,)


@pytest.mark.parametrize(("allowed", "refused"), [("*", ()), ("https://a.example", ()), (None, ("https://a.example",))])
@pytest.mark.parametrize("asked", ["GET", "OPTIONS"])
async def test_cors_is_tried_where_the_service_does_not_say(moto, open_bucket, bucket, allowed, refused, asked):
    """Nothing is stored yet: what is said of a file that is not there counts, and what is said of a preflight."""

    def fault(method, path, headers):
        if "Origin" in headers:
            lets = {"Access-Control-Allow-Origin": allowed} if allowed and method == asked else {}
            return Answer(200 if method == "OPTIONS" else 404, headers=lets)
        return Answer(501, "NotImplemented") if "cors" in path else None

    with FaultyProxy(moto.port, fault) as proxy:
        for base_url in (None, f"{proxy.url}/{bucket}"):
            storage = open_bucket(bucket, proxy.url, base_url)
            assert await storage.check_cors(["https://a.example"]) == refused


@pytest.mark.parametrize("origin", ["https://a.example", "https://b.example"])
async def test_cors_is_as_the_viewer_meets_it_where_a_file_is_stored(moto, open_bucket, bucket, origin):
    asked = []

    def fault(method, path, headers):
        if "Origin" not in headers:
            return Answer(403, "AccessDenied") if "?cors" in path else None
        asked.append((method, headers["Range"], path.partition("?")[0]))
        return Answer(206, headers={"Access-Control-Allow-Origin": "https://a.example"})

    with FaultyProxy(moto.port, fault) as proxy:
        for base_url in (None, f"{proxy.url}/{bucket}"):
            storage = open_bucket(bucket, proxy.url, base_url)
            if base_url is None:
                await storage.put(KEY, b"x", "image/png")
            assert await storage.check_cors([origin]) == ((origin,) if origin == "https://b.example" else ())
    assert asked == [("GET", "bytes=0-0", f"/{bucket}/{KEY}")] * 2


@pytest.mark.parametrize("public", [True, False])
async def test_cors_where_the_files_cannot_be_read(moto, open_bucket, bucket, public):
    def fault(method, path, headers):
        return Answer(403, "AccessDenied") if "Origin" in headers or "?cors" in path else None

    with FaultyProxy(moto.port, fault) as proxy:
        storage = open_bucket(bucket, proxy.url, f"{proxy.url}/{bucket}" if public else None)
        await storage.put(KEY, b"x", "image/png")
        setting = "S3_PUBLIC_URL" if public else "S3_ENDPOINT_URL"
        with pytest.raises(StorageUnavailable, match=f"^{setting}: 127.0.0.1 answers HTTP 403 for a file"):
            await storage.check_cors(["https://a.example"])


async def test_cors_where_the_public_address_is_out_of_reach(open_bucket, moto, bucket):
    storage = open_bucket(bucket, moto.url, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StorageUnavailable, match="S3_PUBLIC_URL"):
        await storage.check_cors(["https://a.example"])


async def test_a_bucket_that_hangs_takes_nobody_elses_threads(storage, moto):
    await storage.put(KEY, b"picture", "image/png")
    moto.pause()
    try:
        keys = [f"requests/req_2/img_{number}/abc.png" for number in range(40)]
        stored = [asyncio.create_task(storage.put(key, b"picture", "image/png")) for key in keys]
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await storage.check()
        async with asyncio.timeout(5):
            await asyncio.to_thread(int)
            assert KEY in await storage.url(KEY)
        # Those that have no thread yet do not wait for one.
        for task in stored[20:]:
            task.cancel()
        _, late = await asyncio.wait(stored[20:], timeout=5)
        assert not late
    finally:
        moto.resume()
    assert len(await asyncio.gather(*stored[:20])) == 20
