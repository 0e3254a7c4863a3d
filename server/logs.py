"""Logs: for people on a console, or JSON lines for machines. Nothing secret is ever logged."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.types import Processor

from settings import Settings

QUIET = (
    "httpx", "httpcore", "botocore", "boto3", "s3transfer", "urllib3", "alembic", "dramatiq", "asyncio", "PIL",
    "aiosqlite", "aiomysql", "sqlalchemy", "tencentcloud_sdk_common",
)  # fmt: skip
DISCREET = ("uvicorn", "uvicorn.error")
"""Their DEBUG shows headers and frames, tokens among them."""


def configure(settings: Settings) -> None:
    """Send the logs of this program and of its libraries to standard error, in the one form that is set."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    as_json = settings.log_format == "json"
    final: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        # Not the default one: it shows the values of variables where `rich` is installed, secrets among them.
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in DISCREET:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
