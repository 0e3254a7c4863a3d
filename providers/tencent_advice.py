"""What to do about an answer of Tencent Cloud's, told to whoever runs the program: one line that names the setting."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Template

from events.outcome import FailureCode
from providers.protocol import ProviderError

NO_JOB = re.compile(r"Job(Id)?Not(Exist|Found)")
PARAMETERS = {"InvalidParameter", "InvalidParameterValue"}

KEYS = "TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY: $host"
CREDIT = f"{KEYS} says that the account has no credit left ($code); buy some, or set the keys of another account"
RIGHT = f"{KEYS} says that they lack the right ($code); grant them $action and its Submit action, or set others"
ADDRESS = f"{KEYS} refuses the address of this machine ($code); allow it in the account"
ACCOUNT = f"{KEYS} refuses the account ($code); see to its service, limits and credit, or set the keys of another"
ACTION = "$setting: $host does not take $action ($code); set another, or correct TENCENTCLOUD_ENDPOINT"
ENDPOINT = "TENCENTCLOUD_ENDPOINT: $host does not have the service ($code); correct it, or unset it"

# By the code, or by what stands before its dot.
ADVICE: Mapping[str, str] = {
    "UnsupportedRegion": "TENCENTCLOUD_REGION: $host does not serve $region ($code); set one that it does",
    "AuthFailure.SignatureExpire": "the clock of this machine and that of $host differ ($code); set it right",
    "AuthFailure.UnauthorizedOperation": RIGHT,
    "UnauthorizedOperation": RIGHT,
    "AuthFailure": f"{KEYS} refuses them ($code); correct them",
    "IpInBlacklist": ADDRESS,
    "IpNotInWhitelist": ADDRESS,
    "FailedOperation.ServiceNotActivated": f"{KEYS} says that the account lacks the service ($code); activate it there",
    "FailedOperation.ResourcePackExhausted": CREDIT,
    "FailedOperation.ServiceStopArrears": CREDIT,
    "ResourceInsufficient": CREDIT,
    "InvalidAction": ACTION,
    "ActionOffline": ACTION,
    "UnsupportedOperation": ACTION,
    "NoSuchProduct": ENDPOINT,
    "NoSuchVersion": ENDPOINT,
}


def is_about_the_job(error: ProviderError) -> bool:
    """Whether it is only the job's id that was refused, as that of a job which does not exist must be."""
    code = error.failure.provider_code or ""
    return bool(NO_JOB.search(code)) or (code.partition(".")[0] in PARAMETERS and "JobId" in str(error))


def advice(error: ProviderError, *, host: str, region: str, action: str, setting: str) -> str:
    """What is wrong, and what to do; `setting` is the one that chooses the `action`."""
    code = error.failure.provider_code
    template = ADVICE.get(code or "") or ADVICE.get((code or "").partition(".")[0])
    if template is not None:
        return Template(template).substitute(host=host, region=region, action=action, setting=setting, code=code)
    if code is None:
        return f"TENCENTCLOUD_ENDPOINT: {host}: {error} Correct it, or wait"
    match error.failure.code:
        case FailureCode.PROVIDER_MISCONFIGURED:
            return Template(ACCOUNT).substitute(host=host, code=code)
        case FailureCode.PROVIDER_UNAVAILABLE:
            return f"TENCENTCLOUD_ENDPOINT: {host}: {error} Look again later, or set another"
    return f"{setting}: {host} does not take {action}: {error} Set another, or correct TENCENTCLOUD_ENDPOINT"
