"""Measuring a mesh as it will be printed."""

from __future__ import annotations

import numpy as np

from events.outcome import PrintIssue, PrintIssueCode, PrintReport
from providers.printing.mesh import Mesh, edges, pieces, signed_volumes
from providers.printing.repair import Repairs, degenerate
from providers.printing.walls import thin_share

# What common desktop printers hold, and what their nozzles of 0.4 mm lay down as two lines.
BED_MM = 256
WALL_MM = 0.8
# Below this part of the surface, thinness is an ornament's edge and not worth a word.
THIN_SHARE = 0.02


def measure(mesh: Mesh, repairs: Repairs) -> PrintReport:
    """Measure a settled mesh. What was repaired is told along with the first issue."""
    found = edges(mesh.faces)
    count, labels = pieces(mesh)
    volumes = signed_volumes(mesh, labels, count)
    volume = float(volumes.sum())
    watertight = found.closed
    # A closed surface inside a body that looks inwards is a hollow, not a body.
    bodies = count - int(np.count_nonzero(volumes < 0)) if watertight else count
    width, depth, height = (float(side) for side in np.ptp(mesh.vertices.astype(np.float64), axis=0))
    issues: list[PrintIssue] = []

    def tell(code: PrintIssueCode, message: str) -> None:
        done = f" Repaired: {repairs}." if not issues and str(repairs) else ""
        issues.append(PrintIssue(code, message + done))

    if watertight and not volume > 0:
        tell(PrintIssueCode.EMPTY, "The surface encloses no volume.")
    if not watertight:
        tell(
            PrintIssueCode.NOT_WATERTIGHT,
            f"{int(np.count_nonzero(found.balance))} edges are open: the surface does not close.",
        )
    if not found.manifold:
        tell(
            PrintIssueCode.NON_MANIFOLD,
            f"{int(np.count_nonzero(found.counts > 2))} edges are shared by more than two faces.",
        )
    if bodies > 1:
        tell(PrintIssueCode.MULTIPLE_BODIES, f"The model is in {bodies} separate bodies.")
    if thin := degenerate(mesh):
        tell(PrintIssueCode.DEGENERATE_FACES, f"{thin} faces have no area; slicers skip them.")
    if (share := thin_share(mesh, WALL_MM)) > THIN_SHARE:
        tell(PrintIssueCode.THIN_WALLS, f"About {share:.0%} of the surface is on walls under {WALL_MM} mm.")
    if max(width, depth, height) > BED_MM:
        tell(PrintIssueCode.TOO_LARGE, f"The longest side is over {BED_MM} mm, which many printers' beds are not.")
    return PrintReport(
        printable=watertight and found.manifold and volume > 0,
        watertight=watertight,
        width_mm=round(width, 3),
        depth_mm=round(depth, 3),
        height_mm=round(height, 3),
        volume_cm3=round(volume / 1000, 4) if watertight and volume > 0 else None,
        triangle_count=len(mesh.faces),
        body_count=bodies,
        issues=tuple(issues),
    )
