"""The pages, served as they lie in `web/`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from settings import Settings

FOLDER = Path(__file__).parent.parent / "web"
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
NOTHING_ELSE = "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# The editor writes style elements, and has its icon font in its style sheet.
GRAPHIQL_POLICY = (
    f"{NOTHING_ELSE}; style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; "
    "connect-src 'self'; worker-src 'self'"
)


def graphiql() -> FileResponse:
    """GraphiQL, for a browser that opens `/graphql`."""
    return FileResponse(
        FOLDER / "graphiql.html",
        headers={**PAGE_HEADERS, "Content-Security-Policy": GRAPHIQL_POLICY, "Vary": "Accept"},
    )


def web_routes(settings: Settings) -> list[BaseRoute]:
    """The live page at `/`, and what both pages are made of at `/assets`."""
    headers = {**PAGE_HEADERS, "Content-Security-Policy": page_policy(settings)}

    async def page(_request: Request) -> FileResponse:
        return FileResponse(FOLDER / "index.html", headers=headers)

    return [Route("/", page), Mount("/assets", Assets(directory=FOLDER / "assets"))]


def page_policy(settings: Settings) -> str:
    """What the live page may load: what is served from here, and the stored files where they are kept elsewhere."""
    files = _files_origins(settings)
    # The viewer unpacks a model's textures into blobs.
    return f"{NOTHING_ELSE}; style-src 'self'; img-src 'self' data: blob:{files}; connect-src 'self' blob: data:{files}"


def _files_origins(settings: Settings) -> str:
    if settings.s3_bucket is None:
        return ""
    url = settings.s3_public_url or settings.s3_endpoint_url
    if url is None:
        return " https://*.amazonaws.com"
    parts = urlsplit(url)
    # A bucket is a folder of its endpoint, or a host below it.
    return f" {parts.scheme}://{parts.netloc} {parts.scheme}://*.{parts.netloc}"


class Assets(StaticFiles):
    """Their names tell versions apart, so browsers may keep them; LICENSES.txt has none in its name."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        kept = not path.endswith(".txt")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
