from __future__ import annotations

import pytest

from events.outcome import FailureCode
from providers.addresses import ANYWHERE, addresses
from providers.protocol import ProviderError
from settings import Settings
from tasks.results import trusted_hosts


class Silent:
    pass


class Telling:
    trusted_hosts = frozenset({"results.house:81"})


class Strict:
    trusted_hosts = frozenset[str]()


def made(**given: str) -> Settings:
    return Settings(_env_file=None, **given)


def test_a_provider_of_ones_own_that_says_nothing_may_point_anywhere() -> None:
    assert "*" in trusted_hosts(made(), "house.providers:Models", Silent())


def test_what_a_provider_says_is_all_there_is() -> None:
    assert trusted_hosts(made(), "house.providers:Models", Telling()) == {"results.house:81", "api.openai.com:443"}
    assert trusted_hosts(made(), "house.providers:Models", Strict()) == {"api.openai.com:443"}


def test_a_provider_of_the_project_points_to_what_the_settings_name() -> None:
    settings = made(openai_base_url="http://10.0.0.7:8080/v1", tencentcloud_endpoint="https://tencent.house")
    assert trusted_hosts(settings, "tencent", Silent()) == {"10.0.0.7:8080", "tencent.house:443"}


async def test_anywhere_is_anywhere() -> None:
    assert await addresses("127.0.0.1", 9, ANYWHERE) == ("127.0.0.1",)
    with pytest.raises(ProviderError) as caught:
        await addresses("127.0.0.1", 9, Strict.trusted_hosts)
    assert caught.value.failure.code is FailureCode.BAD_OUTPUT
