"""The pages, served as they lie in `web/`."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parent.parent / "web"
GRAPHIQL = FOLDER / "graphiql.html"


async def _page(_request: Request) -> FileResponse:
    return FileResponse(FOLDER / "index.html")


def web_routes() -> list[BaseRoute]:
    return [Route("/", _page), Mount("/assets", StaticFiles(directory=FOLDER / "assets", check_dir=False))]
