from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.keys import check_key, content_type
from storage.protocol import InvalidKey


@pytest.mark.parametrize("key", ["a", "requests/req_01/img_02/k3Y-_9.png", "a.b/c", "x" * 128, "/".join("abcdefgh")])
def test_a_well_formed_key_is_taken_as_it_is(key):
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key",
    [
        *("", ".", "..", "/", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a/..", ".incoming/x", "a/.hidden", "-rf"),
        *("a\\b", "a b", "a\n", "a\0", "a%2fb", "é", "\u0661", "x" * 129, "/".join("abcdefghi"), "a/~", "C:/a"),
    ],
)
def test_a_key_that_is_not_well_formed_is_refused(key):
    with pytest.raises(InvalidKey):
        check_key(key)


@given(st.text(max_size=40))
def test_no_key_leaves_its_folder(key):
    try:
        check_key(key)
    except InvalidKey:
        return
    assert not key.startswith("/")
    assert all(part and not part.startswith(".") for part in key.split("/"))


def test_the_content_type_goes_by_the_extension():
    assert content_type("a/b.glb") == "model/gltf-binary"
    assert content_type("a/b.3MF") == "model/3mf"
    assert content_type("a.html") == "application/octet-stream"
    assert content_type("a") == "application/octet-stream"
