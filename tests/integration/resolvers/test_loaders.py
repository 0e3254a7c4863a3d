"""A page with all that belongs to it takes a handful of statements."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from db import models
from db.log import read_events
from db.session import Database
from resolvers.operations import prepare, subscribe
from tests.operations import LIMITS, ask, data
from tests.rows import FAILURE, claim_model, create, drawn, finished, select_image

PAGE = """
{
  requests(first: 50) {
    totalCount
    pageInfo { hasNextPage endCursor }
    edges {
      node {
        id status phase lastEventSequence
        images { id index imageUrl failure { code } job { id status attempts } }
        model { id }
        models {
          id status previewImageUrl printReport { printable issues { code } }
          files { format url byteSize sha256 }
          job { id status attempts }
          sourceImage { id index imageUrl job { id } }
          request { id }
        }
      }
    }
  }
}
"""


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        found.append(statement)

    engines = [database.engine.sync_engine, database._reading.sync_engine]
    for engine in engines:
        sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    yield found
    for engine in engines:
        sqlalchemy_event.remove(engine, "before_cursor_execute", note)


async def test_a_page_of_fifty_takes_a_handful_of_statements(database: Database, context_for: Any):
    for _ in range(8):
        await finished(database)
    await select_image(database, await drawn(database))
    for _ in range(43):
        await create(database)
    with statements(database) as found:
        page = (await data(context_for(database), PAGE))["requests"]
    assert page["totalCount"] == 52
    assert page["pageInfo"]["hasNextPage"] is True
    nodes = [edge["node"] for edge in page["edges"]]
    assert len(nodes) == 50
    assert all(len(node["images"]) == 4 for node in nodes)
    assert sum(len(node["models"]) for node in nodes) == 7
    for node in nodes:
        for model in node["models"]:
            assert model["request"]["id"] == node["id"]
            assert model["sourceImage"]["id"] == node["images"][0]["id"]
            assert len(model["files"]) == (4 if model["status"] == "COMPLETED" else 0)
    # The page, its count, and one each for images, models, their files and jobs, and what models lead back to.
    assert len(found) <= 8, "\n".join(found)


async def test_models_of_models_are_counted(on_sqlite: Database, context_for: Any, monkeypatch: pytest.MonkeyPatch):
    request_id = await drawn(on_sqlite)
    for _ in range(3):
        claim = await claim_model(on_sqlite, await select_image(on_sqlite, request_id))
        await models.fail(on_sqlite, claim, FAILURE)
    query = "query ($id: ID!) { request(id: $id) { models { request { models { request { models { id } } } } } } }"
    monkeypatch.setattr("schema.context.MOST_MODELS", 3 + 9 + 27)
    given = (await data(context_for(on_sqlite), query, id=request_id))["request"]
    assert [len(model["request"]["models"]) for model in given["models"]] == [3, 3, 3]
    monkeypatch.setattr("schema.context.MOST_MODELS", 3 + 9 + 26)
    result = await ask(context_for(on_sqlite), query, id=request_id)
    assert {error["extensions"]["code"] for error in result["errors"]} == {"QUERY_TOO_COMPLEX"}
    monkeypatch.setattr("schema.context.MOST_MODELS", 0)
    newest = "query ($id: ID!) { request(id: $id) { model { request { model { id } } } } }"
    assert (await data(context_for(on_sqlite), newest, id=request_id))["request"]["model"] is not None


async def test_what_is_told_of_an_event_is_counted_by_itself(
    on_sqlite: Database, context_for: Any, monkeypatch: pytest.MonkeyPatch
):
    request_id = await drawn(on_sqlite)
    await select_image(on_sqlite, request_id)
    monkeypatch.setattr("schema.context.MOST_MODELS", 1)
    query = f'subscription {{ requestEvents(requestId: "{request_id}") {{ request {{ models {{ id }} }} }} }}'
    subscribed = await subscribe(prepare(query, None, None, LIMITS), context_for(on_sqlite))
    for event in await read_events(on_sqlite, request_id, 0):
        assert "errors" not in json.loads(await subscribed.tell(event))


async def test_pages_follow_one_another(database: Database, context_for: Any):
    made = [(await create(database))[0] for _ in range(7)]
    query = """query ($first: Int, $after: String, $last: Int, $before: String) {
      requests(first: $first, after: $after, last: $last, before: $before) {
        edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }
    }"""

    async def page(**window: Any) -> Any:
        return (await data(context_for(database), query, **window))["requests"]

    seen, after = [], None
    while True:
        found = await page(first=3, after=after)
        seen += [edge["node"]["id"] for edge in found["edges"]]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert seen == made[::-1], "newest first"
    back = await page(last=3)
    assert [edge["node"]["id"] for edge in back["edges"]] == made[2::-1]
    before = await page(last=3, before=back["pageInfo"]["startCursor"])
    assert [edge["node"]["id"] for edge in before["edges"]] == made[5:2:-1]
    assert before["pageInfo"]["hasPreviousPage"] is True
    assert (await page(first=0))["edges"] == []
