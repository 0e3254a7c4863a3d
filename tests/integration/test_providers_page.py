"""The examples of docs/providers.md, run as they stand there, and its tables held against the code."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from events.outcome import FailureCode
from providers.fetch import fetch
from providers.media import MESHES
from providers.protocol import PollState, ProviderError, SourceImage
from settings import Settings
from tests.standins.server import running
from tests.standins.things import model, picture

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SETTINGS = Settings(_env_file=None)


class House:
    """The in-house service that the page's examples speak to."""

    def __init__(self) -> None:
        self.states = [{"state": "queued"}, {"state": "running", "percent": 40}, {"state": "done"}]
        self.app = Starlette(
            routes=[
                Route("/draw", self.draw, methods=["POST"]),
                Route("/jobs", self.submit, methods=["POST"]),
                Route("/jobs/7", self.job),
                Route("/box.glb", lambda _: Response(model("box.glb"))),
            ]
        )

    async def draw(self, request: Request) -> Response:
        body = await request.json()
        if body["prompt"] == "busy":
            return Response(status_code=429)
        return Response(picture(body["seed"]), 400 if body["prompt"] == "rude" else 200)

    async def submit(self, request: Request) -> Response:
        assert await request.body() == picture()
        assert request.headers["content-type"] == "image/png"
        return JSONResponse({"id": "7"})

    async def job(self, request: Request) -> Response:
        return JSONResponse(self.states.pop(0) | {"url": f"{request.base_url}box.glb"})


@pytest.fixture
def house(tmp_path, monkeypatch):
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "providers.py").write_text("\n\n".join(EXAMPLES), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    service = House()
    with running(service.app) as url:
        monkeypatch.setenv("HOUSE_URL", url)
        service.providers = importlib.import_module("house.providers")
        yield service
    for name in ("house", "house.providers"):
        del sys.modules[name]


def test_there_is_an_example_of_each_kind():
    assert re.findall(r"^class (\w+)", "\n".join(EXAMPLES), re.MULTILINE) == [
        "ToyPrompts",
        "HouseImages",
        "HouseModels",
    ]


async def test_the_example_of_prompts(house):
    provider = house.providers.ToyPrompts(SETTINGS)
    found = await provider.optimize("a fox")
    await provider.aclose()
    assert len(set(found.variants)) == 4
    assert all("a fox" in variant for variant in (found.prompt, *found.variants))


async def test_the_example_of_pictures(house):
    provider = house.providers.HouseImages(SETTINGS)
    assert (await provider.generate("a fox", 3)).content == picture(3)
    for prompt, code in (("busy", FailureCode.PROVIDER_BUSY), ("rude", FailureCode.PROVIDER_REJECTED)):
        with pytest.raises(ProviderError) as caught:
            await provider.generate(prompt, 0)
        assert caught.value.failure.code is code
    await provider.aclose()


async def test_the_example_of_models(house):
    provider = house.providers.HouseModels(SETTINGS)
    job_id = await provider.submit(SourceImage(picture(), "image/png"))
    polls = [await provider.poll(job_id) for _ in range(3)]
    assert [(poll.state, poll.progress) for poll in polls] == [
        (PollState.WAITING, None),
        (PollState.RUNNING, 40),
        (PollState.DONE, 100),
    ]
    options = {"limit_bytes": 1 << 20, "timeout": 5, "allowed_types": MESHES, "trusted_hosts": provider.trusted_hosts}
    assert (await fetch(polls[-1].files[0].url, None, **options)).content == model("box.glb")
    house.states.append({"state": "failed"})
    with pytest.raises(ProviderError) as caught:
        await provider.poll(job_id)
    assert caught.value.job_ended
    await provider.aclose()


def test_the_examples_are_what_the_protocols_ask_for(tmp_path):
    uses = """
from providers.protocol import ImageProvider, ModelProvider, PromptProvider

settings = Settings()
prompts: PromptProvider = ToyPrompts(settings)
images: ImageProvider = HouseImages(settings)
models: ModelProvider = HouseModels(settings)
"""
    file = tmp_path / "house.py"
    file.write_text("\n\n".join([*EXAMPLES, uses]), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_setting_on_the_page_exists_with_its_default():
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \| ([^|]*) \|", PAGE, re.MULTILINE)
    for names, default in rows:
        for name, shown in zip(re.findall(r"\w+", names), default.strip("` ").split(", "), strict=False):
            if name in FailureCode.__members__ or not shown or shown.startswith("unset"):
                continue
            assert str(Settings.model_fields[name.lower()].get_default()).removesuffix(".0") == shown.removesuffix(".0")
    assert len(rows) > 15
    named = set(re.findall(r"`((?:OPENAI|TENCENT|TENCENTCLOUD)_[A-Z_]+)`", PAGE))
    known = {name.upper() for name in Settings.model_fields if name.startswith(("openai_", "tencent"))}
    assert named == known
