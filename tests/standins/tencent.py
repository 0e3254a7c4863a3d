"""A stand-in for Tencent Cloud's ai3d and aiart: signatures, jobs, limits and errors as its documentation says.

`python -m tests.standins.tencent --port 0`; scripted by `POST /_control`, asked by `GET /_stats`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import io
import json
import re
import time
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Scope

from tests.standins.faults import Fault, Faulty
from tests.standins.server import main
from tests.standins.things import model, picture

SECRET_ID = "AKIDtest"
SECRET_KEY = "tencent-secret-key"

# action: (service, version, kind of job)
ACTIONS = {
    "SubmitHunyuanTo3DProJob": ("ai3d", "2025-05-13", "Pro"),
    "QueryHunyuanTo3DProJob": ("ai3d", "2025-05-13", "Pro"),
    "SubmitHunyuanTo3DRapidJob": ("ai3d", "2025-05-13", "Rapid"),
    "QueryHunyuanTo3DRapidJob": ("ai3d", "2025-05-13", "Rapid"),
    "SubmitTextToImageJob": ("aiart", "2022-12-29", "Image"),
    "QueryTextToImageJob": ("aiart", "2022-12-29", "Image"),
    "SubmitTextToImageProJob": ("aiart", "2022-12-29", "ImagePro"),
    "QueryTextToImageProJob": ("aiart", "2022-12-29", "ImagePro"),
}
LIMITS = {"Pro": 3, "Rapid": 1, "Image": 1, "ImagePro": 1}
PROMPT_LIMITS = {"Image": 1024, "ImagePro": 100}
IMAGE_CODES = {"WAIT": "1", "RUN": "2", "FAIL": "4", "DONE": "5"}
AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=([^/]+)/(\d{4}-\d\d-\d\d)/(\w+)/tc3_request, "
    r"SignedHeaders=([\w;-]+), Signature=(\w{64})"
)


class RefusalError(Exception):
    def __init__(self, code: str, message: str = "scripted") -> None:
        self.code = code
        self.message = message


@dataclass
class Script:
    """How the service behaves.

    A job's state is the `timeline`'s by the number of queries, or by time where `job_seconds` is set. `results` are
    pairs of the word for the type and the file's name in `tests/standins/things.py`; `download` has pictures by URL
    fetched as the service does; `linger_seconds` is how long a job counts against the limit after its end.
    """

    timeline: list[str] = field(default_factory=lambda: ["WAIT", "RUN", "DONE"])
    job_seconds: float | None = None
    linger_seconds: float = 0
    fail_code: str = "FailedOperation.InnerError"
    fail_message: str = "scripted"
    results: list[tuple[str, str]] = field(default_factory=lambda: [("GLB", "box.glb")])
    preview: str = "preview.png"
    download: bool = False
    limits: dict[str, int] = field(default_factory=lambda: dict(LIMITS))


@dataclass
class Job:
    id: str
    kind: str
    input: str
    params: dict[str, Any]
    started: float
    queries: int = 0
    ended: float | None = None


class TencentStandIn:
    def __init__(self) -> None:
        self.script = Script()
        routes = [
            Route("/", self._api, methods=["POST"]),
            Route("/files/{name}", self._file),
            Route("/big", self._big),
            Route("/_control", self._control, methods=["POST"]),
            Route("/_stats", self._stats),
        ]
        self.app = Faulty(Starlette(routes=routes), _name, self._error)
        self.reset()

    def reset(self) -> None:
        self.app.arrivals.clear()
        self.jobs: dict[str, Job] = {}
        self.calls: Counter[str] = Counter()
        self.seconds: Counter[tuple[str, int]] = Counter()
        self.refusals: Counter[str] = Counter()
        self.most_running: Counter[str] = Counter()

    def fail(self, *faults: Fault) -> None:
        self.app.faults[:] = faults

    @property
    def submits(self) -> Counter[str]:
        """The accepted submits, by the SHA-256 of the picture, its URL, or the prompt."""
        return Counter(job.input for job in self.jobs.values())

    async def _control(self, request: Request) -> Response:
        body = await request.json()
        if body.pop("reset", False):
            self.reset()
        self.fail(*(Fault(**fault) for fault in body.pop("faults", [])))
        self.script = Script(**body)
        return JSONResponse({})

    async def _stats(self, _: Request) -> Response:
        busiest: Counter[str] = Counter()
        for (action, _second), count in self.seconds.items():
            busiest[action] = max(busiest[action], count)
        return JSONResponse(
            {
                "arrivals": self.app.arrivals,
                "calls": self.calls,
                "submits": self.submits,
                "refusals": self.refusals,
                "most_running": self.most_running,
                "busiest_second": busiest,
                "jobs": [asdict(job) for job in self.jobs.values()],
            }
        )

    async def _api(self, request: Request) -> Response:
        action = request.headers.get("x-tc-action", "")
        self.calls[action] += 1
        self.seconds[action, int(time.time())] += 1
        try:
            body = await request.body()
            service, version, kind = _action(request)
            verify(request, body, service, version)
            params = json.loads(body)
            if action.startswith("Submit"):
                answer = await self._submit(kind, params)
            else:
                answer = self._query(kind, params, request)
        except RefusalError as refused:
            self.refusals[refused.code] += 1
            answer = {"Error": {"Code": refused.code, "Message": refused.message}}
        return JSONResponse({"Response": answer | {"RequestId": str(uuid.uuid4())}})

    async def _submit(self, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        running = sum(self._counts(job) for job in self.jobs.values() if job.kind == kind)
        if running >= self.script.limits[kind]:
            raise RefusalError("RequestLimitExceeded.JobNumExceed", "too many jobs at once")
        self.most_running[kind] = max(self.most_running[kind], running + 1)
        told = self._prompt(kind, params) if kind.startswith("Image") else await self._image(params)
        job = Job(str(1_300_000_000 + len(self.jobs)), kind, told, _short(params), time.monotonic())
        self.jobs[job.id] = job
        return {"JobId": job.id}

    def _prompt(self, kind: str, params: dict[str, Any]) -> str:
        if not params.get("Prompt"):
            raise RefusalError("InvalidParameterValue.ParameterValueError", "Prompt is empty")
        if len(params["Prompt"]) > PROMPT_LIMITS[kind]:
            raise RefusalError("InvalidParameterValue.TextLengthExceed", "Prompt is too long")
        if kind == "ImagePro" and "Seed" in params:
            raise RefusalError("UnknownParameter", "The parameter `Seed` is not recognized.")
        return hashlib.sha256(params["Prompt"].encode()).hexdigest()

    async def _image(self, params: dict[str, Any]) -> str:
        given = [name for name in ("Prompt", "ImageUrl", "ImageBase64") if params.get(name)]
        if len(given) != 1:
            raise RefusalError(
                "InvalidParameterValue.ParameterValueError", "give one of Prompt, ImageUrl and ImageBase64"
            )
        if given == ["ImageUrl"]:
            if self.script.download:
                _check_picture(await _download(params["ImageUrl"]), 8_000_000)
            return hashlib.sha256(params["ImageUrl"].encode()).hexdigest()
        encoded = params["ImageBase64"]
        if len(encoded) > 6_000_000:
            raise RefusalError("FailedOperation.ImageSizeExceed", "the picture is larger than 6 MB")
        try:
            content = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise RefusalError("FailedOperation.ImageDecodeFailed", "no base64") from None
        _check_picture(content, 6_000_000)
        return hashlib.sha256(content).hexdigest()

    def _query(self, kind: str, params: dict[str, Any], request: Request) -> dict[str, Any]:
        job = self.jobs.get(params.get("JobId", ""))
        if job is None or job.kind != kind:
            raise RefusalError("FailedOperation.JobNotExist", "no such job")
        job.queries += 1
        state = self._state(job)
        if kind.startswith("Image"):
            return self._image_answer(job, state, request)
        answer: dict[str, Any] = {"Status": state, "ErrorCode": "", "ErrorMessage": "", "ResultFile3Ds": []}
        if state == "FAIL":
            return answer | {"ErrorCode": self.script.fail_code, "ErrorMessage": self.script.fail_message}
        if state == "DONE":
            preview = {"PreviewImageUrl": _link(request, self.script.preview)} if self.script.preview else {}
            files = [{"Type": word, "Url": _link(request, name)} | preview for word, name in self.script.results]
            answer["ResultFile3Ds"] = files
        return answer

    def _image_answer(self, job: Job, state: str, request: Request) -> dict[str, Any]:
        answer: dict[str, Any] = {"JobStatusCode": IMAGE_CODES[state], "JobStatusMsg": state}
        if state == "FAIL":
            return answer | {"JobErrorCode": self.script.fail_code, "JobErrorMsg": self.script.fail_message}
        if state == "DONE":
            name = self.script.results[0][1] if self.script.results[0][0] == "IMAGE" else "picture.png"
            link = _link(request, name)
            answer |= {"ResultImage": [link], "ResultDetails": ["Success"], "RevisedPrompt": [job.params["Prompt"]]}
        return answer

    def _state(self, job: Job) -> str:
        state = self._timed(job)
        if state in {"DONE", "FAIL"} and job.ended is None:
            job.ended = time.monotonic()
        return state

    def _timed(self, job: Job) -> str:
        timeline = self.script.timeline
        if self.script.job_seconds is None:
            return timeline[min(max(job.queries, 1), len(timeline)) - 1]
        passed = (time.monotonic() - job.started) / self.script.job_seconds
        return timeline[-1] if passed >= 1 else timeline[int(passed * (len(timeline) - 1))]

    def _counts(self, job: Job) -> bool:
        if self.script.job_seconds is not None:
            self._state(job)
        return job.ended is None or time.monotonic() - job.ended < self.script.linger_seconds

    async def _file(self, request: Request) -> Response:
        self.calls["file"] += 1
        name = request.path_params["name"]
        if name.endswith(".png"):
            return Response(picture(), media_type="image/png")
        return Response(model(name), media_type="application/octet-stream")

    async def _big(self, request: Request) -> Response:
        """A file of `bytes` bytes that begins as a GLB does."""
        size = int(request.query_params["bytes"])

        async def content():
            block = bytes(1 << 16)
            yield b"glTF" + block[4 : min(size, len(block))]
            for start in range(len(block), size, len(block)):
                yield block[: size - start]

        return StreamingResponse(content(), headers={"content-length": str(size)})

    def _error(self, fault: Fault) -> tuple[int, dict[str, Any]]:
        self.refusals[fault.code] += 1
        error = {"Code": fault.code, "Message": fault.message}
        return 200, {"Response": {"Error": error, "RequestId": "req-scripted"}}


def verify(request: Request, body: bytes, service: str, version: str) -> None:
    """TC3-HMAC-SHA256, written from its description: what was signed must be what came."""
    found = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if not found:
        raise RefusalError("AuthFailure.InvalidAuthorization", "the Authorization header cannot be read")
    secret_id, date, scope, signed, signature = found.groups()
    if secret_id != SECRET_ID:
        raise RefusalError("AuthFailure.SecretIdNotFound", f"The SecretId {secret_id} is not found")
    stamp = int(request.headers["x-tc-timestamp"])
    if abs(time.time() - stamp) > 300 or f"{datetime.fromtimestamp(stamp, UTC):%Y-%m-%d}" != date:
        raise RefusalError("AuthFailure.SignatureExpire", "the timestamp is too old or in the future")
    if scope != service or not {"content-type", "host"} <= set(signed.split(";")):
        raise RefusalError("AuthFailure.SignatureFailure", "the scope is wrong")
    if request.headers.get("x-tc-version") != version:
        raise RefusalError("NoSuchVersion", "the version is wrong")
    headers = "".join(f"{name}:{request.headers[name].strip().lower()}\n" for name in signed.split(";"))
    payload = hashlib.sha256(body).hexdigest()
    canonical = "\n".join([request.method, "/", request.url.query, headers, signed, payload])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["TC3-HMAC-SHA256", str(stamp), f"{date}/{scope}/tc3_request", digest])
    key = b"TC3" + SECRET_KEY.encode()
    for part in (date, scope, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature):
        raise RefusalError("AuthFailure.SignatureFailure", "the signature is wrong")


def _action(request: Request) -> tuple[str, str, str]:
    try:
        return ACTIONS[request.headers["x-tc-action"]]
    except KeyError:
        raise RefusalError("InvalidAction", "no such action") from None


def _check_picture(content: bytes, limit: int) -> None:
    if len(content) > limit:
        raise RefusalError("FailedOperation.ImageSizeExceed", "the picture is too large")
    try:
        image = Image.open(io.BytesIO(content))
    except OSError:
        raise RefusalError("FailedOperation.ImageDecodeFailed", "no picture") from None
    if image.format not in {"JPEG", "PNG", "WEBP"}:
        raise RefusalError("FailedOperation.ImageDecodeFailed", "no JPEG, PNG or WebP")
    if min(image.size) < 128 or max(image.size) > 5000:
        raise RefusalError("FailedOperation.ImageResolutionExceed", "a side is shorter than 128 or longer than 5000")


async def _download(url: str) -> bytes:
    try:
        async with httpx.AsyncClient(timeout=5) as client:
            return (await client.get(url)).raise_for_status().content
    except httpx.HTTPError:
        raise RefusalError("FailedOperation.ImageDownloadError", "the picture cannot be downloaded") from None


def _short(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value if name != "ImageBase64" else f"{len(value)} characters" for name, value in params.items()}


def _link(request: Request, name: str) -> str:
    return f"{request.base_url}files/{name}?q-signature=private"


def _name(scope: Scope) -> str:
    headers = dict(scope["headers"])
    return headers.get(b"x-tc-action", b"file").decode()


if __name__ == "__main__":
    main(TencentStandIn().app)
