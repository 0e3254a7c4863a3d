"""The whole way with the services that users pay for, on MariaDB, Redis and S3."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Bucket, Connect, OpenAI, Tencent, servers
from tests.acceptance.program import Client, assert_whole, in_phase, names, running
from tests.standins.tencent import Script
from tests.standins.things import picture as drawing


async def loaded(url: str, bucket: Bucket) -> httpx.Response:
    """A file by its presigned URL, as a browser without any token loads it."""
    assert url.startswith(f"{bucket.moto.url}/{bucket.name}/requests/")
    assert "X-Amz-Signature=" in url
    async with httpx.AsyncClient() as browser:
        return await browser.get(url)


async def whole_way(client: Client, bucket: Bucket, prompt: str) -> dict[str, Any]:
    request_id = await client.created(prompt)
    events = await client.follow(request_id, in_phase("AWAITING_SELECTION"))
    assert (await client.select(request_id, 2))["userErrors"] == []
    events += await client.follow(request_id, in_phase("COMPLETED"), after=events[-1]["sequence"])
    assert_whole(events)
    told = Counter(names(events))
    assert (told["image:completed"], told["model:completed"], told["image:failed"] + told["model:failed"]) == (4, 1, 0)
    request = await client.request(request_id)
    for image in request["images"]:
        picture = await loaded(image["imageUrl"], bucket)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    [model] = request["models"]
    assert [file["format"] for file in model["files"]] == ["GLB", "OBJ", "STL", "THREE_MF"]
    for file in model["files"]:
        content = (await loaded(file["url"], bucket)).content
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["byteSize"], file["sha256"])
    # The provider's own.
    preview = await loaded(model["previewImageUrl"], bucket)
    assert (preview.headers["content-type"], preview.content) == ("image/png", drawing())
    assert len(bucket.keys()) == 4 + 4 + 1
    return request


@pytest.mark.parametrize("painter", ["openai", "tencent"])
async def test_from_a_prompt_to_files_in_a_bucket(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    openai: OpenAI,
    tencent: Tencent,
    bucket: Bucket,
    connect: Connect,
    painter: str,
) -> None:
    tencent.script = Script(timeline=["RUN", "DONE"], results=[("OBJ", "box.zip"), ("GLB", "box.glb")])
    services = {**openai.settings, **tencent.settings, **bucket.settings, "IMAGE_PROVIDER": painter}
    with running(tmp_path, {**servers(request, "served"), **services}, served=True) as program:
        client = connect(program)
        made = await whole_way(client, bucket, "一只坐着的狐狸")
        assert made["prompt"] == "一只坐着的狐狸, solid"
        assert len({image["prompt"] for image in made["images"]}) == 4
        drawn = [job for job in tencent.jobs.values() if job.kind == "Image"]
        assert openai.script.calls["images"] == (4 if painter == "openai" else 0)
        assert len(drawn) == (4 if painter == "tencent" else 0)
        assert tencent.most_running["Image"] <= 1
        assert list(tencent.submits.values()) == [1] * (1 + len(drawn))
        assert tencent.refusals.total() == 0
        assert (await client.delete(made["id"]))["deletedRequestId"] == made["id"]
        assert bucket.keys() == []
