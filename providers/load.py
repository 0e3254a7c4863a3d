"""Choosing the providers by the settings. An adapter's module is imported only when it is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import cast

from providers.protocol import ImageProvider, ModelProvider, PromptProvider
from providers.quote import LONGEST, shown
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

# The methods that a class must have: all of one of the alternatives.
OPTIMIZING = (("optimize",),)
DRAWING = (("generate",), ("submit", "poll"))
MODELLING = (("submit", "poll"),)


def prompt_provider(settings: Settings) -> PromptProvider:
    """The provider that PROMPT_PROVIDER names; raises `SettingsError` where it cannot be had."""
    return cast("PromptProvider", _made("PROMPT_PROVIDER", settings.prompt_provider, PROMPTS, OPTIMIZING, settings))


def image_provider(settings: Settings) -> ImageProvider:
    """The provider that IMAGE_PROVIDER names; raises `SettingsError` where it cannot be had."""
    return cast("ImageProvider", _made("IMAGE_PROVIDER", settings.image_provider, IMAGES, DRAWING, settings))


def model_provider(settings: Settings) -> ModelProvider:
    """The provider that MODEL_PROVIDER names; raises `SettingsError` where it cannot be had."""
    return cast("ModelProvider", _made("MODEL_PROVIDER", settings.model_provider, MODELS, MODELLING, settings))


def _made(
    setting: str, name: str, known: Mapping[str, str], methods: Sequence[Sequence[str]], settings: Settings
) -> object:
    path = known.get(name, name)
    module_name, _, class_name = path.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:  # a module of a user's own may raise anything
        raise SettingsError(f"{setting}: {module_name} cannot be imported: {_told(error, settings)}") from error
    try:
        made = getattr(module, class_name)
    except AttributeError as error:
        raise SettingsError(f"{setting}: {module_name} has no {class_name}") from error
    if not any(_has(made, *alternative) for alternative in methods):
        wanted = ", or ".join(" and ".join(alternative) for alternative in methods)
        raise SettingsError(f"{setting}: {path} has no method {wanted}")
    if not _has(made, "aclose"):
        raise SettingsError(f"{setting}: {path} has no method aclose")
    try:
        provider = cast("object", made(settings))
    except Exception as error:  # as above
        told = _told(error, settings)
        raise SettingsError(f"{setting}: {path} cannot be made with the settings as its argument: {told}") from error
    most = getattr(provider, "max_concurrent", None)
    if most is not None and (not isinstance(most, int) or most < 1):
        raise SettingsError(f"{setting}: max_concurrent of {path} must be a whole number from 1, or None")
    return provider


def _has(made: object, *methods: str) -> bool:
    return all(callable(getattr(made, method, None)) for method in methods)


def _told(error: Exception, settings: Settings) -> str:
    """The error on one line; without its type, a KeyError would be no more than a name."""
    return f"{type(error).__name__}: {shown(str(error), LONGEST, *settings.secrets)}"
