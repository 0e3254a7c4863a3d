"""`docs/settings.md` names every setting with its default."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import SecretStr

from settings import Settings

PAGE = Path(__file__).parent.parent.parent / "docs" / "settings.md"
ROW = re.compile(r"^\| `([A-Z0-9_]+)` \| ([^|]+) \|", re.MULTILINE)


def shown(default):
    match default:
        case None:
            return "unset"
        case ():
            return "own origin"
        case SecretStr():
            return f"`{default.get_secret_value()}`"
        case _:
            return f"`{default}`"


def test_every_setting_is_there_with_its_default():
    told = {name: default.strip() for name, default in ROW.findall(PAGE.read_text())}
    assert told == {name.upper(): shown(field.default) for name, field in Settings.model_fields.items()}
