"""The far side of preparing: read, settle, measure, write, draw."""

from __future__ import annotations

from pathlib import Path

from providers.printing.mesh import MeshError
from providers.printing.preparing import MESSAGE_CHARACTERS, Answer
from providers.printing.preview import draw
from providers.printing.reading import NO_SPACE, read
from providers.printing.repair import settle
from providers.printing.report import measure
from providers.printing.writing import write


def answer(source: Path, size_mm: float, folder: Path) -> Answer:
    """Prepare one file into `folder`, which also holds what a ZIP is unpacked to."""
    try:
        mesh, repairs = settle(read(source, folder), size_mm)
        write(mesh, folder)
        draw(mesh, folder)
        return Answer(report=measure(mesh, repairs))
    except MeshError as error:
        detail = None if error.__cause__ is None else ascii(error.__cause__)[:MESSAGE_CHARACTERS]
        return Answer(refusal=str(error)[:MESSAGE_CHARACTERS], detail=detail)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        return Answer(error=error.errno)
    except MemoryError:
        return Answer(refusal="The model is too large to be prepared in the memory that there is for it.")
