from __future__ import annotations

import pytest

from events.outcome import FailureCode
from providers.addresses import ANYWHERE, addresses
from providers.protocol import ProviderError
from tasks.results import trusted_hosts


class Silent:
    pass


class Telling:
    trusted_hosts = frozenset({"results.house:81"})


class Strict:
    trusted_hosts = frozenset[str]()


def test_a_provider_of_ones_own_that_says_nothing_may_point_anywhere() -> None:
    assert "*" in trusted_hosts("house.providers:Models", Silent())


def test_what_a_provider_says_is_all_there_is() -> None:
    assert trusted_hosts("house.providers:Models", Telling()) == {"results.house:81"}
    assert trusted_hosts("house.providers:Models", Strict()) == frozenset()


def test_a_provider_of_the_project_that_says_nothing_points_to_the_public_internet_only() -> None:
    assert not trusted_hosts("local", Silent())


async def test_anywhere_is_anywhere() -> None:
    assert await addresses("127.0.0.1", 9, ANYWHERE) == ("127.0.0.1",)
    with pytest.raises(ProviderError) as caught:
        await addresses("127.0.0.1", 9, Strict.trusted_hosts)
    assert caught.value.failure.code is FailureCode.BAD_OUTPUT
