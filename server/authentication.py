"""Who calls: the `sub` of a JSON Web Token, or the one user `local` where no tokens are configured."""

from __future__ import annotations

from typing import Any

import jwt

from db.tables import USER_ID_LENGTH
from schema.context import Caller
from server.keys import KeySet, UnknownKey
from settings import Settings

LOCAL = Caller("local", is_operator=True)
SECRET_ALGORITHMS = ["HS256"]
# Never HS256 here: the key set is public, and would then be everyone's secret.
KEY_SET_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
CLOCK_SKEW_SECONDS = 10
LONGEST_ERROR = 200
NEVER = 2**40
"""Unix time. No timer can wait for what lies beyond."""


class Unauthenticated(Exception):
    """No token, or not a good one. The message says what is wrong with it."""


class Authenticator:
    """Checks tokens as the settings have it."""

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else None
        self._key_set = KeySet(settings.jwt_jwks_url) if settings.jwt_jwks_url else None
        self._audience = settings.jwt_audience
        self._issuer = settings.jwt_issuer

    async def caller(self, authorization: str | None) -> Caller:
        """The caller by an `Authorization` header; raises `Unauthenticated` and `keys.KeysUnavailable`."""
        if self._secret is None and self._key_set is None:
            return LOCAL
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("Send a token: `Authorization: Bearer …`.")
        return _caller(await self._claims(token.strip()))

    async def check(self) -> None:
        """Fetch the key set, where there is one; raises `KeysUnavailable`."""
        if self._key_set is not None:
            await self._key_set.check()

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            if self._secret is not None:
                return self._decode(token, self._secret, SECRET_ALGORITHMS)
            assert self._key_set is not None
            key = await self._key_set.key(jwt.get_unverified_header(token).get("kid"))
            return self._decode(token, key, KEY_SET_ALGORITHMS)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired. Get a new one.") from None
        except jwt.InvalidSignatureError:
            raise Unauthenticated("The token is not accepted: its signature is not right.") from None
        except jwt.DecodeError:
            raise Unauthenticated("The token is not accepted: it is no JSON Web Token.") from None
        # A signed claim may still be no number, or no finite one.
        except (jwt.PyJWTError, UnknownKey, ValueError, OverflowError) as error:
            raise Unauthenticated(f"The token is not accepted: {str(error)[:LONGEST_ERROR]}.") from None

    def _decode(self, token: str, key: Any, algorithms: list[str]) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=self._audience,
            issuer=self._issuer,
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": ["sub"], "verify_aud": self._audience is not None},
        )


def _caller(claims: dict[str, Any]) -> Caller:
    user_id = claims["sub"]
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= USER_ID_LENGTH or not user_id.isprintable():
        raise Unauthenticated(f"The token's `sub` must be text of 1 to {USER_ID_LENGTH} printable characters.")
    expires_at = min(int(claims["exp"]) + CLOCK_SKEW_SECONDS, NEVER) if "exp" in claims else None
    return Caller(user_id, claims.get("role") == "operator", expires_at)
