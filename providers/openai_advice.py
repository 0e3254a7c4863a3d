"""What to do about a refusal to list the models, told to whoever runs the program: one line that names the setting."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit, urlunsplit

from events.outcome import FailureCode
from providers.addresses import authority
from providers.openai_errors import Refusal
from providers.protocol import ProviderError

# The last is SiliconFlow's.
BALANCE = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "30001"}
COUNTRY = "unsupported_country_region_territory"
NOT_THERE = {404, 405, 410}


def advice(error: ProviderError, base_url: str) -> str:
    """What is wrong, and what to do."""
    host = authority(base_url)
    if not isinstance(error, Refusal):
        return f"OPENAI_BASE_URL: {host}: {error} Correct it, or wait"
    status, code = error.status, error.failure.provider_code
    told = f"HTTP {status}, {code}" if code else f"HTTP {status}"
    if status < 400:
        return f"OPENAI_BASE_URL: {host} redirects ({told}); {_elsewhere(error, base_url)}"
    if code in BALANCE or status == 402:
        return f"OPENAI_API_KEY: {host} says that its account has no balance or quota left ({told}); top it up"
    if code == COUNTRY or status == 451:
        return f"OPENAI_BASE_URL: {host} does not serve this country or region ({told}); set a service that does"
    if code == "account_deactivated":
        return f"OPENAI_API_KEY: {host} says that its account is deactivated ({told}); set that of another"
    if status == 403:
        return (
            f"OPENAI_API_KEY: {host} forbids its use ({told}); it may lack the right, or its account the balance, "
            "or the country may not be served; see to these, or set another"
        )
    if status in NOT_THERE:
        return f"OPENAI_BASE_URL: {host} knows no /models under it ({told}); does it end as it should, in /v1?"
    if error.failure.code is FailureCode.PROVIDER_MISCONFIGURED:
        return f"OPENAI_API_KEY: {host} refuses it ({told}); set one that is good there"
    return f"OPENAI_BASE_URL: {host}: {error} Correct it, or wait"


def _elsewhere(error: Refusal, base_url: str) -> str:
    """Where to, without what a URL may hold that is secret."""
    try:
        target = urlsplit(urljoin(f"{base_url}/models", error.location or ""))
        there = authority(target.geturl())
    except (ValueError, KeyError):
        return "set the address that the service itself has"
    if error.location is None or not target.path.endswith("/models"):
        return f"set the address that the service itself has, up to and with its /v1 (this one leads to {there})"
    host = target.netloc.rpartition("@")[2]
    there = urlunsplit((target.scheme, host, target.path.removesuffix("/models"), "", ""))
    return f"set {there}, if that is the service's own"
