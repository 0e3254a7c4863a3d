"""The error table. The expectations are written out here, and the codes of the SDK's own lists are all told apart."""

from __future__ import annotations

import pytest
from tencentcloud.aiart.v20221229 import errorcodes

from events.outcome import FailureCode
from providers.tencent_errors import CODES, FAMILIES, failure_code, refusal
from tests.standins.tencent_rows import ROWS


@pytest.mark.parametrize(("code", "expected", "retryable"), ROWS)
def test_each_row(code, expected, retryable):
    error = refusal(code, "req-1")
    assert (error.failure.code, error.failure.retryable) == (expected, retryable)
    assert (error.failure.provider_code, error.failure.provider_request_id) == (code, "req-1")


def test_every_code_of_the_table_has_a_row():
    rows = {code for code, _, _ in ROWS}
    assert set(CODES) <= rows
    assert set(FAMILIES) <= {code.partition(".")[0] for code in rows - set(CODES)}


def test_every_code_that_the_sdk_knows_has_a_place_in_the_table():
    known = [value for name, value in vars(errorcodes).items() if name.isupper()]
    assert len(known) > 25
    assert [code for code in known if code not in CODES and code.partition(".")[0] not in FAMILIES] == []


@pytest.mark.parametrize("code", ["", "Brand.New", "brandnew", ".", "FailedOperation"])
def test_a_code_that_nobody_knows_is_tried_again(code):
    assert failure_code(code) is FailureCode.PROVIDER_UNAVAILABLE
    assert refusal(code).failure.retryable


def test_tencents_own_words_are_shown_where_they_say_what_to_change():
    assert (
        '"Prompt is too long"'
        in refusal("InvalidParameterValue.TextLengthExceed", None, ': "Prompt is too long"').failure.message
    )
    assert "AKID" not in refusal("AuthFailure.SecretIdNotFound", None, ': "AKID is not found"').failure.message
