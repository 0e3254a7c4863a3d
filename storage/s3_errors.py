"""What an error of boto3 means for whoever runs the program, in one line without secrets."""

from __future__ import annotations

from boto3.exceptions import RetriesExceededError  # type: ignore[import-untyped]  # has no type hints
from botocore import exceptions  # type: ignore[import-untyped]  # has no type hints

ADVICE = {
    "NoSuchBucket": "S3_BUCKET: there is no bucket {bucket} at {host}; make it, or set another",
    "InvalidBucketName": "S3_BUCKET: {host} takes no bucket of the name {bucket}; set another",
    "InvalidAccessKeyId": "AWS_ACCESS_KEY_ID: {host} does not know it; set the one that belongs to bucket {bucket}",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY: it does not belong to AWS_ACCESS_KEY_ID, says {host}; correct it",
    "AuthFailure": "AWS_ACCESS_KEY_ID: {host} refuses it; set one that may use bucket {bucket}",
    "ExpiredToken": "AWS_SESSION_TOKEN: it has expired, says {host}; renew the credentials",
    "InvalidToken": "AWS_SESSION_TOKEN: {host} refuses it; renew the credentials",
    "AccessDenied": "S3_BUCKET: {host} forbids it; grant list, get, put and delete in {bucket}",
    "PermanentRedirect": "AWS_REGION: bucket {bucket} is in another region, says {host}; set that one",
    "AuthorizationHeaderMalformed": "AWS_REGION: bucket {bucket} is in another region, says {host}; set that one",
    "RequestTimeTooSkewed": "the clocks of this machine and of {host} differ too much; set this one's",
    "QuotaExceeded": "S3_BUCKET: no space is left in {bucket} at {host}; free some, or raise its quota",
    "XMinioStorageFull": "S3_BUCKET: no space is left at {host}; free some",
    "SlowDown": "{host} is overloaded; it is tried again later",
    "403": "S3_BUCKET: {host} forbids it; check the credentials and their rights in {bucket}",
}


def code_of(error: exceptions.ClientError) -> str:
    """The service's own code, such as `NoSuchKey`; for an answer without a body, the HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def explain(error: Exception, bucket: str, host: str) -> str:
    match error:
        case exceptions.ClientError():
            code = code_of(error)
            advice = ADVICE.get(code, f"S3_BUCKET: {{host}} answers {code or 'with an error'} for bucket {{bucket}}")
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            advice = "AWS_ACCESS_KEY_ID: no complete credentials for {host}; set it and AWS_SECRET_ACCESS_KEY"
        case exceptions.CredentialRetrievalError() | exceptions.TokenRetrievalError():
            advice = "the credentials for {host} cannot be had; see how boto3 is to find them"
        case exceptions.NoRegionError():
            advice = "AWS_REGION: is needed for bucket {bucket}"
        case exceptions.SSLError():
            advice = "S3_ENDPOINT_URL: {host} shows no certificate that is trusted here"
        case exceptions.ResponseStreamingError() | RetriesExceededError():
            advice = "S3_ENDPOINT_URL: {host} breaks off in the middle of a file; it is tried again later"
        case exceptions.ConnectionError() | exceptions.HTTPClientError():
            advice = "S3_ENDPOINT_URL: {host} cannot be reached or does not answer; start it, or correct the address"
        case _:
            advice = f"S3_BUCKET: {{bucket}} at {{host}} cannot be used ({type(error).__name__})"
    return advice.format(bucket=bucket, host=host)
