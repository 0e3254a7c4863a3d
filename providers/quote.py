"""A provider's own words, fit to be shown: short, on one line, and without the keys that it may repeat."""

from __future__ import annotations

from pydantic import SecretStr

LONGEST = 200


def shown(text: str, longest: int, *secrets: SecretStr | None) -> str:
    """`text` on one line, no longer than `longest` characters, without the secrets."""
    # Half a character, of an echo that was cut, can be neither kept nor sent.
    text = text.encode(errors="replace").decode()
    for secret in secrets:
        if secret is not None:
            text = text.replace(secret.get_secret_value(), "***")
    line = " ".join(text[: 10 * longest].split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def quote(text: object, *secrets: SecretStr | None) -> str:
    """`: "text"`, to follow a sentence; empty where `text` is no text."""
    if not isinstance(text, str) or not text.strip():
        return ""
    return f': "{shown(text, LONGEST, *secrets)}"'
