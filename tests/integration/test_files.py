"""`/files/{key}` over real HTTP semantics, in process."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from server.files import file_route
from storage.local import LocalStorage

KEY = "requests/req_1/mdl_1/abc.glb"
CONTENT = bytes(range(256)) * 1000


@pytest.fixture
async def storage(tmp_path):
    storage = LocalStorage(tmp_path / "files")
    await storage.put(KEY, CONTENT, "model/gltf-binary")
    (tmp_path / "secret").write_text("secret")
    return storage


@pytest.fixture
async def http(storage):
    async def authorize(request, key):
        return request.headers.get("authorization") != "Bearer somebody-else"

    app = Starlette(routes=[file_route(storage, authorize)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_a_file_with_what_a_browser_wants_to_know(http):
    answer = await http.get(f"/files/{KEY}")
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "model/gltf-binary"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["accept-ranges"] == "bytes"
    assert "content-disposition" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("webp", "image/webp"),
        ("obj", "model/obj"),
        ("stl", "model/stl"),
        ("3mf", "model/3mf"),
        ("html", "application/octet-stream"),
        ("svg", "application/octet-stream"),
    ],
)
async def test_content_types(http, storage, extension, expected):
    await storage.put(f"a/b.{extension}", b"<script>", "text/html")
    assert (await http.get(f"/files/a/b.{extension}")).headers["content-type"] == expected


async def test_head(http):
    whole = await http.get(f"/files/{KEY}")
    for headers in ({}, {"Range": "bytes=0-9"}):
        head = await http.head(f"/files/{KEY}", headers=headers)
        assert (head.status_code, head.content) == (200, b"")
        assert dict(head.headers) == dict(whole.headers)


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=255990-", 255_990, 256_000),
        ("bytes=-6", 255_994, 256_000),
        ("bytes=9-999999", 9, 256_000),
    ],
)
async def test_a_range(http, wanted, start, end):
    answer = await http.get(f"/files/{KEY}", headers={"Range": wanted})
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/256000"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"


async def test_two_ranges(http):
    answer = await http.get(f"/files/{KEY}", headers={"Range": "bytes=0-1,100-101"})
    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert answer.content.count(b"Content-Range: bytes ") == 2
    assert b"\r\n\r\n\x00\x01\r\n" in answer.content
    assert b"\r\n\r\n\x64\x65\r\n" in answer.content


async def test_a_range_beyond_the_end(http):
    answer = await http.get(f"/files/{KEY}", headers={"Range": "bytes=256000-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */256000"


async def test_a_range_in_unknown_units_is_ignored(http):
    answer = await http.get(f"/files/{KEY}", headers={"Range": "triangles=0-9"})
    assert (answer.status_code, len(answer.content)) == (200, 256_000)


async def test_conditions(http, storage):
    etag = (await http.get(f"/files/{KEY}")).headers["etag"]
    for condition in (etag, f'W/{etag}, "x"', f'"x", {etag}', "*"):
        answer = await http.get(f"/files/{KEY}", headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
        assert "content-length" not in answer.headers
    assert (await http.get(f"/files/{KEY}", headers={"If-None-Match": '"x"'})).status_code == 200

    ranged = {"Range": "bytes=0-9"}
    assert (await http.get(f"/files/{KEY}", headers={**ranged, "If-Range": etag})).status_code == 206
    for other in ('"x"', f"W/{etag}"):
        assert (await http.get(f"/files/{KEY}", headers={**ranged, "If-Range": other})).status_code == 200

    await storage.put("requests/req_1/mdl_1/abd.glb", CONTENT, "model/gltf-binary")
    assert (await http.get("/files/requests/req_1/mdl_1/abd.glb")).headers["etag"] != etag


@pytest.mark.parametrize(
    ("wanted", "disposition"),
    [
        ("owl.glb", 'attachment; filename="owl.glb"'),
        ("owl", 'attachment; filename="owl.glb"'),
        ("owl.exe", 'attachment; filename="owl.exe.glb"'),
        ("../../etc/passwd", "attachment; filename*=utf-8''etc%20passwd.glb"),
        ('a"b\r\nX-Evil: 1', "attachment; filename*=utf-8''a%20b%20X-Evil%20%201.glb"),
        ("猫头鹰", "attachment; filename*=utf-8''%E7%8C%AB%E5%A4%B4%E9%B9%B0.glb"),
        ("", 'attachment; filename="abc.glb"'),
        ("...", 'attachment; filename="abc.glb"'),
        ("x" * 500, f'attachment; filename="{"x" * 120}.glb"'),
    ],
)
async def test_saving_under_a_name(http, wanted, disposition):
    answer = await http.get(f"/files/{KEY}", params={"download": wanted})
    assert answer.headers["content-disposition"] == disposition
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        *("/files/", "/files/requests", "/files/requests/req_1/mdl_1", "/files/requests/req_1/mdl_1/other.glb"),
        *("/files/../secret", "/files/%2e%2e/secret", "/files/..%2fsecret", "/files/.incoming/x", "/files/a%00b"),
        *("/files//etc/passwd", "/files/%2fetc%2fpasswd", "/files/%ff", f"/files/{KEY}/", "/files/" + "a" * 5000),
    ],
)
async def test_what_is_not_there(http, path):
    answer = await http.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


async def test_to_who_may_not_see_it_there_is_no_such_file(http):
    stranger = {"Authorization": "Bearer somebody-else"}
    refused = await http.get(f"/files/{KEY}", headers=stranger)
    missing = await http.get("/files/requests/req_1/mdl_1/other.glb", headers=stranger)
    assert refused.status_code == missing.status_code == 404
    assert (refused.text, dict(refused.headers)) == (missing.text, dict(missing.headers))
    etag = (await http.get(f"/files/{KEY}")).headers["etag"]
    assert (await http.get(f"/files/{KEY}", headers={**stranger, "If-None-Match": etag})).status_code == 404


async def test_other_methods(http):
    for method in ("POST", "PUT", "DELETE"):
        answer = await http.request(method, f"/files/{KEY}")
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_a_folder_that_cannot_be_read(http, storage, monkeypatch):
    import storage.local as local_module

    def broken(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(local_module.Path, "lstat", broken)
    assert (await http.get(f"/files/{KEY}")).status_code == 503
