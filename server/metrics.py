"""`/metrics`: this process, and the jobs of all, for Prometheus. Operators only, like the queues in GraphQL."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from db.queues import queue_states
from server.state import State


class _Snapshot(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


async def metrics(request: Request) -> Response:
    state = State.of(request)
    if not (await state.caller(request)).is_operator:
        raise HTTPException(403, "Only operators may see the metrics.")
    jobs = GaugeMetricFamily("maquette_jobs", "Jobs that are not done.", labels=["queue", "state"])
    slots = GaugeMetricFamily("maquette_worker_slots", "Jobs that all living workers do at once.", labels=["queue"])
    for queue in await queue_states(state.resources.database):
        for status in ("waiting", "running", "delayed", "dead"):
            jobs.add_metric([queue.name, status], getattr(queue, status))
        slots.add_metric([queue.name], queue.concurrency)
    streams = GaugeMetricFamily(
        "maquette_streams", "Streams that this process feeds.", value=state.subscriptions.all_taken
    )
    snapshot = CollectorRegistry()
    snapshot.register(_Snapshot([jobs, slots, streams]))
    return Response(generate_latest(REGISTRY) + generate_latest(snapshot), media_type=CONTENT_TYPE_LATEST)
