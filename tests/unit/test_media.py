from __future__ import annotations

import struct

import pytest

from providers.media import HEAD_BYTES, media_type
from tests.standins.things import model, picture


def test_tells_pictures_and_models_by_their_first_bytes():
    for content, expected in [
        (picture(kind="PNG"), "image/png"),
        (picture(kind="JPEG"), "image/jpeg"),
        (picture(kind="WEBP"), "image/webp"),
        (model("box.glb"), "model/gltf-binary"),
        (model("box.obj"), "model/obj"),
        (model("box.stl"), "model/stl"),
        (model("box.zip"), "application/zip"),
        (b"ply\nformat ascii 1.0\n", "model/ply"),
        (b"solid box\nfacet normal 0 0 1\n outer loop\n", "model/stl"),
        (b"\xef\xbb\xbf# exported\r\nmtllib a.mtl\r\nv 0 0 0\r\n", "model/obj"),
    ]:
        assert media_type(content[:HEAD_BYTES], len(content)) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   \n\n",
        b"<!doctype html><title>Not here</title>",
        b'{"error": "expired"}',
        b"solid ground, said the page",
        b"very much text\n",
        b"GIF89a" + bytes(100),
        b"RIFF\x00\x00\x00\x00WAVE",
        bytes(80) + struct.pack("<I", 2) + bytes(99),
    ],
)
def test_knows_nothing_else(content):
    assert media_type(content[:HEAD_BYTES], len(content)) is None


def test_an_obj_may_be_cut_off_in_its_last_line():
    lines = b"".join(b"v 0.%d 0.5 0.25\n" % number for number in range(500))
    assert media_type(lines[:HEAD_BYTES], len(lines)) == "model/obj"


def test_a_binary_stl_needs_its_size():
    content = model("box.stl")
    assert media_type(content[:HEAD_BYTES]) is None
    assert media_type(content[:HEAD_BYTES], len(content) - 1) is None
