from __future__ import annotations

import pytest

from storage.s3_cors import allows
from storage.s3_urls import host_of, is_public


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://files.example.com/a", True),
        ("https://bucket.s3.amazonaws.com/a?X-Amz-Date=1", True),
        ("http://8.8.8.8:9000/a", True),
        ("http://127.0.0.1:9000/a", False),
        ("http://10.0.0.7/a", False),
        ("http://192.168.1.2/a", False),
        ("http://[::1]:9000/a", False),
        ("http://minio:9000/a", False),
        ("http://localhost/a", False),
        ("http://minio.localhost/a", False),
        ("http://nas.local/a", False),
    ],
)
def test_which_urls_a_service_elsewhere_could_reach(url, public):
    assert is_public(url) is public


def test_the_host_without_the_password():
    assert host_of("http://user:password@minio:9000/x") == "minio:9000"


@pytest.mark.parametrize(
    ("origins", "methods", "allowed"),
    [
        (["*"], ["GET"], True),
        (["https://app.example.com"], ["GET", "HEAD"], True),
        (["https://*.example.com"], ["GET"], True),
        (["https://app.example.com.evil.org"], ["GET"], False),
        (["https://appXexample.com"], ["GET"], False),
        (["https://app.example.com"], ["PUT"], False),
    ],
)
def test_what_a_cors_rule_allows(origins, methods, allowed):
    assert allows([{"AllowedOrigins": origins, "AllowedMethods": methods}], "https://app.example.com") is allowed


def test_no_rule_allows_nothing():
    assert not allows([], "https://app.example.com")
