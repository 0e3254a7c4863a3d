from __future__ import annotations

from pydantic import SecretStr

from providers.quote import LONGEST, quote


def test_quotes_on_one_line_without_the_secret():
    assert quote("The key sk-1\n is  wrong", SecretStr("sk-1"), None) == ': "The key *** is wrong"'


def test_half_a_character_is_shown_as_something_else():
    assert quote("an ow\ud83e") == ': "an ow?"'


def test_is_empty_for_what_is_no_text():
    assert quote(None) == quote("") == quote(" \n") == quote({"a": 1}) == ""


def test_is_short():
    assert len(quote("x" * 1000)) == LONGEST + len(': ""')
