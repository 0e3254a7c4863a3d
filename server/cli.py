"""The command `maquette`. Each command imports what it needs itself: `--help` and errors come at once."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import click

from settings import SettingsError
from storage import StorageUnavailable


def _number(_context: click.Context, _option: click.Parameter, value: float) -> float:
    if math.isnan(value):  # it is in every range
        raise click.BadParameter("nan is no number.")
    return value


@click.group()
@click.version_option(package_name="maquette")
def commands() -> None:
    """From a prompt to a printable 3D model."""


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="The port; 0 for a free one."
)
@click.option("--no-worker", is_flag=True, help="Serve only; jobs are done by `maquette worker`.")
@click.option("--reuse-port", is_flag=True, help="Share the port with other processes, a core for each (Linux).")
def serve(host: str, port: int, no_worker: bool, reuse_port: bool) -> None:
    """Serve the API, with a worker in the same process unless told not to."""
    from server.serving import serve as run  # noqa: PLC0415  # see the top

    sys.exit(run(host, port, work=not no_worker, reuse_port=reuse_port))


@commands.command()
@click.option("--queues", default="images,models", show_default=True, help="Which queues to work on.")
def worker(queues: str) -> None:
    """Do jobs. Any number of these may run, on any number of machines; Redis is needed."""
    from server.working import work  # noqa: PLC0415  # see the top

    sys.exit(work(tuple(name.strip() for name in queues.split(",") if name.strip())))


@commands.command()
def migrate() -> None:
    """Bring the database's tables up to date."""
    from server.maintenance import migrate as run  # noqa: PLC0415  # see the top

    run()


@commands.command()
def doctor() -> None:
    """Check settings, database, Redis, storage, providers, workers and stuck jobs."""
    from server.doctor import doctor as run  # noqa: PLC0415  # see the top

    sys.exit(run())


@commands.command()
@click.argument("prompt")
@click.option("--select", "index", type=click.IntRange(0, 3), help="The image to take; asked for in a terminal.")
@click.option(
    "--size-mm",
    default=100.0,
    show_default=True,
    type=click.FloatRange(1, 2000),
    callback=_number,
    help="The longest side.",
)
@click.option(
    "--out", default=Path("out"), show_default=True, type=click.Path(path_type=Path), help="The folder for the files."
)
@click.option("--no-optimize", is_flag=True, help="Take the prompt as it is.")
def generate(prompt: str, index: int | None, size_mm: float, out: Path, no_optimize: bool) -> None:
    """Go the whole way from PROMPT to printable files, here in the terminal."""
    from server.terminal import generate as run  # noqa: PLC0415  # see the top

    sys.exit(run(prompt, index, size_mm, out, optimize=not no_optimize))


def main() -> None:
    # A provider of one's own may lie in the folder where the program is started.
    sys.path.append(str(Path.cwd()))
    try:
        commands()
    except (SettingsError, StorageUnavailable) as error:
        click.echo(f"maquette: {error}", err=True)
        sys.exit(2)
