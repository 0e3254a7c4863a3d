"""Keys: one to eight segments of letters, digits, `.`, `_` and `-`, joined by `/`: `requests/req_1/img_2/x.png`."""

from __future__ import annotations

import re

from storage.protocol import InvalidKey

# A segment starts with a letter or digit: so there are no dot segments, no hidden files and no options.
SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
KEY = re.compile(rf"{SEGMENT}(?:/{SEGMENT}){{0,7}}", re.ASCII)

CONTENT_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".glb": "model/gltf-binary",
    ".obj": "model/obj",
    ".stl": "model/stl",
    ".3mf": "model/3mf",
}


def check_key(key: str) -> str:
    """The key itself; raises `InvalidKey`."""
    if not KEY.fullmatch(key):
        raise InvalidKey(f"{key[:200]!r} is no key of a stored file")
    return key


def check_prefix(prefix: str) -> None:
    """Raises `InvalidKey` where a prefix is neither a key nor one with a `/` after it."""
    check_key(prefix.removesuffix("/"))


def content_type(key: str) -> str:
    """The content type that goes with the key's extension."""
    dot = key.rfind(".")
    return CONTENT_TYPES.get(key[dot:].lower(), "application/octet-stream")
