"""Fetching results over real connections, from servers that misbehave."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import logging
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from events.outcome import FailureCode
from providers import fetch as fetching
from providers.addresses import authority
from providers.fetch import MAX_REDIRECTS, fetch
from providers.media import MESHES, PICTURES
from providers.protocol import ProviderError
from tests.standins.things import model, picture


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


@asynccontextmanager
async def server(reply, *, tls=None, pause=0.0):
    """Answer every request with `reply(head)`, as bytes; yields the base URL and the heads of the requests."""
    heads = []

    async def handle(reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            heads.append(head)
            content = reply(head)
            for start in range(0, len(content), 1 << 16 if not pause else 32):
                writer.write(content[start : start + (1 << 16 if not pause else 32)])
                await writer.drain()
                await asyncio.sleep(pause)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}", heads


async def get(url, into=None, **changes):
    options = {"limit_bytes": 1 << 20, "timeout": 5, "allowed_types": PICTURES, "trusted_hosts": {authority(url)}}
    return await fetch(url, into, **(options | changes))


async def failure_of(awaitable):
    with pytest.raises(ProviderError) as caught:
        await awaitable
    return caught.value


async def test_a_picture_comes_into_memory():
    async with server(lambda _: answer(picture(), "Content-Type: text/plain")) as (url, heads):
        fetched = await get(url + "/a.png?b=c")
    assert (fetched.media_type, fetched.size, fetched.content) == ("image/png", len(picture()), picture())
    assert heads[0].startswith("GET /a.png?b=c HTTP/1.1")


async def test_a_model_comes_into_a_file(tmp_path):
    async with server(lambda _: answer(model("box.glb"))) as (url, _):
        fetched = await get(url, tmp_path / "m", allowed_types=MESHES)
    assert (fetched.media_type, fetched.content) == ("model/gltf-binary", b"")
    assert (tmp_path / "m").read_bytes() == model("box.glb")


@pytest.mark.parametrize(
    ("reply", "code", "retryable"),
    [
        (answer(picture()[:100], length=len(picture())), FailureCode.PROVIDER_UNAVAILABLE, True),
        (answer(picture()[:0], length=len(picture())), FailureCode.PROVIDER_UNAVAILABLE, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", FailureCode.PROVIDER_UNAVAILABLE, True),
        (b"HTTP/1.1 200", FailureCode.PROVIDER_UNAVAILABLE, True),
        (b"", FailureCode.PROVIDER_UNAVAILABLE, True),
        (b"SSH-2.0-server\r\n", FailureCode.PROVIDER_UNAVAILABLE, True),
        (answer(b"", status="503 Busy"), FailureCode.PROVIDER_UNAVAILABLE, True),
        (answer(b"", status="404 Not Found"), FailureCode.PROVIDER_UNAVAILABLE, True),
        (answer(b"<!doctype html>", "Content-Type: image/png"), FailureCode.BAD_OUTPUT, False),
        (answer(model("page.html")), FailureCode.BAD_OUTPUT, False),
        (answer(model("box.glb")), FailureCode.BAD_OUTPUT, False),
        (answer(b""), FailureCode.BAD_OUTPUT, False),
        (answer(gzip.compress(picture()), "Content-Encoding: gzip"), FailureCode.BAD_OUTPUT, False),
        (answer(picture(), length=2 << 20), FailureCode.BAD_OUTPUT, False),
        (b"HTTP/1.1 200 OK\r\n\r\n" + picture() + bytes(2 << 20), FailureCode.BAD_OUTPUT, False),
        (answer(b"", "Location: file:///etc/passwd", status="302 Found"), FailureCode.BAD_OUTPUT, False),
        (answer(b"", "Location: http://[bad", status="302 Found"), FailureCode.PROVIDER_UNAVAILABLE, True),
        (answer(b"", "Location: http://xn--/", status="302 Found"), FailureCode.BAD_OUTPUT, False),
        (answer(b"", "Location: //xn--a/", status="302 Found"), FailureCode.BAD_OUTPUT, False),
        (answer(b"", "Location: http://1.1.1.1:99999/", status="302 Found"), FailureCode.BAD_OUTPUT, False),
        (answer(b"", f"Location: http://{'a.' * 5000}com/", status="302 Found"), FailureCode.BAD_OUTPUT, False),
        (answer(b"", "Location: /again", status="302 Found"), FailureCode.BAD_OUTPUT, False),
        (answer(b"", "Location: http://127.0.0.1:9/", status="302 Found"), FailureCode.BAD_OUTPUT, False),
        (answer(b"", "Location: http://169.254.169.254/latest", status="307 Moved"), FailureCode.BAD_OUTPUT, False),
    ],
)
@pytest.mark.parametrize("to_file", [False, True])
async def test_what_goes_wrong_has_its_code_and_leaves_no_file(reply, code, retryable, to_file, tmp_path):
    into = tmp_path / "result" if to_file else None
    async with server(lambda _: reply) as (url, heads):
        error = await failure_of(get(url, into))
    assert (error.failure.code, error.failure.retryable) == (code, retryable), error.failure.message
    assert len(error.failure.message) <= 500
    assert len(heads) <= MAX_REDIRECTS + 1
    assert list(tmp_path.iterdir()) == []


async def test_a_refused_page_is_not_read_to_its_end():
    page = b"HTTP/1.1 200 OK\r\n\r\n" + model("page.html") + bytes(64 << 20)
    sent = 0

    def reply(_):
        nonlocal sent
        sent += 1
        return page

    async with server(reply, pause=0.001) as (url, _):
        error = await failure_of(get(url, limit_bytes=1 << 30, timeout=20))
    assert sent == 1
    assert "unknown type" in error.failure.message


async def test_retry_after_is_kept():
    async with server(lambda _: answer(b"", "Retry-After: 9", status="429 Too Many")) as (url, _):
        assert (await failure_of(get(url))).retry_after == 9


async def test_redirects_are_followed():
    def reply(head):
        return answer(picture()) if "GET /there" in head else answer(b"", "Location: there", status="303 See Other")

    async with server(reply) as (url, _):
        assert (await get(url + "/here")).content == picture()


async def test_the_whole_has_a_deadline(tmp_path):
    async with server(lambda _: answer(picture(width=1000)), pause=0.05) as (url, _):
        error = await failure_of(get(url, tmp_path / "slow", timeout=0.3))
    assert error.failure.code is FailureCode.PROVIDER_UNAVAILABLE
    assert error.failure.retryable
    assert list(tmp_path.iterdir()) == []


async def test_nothing_listens():
    async with server(lambda _: b"") as (url, _):
        pass
    assert (await failure_of(get(url))).failure.code is FailureCode.PROVIDER_UNAVAILABLE


@pytest.mark.parametrize(
    "url", ["ftp://example.com/a", "/relative", "", "http://", "http://user:pw@127.0.0.1:1/", "http://xn--/"]
)
async def test_only_plain_http_urls(url):
    error = await failure_of(fetch(url, None, limit_bytes=1, timeout=5, allowed_types=PICTURES))
    assert error.failure.code is FailureCode.BAD_OUTPUT


async def test_a_host_of_ones_own_is_refused_before_it_is_connected_to():
    async with server(lambda _: answer(picture())) as (url, heads):
        error = await failure_of(get(url, trusted_hosts=()))
    assert error.failure.code is FailureCode.BAD_OUTPUT
    assert heads == []


async def test_connects_to_the_checked_address_under_the_name_asked_for():
    async with server(lambda _: answer(picture())) as (url, heads):
        named = url.replace("127.0.0.1", "localhost")
        await get(named)
    assert f"Host: {authority(named)}\r\n" in heads[0]


async def test_tls_is_checked_against_the_name_not_the_address(tmp_path, monkeypatch):
    certificate = self_signed("localhost", tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    fetching._tls.cache_clear()
    try:
        async with server(lambda _: answer(picture()), tls=tls) as (url, _):
            named = url.replace("127.0.0.1", "localhost")
            assert (await get(named)).content == picture()
            error = await failure_of(get(url))
            assert error.failure.code is FailureCode.PROVIDER_UNAVAILABLE
    finally:
        fetching._tls.cache_clear()


async def test_a_cancelled_fetch_leaves_no_file(tmp_path):
    asked = asyncio.Event()

    def reply(_):
        asked.set()
        return answer(picture(width=1000))

    async with server(reply, pause=0.05) as (url, _):
        task = asyncio.create_task(get(url, tmp_path / "part"))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert list(tmp_path.iterdir()) == []


async def test_the_url_is_not_logged(caplog):
    caplog.set_level(logging.INFO)
    async with server(lambda _: answer(picture())) as (url, _):
        await get(url + "/a.png?q-signature=private")
    assert "private" not in caplog.text


def self_signed(name, folder):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.9"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
