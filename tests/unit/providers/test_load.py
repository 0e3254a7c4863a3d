"""Choosing the providers by the settings."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from providers.images.local import LocalImages
from providers.load import image_provider, model_provider, prompt_provider
from providers.models.local import LocalModels
from providers.prompts.local import LocalPrompts
from providers.prompts.none import NoPrompts
from settings import Settings, SettingsError


class Unpolled:
    async def submit(self, prompt: str, index: int) -> str:
        raise NotImplementedError

    async def aclose(self) -> None: ...


class Unclosed(Unpolled):
    aclose = None  # type: ignore[assignment]  # as if it were not there

    async def poll(self, job_id: str) -> None: ...


def test_the_defaults_are_the_offline_providers() -> None:
    assert isinstance(prompt_provider(Settings()), LocalPrompts)
    assert isinstance(prompt_provider(Settings(prompt_provider="none")), NoPrompts)
    assert isinstance(image_provider(Settings()), LocalImages)
    assert isinstance(model_provider(Settings()), LocalModels)


def test_a_class_of_ones_own_is_made_with_the_settings() -> None:
    own = Settings(prompt_provider="providers.prompts.none:NoPrompts")

    assert isinstance(prompt_provider(own), NoPrompts)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no.such.module:Images", "IMAGE_PROVIDER: no.such.module cannot be imported"),
        ("providers.images.local:Nothing", "IMAGE_PROVIDER: providers.images.local has no Nothing"),
        ("providers.prompts.none:NoPrompts", "IMAGE_PROVIDER: .* has no method generate"),
        ("providers.protocol:ProviderFile", "IMAGE_PROVIDER: .* has no method generate, or submit and poll"),
        ("test_load_classes:Unpolled", "IMAGE_PROVIDER: .* has no method generate, or submit and poll"),
        ("test_load_classes:Unclosed", "IMAGE_PROVIDER: .* has no method aclose"),
    ],
)
def test_a_class_that_will_not_do_names_the_setting(path: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    classes = ModuleType("test_load_classes")
    vars(classes).update(Unpolled=Unpolled, Unclosed=Unclosed)
    monkeypatch.setitem(sys.modules, classes.__name__, classes)
    with pytest.raises(SettingsError, match=message):
        image_provider(Settings(image_provider=path))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class Own:\n def __init__(self, settings): {}['HOUSE_URL']", "cannot be made .*: KeyError: 'HOUSE_URL'$"),
        ("class Own:\n def __init__(self): ...", "cannot be made with the settings as its argument: TypeError: "),
        ("import os\nos.environ['HOUSE_URL']", "own_provider cannot be imported: KeyError: 'HOUSE_URL'$"),
        ("raise ValueError('a\\nsk-secret')", r"own_provider cannot be imported: ValueError: a \*\*\*$"),
    ],
)
def test_a_class_of_ones_own_that_fails_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    rest = "\n async def generate(self, prompt, index): ...\n async def aclose(self): ...\n"
    (tmp_path / "own_provider.py").write_text(source + (rest if source.startswith("class") else "\n"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_provider", raising=False)
    with pytest.raises(SettingsError, match=f"IMAGE_PROVIDER: .*{message}"):
        image_provider(Settings(image_provider="own_provider:Own", openai_api_key="sk-secret"))
