from __future__ import annotations

import pytest

from server.negotiation import Media, choose

APOLLO = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json"
URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
)


@pytest.mark.parametrize(
    ("accept", "single", "stream"),
    [
        (None, Media.JSON, Media.EVENT_STREAM),
        ("", Media.JSON, Media.EVENT_STREAM),
        ("*/*", Media.JSON, Media.EVENT_STREAM),
        ("application/*", Media.JSON, None),
        ("text/*", Media.EVENT_STREAM, Media.EVENT_STREAM),
        ("application/json", Media.JSON, None),
        ("application/graphql-response+json", Media.GRAPHQL_JSON, None),
        ("Application/JSON ; Q=0.3 , */* ; q=0.2", Media.JSON, Media.EVENT_STREAM),
        ("text/event-stream", Media.EVENT_STREAM, Media.EVENT_STREAM),
        ("text/event-stream;q=0", None, None),
        ("text/event-stream;q=0, */*", Media.JSON, None),
        ("application/json;q=0, */*", Media.GRAPHQL_JSON, Media.EVENT_STREAM),
        ("application/json;q=0.2, text/event-stream;q=0.3", Media.EVENT_STREAM, Media.EVENT_STREAM),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Media.JSON, Media.EVENT_STREAM),
        (APOLLO, Media.JSON, Media.MULTIPART),
        ('multipart/mixed;boundary="gra,ph;ql";subscriptionSpec="1.0"', Media.MULTIPART, Media.MULTIPART),
        ("multipart/mixed;deferSpec=20220824,application/json", Media.JSON, None),
        ("multipart/*", None, None),
        (URQL, Media.GRAPHQL_JSON, Media.EVENT_STREAM),
        ("text/event-stream;q=0.5, multipart/mixed;subscriptionSpec=1.0", Media.MULTIPART, Media.MULTIPART),
        ("image/png", None, None),
        ("application/json;q=nonsense", None, None),
        ("application/json;q=nan", None, None),
        ("application/json;q=-1", None, None),
        (",,;;,", None, None),
        ('"unended', None, None),
    ],
)
def test_the_best_that_is_accepted(accept, single, stream):
    assert choose(accept, streams=False) is single
    assert choose(accept, streams=True) is stream


def test_a_long_header_takes_no_longer_than_it_is_long():
    assert choose('"' * 50_000 + ",;" * 50_000 + "*/*", streams=False) is Media.JSON
