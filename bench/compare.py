"""Ours and the predecessor in turn, on the same MariaDB and Redis, by the predecessor's own load driver.

    python -m bench.compare --baseline ../baseline [--scenario create,pipeline] [--runs 3] [--out results.jsonl]

`--baseline` is the folder of the rebuilt predecessor with its driver. It is copied, so nothing is written there.
Prints the medians of both and their ratio as a Markdown table. Needs Node 20, MariaDB and Redis.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

THEIRS, OURS = "targets/rest.json", "targets/maquette.json"
OF_ONE_API = "targets/one-api.json"
"""Of the processes that have subscribers, the driver looks at one."""
OF_ONE_PROCESS = "targets/one-process.json"
"""It serves and works: an idle system needs no more."""
TARGETS = {"fanout": OF_ONE_API, "first-event": OF_ONE_PROCESS}
API_PROCESSES = 2
ROOT = Path(__file__).parent.parent
OPEN_FILES = 40_000
RUN_SECONDS = 1_800
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """A figure of a scenario, and the most that ours may be of the baseline's; `least` where more is better."""

    scenario: str
    path: str
    most: float | None = None
    least: float | None = None

    def of(self, line: Line) -> float | None:
        value: Any = line
        for key in self.path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


FIGURES = (
    Figure("create", "createsPerS", least=2),
    Figure("create", "p50Ms"),
    Figure("create", "p99Ms", most=1),
    Figure("create", "cpuMsPerRequest.target"),
    Figure("create", "cpuMsPerRequest.mariadb"),
    Figure("first-event", "firstEventP50Ms", most=0.5),
    Figure("first-event", "firstEventP99Ms"),
    Figure("pipeline", "imagesPerS", least=1.5),
    Figure("pipeline", "cpuMsPerImage.target"),
    Figure("fanout", "paced.deliveryP50Ms"),
    Figure("fanout", "paced.deliveryP99Ms", most=1),
    Figure("fanout", "paced.apiGetP99Ms"),
    Figure("fanout", "paced.rssMbConnected"),
    Figure("fanout", "burst.apiCpuUsPerDelivery", most=1),
    Figure("fanout", "burst.deliveriesPerS"),
    Figure("fanout", "burst.deliveryP99Ms"),
    Figure("fanout", "burst.apiGetP99Ms", most=0.25),
)
WEBSOCKET_ALLOWANCE = 1.25
"""So much more than the baseline's SSE a WebSocket may cost, where the limit for SSE is what that costs."""
ABSOLUTE = ("missedEvents", "missed", "errors", "burst.undelivered", "paced.undelivered")


@click.command(help=__doc__)
@click.option("--baseline", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--scenario", default="create,first-event,pipeline,fanout,missed")
@click.option("--runs", default=3, help="How often each is measured, in turn.")
@click.option("--subscribers", default="1000,5000")
@click.option("--calm", default=30, help="Seconds to wait for an idle machine before each scenario.")
@click.option("--out", type=click.Path(path_type=Path), help="A file that keeps the driver's lines.")
def main(baseline: Path, scenario: str, runs: int, subscribers: str, calm: int, out: Path | None) -> None:
    allow_many_connections()
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="maquette-bench-") as name, driver(baseline, Path(name)) as folder:
        for _ in range(runs):
            for one in scenario.split(","):
                for target in (THEIRS, TARGETS.get(one, OURS)):
                    options = ["--scenario", one, "--subscribers", subscribers, "--calm", str(calm)]
                    for line in measure(folder, [*options, "--target", target, "--quiet", "--subscribe-delay", "0"]):
                        click.echo(line, err=True)
                        lines.append(json.loads(line))
                        if out:
                            with out.open("a") as file:
                                file.write(line + "\n")
    for row in table(lines):
        click.echo(row)


