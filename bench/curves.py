"""How the cost of each grows: 1 to 64 creators, 1 to 8 workers, 10 to 10,000 subscribers.

    python -m bench.curves --baseline ../baseline [--curve creators,workers,subscribers]

Uses the predecessor's load driver on ours alone, and prints a Markdown table for each curve.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import click

from bench.compare import OF_ONE_API, OURS, allow_many_connections, driver, measure

CREATORS = (1, 4, 16, 64)
WORKERS = (1, 2, 4, 8)
SUBSCRIBERS = (10, 100, 1000, 5000, 10_000)


@click.command(help=__doc__)
@click.option("--baseline", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--curve", default="creators,workers,subscribers")
def main(baseline: Path, curve: str) -> None:
    allow_many_connections()
    with tempfile.TemporaryDirectory(prefix="maquette-bench-") as name, driver(baseline, Path(name)) as folder:
        for one in curve.split(","):
            CURVES[one](folder)


def creators(folder: Path) -> None:
    _head("createRequest at once", "creates a second", "p50 ms", "p99 ms", "CPU ms", "MariaDB ms")
    for count in CREATORS:
        for line in _driven(folder, OURS, "--scenario", "create", "--n", "600", "--c", str(count)):
            cpu = line["cpuMsPerRequest"]
            _row(count, line["createsPerS"], line["p50Ms"], line["p99Ms"], cpu["target"], cpu["mariadb"])


def workers(folder: Path) -> None:
    path = folder / OURS
    target = json.loads(path.read_text())
    *apis, worker = target["processes"]
    _head("workers", "images a second", "CPU ms an image", "MariaDB ms an image")
    for count in WORKERS:
        named = [worker | {"name": f"worker-{number}"} for number in range(count)]
        path.write_text(json.dumps(target | {"processes": [*apis, *named]}))
        for line in _driven(folder, OURS, "--scenario", "pipeline", "--m", "200"):
            cpu = line["cpuMsPerImage"]
            _row(count, line["imagesPerS"], cpu["target"], cpu["mariadb"])
    path.write_text(json.dumps(target))


def subscribers(folder: Path) -> None:
    _head("subscribers", "by", "µs of CPU a delivery", "deliveries a second", "p50 ms", "p99 ms", "API p99 ms", "MB")
    counts = ",".join(map(str, SUBSCRIBERS))
    for line in _driven(folder, OF_ONE_API, "--scenario", "fanout", "--subscribers", counts):
        paced, burst = line["paced"], line["burst"]
        _row(
            line["subscribers"],
            line["transport"],
            burst["apiCpuUsPerDelivery"],
            burst["deliveriesPerS"],
            paced["deliveryP50Ms"],
            paced["deliveryP99Ms"],
            burst["apiGetP99Ms"],
            paced["rssMbConnected"],
        )


CURVES = {"creators": creators, "workers": workers, "subscribers": subscribers}


def _driven(folder: Path, target: str, *options: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in measure(folder, [*options, "--target", target, "--quiet"])]
    for line in lines:
        if "error" in line:
            click.echo(line["error"], err=True)
    return [line for line in lines if "error" not in line]


def _head(*names: str) -> None:
    click.echo(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}")


def _row(*values: object) -> None:
    click.echo(f"| {' | '.join(map(str, values))} |")


if __name__ == "__main__":
    main()
