"""What `maquette doctor` says of the services that users pay for: each refusal names the setting to correct."""

from __future__ import annotations

import pytest

from providers.images.openai import OpenAIImages
from providers.images.tencent import TencentImages
from providers.models.tencent import TencentModels
from providers.protocol import ProviderError
from settings import Settings
from tests.standins.faults import HTML, Fault
from tests.standins.openai import KEY, OpenAIStandIn
from tests.standins.server import running
from tests.standins.tencent import SECRET_ID, SECRET_KEY, TencentStandIn


@pytest.fixture(scope="module")
def tencent():
    standin = TencentStandIn()
    with running(standin.app) as standin.url:
        yield standin


@pytest.fixture(scope="module")
def openai():
    standin = OpenAIStandIn()
    with running(standin.app) as standin.url:
        yield standin


async def found(provider) -> str | None:
    """What the check says; None where all is well."""
    try:
        await provider.check()
    except ProviderError as error:
        return str(error)
    finally:
        await provider.aclose()
    return None


async def of_tencent(service, fault, make=TencentImages, **changes):
    settings = Settings(
        _env_file=None,
        tencentcloud_endpoint=service.url,
        tencentcloud_secret_id=SECRET_ID,
        tencentcloud_secret_key=SECRET_KEY,
        **changes,
    )
    service.fail(fault)
    return await found(make(settings))


KEYS = "TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY: "


@pytest.mark.parametrize(
    ("code", "start", "advice"),
    [
        ("UnsupportedRegion", "TENCENTCLOUD_REGION: ", "ap-elsewhere"),
        ("AuthFailure.SignatureExpire", "the clock of this machine ", "set it right"),
        ("AuthFailure.SignatureFailure", KEYS, "correct them"),
        ("AuthFailure.SecretIdNotFound", KEYS, "correct them"),
        ("AuthFailure.UnauthorizedOperation", KEYS, "grant"),
        ("UnauthorizedOperation", KEYS, "grant"),
        ("FailedOperation.ServiceNotActivated", KEYS, "activate"),
        ("FailedOperation.ResourcePackExhausted", KEYS, "credit"),
        ("FailedOperation.ServiceStopArrears", KEYS, "credit"),
        ("IpNotInWhitelist", KEYS, "address of this machine"),
        ("ActionOffline", "TENCENT_IMAGE_ACTION: ", "QueryTextToImageJob"),
        ("UnsupportedOperation", "TENCENT_IMAGE_ACTION: ", "QueryTextToImageJob"),
        ("InvalidAction", "TENCENT_IMAGE_ACTION: ", "QueryTextToImageJob"),
        ("InvalidParameterValue", "TENCENT_IMAGE_ACTION: ", '"scripted"'),
        ("MissingParameter", "TENCENT_IMAGE_ACTION: ", '"scripted"'),
        ("NoSuchProduct", "TENCENTCLOUD_ENDPOINT: ", "correct it"),
        ("InternalError", "TENCENTCLOUD_ENDPOINT: ", "later"),
    ],
)
async def test_tencents_codes(tencent, code, start, advice):
    said = await of_tencent(tencent, Fault("error", code=code), tencentcloud_region="ap-elsewhere")
    assert said.startswith(start)
    assert code in said
    assert advice in said


async def test_the_action_of_the_models_is_chosen_by_another_setting(tencent):
    said = await of_tencent(tencent, Fault("error", code="ActionOffline"), TencentModels)
    assert said.startswith("TENCENT_MODEL_EDITION: ")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("answer", status=404, headers=HTML.headers, body=HTML.body),
        Fault("answer", status=301, headers={"location": "https://elsewhere.example.com/"}),
        Fault("answer", status=403, headers=HTML.headers, body=HTML.body),
        Fault("answer", status=502, headers=HTML.headers, body=HTML.body),
        HTML,
        Fault("drop_after"),
    ],
)
async def test_what_is_not_tencents_own_answer_is_the_endpoints(tencent, fault):
    fault.times = 1
    said = await of_tencent(tencent, fault)
    assert said.startswith("TENCENTCLOUD_ENDPOINT: 127.0.0.1:")
    assert "orrect it" in said


@pytest.mark.parametrize(
    "fault",
    [
        Fault("slow"),
        Fault("error", code="FailedOperation.JobNotExist"),
        Fault("error", code="ResourceNotFound.JobNotFound"),
        Fault("error", code="InvalidParameterValue", message="The value of the parameter JobId is invalid"),
        Fault("error", code="RequestLimitExceeded"),
    ],
)
async def test_all_is_well_where_there_is_only_no_such_job(tencent, fault):
    assert await of_tencent(tencent, fault) is None


async def of_openai(service, fault):
    settings = Settings(_env_file=None, openai_base_url=f"{service.url}/v1", openai_api_key=KEY)
    service.fail(fault)
    return await found(OpenAIImages(settings))


REDIRECT = {"location": "https://user:password@api.example.com/v1/models?token=private"}


@pytest.mark.parametrize(
    ("fault", "start", "advice"),
    [
        (Fault("answer", status=301, headers=REDIRECT), "OPENAI_BASE_URL: ", "set https://api.example.com/v1,"),
        (Fault("answer", status=308, headers={"location": "/v2/models"}), "OPENAI_BASE_URL: ", "/v2,"),
        (Fault("answer", status=302), "OPENAI_BASE_URL: ", "redirects"),
        (Fault("error", status=429, code="insufficient_quota"), "OPENAI_API_KEY: ", "balance or quota"),
        (Fault("error", status=400, code="billing_hard_limit_reached"), "OPENAI_API_KEY: ", "balance or quota"),
        (Fault("error", status=402), "OPENAI_API_KEY: ", "balance or quota"),
        (
            Fault("error", status=403, code="unsupported_country_region_territory"),
            "OPENAI_BASE_URL: ",
            "country or region",
        ),
        (Fault("answer", status=451), "OPENAI_BASE_URL: ", "country or region"),
        (Fault("error", status=403), "OPENAI_API_KEY: ", "right"),
        (Fault("error", status=401, code="account_deactivated"), "OPENAI_API_KEY: ", "deactivated"),
        (Fault("error", status=401, code="invalid_api_key"), "OPENAI_API_KEY: ", "refuses it"),
        (Fault("answer", status=404), "OPENAI_BASE_URL: ", "/v1"),
        (Fault("error", status=400, code="bad"), "OPENAI_BASE_URL: ", '"scripted"'),
        (Fault("answer", status=503), "OPENAI_BASE_URL: ", "or wait"),
        (Fault("drop_after"), "OPENAI_BASE_URL: ", "or wait"),
    ],
)
async def test_the_refusals_of_an_openai_compatible_service(openai, fault, start, advice):
    fault.times = 1
    said = await of_openai(openai, fault)
    assert said.startswith(f"{start}127.0.0.1:")
    assert advice in said
    assert "password" not in said
    assert "private" not in said


async def test_an_openai_compatible_service_that_is_well_or_busy(openai):
    for fault in (Fault("slow"), Fault("error", status=429, code="rate_limit_exceeded")):
        assert await of_openai(openai, fault) is None
