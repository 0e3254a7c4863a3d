"""Tokens that are checked with a key set, served over real HTTP."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from server import keys
from server.authentication import Authenticator, Unauthenticated
from server.keys import KeysUnavailable
from settings import Settings

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
SYMMETRIC = {"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC1zZWM"}


def jwk(key: Any, key_id: str | None, **more: str) -> dict[str, Any]:
    kinds = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    kind = next((kinds[base] for base in kinds if isinstance(key, base)), OKPAlgorithm)
    described = json.loads(kind.to_jwk(key.public_key()))
    return {**described, **({"kid": key_id} if key_id else {}), **more}


class Publisher:
    """Serves a key set, and counts how often it is asked for."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.body: bytes | None = None
        self.status = 200
        self.asked = 0
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked += 1
                body = publisher.body if publisher.body is not None else json.dumps({"keys": publisher.keys}).encode()
                self.send_response(publisher.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  # its name
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = Publisher()
    publisher.keys = [jwk(RSA, "rsa", alg="RS256"), jwk(CURVE, "curve"), jwk(EDWARDS, "edwards"), SYMMETRIC]
    thread = threading.Thread(target=publisher.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield publisher
    publisher.server.shutdown()
    publisher.server.server_close()
    thread.join()


@pytest.fixture
def authenticator(publisher: Publisher) -> Authenticator:
    return Authenticator(
        Settings(_env_file=None, jwt_jwks_url=publisher.url, jwt_audience="maquette", jwt_issuer="https://issuer")
    )


def token(key: Any, key_id: str | None, algorithm: str, **claims: Any) -> str:
    good = {"sub": "ada", "aud": "maquette", "iss": "https://issuer", "exp": time.time() + 60}
    given = {name: value for name, value in {**good, **claims}.items() if value is not None}
    return "Bearer " + jwt.encode(given, key, algorithm, {"kid": key_id} if key_id else None)


def signed_with_the_public_key(good: str) -> str:
    """The same token as if the public key were a secret. PyJWT will not make such a thing."""
    payload = good.split(".")[1]
    header = base64url_encode(b'{"alg": "HS256", "kid": "rsa"}').decode()
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signature = hmac.digest(public, f"{header}.{payload}".encode(), "sha256")
    return f"Bearer {header}.{payload}.{base64url_encode(signature).decode()}"


@pytest.mark.parametrize(
    ("key", "key_id", "algorithm"), [(RSA, "rsa", "RS256"), (CURVE, "curve", "ES256"), (EDWARDS, "edwards", "EdDSA")]
)
async def test_a_token_of_each_kind_of_key(authenticator, publisher, key, key_id, algorithm):
    for _ in range(3):
        caller = await authenticator.caller(token(key, key_id, algorithm))
    assert caller.user_id == "ada"
    assert caller.expires_at == pytest.approx(time.time() + 60 + 10, abs=3)
    assert publisher.asked == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://another"},
        {"iss": None},
        {"exp": time.time() - 11},
        {"exp": float("inf")},
        {"exp": "soon"},
        {"nbf": time.time() + 86_400},
        {"sub": None},
        {"sub": "x" * 256},
    ],
)
async def test_claims_that_do_not_fit_are_refused(authenticator, claims):
    with pytest.raises(Unauthenticated):
        await authenticator.caller(token(RSA, "rsa", "RS256", **claims))


async def test_the_algorithm_is_the_keys_own(authenticator, publisher):
    for forged in (
        token(RSA, "rsa", "RS512"),
        token(RSA, "rsa", "PS256"),
        signed_with_the_public_key(token(RSA, "rsa", "RS256")),
        token(b"secret-secret-secret-secret-secret-sec", "symmetric", "HS256"),
        token(None, "rsa", "none"),
        token(CURVE, "rsa", "ES256"),
        token(OTHER, "rsa", "RS256"),
        "Bearer nonsense",
        "Bearer " + "x" * 10_000,
    ):
        with pytest.raises(Unauthenticated):
            await authenticator.caller(forged)


async def test_a_token_without_a_key_id_has_the_only_key(authenticator, publisher):
    publisher.keys = [jwk(RSA, "rsa")]
    assert (await authenticator.caller(token(RSA, None, "RS256"))).user_id == "ada"
    with pytest.raises(Unauthenticated):
        await authenticator.caller(token(OTHER, None, "RS256"))


async def test_a_new_key_is_fetched_and_an_old_one_forgotten(authenticator, publisher, monkeypatch):
    await authenticator.caller(token(RSA, "rsa", "RS256"))
    publisher.keys = [jwk(OTHER, "new")]
    # A key id that nobody knows makes us fetch at most every so often.
    for _ in range(5):
        with pytest.raises(Unauthenticated, match="not in the key set"):
            await authenticator.caller(token(OTHER, "new", "RS256"))
    assert publisher.asked == 1
    monkeypatch.setattr(keys, "PAUSE_SECONDS", 0)
    assert (await authenticator.caller(token(OTHER, "new", "RS256"))).user_id == "ada"
    assert publisher.asked == 2
    with pytest.raises(Unauthenticated):
        await authenticator.caller(token(RSA, "rsa", "RS256"))


async def test_keys_go_on_working_while_their_publisher_is_away(authenticator, publisher, monkeypatch):
    good = token(RSA, "rsa", "RS256")
    await authenticator.caller(good)
    publisher.status = 500
    monkeypatch.setattr(keys, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(keys, "FRESH_SECONDS", 0)
    for _ in range(3):
        assert (await authenticator.caller(good)).user_id == "ada"
    # Whether an unknown key is a new one cannot be told now.
    with pytest.raises(KeysUnavailable):
        await authenticator.caller(token(OTHER, "new", "RS256"))
    publisher.status = 200
    publisher.keys.append(jwk(OTHER, "new"))
    assert (await authenticator.caller(token(OTHER, "new", "RS256"))).user_id == "ada"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": 7}', b'{"keys": ["x"]}', b"\xff", b" " * (2 << 20)]
)
async def test_what_is_no_key_set_is_as_good_as_none(authenticator, publisher, body):
    publisher.body = body
    with pytest.raises(KeysUnavailable):
        await authenticator.caller(token(RSA, "rsa", "RS256"))
    with pytest.raises(KeysUnavailable):
        await authenticator.caller(token(RSA, "rsa", "RS256"))
    assert publisher.asked == 1


async def test_nobody_listens_there():
    authenticator = Authenticator(Settings(_env_file=None, jwt_jwks_url="http://127.0.0.1:1/keys"))
    with pytest.raises(KeysUnavailable):
        await authenticator.caller(token(RSA, "rsa", "RS256"))
