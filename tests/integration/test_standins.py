"""The stand-ins as processes of their own, as tests of the whole program start them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from providers.models.tencent import TencentModels
from providers.prompts.openai import OpenAIPrompts
from providers.protocol import ProviderError, SourceImage
from settings import Settings
from tests.standins.openai import KEY
from tests.standins.tencent import SECRET_ID, SECRET_KEY
from tests.standins.things import picture

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def process(name):
    command = [sys.executable, "-m", f"tests.standins.{name}", "--port", "0"]
    # The test waits for the process to say where it listens anyway.
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:  # noqa: ASYNC220
        try:
            url = running.stdout.readline().strip()
            async with httpx.AsyncClient(base_url=url) as http:
                yield url, http
        finally:
            running.terminate()


async def test_openai_is_scripted_and_asked_over_http():
    async with process("openai") as (url, http):
        await http.post("/_control", json={"text": "odd", "faults": [{"kind": "drop_after", "where": "chat"}]})
        prompts = OpenAIPrompts(Settings(_env_file=None, openai_base_url=url + "/v1", openai_api_key=KEY))
        messages = []
        for _ in range(2):
            with pytest.raises(ProviderError) as caught:
                await prompts.optimize("a fox")
            messages.append(caught.value.failure.code)
        await prompts.aclose()
        stats = (await http.get("/_stats")).json()
    assert messages == ["PROVIDER_UNAVAILABLE", "BAD_OUTPUT"]
    assert stats["arrivals"] == {"chat": 2}
    assert stats["bodies"][0]["messages"][1]["content"] == "a fox"


async def test_tencent_is_scripted_and_asked_over_http():
    keys = {"tencentcloud_secret_id": SECRET_ID, "tencentcloud_secret_key": SECRET_KEY}
    async with process("tencent") as (url, http):
        await http.post("/_control", json={"job_seconds": 60, "timeline": ["RUN", "DONE"], "limits": {"Pro": 1}})
        models = TencentModels(Settings(_env_file=None, tencentcloud_endpoint=url, **keys))
        await models.submit(SourceImage(picture(), "image/png"))
        with pytest.raises(ProviderError):
            await models.submit(SourceImage(picture(), "image/png"))
        await models.aclose()
        stats = (await http.get("/_stats")).json()
        await http.post("/_control", json={"reset": True})
        empty = (await http.get("/_stats")).json()
    assert list(stats["submits"].values()) == [1]
    assert stats["refusals"] == {"RequestLimitExceeded.JobNumExceed": 1}
    assert stats["most_running"] == {"Pro": 1}
    assert stats["arrivals"] == {"SubmitHunyuanTo3DProJob": 2}
    assert empty["jobs"] == []
