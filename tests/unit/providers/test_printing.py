"""Settling, repairing, measuring and writing a mesh, without a process."""

from __future__ import annotations

import base64
import contextlib
import errno
import io
import json
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trimesh.creation import box, cylinder, icosphere

from events.outcome import PrintIssueCode, PrintReport
from providers.printing import glb, threemf
from providers.printing.child import answer
from providers.printing.mesh import Mesh, MeshError, edges
from providers.printing.reading import read
from providers.printing.repair import Repairs, settle
from providers.printing.report import measure
from providers.printing.walls import thin_share
from providers.printing.writing import write


def mesh_of(source: trimesh.Trimesh) -> Mesh:
    return Mesh(np.array(source.vertices), np.array(source.faces, np.int32))


def loose(mesh: Mesh) -> Mesh:
    return Mesh(mesh.triangles.reshape(-1, 3), np.arange(3 * len(mesh.faces), dtype=np.int32).reshape(-1, 3))


def joined(*parts: trimesh.Trimesh) -> Mesh:
    return mesh_of(trimesh.util.concatenate(list(parts)))


def prepared(mesh: Mesh, size_mm: float = 100) -> tuple[Mesh, PrintReport, Repairs]:
    settled, repairs = settle(mesh, size_mm)
    return settled, measure(settled, repairs), repairs


def codes(report: PrintReport) -> set[PrintIssueCode]:
    return {issue.code for issue in report.issues}


def test_a_box_is_measured_in_millimetres_and_cubic_centimetres() -> None:
    _, report, _ = prepared(mesh_of(box((1, 2, 4))), 80)

    assert (report.width_mm, report.depth_mm, report.height_mm) == (20, 40, 80)
    assert report.volume_cm3 == pytest.approx(64)
    assert report.printable
    assert report.watertight
    assert (report.triangle_count, report.body_count, report.issues) == (12, 1, ())


def test_separate_triangles_are_welded() -> None:
    settled, report, _ = prepared(loose(mesh_of(icosphere(3))))

    assert report.printable
    assert len(settled.vertices) == 642


def test_cracks_that_all_but_close_are_welded() -> None:
    mesh = loose(mesh_of(icosphere(2)))
    shaken = Mesh(mesh.vertices + np.random.default_rng(1).normal(0, 1e-6, mesh.vertices.shape), mesh.faces)

    _, report, repairs = prepared(shaken)

    assert report.printable
    assert repairs.welded_vertices > 0


def test_faces_that_disagree_are_turned_outwards() -> None:
    mesh = mesh_of(icosphere(3))
    some = np.random.default_rng(2).random(len(mesh.faces)) < 0.4
    mesh.faces[some] = mesh.faces[some][:, ::-1]

    _, report, repairs = prepared(mesh)

    assert report.printable
    assert report.volume_cm3 == pytest.approx(523.6 * 0.97, rel=0.03)
    assert repairs.turned_faces == np.count_nonzero(some)


def test_a_mesh_inside_out_is_turned() -> None:
    mesh = mesh_of(icosphere(2))

    _, report, repairs = prepared(Mesh(mesh.vertices, mesh.faces[:, ::-1]))

    assert report.printable
    assert repairs.inverted_bodies == 1


@pytest.mark.parametrize("inside_out", [False, True])
def test_a_hollow_stays_hollow(inside_out: bool) -> None:
    inner = box((1, 1, 1))
    inner.invert()
    mesh = joined(box((2, 2, 2)), inner)

    _, report, _ = prepared(Mesh(mesh.vertices, mesh.faces[:, ::-1]) if inside_out else mesh, 20)

    assert report.volume_cm3 == pytest.approx(7)
    assert report.body_count == 1


def test_a_body_inside_a_body_stays_solid() -> None:
    _, report, _ = prepared(joined(box((2, 2, 2)), box((1, 1, 1))), 20)

    assert report.volume_cm3 == pytest.approx(9)
    assert codes(report) == {PrintIssueCode.MULTIPLE_BODIES}


