"""A stand-in for an OpenAI-compatible service: chat and images, in the shapes of OpenAI and SiliconFlow.

`python -m tests.standins.openai --port 0`; scripted by `POST /_control`, asked by `GET /_stats`. The key is `sk-test`.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from tests.standins.faults import Fault, Faulty
from tests.standins.server import main
from tests.standins.things import picture

KEY = "sk-test"
OPENAI_FIELDS = {"model", "prompt", "n", "size", "quality", "background", "output_format", "moderation", "user"}


@dataclass
class Script:
    """How the service behaves. `text` stands in for the chat's answer, `item` for the first picture of an answer."""

    shape: str = "openai"
    delivery: str = "b64_json"
    text: str | None = None
    finish_reason: str = "stop"
    item: dict[str, Any] | None = None
    plain_only: bool = False
    models: list[str] = field(default_factory=lambda: ["gpt-4o-mini", "gpt-image-1"])
    calls: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)


class OpenAIStandIn:
    def __init__(self) -> None:
        self.script = Script()
        routes = [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/images/generations", self._images, methods=["POST"]),
            Route("/v1/models", self._models),
            Route("/pictures/{seed:int}.png", self._picture),
            Route("/_control", self._control, methods=["POST"]),
            Route("/_stats", self._stats),
        ]
        self.app = Faulty(Starlette(routes=routes), _name, self._error)

    def fail(self, *faults: Fault) -> None:
        self.app.faults[:] = faults

    async def _control(self, request: Request) -> Response:
        body = await request.json()
        self.fail(*(Fault(**fault) for fault in body.pop("faults", [])))
        self.script = Script(**body)
        return JSONResponse({})

    async def _stats(self, _: Request) -> Response:
        return JSONResponse({"arrivals": self.app.arrivals, "calls": self.script.calls, "bodies": self.script.bodies})

    async def _chat(self, request: Request) -> Response:
        body = await self._admitted(request, "chat")
        if isinstance(body, Response):
            return body
        if self.script.plain_only and body.keys() - {"model", "messages"}:
            return self._refused(400, "unsupported_parameter", "Unsupported parameter: 'max_tokens'")
        user = next(message["content"] for message in body["messages"] if message["role"] == "user")
        views = ("from the front", "from the left", "from the right", "from above")
        text = self.script.text
        if text is None:
            text = json.dumps({"prompt": f"{user}, solid", "variants": [f"{user}, {view}" for view in views]})
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": self.script.finish_reason}
        return self._answer({"id": "chat-1", "object": "chat.completion", "choices": [choice]})

    async def _images(self, request: Request) -> Response:
        body = await self._admitted(request, "images")
        if isinstance(body, Response):
            return body
        unknown = body.keys() - OPENAI_FIELDS
        if self.script.shape == "openai" and unknown:
            return self._refused(400, "unknown_parameter", f"Unknown parameter: '{min(unknown)}'.")
        if self.script.shape == "siliconflow" and "image_size" not in body:
            return self._refused(400, "20015", "image_size is required")
        seed = body.get("seed", len(self.script.bodies))
        url = f"{request.base_url}pictures/{seed}.png?signature=private"
        item = {"url": url} if self.script.delivery == "url" else {"b64_json": base64.b64encode(picture(seed)).decode()}
        item = self.script.item or item
        if self.script.shape == "siliconflow":
            return self._answer({"images": [item], "timings": {"inference": 1.5}, "seed": seed})
        return self._answer({"created": 1, "data": [item]})

    async def _models(self, request: Request) -> Response:
        shown = request.headers.get("authorization", "")
        if shown != f"Bearer {KEY}":
            return self._refused(401, "invalid_api_key", f"Incorrect API key provided: {shown}")
        return self._answer({"object": "list", "data": [{"id": name} for name in self.script.models]})

    async def _picture(self, request: Request) -> Response:
        self.script.calls["file"] += 1
        return Response(picture(request.path_params["seed"]), media_type="image/png")

    async def _admitted(self, request: Request, name: str) -> dict[str, Any] | Response:
        self.script.calls[name] += 1
        shown = request.headers.get("authorization", "")
        if shown != f"Bearer {KEY}":
            # The services do repeat keys, in part or whole.
            return self._refused(401, "invalid_api_key", f"Incorrect API key provided: {shown}")
        body: dict[str, Any] = await request.json()
        self.script.bodies.append(body)
        return body

    def _answer(self, content: dict[str, Any], status: int = 200) -> Response:
        header = "x-siliconcloud-trace-id" if self.script.shape == "siliconflow" else "x-request-id"
        return JSONResponse(content, status, headers={header: f"req-{uuid.uuid4().hex[:8]}"})

    def _refused(self, status: int, code: str, message: str) -> Response:
        _, content = self._error(Fault("error", status=status, code=code, message=message))
        return self._answer(content, status)

    def _error(self, fault: Fault) -> tuple[int, dict[str, Any]]:
        if self.script.shape == "siliconflow":
            return fault.status, {"code": fault.code, "message": fault.message, "data": None}
        error = {"message": fault.message, "type": "invalid_request_error", "param": None, "code": fault.code}
        return fault.status, {"error": error}


def _name(scope: Scope) -> str:
    path = scope["path"]
    names = {"completions": "chat", "generations": "images", "models": "models"}
    return names.get(path.rpartition("/")[2], "file")


if __name__ == "__main__":
    main(OpenAIStandIn().app)
