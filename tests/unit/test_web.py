"""The pages as they lie in `web/`: whole, from here alone, and asking only for what the API has."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from graphql import parse, validate
from starlette.applications import Starlette

from resolvers import schema
from server.web import graphiql, page_policy, web_routes
from settings import Settings

WEB = Path(__file__).parents[2] / "web"
CLIENTS = Path(__file__).parents[1] / "clients"
SETTINGS = Settings(_env_file=None)
EXAMPLES = sorted((WEB / "src" / "graphiql" / "examples").glob("*.graphql"))


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=web_routes(SETTINGS)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


def assert_valid(text: str) -> None:
    assert validate(schema._schema, parse(text)) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_asks_for_what_there_is(example: Path) -> None:
    assert_valid(example.read_text(encoding="utf-8"))


def test_the_page_asks_for_what_there_is() -> None:
    source = (WEB / "src" / "page" / "operations.ts").read_text(encoding="utf-8")
    documents = [re.sub(r"\$\{\w+\}", "", text) for text in re.findall(r"gql`(.*?)`", source, re.DOTALL)]
    assert len(documents) > 10
    assert_valid("\n".join(documents))


@pytest.mark.parametrize("page", ["index.html", "graphiql.html"])
async def test_a_page_loads_only_what_lies_beside_it(client: httpx.AsyncClient, page: str) -> None:
    html = (WEB / page).read_text(encoding="utf-8")
    loaded = re.findall(r'<(?:script|link)[^>]* (?:src|href)="(?!data:)([^"]*)"', html)
    assert len(loaded) == 2
    for address in loaded:
        answer = await client.get(address)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_no_bundle_loads_from_a_registry_or_a_network_of_copies() -> None:
    for bundle in (WEB / "assets").glob("*.js"):
        text = bundle.read_text(encoding="utf-8")
        assert not re.search(r"""(?:import|importScripts|new Worker)\(\s*["'`]https?://""", text), bundle.name


@pytest.mark.parametrize("folder", [WEB, CLIENTS])
def test_the_lock_names_no_registry(folder: Path) -> None:
    packages = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert not any("resolved" in package for package in packages.values())


async def test_pages_are_asked_for_anew_and_may_load_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    for headers in ((await client.get("/")).headers, graphiql().headers):
        assert headers["cache-control"] == "no-cache"
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert "http" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


async def test_the_licences_of_what_is_bundled_are_there(client: httpx.AsyncClient) -> None:
    answer = await client.get("/assets/LICENSES.txt")
    assert answer.headers["cache-control"] == "no-cache"
    for package in ("react ", "three ", "@apollo/client ", "graphiql ", "monaco-editor "):
        assert re.search(rf"^{re.escape(package)}\d", answer.text, re.MULTILINE)


@pytest.mark.parametrize(
    ("settings", "origins"),
    [
        ({}, "https://*.amazonaws.com"),
        ({"s3_endpoint_url": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000 http://*.127.0.0.1:9000"),
        (
            {"s3_endpoint_url": "http://s3:9000", "s3_public_url": "https://files.example.com/models"},
            "https://files.example.com https://*.files.example.com",
        ),
    ],
)
def test_files_that_are_kept_elsewhere_may_be_loaded_from_there(settings: dict[str, str], origins: str) -> None:
    policy = page_policy(Settings(_env_file=None, s3_bucket="models", **settings))
    assert f"img-src 'self' data: blob: {origins};" in policy
    assert policy.endswith(f"connect-src 'self' blob: data: {origins}")
