"""The providers that the settings choose. An adapter's module is imported only when it is chosen."""

from __future__ import annotations

import importlib
from typing import Any, cast

from providers.protocol import ImageProvider, ModelProvider, PromptProvider
from settings import Settings, SettingsError

PROMPTS = {
    "local": "providers.prompts.local:LocalPrompts",
    "none": "providers.prompts.none:NoPrompts",
    "openai": "providers.prompts.openai:OpenAIPrompts",
}
IMAGES = {
    "local": "providers.images.local:LocalImages",
    "openai": "providers.images.openai:OpenAIImages",
    "tencent": "providers.images.tencent:TencentImages",
}
MODELS = {
    "local": "providers.models.local:LocalModels",
    "tencent": "providers.models.tencent:TencentModels",
}


def prompt_provider(settings: Settings) -> PromptProvider:
    """Raises `SettingsError` where PROMPT_PROVIDER names no such class."""
    chosen = PROMPTS.get(settings.prompt_provider, settings.prompt_provider)
    return cast("PromptProvider", _made("PROMPT_PROVIDER", chosen, settings, "optimize"))


def image_provider(settings: Settings) -> ImageProvider:
    """Raises `SettingsError` where IMAGE_PROVIDER names no such class."""
    chosen = IMAGES.get(settings.image_provider, settings.image_provider)
    return cast("ImageProvider", _made("IMAGE_PROVIDER", chosen, settings, "generate"))


def model_provider(settings: Settings) -> ModelProvider:
    """Raises `SettingsError` where MODEL_PROVIDER names no such class."""
    chosen = MODELS.get(settings.model_provider, settings.model_provider)
    return cast("ModelProvider", _made("MODEL_PROVIDER", chosen, settings, "submit", "poll"))


def _made(setting: str, chosen: str, settings: Settings, *methods: str) -> Any:
    module_name, _, class_name = chosen.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"{setting}: {chosen} cannot be imported: {error}") from error
    for method in (*methods, "aclose"):
        if not callable(getattr(found, method, None)):
            raise SettingsError(
                f"{setting}: {chosen} has no method {method}; docs/providers.md says what one must have"
            )
    return found(settings)
