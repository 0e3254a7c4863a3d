"""What a file is, told by its first bytes. Names and headers lie; these seldom do."""

from __future__ import annotations

import re
import struct

HEAD_BYTES = 1024
PICTURES = frozenset({"image/png", "image/jpeg", "image/webp"})
MESHES = frozenset({"model/gltf-binary", "model/obj", "model/stl", "model/ply", "application/zip"})
PICTURE_LIMIT_BYTES = 32 << 20
"""Of a picture by a provider."""

_SIGNATURES = {
    re.compile(rb"\x89PNG\r\n\x1a\n"): "image/png",
    re.compile(rb"\xff\xd8\xff"): "image/jpeg",
    re.compile(rb"RIFF....WEBP", re.DOTALL): "image/webp",
    re.compile(rb"glTF"): "model/gltf-binary",
    re.compile(rb"PK\x03\x04"): "application/zip",
    re.compile(rb"ply[\r\n]"): "model/ply",
}
_OBJ_LINE = re.compile(r"#.*|(?:v|vn|vt|vp|f|l|o|g|s|mtllib|usemtl)(?:\s.*)?")
_STL_PREAMBLE_BYTES = 84
_STL_TRIANGLE_BYTES = 50


def media_type(head: bytes, size: int | None = None) -> str | None:
    """The media type of the file that begins with `head` (up to HEAD_BYTES); None for what no provider should send.

    `size` is the whole file's, in bytes, where it is known: a binary STL is told by it.
    """
    for signature, found in _SIGNATURES.items():
        if signature.match(head):
            return found
    if _is_stl(head, size):
        return "model/stl"
    return "model/obj" if _is_obj(head) else None


def _is_stl(head: bytes, size: int | None) -> bool:
    if re.match(rb"\s*solid\b", head) and b"facet" in head:
        return True
    if len(head) < _STL_PREAMBLE_BYTES:
        return False
    triangles: int = struct.unpack_from("<I", head, 80)[0]
    return size == _STL_PREAMBLE_BYTES + _STL_TRIANGLE_BYTES * triangles


def _is_obj(head: bytes) -> bool:
    text = head.decode("utf-8-sig", errors="replace")
    # The last line may be cut off in the middle.
    lines = text.splitlines()[:-1] if len(head) >= HEAD_BYTES else text.splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    return bool(lines) and all(_OBJ_LINE.fullmatch(line) for line in lines)
