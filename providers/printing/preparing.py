"""The near side of preparing: a child process does it, so that nothing here waits, grows or falls with it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

import providers
from events.outcome import FailureCode, ModelFormat, PrintReport
from providers.protocol import ProviderError

FILE_NAMES = {
    ModelFormat.GLB: "model.glb",
    ModelFormat.OBJ: "model.obj",
    ModelFormat.STL: "model.stl",
    ModelFormat.THREE_MF: "model.3mf",
}
PREVIEW_NAME = "preview.png"
# What an interpreter may need to start; keys and passwords stay behind.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
MESSAGE_BYTES = 2000
MESSAGE_CHARACTERS = 500
# Of processor time, the last resort against files made to be slow: what fits into memory takes about a minute.
MAX_SECONDS = 300

log = structlog.get_logger(__name__)


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the child prints: a report, why what was delivered cannot be prepared, or the `errno` of a full disk.

    `refusal` is for the user; `detail` is what a library said, for the log alone.
    """

    report: PrintReport | None = None
    refusal: str | None = None
    detail: str | None = None
    error: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """The files of a model ready to print, with what was measured on it."""

    files: Mapping[ModelFormat, Path]
    preview: Path
    report: PrintReport


async def prepare(source: Path, size_mm: float, into: Path) -> Prepared:
    """Prepare one delivered file (GLB, OBJ, STL, PLY, 3MF, or a ZIP that holds one) for print, into the folder `into`.

    The longest side becomes `size_mm`. Raises `ProviderError`: BAD_OUTPUT where the file is no mesh, or takes too much
    memory or time to be prepared, INTERNAL where the child process fell over; OSError where the disk is full. `into` is
    then as it was. Cancelling ends the child.
    """
    scratch = await asyncio.to_thread(_make_scratch, into)
    try:
        report = await _run_child(source, size_mm, scratch)
        return await asyncio.to_thread(_move_in, scratch, into, report)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


def _make_scratch(into: Path) -> Path:
    into.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=".printing-", dir=into))


def _move_in(scratch: Path, into: Path, report: PrintReport) -> Prepared:
    for name in (*FILE_NAMES.values(), PREVIEW_NAME):
        (scratch / name).replace(into / name)
    return Prepared({kind: into / name for kind, name in FILE_NAMES.items()}, into / PREVIEW_NAME, report)


async def _run_child(source: Path, size_mm: float, scratch: Path) -> PrintReport:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "providers.printing", str(source), repr(float(size_mm)), str(scratch), str(MAX_SECONDS)),
        # The child ends when this pipe does, so that it never outlives this process.
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        output, errors, status = await asyncio.gather(process.stdout.read(), process.stderr.read(), process.wait())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _report(output, errors, status)


def _environment() -> dict[str, str]:
    root = str(Path(providers.__path__[0]).absolute().parent)
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | ONE_THREAD | {"PYTHONPATH": root}


def _report(output: bytes, errors: bytes, status: int) -> PrintReport:
    if status == 0:
        answer = msgspec.json.decode(output, type=Answer)
        if answer.report is not None:
            return answer.report
        if answer.error is not None:
            raise OSError(answer.error, os.strerror(answer.error))
        if answer.detail is not None:
            log.info("what was delivered cannot be read", detail=answer.detail)
        raise ProviderError(FailureCode.BAD_OUTPUT, answer.refusal or "The model cannot be prepared.", retryable=False)
    if hasattr(signal, "SIGXCPU") and status == -signal.SIGXCPU:
        message = f"Preparing the model for print took more than {MAX_SECONDS} seconds of processor time."
        raise ProviderError(FailureCode.BAD_OUTPUT, message, retryable=False)
    if status == -signal.SIGKILL:
        message = "Preparing the model for print was killed, most likely for want of memory."
        raise ProviderError(FailureCode.INTERNAL, message, retryable=True)
    failure = ProviderError(FailureCode.INTERNAL, "Preparing the model for print failed.", retryable=True)
    failure.add_note(f"Exit status {status}: {errors[-MESSAGE_BYTES:].decode(errors='replace')}")
    raise failure
