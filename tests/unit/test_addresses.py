from __future__ import annotations

import pytest

from events.outcome import FailureCode
from providers.addresses import addresses, authority, is_public
from providers.protocol import ProviderError

PRIVATE = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.0.23",
    "100.100.100.200",
    "168.63.129.16",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::1",
    "192.0.0.192",
    "192.0.0.8",
    "192.88.99.1",
    "198.18.0.1",
    "::127.0.0.1",
    "::1.1.1.1",
    "::ffff:0:127.0.0.1",
    "::ffff:192.0.0.192",
    "64:ff9b::192.0.0.192",
    "64:ff9b::168.63.129.16",
    "64:ff9b:1::a9fe:a9fe",
    "100::1",
    "2001:0:7f00:1::1",
    "2001:db8::1",
    "2002:c000:c0::1",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:169.254.169.254",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fe80::1%1",
    "fec0::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_of_ones_own_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "119.29.29.29",
        "2606:4700:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
        "2002:101:101::1",
        "2402:4e00::1",
    ],
)
def test_an_address_on_the_internet_is_public(address):
    assert is_public(address)


# getaddrinfo reads the last three as 127.0.0.1 too.
@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "localhost", "2130706433", "0x7f.1", "127.1"])
async def test_refuses_a_host_that_is_not_public(host):
    with pytest.raises(ProviderError) as caught:
        await addresses(host, 80, ())
    assert caught.value.failure.code is FailureCode.BAD_OUTPUT
    assert not caught.value.failure.retryable


async def test_a_trusted_host_is_trusted_on_its_own_port_only():
    assert await addresses("127.0.0.1", 8080, {"127.0.0.1:8080"}) == ("127.0.0.1",)
    with pytest.raises(ProviderError):
        await addresses("127.0.0.1", 8081, {"127.0.0.1:8080"})
    with pytest.raises(ProviderError):
        await addresses("127.0.0.2", 8080, {"127.0.0.1:8080"})


async def test_a_name_that_does_not_resolve_may_do_so_later():
    with pytest.raises(ProviderError) as caught:
        await addresses("no-such-host.invalid", 80, ())
    assert caught.value.failure.code is FailureCode.PROVIDER_UNAVAILABLE
    assert caught.value.failure.retryable


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://API.example.com/v1", "api.example.com:443"),
        ("http://example.com", "example.com:80"),
        ("http://127.0.0.1:8080/v1", "127.0.0.1:8080"),
        ("http://[::1]:9000", "::1:9000"),
    ],
)
def test_authority(url, expected):
    assert authority(url) == expected