def test_a_small_hole_is_filled_and_a_large_one_is_told() -> None:
    sphere = mesh_of(icosphere(3))
    small = Mesh(sphere.vertices, sphere.faces[1:])
    large = Mesh(sphere.vertices, sphere.faces[sphere.vertices[sphere.faces][:, :, 0].min(1) < 0.3])

    _, mended, repairs = prepared(small)
    _, left, _ = prepared(large)

    assert mended.printable
    assert repairs.filled_holes == 1
    assert codes(left) == {PrintIssueCode.NOT_WATERTIGHT}
    assert not left.printable
    assert left.volume_cm3 is None


def test_a_figure_cut_off_at_its_feet_is_closed() -> None:
    solid = mesh_of(cylinder(1, 3, sections=40))
    on_floor = (solid.vertices[solid.faces][:, :, 2] == -1.5).all(1)

    _, report, repairs = prepared(Mesh(solid.vertices, solid.faces[~on_floor]), 30)

    assert report.printable
    assert repairs.filled_holes == 1
    assert report.volume_cm3 == pytest.approx(np.pi * 3, rel=0.01)


def test_an_open_vessel_is_not_filled() -> None:
    solid = mesh_of(cylinder(1, 3, sections=40))
    on_top = (solid.vertices[solid.faces][:, :, 2] == 1.5).all(1)

    _, report, repairs = prepared(Mesh(solid.vertices, solid.faces[~on_top]))

    assert repairs.filled_holes == 0
    assert PrintIssueCode.NOT_WATERTIGHT in codes(report)


def test_two_boxes_that_share_an_edge_are_not_manifold() -> None:
    other = box((1, 1, 1))
    other.apply_translation((1, 1, 0))

    _, report, _ = prepared(joined(box((1, 1, 1)), other))

    assert report.watertight
    assert not report.printable
    assert PrintIssueCode.NON_MANIFOLD in codes(report)


def test_the_wall_between_two_boxes_goes() -> None:
    # Mirrored, so that the diagonals of the shared side are the same.
    other = box((1, 1, 1))
    other.vertices *= (-1, 1, 1)
    other.invert()
    other.apply_translation((1, 0, 0))

    _, report, repairs = prepared(joined(box((1, 1, 1)), other), 20)

    assert repairs.duplicate_faces == 4
    assert report.printable
    assert report.volume_cm3 == pytest.approx(2)


def test_doubled_and_degenerate_faces_are_dropped_and_told_with_an_issue() -> None:
    mesh = joined(icosphere(2), icosphere(2, radius=0.2))
    mesh = Mesh(mesh.vertices, np.concatenate([mesh.faces, mesh.faces[:5], mesh.faces[:3, [0, 0, 1]]]))

    _, report, repairs = prepared(mesh)

    assert (repairs.duplicate_faces, repairs.degenerate_faces) == (5, 3)
    assert "Repaired: degenerate faces dropped: 3, duplicate faces dropped: 5" in report.issues[0].message


def test_a_moebius_strip_is_left_and_told() -> None:
    turns = np.linspace(0, 2 * np.pi, 41)[:-1]
    rim = [
        [(1 + s * np.cos(t / 2)) * np.cos(t), (1 + s * np.cos(t / 2)) * np.sin(t), s * np.sin(t / 2)]
        for t in turns
        for s in (-0.3, 0.3)
    ]
    faces = [face for i in range(0, 78, 2) for face in ((i, i + 2, i + 1), (i + 1, i + 2, i + 3))]
    faces += [(78, 1, 79), (79, 1, 0)]

    _, report, _ = prepared(Mesh(np.array(rim), np.array(faces, np.int32)))

    assert not report.printable
    assert PrintIssueCode.NOT_WATERTIGHT in codes(report)


def test_thin_walls_are_felt_and_thick_ones_are_not() -> None:
    plate = mesh_of(box((100, 100, 0.5)).subdivide().subdivide())
    block = mesh_of(box((100, 100, 5)))

    assert thin_share(plate, 0.8) > 0.9
    assert thin_share(block, 0.8) == 0
    assert codes(prepared(plate)[1]) == {PrintIssueCode.THIN_WALLS}


def test_a_model_larger_than_a_bed_is_told() -> None:
    assert codes(prepared(mesh_of(box()), 300)[1]) == {PrintIssueCode.TOO_LARGE}
    assert codes(prepared(mesh_of(box()), 256)[1]) == set()


