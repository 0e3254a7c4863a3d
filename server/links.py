"""Links that carry their own permission: a browser's EventSource and `<img>` cannot send headers."""

from __future__ import annotations

import time
from urllib.parse import urlencode

import jwt

EVENTS_SECONDS = 3600
FILES_SECONDS = 3600
ALGORITHM = "HS256"


class Links:
    """Makes and checks the tokens in links. Each opens one stream or one file, and nothing else."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def events_path(self, request_id: str) -> str:
        """The path of a request's SSE stream, with a token that is good for an hour."""
        token = self._token(f"events:{request_id}", time.time() + EVENTS_SECONDS)
        return f"/requests/{request_id}/events?{urlencode({'token': token})}"

    def file_query(self, key: str) -> str:
        """The query that opens a file. It stays the same for an hour, so that browsers may keep the file."""
        hour = int(time.time()) // FILES_SECONDS
        return urlencode({"token": self._token(f"file:{key}", (hour + 2) * FILES_SECONDS)})

    def opens_events(self, token: str, request_id: str) -> float | None:
        """Until when (Unix time) the token opens that stream; None if it does not."""
        return self._expiry(token, f"events:{request_id}")

    def opens_file(self, token: str, key: str) -> bool:
        return self._expiry(token, f"file:{key}") is not None

    def _token(self, subject: str, expires: float) -> str:
        return jwt.encode({"sub": subject, "exp": int(expires)}, self._secret, ALGORITHM)

    def _expiry(self, token: str, subject: str) -> float | None:
        try:
            claims = jwt.decode(token, self._secret, [ALGORITHM], options={"require": ["sub", "exp"]})
        except jwt.PyJWTError:
            return None
        return float(claims["exp"]) if claims["sub"] == subject else None
