"""What is not configured is not imported: the SDKs cost a start half a second and some 60 MB."""

from __future__ import annotations

import os
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


def test_the_application_imports_no_client_of_a_service_that_is_not_configured(tmp_path):
    script = """
import sys
import server.app
print(*sorted({"boto3", "botocore", "tencentcloud", "aiomysql"} & set(sys.modules)))
"""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