def table(lines: list[Line]) -> Iterator[str]:
    """The rows of a Markdown table: medians, their ratio, and the ratio to reach."""
    yield "| scenario | figure | baseline | ours | ratio | to reach |"
    yield "|---|---|---|---|---|---|"
    theirs: defaultdict[tuple[str, int | None], list[Line]] = defaultdict(list)
    ours: defaultdict[tuple[str, int | None, str | None], list[Line]] = defaultdict(list)
    for line in lines:
        scenario, subscribers = line["scenario"], line.get("subscribers")
        if "error" in line:
            yield f"| {scenario} | {line['target']}: {line['error']} | | | | |"
        elif line["target"] == "maquette":
            ours[scenario, subscribers, line.get("transport")].append(line)
        else:
            theirs[scenario, subscribers].append(line)
    for (scenario, subscribers, transport), measured in ours.items():
        before = theirs[scenario, subscribers]
        name = " ".join(str(part) for part in (scenario, subscribers, transport) if part)
        for figure in FIGURES:
            if figure.scenario == scenario:
                yield _row(name, figure, before, measured, WEBSOCKET_ALLOWANCE if transport == "ws" else 1)
        for path in ABSOLUTE:
            figure = Figure(scenario, path)
            if any(figure.of(line) is not None for line in measured):
                yield f"| {name} | {path} | {_sum(figure, before)} | {_sum(figure, measured)} | | 0 |"


def _row(name: str, figure: Figure, theirs: list[Line], ours: list[Line], allowance: float) -> str:
    a, b = _median(figure, theirs), _median(figure, ours)
    ratio = b / a if a and b is not None else None
    if figure.least is not None:
        reach, reached = f"≥ {figure.least}", ratio is not None and ratio >= figure.least
    elif figure.most is not None:
        most = figure.most * (allowance if figure.most == 1 else 1)
        reach, reached = f"≤ {most}", ratio is not None and ratio <= most
    else:
        return f"| {name} | {figure.path} | {_text(a)} | {_text(b)} | {_text(ratio)} | |"
    return f"| {name} | {figure.path} | {_text(a)} | {_text(b)} | {_text(ratio)} | {reach} {'✓' if reached else '✗'} |"


def _median(figure: Figure, lines: list[Line]) -> float | None:
    values = [value for line in lines if (value := figure.of(line)) is not None]
    return statistics.median(values) if values else None


def _sum(figure: Figure, lines: list[Line]) -> str:
    values = [value for line in lines if (value := figure.of(line)) is not None]
    return _text(sum(values)) if values else ""


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def driver(baseline: Path, folder: Path) -> Iterator[Path]:
    """A copy of the baseline with its services running, and with ours as a target."""
    copy = folder / "baseline"
    shutil.copytree(baseline, copy, ignore=shutil.ignore_patterns(".services", "results"))
    (folder / "data").mkdir()
    if not (copy / "node_modules").exists():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=copy, check=True, stdout=sys.stderr)
    target = (ROOT / "bench/target.json").read_text()
    # The driver itself fills in what concerns its services.
    for name, value in (("MAQUETTE", Path(sys.executable).parent / "maquette"), ("BENCH_DIR", folder / "data")):
        target = target.replace(f"${{{name}}}", str(value))
    of_one = json.loads(target)
    api, worker = of_one["processes"]
    apis = [api | {"name": f"api-{number}"} for number in range(API_PROCESSES)]
    alone = api | {"cmd": [part for part in api["cmd"] if part not in ("--no-worker", "--reuse-port")]}
    for path, processes in (
        (OURS, [*apis, worker]),
        (OF_ONE_API, [api, worker]),
        (OF_ONE_PROCESS, [alone]),
    ):
        (copy / path).write_text(json.dumps(of_one | {"processes": processes}))
    subprocess.run(["./start-services.sh"], cwd=copy, check=True, stdout=sys.stderr)
    try:
        yield copy
    finally:
        subprocess.run(["./stop-services.sh"], cwd=copy, check=False, stdout=sys.stderr)


def measure(folder: Path, options: list[str]) -> list[str]:
    """The lines that the driver prints, one a run; it ends with 1 where a scenario failed, and says so in its line."""
    done = subprocess.run(
        ["node", "load.mjs", *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    return [line for line in done.stdout.splitlines() if line.startswith("{")]


if __name__ == "__main__":
    main()
