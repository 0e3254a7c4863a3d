"""Making a prompt printable by rules: the user's words stay, and what a printer needs is added."""

from __future__ import annotations

import re
import unicodedata

from providers.protocol import OptimizedPrompt
from settings import Settings

MAX_CHARACTERS = 1000
HAN = re.compile(r"[\u4e00-\u9fff]")
KANA = re.compile(r"[\u3040-\u30ff]")

RULES = (
    "Rendered as one single solid form for 3D printing, thick sturdy parts, a flat underside, smooth matte surface, "
    "the whole form in view and centred, plain light background, soft even light, no text, no scenery."
)
VIEWS = (
    "Seen three-quarter from the left, natural proportions.",
    "Seen three-quarter from the right, rounded compact proportions.",
    "Seen straight from the front, upright elongated proportions.",
    "Seen from slightly above, bold faceted low-poly style.",
)
RULES_HAN = (
    "适合3D打印的单个实心整体，部件粗壮，底面平整，表面光滑哑光，主体完整居中，浅色纯净背景，光线柔和，无文字，无场景。"  # noqa: RUF001  # Chinese punctuation
)
VIEWS_HAN = ("左前方视角，比例自然。", "右前方视角，造型圆润。", "正面视角，造型修长。", "略微俯视，低多边形切面风格。")  # noqa: RUF001  # Chinese punctuation


class LocalPrompts:
    """A prompt provider that works by rules; needs no key, costs nothing."""

    def __init__(self, settings: Settings) -> None:
        pass

    async def optimize(self, prompt: str) -> OptimizedPrompt:
        """The prompt with what makes it printable, and four views or styles of it."""
        words = clean(prompt)
        chinese = bool(HAN.search(words)) and not KANA.search(words)
        rules, views = (RULES_HAN, VIEWS_HAN) if chinese else (RULES, VIEWS)
        gap, stop = ("", "。") if chinese else (" ", ".")
        words = _shortened(words, MAX_CHARACTERS - len(rules) - max(map(len, views)) - 3)
        whole = words if unicodedata.category(words[-1:] or "A").startswith("P") else words + stop
        first, second, third, fourth = (gap.join((whole, view, rules)) for view in views)
        return OptimizedPrompt(gap.join((whole, rules)), (first, second, third, fourth))

    async def aclose(self) -> None:
        pass


def clean(prompt: str) -> str:
    """One line without control characters, each run of white space a single space."""
    kept = (" " if unicodedata.category(one) == "Cc" else one for one in unicodedata.normalize("NFC", prompt))
    return " ".join("".join(kept).split())


def _shortened(words: str, room: int) -> str:
    if len(words) <= room:
        return words
    cut = words[:room]
    # At a word's end, where there is one not far back.
    space = cut.rfind(" ", room - 60)
    return cut[:space] if space > 0 else cut
