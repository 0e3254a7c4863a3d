"""Choosing the providers by the settings."""

from __future__ import annotations

import pytest

from providers.images.local import LocalImages
from providers.load import image_provider, model_provider, prompt_provider
from providers.models.local import LocalModels
from providers.prompts.local import LocalPrompts
from providers.prompts.none import NoPrompts
from settings import Settings, SettingsError


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
        ("providers.protocol:ProviderFile", "IMAGE_PROVIDER: .* has no method generate"),
    ],
)
def test_a_class_that_will_not_do_names_the_setting(path: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        image_provider(Settings(image_provider=path))
