"""Content negotiation (RFC 9110, section 12.5.1) for `/graphql`: which of its media types a client is answered in."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

CACHED_HEADERS = 64
PART = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*"?)+')
PARAMETER = re.compile(r'(?:[^;"]|"(?:\\.|[^"\\])*"?)+')


class Media(StrEnum):
    """What `/graphql` answers in, by what is preferred where the client does not mind."""

    GRAPHQL_JSON = "application/graphql-response+json"
    JSON = "application/json"
    EVENT_STREAM = "text/event-stream"
    MULTIPART = "multipart/mixed"

    @property
    def is_stream(self) -> bool:
        return self in (Media.EVENT_STREAM, Media.MULTIPART)


@dataclass(frozen=True, slots=True)
class Range:
    """One range of an `Accept` header."""

    type: str
    parameters: dict[str, str]

    @property
    def quality(self) -> float:
        try:
            quality = float(self.parameters.get("q", "1"))
        except ValueError:
            return 0
        return min(max(quality, 0), 1) if math.isfinite(quality) else 0

    def fits(self, media: Media) -> int:
        """How exactly it names a media type: 0 if not at all, 3 if exactly."""
        if self.type == media:
            # Only Apollo's protocol is spoken in parts; others ask for `multipart/mixed` as well.
            spoken = media is not Media.MULTIPART or self.parameters.get("subscriptionspec", "").startswith("1")
            return 3 if spoken else 0
        if media is Media.MULTIPART:
            return 0
        if self.type == media.partition("/")[0] + "/*":
            return 2
        return 1 if self.type == "*/*" else 0


@lru_cache(CACHED_HEADERS)
def choose(accept: str | None, *, streams: bool) -> Media | None:
    """The media type that a client likes best, of those for streams or of all; None if it accepts none."""
    ranges = _ranges(accept or "*/*")
    chosen, best = None, (0.0, 0)
    for media in Media:
        if streams and not media.is_stream:
            continue
        exactness, quality = max(((found.fits(media), found.quality) for found in ranges), default=(0, 0))
        # What was named goes before what a wildcard covers, and plain JSON before what only few clients know.
        named = 2 if exactness == 3 else 1 if media is Media.JSON or streams else 0
        if exactness and quality and (quality, named) > best:
            chosen, best = media, (quality, named)
    return chosen


def _ranges(accept: str) -> list[Range]:
    ranges = []
    for part in PART.findall(accept):
        name, *parameters = [found.strip() for found in PARAMETER.findall(part)] or [""]
        pairs = (parameter.partition("=") for parameter in parameters)
        values = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
        ranges.append(Range(name.lower(), values))
    return ranges
