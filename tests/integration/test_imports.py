"""What is not configured is not imported: the SDKs cost a start half a second and some 60 MB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SCRIPT = """
import importlib, pkgutil, sys
import providers
names = [found.name for found in pkgutil.walk_packages(providers.__path__, "providers.")]
names = [name for name in names if not name.endswith(("tencent", "__main__"))]
for name in names:
    importlib.import_module(name)
print(len(names), *sorted({"boto3", "tencentcloud"} & set(sys.modules)))
importlib.import_module("providers.models.tencent")
print(*sorted({"boto3", "tencentcloud"} & set(sys.modules)))
"""


def test_only_the_adapters_of_tencent_import_its_sdk():
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    before, after = done.stdout.splitlines()
    count, *imported = before.split()
    assert int(count) > 10
    assert imported == []
    assert after == "tencentcloud"
