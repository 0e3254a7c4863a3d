"""The ASGI application. `uvicorn server.app:app` runs it too; `maquette serve` bounds the heads of requests as well."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from db.secrets import shared_secret
from db.session import is_unavailable
from providers.load import prompt_provider
from server import health, sse
from server.authentication import Unauthenticated
from server.database import prepare_database
from server.files import file_route
from server.graphql import Endpoint
from server.hosts import CrossOrigin, LocalHosts
from server.keys import KeysUnavailable
from server.links import Links
from server.logs import configure
from server.metrics import metrics
from server.signals import on_stop
from server.sockets import Sockets
from server.state import State
from server.upgraded import Upgrades
from server.web import web_routes
from storage.local import LocalStorage
from tasks.actors import configured, queues
from tasks.prompts import Optimizer
from tasks.resources import open_resources
from tasks.sweeper import sweeping
from tasks.worker import working

GC_THRESHOLDS = (5_000, 1, 100)
"""Python's own let the collector go through all that lives many times in one burst of events. These have it look at
10,000 objects at a time, for some 5 ms, and at all of them after a million new ones."""
PROMPT_SHARE = 0.9
"""Of a call's time: where improving the prompt takes longer, the user's own is better than no answer."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def lifespan(app: Starlette, *, work: bool) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        resources = await stack.enter_async_context(open_resources(configured, queues, listen=True))
        await prepare_database(resources.database, configured)
        prompts = prompt_provider(configured)
        stack.push_async_callback(prompts.aclose)
        app.state.maquette = State.made(
            resources,
            Links(await shared_secret(resources.database, "links")),
            Optimizer(
                prompts, min(configured.prompt_timeout_seconds, PROMPT_SHARE * configured.request_timeout_seconds)
            ),
        )
        await stack.enter_async_context(sweeping(resources))
        app.state.end_jobs = await stack.enter_async_context(working(resources)) if work else None
        stack.enter_context(on_stop(partial(wind_down, app)))
        gc.collect()
        gc.freeze()  # what is there now stays for as long as the process
        gc.set_threshold(*GC_THRESHOLDS)
        yield
        resources.hub.close()


async def wind_down(app: Starlette) -> None:
    """Begin no more jobs, and end every stream: a server that is to stop waits for open connections first."""
    if app.state.end_jobs is not None:
        app.state.end_jobs()
    sockets: Sockets = app.state.sockets
    sockets.leave()
    app.state.maquette.resources.hub.close()
    await sockets.wait_closed()


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _unauthenticated(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 401, {"WWW-Authenticate": "Bearer"})


async def _unavailable(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 503, {"Retry-After": "2"})


async def _away(request: Request, error: Exception) -> Response:
    if not is_unavailable(error):
        raise error
    log.warning("a request failed: the database is away", path=request.url.path, error=str(error))
    return JSONResponse({"error": "The database does not answer. Try again soon."}, 503, {"Retry-After": "2"})


async def _unexpected(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"error": "Something went wrong on our side."}, 500)


async def _may_read_file(request: Request, key: str) -> bool:
    state = State.of(request)
    if not configured.authenticates:
        return True
    return state.links.opens_file(request.query_params.get("token", ""), key)


def make_app(*, work: bool) -> Starlette:
    """The application, with a worker in its process if `work` is true."""
    configure(configured)
    sockets = Sockets(configured.allowed_origins)
    routes = [
        Route("/graphql", Endpoint()),
        Route("/requests/{id}/events", sse.Endpoint(sse.request_events), methods=["GET"]),
        Route("/events", sse.Endpoint(sse.events), methods=["GET"]),
        Route("/healthz", health.healthz),
        Route("/readyz", health.Readiness().readyz),
        Route("/metrics", metrics),
        *web_routes(configured),
    ]
    if configured.s3_bucket is None:
        routes.append(file_route(LocalStorage(configured.storage_dir), _may_read_file))
    made = Starlette(
        routes=routes,
        lifespan=partial(lifespan, work=work),
        middleware=[
            *([] if configured.authenticates else [Middleware(LocalHosts, public_url=configured.public_url)]),
            Middleware(Upgrades, path="/graphql", serve=sockets.serve),
            Middleware(
                CrossOrigin,
                allow_origins=configured.allowed_origins,
                allow_methods=["GET", "HEAD", "POST", "OPTIONS"],
                allow_headers=["*"],
                expose_headers=["Content-Length", "Content-Range", "Accept-Ranges", "ETag"],
                max_age=600,
            ),
        ],
        exception_handlers={
            HTTPException: _http_error,
            Unauthenticated: _unauthenticated,
            KeysUnavailable: _unavailable,
            # All that `is_unavailable` may be true of.
            SQLAlchemyError: _away,
            OSError: _away,
            Exception: _unexpected,
        },
    )
    made.state.sockets = sockets
    return made


def __getattr__(name: str) -> Starlette:
    """`app` is made when it is first asked for: `maquette serve` makes its own."""
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = made = make_app(work=True)
    return made
