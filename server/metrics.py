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

from db import queries, workers
from db.tables import image_generation_jobs, model_generation_jobs
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
    database = state.resources.database
    jobs = GaugeMetricFamily("maquette_jobs", "Jobs that are not done.", labels=["queue", "state"])
    slots = GaugeMetricFamily("maquette_worker_slots", "Jobs that all living workers do at once.", labels=["queue"])
    living = await workers.living(database)
    for name, table, count in (
        ("images", image_generation_jobs, sum(worker.image_slots for worker in living)),
        ("models", model_generation_jobs, sum(worker.model_slots for worker in living)),
    ):
        counts = await queries.queue_counts(database, table)
        for status in ("waiting", "running", "delayed", "dead"):
            jobs.add_metric([name, status], getattr(counts, status))
        slots.add_metric([name], count)
    streams = GaugeMetricFamily(
        "maquette_streams", "Streams that this process feeds.", value=state.subscriptions.all_taken
    )
    snapshot = CollectorRegistry()
    snapshot.register(_Snapshot([jobs, slots, streams]))
    return Response(generate_latest(REGISTRY) + generate_latest(snapshot), media_type=CONTENT_TYPE_LATEST)
