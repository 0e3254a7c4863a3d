"""What choosing a provider imports, in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_only_the_chosen_adapter_is_imported() -> None:
    script = """
import sys
from providers.load import prompt_provider
from settings import Settings
prompt_provider(Settings())
needless = ("providers.images.", "providers.models.", "tencentcloud", "scipy")
sys.exit(any(name.startswith(needless) for name in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3], check=False).returncode == 0