def test_a_flat_closed_sheet_is_empty() -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float64)
    faces = np.array([[0, 1, 2], [0, 2, 3], [1, 0, 3], [1, 3, 2]], np.int32)

    _, report, _ = prepared(Mesh(corners, faces))

    assert PrintIssueCode.EMPTY in codes(report)
    assert report.volume_cm3 is None
    assert not report.printable


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e30, 1e150, 1e307])
def test_any_scale_of_source_gives_the_size_asked_for(scale: float) -> None:
    sphere = mesh_of(icosphere(2))

    _, report, _ = prepared(Mesh(sphere.vertices * scale, sphere.faces), 60)

    assert max(report.width_mm, report.depth_mm, report.height_mm) == 60
    assert report.printable


def test_a_mesh_of_one_point_is_refused() -> None:
    with pytest.raises(MeshError, match="one point"):
        settle(Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32)), 10)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    size=st.floats(1, 1000),
    shift=st.tuples(*[st.floats(-1e4, 1e4)] * 3),
    stretch=st.tuples(*[st.floats(0.01, 100)] * 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_settled_has_its_size_and_place(
    size: float, shift: tuple[float, ...], stretch: tuple[float, ...], seed: int
) -> None:
    sphere = mesh_of(icosphere(2))
    bumps = np.random.default_rng(seed).uniform(0.7, 1.3, (len(sphere.vertices), 1))
    settled, _ = settle(loose(Mesh(sphere.vertices * bumps * stretch + shift, sphere.faces)), size)

    low, high = settled.vertices.min(0).astype(float), settled.vertices.max(0).astype(float)
    assert (high - low).max() == pytest.approx(size, rel=1e-6)
    assert low[2] == 0
    assert (low + high)[:2] == pytest.approx(0, abs=1e-5 * size)
    assert edges(settled.faces).closed
    assert len(np.unique(settled.vertices, axis=0)) == len(settled.vertices)


def test_the_files_are_the_same_each_time_and_read_back_as_the_same_mesh(tmp_path: Path) -> None:
    settled, _ = settle(mesh_of(icosphere(3)), 70)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write(settled, tmp_path / name)

    for file in ("model.glb", "model.obj", "model.stl", "model.3mf"):
        content = (tmp_path / "first" / file).read_bytes()
        assert content == (tmp_path / "second" / file).read_bytes()
        (tmp_path / "nameless").write_bytes(content)
        back = read(tmp_path / "nameless", tmp_path)
        expected = settled.vertices / 1000 if file.endswith("glb") else settled.vertices
        if file.endswith("obj"):
            expected = expected @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
        bounds = (back.vertices[back.faces].min((0, 1)), back.vertices[back.faces].max((0, 1)))
        assert np.allclose(bounds, (expected.min(0), expected.max(0)), rtol=1e-6, atol=1e-9), file
        assert len(back.faces) == len(settled.faces)


def test_the_glb_is_in_metres_with_y_up(tmp_path: Path) -> None:
    settled, _ = settle(mesh_of(box((1, 2, 4))), 80)
    write(settled, tmp_path)

    loaded = trimesh.load_scene(tmp_path / "model.glb")

    assert np.allclose(loaded.bounds, [[-0.01, 0, -0.02], [0.01, 0.08, 0.02]])


def test_a_scene_is_flattened_and_a_mirrored_part_stays_outside_out(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    scene.add_geometry(box((1, 1, 1)), geom_name="box")
    mirrored = np.diag([-1.0, 1, 1, 1])
    mirrored[0, 3] = 5
    scene.graph.update(frame_to="other", frame_from="world", matrix=mirrored, geometry="box")
    scene.export(tmp_path / "scene.glb")

    _, report, repairs = prepared(read(tmp_path / "scene.glb", tmp_path), 60)

    assert report.body_count == 2
    assert report.volume_cm3 == pytest.approx(2)
    assert repairs.inverted_bodies == 0


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def obj_text() -> bytes:
    return str(trimesh.exchange.obj.export_obj(box())).encode()


def test_a_zip_is_opened_by_what_its_files_hold(tmp_path: Path) -> None:
    content = packed({"../../evil.stl": b"no mesh at all", "a/model.obj": obj_text(), "a/model.mtl": b"newmtl x"})
    (tmp_path / "delivered").write_bytes(content)
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    assert len(read(tmp_path / "delivered", scratch).faces) == 12
    assert [path.name for path in scratch.iterdir()] == ["member"]


def test_a_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("providers.printing.reading.MAX_UNPACKED_BYTES", 1 << 20)
    (tmp_path / "bomb.zip").write_bytes(packed({"bomb.obj": obj_text() + b"\n#" * (1 << 20)}))

    with pytest.raises(MeshError, match="unpacks to more than"):
        read(tmp_path / "bomb.zip", tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_is_damaged_is_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "m", "w", method) as archive:
        noise = np.random.default_rng(0).bytes(1_000_000).hex().encode()
        archive.writestr("m.obj", obj_text() + b"\n#" + noise)
    content = bytearray((tmp_path / "m").read_bytes())
    content[-1000:-500] = bytes(500)
    (tmp_path / "m").write_bytes(content)

    with pytest.raises(MeshError, match="begins like ZIP, and cannot be read"):
        read(tmp_path / "m", tmp_path)


def test_a_full_disk_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("providers.printing.reading._copy_bounded", copy)
    (tmp_path / "m").write_bytes(packed({"m.obj": obj_text()}))

    assert answer(tmp_path / "m", 50, tmp_path).error == errno.ENOSPC


def model_3mf(body: str) -> bytes:
    model = '<model xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02">' + body + "</model>"
    return packed({"[Content_Types].xml": b"<Types/>", threemf.MODEL: model.encode()})


TETRAHEDRON = """<object id="1"><mesh><vertices><vertex x="0" y="0" z="0"/><vertex x="1" y="0" z="0"/>
<vertex x="0" y="1" z="0"/><vertex x="0" y="0" z="1"/></vertices><triangles><triangle v1="0" v2="2" v3="1"/>
<triangle v1="0" v2="1" v3="3"/><triangle v1="0" v2="3" v3="2"/><triangle v1="1" v2="2" v3="3"/></triangles>
</mesh></object>"""


def test_a_3mf_places_its_components(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(
        model_3mf(
            f"<resources>{TETRAHEDRON}<object id='2'><components><component objectid='1'/>"
            "<component objectid='1' transform='1 0 0 0 1 0 0 0 1 5 0 0'/></components></object></resources>"
            "<build><item objectid='2' transform='2 0 0 0 2 0 0 0 2 0 0 7'/></build>"
        )
    )

    mesh = read(path, tmp_path)

    assert len(mesh.faces) == 8
    assert np.allclose([mesh.vertices.min(0), mesh.vertices.max(0)], [[0, 0, 7], [12, 2, 9]])


@pytest.mark.parametrize("last", ["", "<component objectid='missing'/>" * 10])
def test_a_3mf_whose_components_multiply_is_refused_at_once(tmp_path: Path, last: str) -> None:
    objects = "".join(
        f"<object id='{one}'><components>" + f"<component objectid='{one + 1}'/>" * 10 + "</components></object>"
        for one in range(1, 30)
    )
    objects += f"<object id='30'><components>{last}</components></object>"
    (tmp_path / "m").write_bytes(model_3mf(f"<resources>{objects}</resources><build><item objectid='1'/></build>"))

    with pytest.raises(MeshError, match="places more than"):
        read(tmp_path / "m", tmp_path)


@pytest.mark.parametrize("token", ["<!--{}-->", "<?x {}?>", "<metadata name='{}'/>"])
def test_a_3mf_with_an_endless_token_is_refused(tmp_path: Path, token: str) -> None:
    (tmp_path / "m").write_bytes(model_3mf(token.format("x" * (3 << 20))))

    with pytest.raises(MeshError, match="tag or comment of more than 1 MiB"):
        read(tmp_path / "m", tmp_path)


def test_a_3mf_of_long_text_is_read(tmp_path: Path) -> None:
    body = f"<metadata name='x'>{'x' * (3 << 20)}</metadata><resources>{TETRAHEDRON}</resources>"
    (tmp_path / "m").write_bytes(model_3mf(body + "<build><item objectid='1'/></build>"))

    assert len(read(tmp_path / "m", tmp_path).faces) == 4


def test_the_model_files_of_a_3mf_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threemf, "MAX_MODEL_BYTES", 2 << 20)
    files = {f"3D/{one}.model": b"<model>" + b" " * (1 << 19) + b"</model>" for one in range(5)}
    (tmp_path / "m").write_bytes(packed({"[Content_Types].xml": b"", **files}))

    with pytest.raises(MeshError, match="unpacks to more than 2 MiB"):
        read(tmp_path / "m", tmp_path)


def test_the_size_that_a_3mf_states_bounds_what_is_parsed(tmp_path: Path) -> None:
    content = model_3mf("<resources/>" + " " * (5 << 20))
    size = zipfile.ZipFile(io.BytesIO(content)).getinfo(threemf.MODEL).file_size
    (tmp_path / "m").write_bytes(content.replace(struct.pack("<I", size), struct.pack("<I", 2 << 20)))
    parsed = 0

    with (
        zipfile.ZipFile(tmp_path / "m") as archive,
        archive.open(threemf.MODEL) as stream,
        contextlib.suppress(zipfile.BadZipFile),
    ):
        while chunk := stream.read(1 << 19):
            parsed += len(chunk)

    assert 0 < parsed <= 2 << 20


def test_a_3mf_of_very_many_model_files_is_refused(tmp_path: Path) -> None:
    files = {f"3D/{one}.model": b"<model/>" for one in range(threemf.MAX_MODELS + 1)}
    (tmp_path / "m").write_bytes(packed({"[Content_Types].xml": b"", **files}))

    with pytest.raises(MeshError, match="more than 1000 model files"):
        read(tmp_path / "m", tmp_path)


TRIANGLE = {"primitives": [{"attributes": {"POSITION": 0}}]}


def glb_of(tree: dict[str, Any]) -> bytes:
    """A GLB whose mesh is one triangle, `tree` saying how it is placed."""
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4").tobytes()
    whole: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [TRIANGLE],
        "buffers": [{"byteLength": len(points)}],
        "bufferViews": [{"buffer": 0, "byteLength": len(points)}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
    }
    text = json.dumps(whole | tree).encode()
    text += b" " * (-len(text) % 4)
    size = 28 + len(text) + len(points)
    return struct.pack("<4sIII4s", b"glTF", 2, size, len(text), b"JSON") + (
        text + struct.pack("<I4s", len(points), b"BIN\0") + points
    )


def test_each_node_of_a_glb_is_placed_by_its_parents(tmp_path: Path) -> None:
    nodes = [
        {"children": [1, 2], "translation": [1, 0, 0]},
        {"children": [3], "scale": [2, 2, 2], "mesh": 0},
        {"translation": [0, 0, 9], "mesh": 0},
        {"translation": [0, 3, 0], "mesh": 0},
    ]
    (tmp_path / "m").write_bytes(glb_of({"nodes": nodes}))

    mesh = read(tmp_path / "m", tmp_path)

    # Y up in the file, Z up in the mesh.
    corners = mesh.vertices[mesh.faces[:, 0]]
    assert sorted(tuple(map(float, corner)) for corner in corners) == [(1, -9, 0), (1, 0, 0), (1, 0, 6)]


def test_a_deep_chain_of_nodes_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(*_: object) -> None:
        raise AssertionError("the path of a node was walked anew")

    monkeypatch.setattr("trimesh.scene.transforms.EnforcedForest.shortest_path", walk)
    nodes: list[dict[str, Any]] = [
        {"mesh": 0, "children": [one + 1], "translation": [1, 0, 0]} for one in range(glb.MAX_PARTS - 1)
    ]
    (tmp_path / "m").write_bytes(glb_of({"nodes": [*nodes, {"mesh": 0}]}))

    assert read(tmp_path / "m", tmp_path).vertices[:, 0].max() == glb.MAX_PARTS


@pytest.mark.parametrize(
    "tree",
    [
        {"nodes": [{"mesh": 0}] * (glb.MAX_PARTS + 1)},
        {"nodes": [{"children": [1] * 101}, {"mesh": 0}], "meshes": [{"primitives": TRIANGLE["primitives"] * 100}]},
        {"meshes": [{"primitives": TRIANGLE["primitives"] * (glb.MAX_PARTS + 1)}]},
        {"buffers": [{"uri": "data:;base64,"}] * (glb.MAX_PARTS + 1)},
    ],
)
def test_a_glb_of_very_many_parts_is_refused(tmp_path: Path, tree: dict[str, Any]) -> None:
    (tmp_path / "m").write_bytes(glb_of(tree))

    with pytest.raises(MeshError, match="more than 10000 nodes, buffers or parts"):
        read(tmp_path / "m", tmp_path)


def test_a_glb_whose_nodes_form_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(glb_of({"nodes": [{"mesh": 0, "children": [1]}, {"mesh": 0, "children": [0]}]}))

    with pytest.raises(MeshError, match="form a circle"):
        read(tmp_path / "m", tmp_path)


@pytest.mark.parametrize("uri", ["beside.bin", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/"])
def test_a_glb_that_refers_to_another_file_is_refused(tmp_path: Path, uri: str) -> None:
    (tmp_path / "beside.bin").write_bytes(np.eye(3, dtype="<f4").tobytes())
    (tmp_path / "m").write_bytes(glb_of({"buffers": [{"byteLength": 36, "uri": uri}]}))

    with pytest.raises(MeshError, match=r"^The GLB refers to another file, and only what is in the GLB itself is read"):
        read(tmp_path / "m", tmp_path)


def test_the_buffer_of_a_glb_may_be_in_its_tree(tmp_path: Path) -> None:
    points = base64.b64encode(np.eye(3, dtype="<f4").tobytes()).decode()
    (tmp_path / "m").write_bytes(glb_of({"buffers": [{"uri": f"data:application/octet-stream;base64,{points}"}]}))

    assert len(read(tmp_path / "m", tmp_path).faces) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.glb", glb_of({"buffers": [{"byteLength": 36, "uri": "data:beside"}]})),
        ("m.obj", b"mtllib beside\n" + obj_text()),
        ("m.ply", b"ply\ncomment TextureFile beside\n" + trimesh.exchange.ply.export_ply(box())[4:]),
    ],
)
def test_nothing_beside_the_file_is_looked_for(
    tmp_path: Path, name: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    monkeypatch.setattr("trimesh.resolvers.FilePathResolver.__init__", lambda _, source, *__: looked.append(source))
    (tmp_path / name).write_bytes(content)

    with contextlib.suppress(MeshError):
        read(tmp_path / name, tmp_path)

    assert looked == []


@pytest.mark.parametrize(
    "content",
    [
        model_3mf(f'<object id="1"><mesh><vertices><vertex x="{"x" * 900_000}" y="0" z="0"/>'),
        glb_of({"accessors": "x" * 900_000}),
        glb_of({"meshes": [{"primitives": [{"attributes": {"POSITION": "x" * 900_000}}]}]}),
        b"v 0 0 " + b"x" * 900_000 + b"\nf 1 1 1\n",
        b"ply\nformat " + b"x" * 900_000 + b" 1.0\n",
    ],
)
def test_what_a_library_says_is_not_for_the_user(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "delivered").write_bytes(content)

    said = answer(tmp_path / "delivered", 50, tmp_path)

    assert re.fullmatch(
        "The file begins like (3MF|GLB|OBJ|PLY), and cannot be read: it is damaged.", said.refusal or ""
    )
    assert said.detail
    assert len(said.detail) <= 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no GLB"),
        (b"<html><body>Error</body></html>", "no GLB"),
        (b"glTF" + bytes(60), "cannot be read"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\n", "cannot be read|no triangles"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "cannot be read|no triangles"),
        (b"v 0 0 0\nv 1 0 0\nv nan 1 0\nf 1 2 3\n", "finite|cannot be read"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "does not exist|cannot be read"),
        (bytes(80) + struct.pack("<I", 0), "no triangles|cannot be read"),
        (bytes(80) + struct.pack("<I12fH", 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, float("inf"), 0, 0), "finite"),
        (packed({"readme.txt": b"nothing"}), "holds no"),
        (model_3mf("<resources/><build/>"), "no triangles"),
        (model_3mf("<!--").replace(b"<!--", b"<!x-"), "cannot be read|no triangles|damaged"),
        (
            model_3mf(
                "<resources><object id='1'><components><component objectid='1'/></components></object></resources>"
                "<build><item objectid='1'/></build>"
            ),
            "too deeply",
        ),
        (
            packed({"[Content_Types].xml": b"", threemf.MODEL: b"<!DOCTYPE m [<!ENTITY a 'a'>]><m>&a;</m>"}),
            "type declaration",
        ),
    ],
)
def test_what_is_no_mesh_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "delivered").write_bytes(content)

    with pytest.raises(MeshError, match=message):
        read(tmp_path / "delivered", tmp_path)
