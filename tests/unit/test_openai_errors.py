from __future__ import annotations

import json

import httpx
import pytest
from pydantic import SecretStr

from events.outcome import FailureCode
from providers.openai_errors import CODES, refusal

F = FailureCode


def openai(code=None, message="m", type_="t"):
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


def of(status, body=b"", headers=None, secret="sk-secret"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return refusal(status, httpx.Headers(headers or {}), body, SecretStr(secret))


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (429, openai("rate_limit_exceeded"), F.PROVIDER_BUSY, True),
        (429, openai("insufficient_quota"), F.PROVIDER_MISCONFIGURED, False),
        (429, openai(None, type_="insufficient_quota"), F.PROVIDER_MISCONFIGURED, False),
        (429, b"", F.PROVIDER_BUSY, True),
        (429, {"code": 50603, "message": "TPM limit reached", "data": None}, F.PROVIDER_BUSY, True),
        (400, openai("billing_hard_limit_reached"), F.PROVIDER_MISCONFIGURED, False),
        (400, openai("content_policy_violation"), F.CONTENT_REJECTED, False),
        (400, openai("moderation_blocked"), F.CONTENT_REJECTED, False),
        (400, openai("content_filter"), F.CONTENT_REJECTED, False),
        (400, openai("invalid_size"), F.PROVIDER_REJECTED, False),
        (400, {"code": 20012, "message": "Model does not exist", "data": None}, F.PROVIDER_REJECTED, False),
        (401, "Unauthorized", F.PROVIDER_MISCONFIGURED, False),
        (401, openai("invalid_api_key"), F.PROVIDER_MISCONFIGURED, False),
        (402, {"error": "Insufficient Balance"}, F.PROVIDER_MISCONFIGURED, False),
        (403, {"code": 30001, "message": "balance", "data": None}, F.PROVIDER_MISCONFIGURED, False),
        (404, openai("model_not_found"), F.PROVIDER_MISCONFIGURED, False),
        (404, b"<html>", F.PROVIDER_REJECTED, False),
        (413, b"", F.PROVIDER_REJECTED, False),
        (451, b"", F.CONTENT_REJECTED, False),
        (302, b"", F.PROVIDER_MISCONFIGURED, False),
        (500, openai("server_error"), F.PROVIDER_UNAVAILABLE, True),
        (502, b"<html>", F.PROVIDER_UNAVAILABLE, True),
        (503, {"code": 50505, "message": "Model service overloaded", "data": None}, F.PROVIDER_UNAVAILABLE, True),
        (504, b"[" * 100_000, F.PROVIDER_UNAVAILABLE, True),
        (504, b"\xff\xfe", F.PROVIDER_UNAVAILABLE, True),
    ],
)
def test_status_and_code_say_what_to_do(status, body, code, retryable):
    failure = of(status, body).failure
    assert (failure.code, failure.retryable) == (code, retryable)


@pytest.mark.parametrize("code", CODES)
def test_every_known_code_is_heeded(code):
    assert of(400, openai(code)).failure.code is CODES[code]
    assert of(400, openai(code)).failure.provider_code == code


def test_keeps_retry_after_and_the_ids():
    error = of(503, openai("x"), {"Retry-After": "12", "x-request-id": "req-1"})
    assert (error.retry_after, error.failure.provider_request_id) == (12, "req-1")
    assert of(503, b"", {"x-siliconcloud-trace-id": "ti_1"}).failure.provider_request_id == "ti_1"


def test_a_refused_request_is_quoted_without_the_key():
    failure = of(400, openai("bad", "the size sk-secret is wrong")).failure
    assert failure.message.endswith('(HTTP 400): "the size *** is wrong".')
    assert "sk-secret" not in str(of(400, openai("sk-secret"))) + repr(of(400, openai("sk-secret")).failure)


def test_a_refused_account_is_not_quoted():
    assert "sk-se" not in repr(of(401, openai("invalid_api_key", "Incorrect API key provided: sk-se***et")).failure)
