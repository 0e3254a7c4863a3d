"""Preparing any provider's mesh for print: scaled, set on the bed, repaired, measured, and written in four formats."""

from providers.printing.preparing import Prepared, prepare

__all__ = ["Prepared", "prepare"]
