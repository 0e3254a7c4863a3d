"""The relief of any picture, and the jobs that make it."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from events.outcome import FailureCode
from providers.models import local
from providers.models.local import LocalModels
from providers.models.relief import BASE, PictureError, relief
from providers.printing.mesh import edges, pieces, signed_volumes
from providers.printing.reading import read
from providers.protocol import ModelPoll, PollState, ProviderError, SourceImage
from settings import Settings


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def disc_on_ground(mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[:200, :200]
    inside = (x - 80) ** 2 + (y - 60) ** 2 < 40**2
    return Image.fromarray(np.where(inside[..., None], [190, 60, 40], [235, 235, 230]).astype(np.uint8)).convert(mode)


def noise(width: int, height: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(width * height).integers(0, 256, (height, width, channels), np.uint8)


def assert_solid(content: bytes) -> None:
    mesh = relief(content)
    found = edges(mesh.faces)
    assert found.closed
    assert found.manifold
    count, labels = pieces(mesh)
    assert count == 1
    assert signed_volumes(mesh, labels, count)[0] > 0
    assert np.isfinite(mesh.vertices).all()
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    assert low[2] == 0
    assert 0.9 * BASE < high[2] < 0.4
    assert np.isclose((high - low)[:2].max(), 1)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *((mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *((mode, "TIFF") for mode in ("CMYK", "YCbCr", "LAB", "I", "F", "I;16")),
        *(("RGB", kind) for kind in ("JPEG", "WEBP", "BMP", "GIF")),
    ],
)
def test_any_kind_of_picture_gives_a_solid(mode: str, kind: str) -> None:
    grey = mode in {"LA", "I", "F", "I;16"}
    assert_solid(encoded(disc_on_ground("L" if grey else "RGB").convert(mode), kind))


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (900, 2), (3, 3), (2000, 40), (1500, 1500)])
def test_any_size_of_picture_gives_a_solid(size: tuple[int, int]) -> None:
    assert_solid(encoded(Image.fromarray(noise(*size))))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    channels=st.sampled_from([1, 3, 4]),
    seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from([1, 2, 256]),
)
def test_any_picture_gives_a_solid(width: int, height: int, channels: int, seed: int, levels: int) -> None:
    values = np.random.default_rng(seed).integers(0, levels, (height, width, channels)) * (255 // max(levels - 1, 1))
    pixels = values.astype(np.uint8)
    assert_solid(encoded(Image.fromarray(pixels[..., 0] if channels == 1 else pixels)))


def heights_at(content: bytes, points: list[tuple[float, float]]) -> list[float]:
    """The height over the bed near points given as parts of the model's width and depth."""
    mesh = relief(content)
    top = mesh.vertices[mesh.vertices[:, 2] > 0]
    extent = top[:, :2].max(0)
    return [float(top[np.argmin(np.linalg.norm(top[:, :2] - np.array(one) * extent, axis=1)), 2]) for one in points]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_object_stands_out_of_a_flat_ground(mode: str) -> None:
    middle, *corners = heights_at(encoded(disc_on_ground(mode)), [(0.5, 0.5), (0.02, 0.02), (0.98, 0.98), (0.02, 0.98)])

    assert middle > 2.5 * BASE
    assert corners == pytest.approx([BASE] * 3)


def test_what_is_transparent_is_ground() -> None:
    values = noise(200, 200, 4)
    values[..., 3] = 0
    values[50:150, 50:150, 3] = 255

    middle, corner = heights_at(encoded(Image.fromarray(values)), [(0.5, 0.5), (0.02, 0.02)])

    assert middle > 2 * BASE
    assert corner == pytest.approx(BASE)


def test_a_photograph_is_raised_by_its_brightness() -> None:
    slope = np.tile(np.linspace(0, 255, 300), (200, 1)).astype(np.uint8)

    left, right = heights_at(encoded(Image.fromarray(slope)), [(0.05, 0.5), (0.95, 0.5)])

    assert right > left + 0.05


def test_the_picture_is_turned_as_its_exif_says() -> None:
    slope = Image.fromarray(np.tile(np.linspace(0, 255, 300), (200, 1)).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise by a quarter: the bright right side is below

    top, bottom = heights_at(encoded(slope, "JPEG", exif=exif), [(0.5, 0.95), (0.5, 0.05)])

    assert bottom > top + 0.05


def bomb() -> bytes:
    return encoded(Image.new("1", (12_000, 12_000)))


@pytest.mark.parametrize("content", [b"", b"no picture", encoded(disc_on_ground())[:300], bomb()])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_broken_picture_is_refused(content: bytes) -> None:
    with pytest.raises(PictureError):
        relief(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "work"


def models(folder: Path) -> LocalModels:
    return LocalModels(Settings(work_dir=folder))


async def done(provider: LocalModels, job_id: str) -> ModelPoll:
    while (state := await provider.poll(job_id)).state is not PollState.DONE:
        assert state.progress is not None
        assert 0 <= state.progress <= 100
    return state


def source() -> SourceImage:
    return SourceImage(encoded(disc_on_ground()), "image/png")


async def test_a_job_outlives_the_process_that_took_it(folder: Path) -> None:
    first = models(folder)
    job_id = await first.submit(source())
    await first.aclose()
    second = models(folder)

    (file,) = (await done(second, job_id)).files

    assert file.format == "GLB"
    assert file.path is not None
    mesh = read(file.path, folder)
    # Lying on its back: the picture faces up.
    assert np.ptp(mesh.vertices[:, 2]) < 0.3 * np.ptp(mesh.vertices[:, 0])
    underside = mesh.vertices[:, 2].min()
    assert np.count_nonzero(mesh.vertices[:, 2] == underside) < np.count_nonzero(mesh.vertices[:, 2] > underside)
    await second.aclose()
    third = models(folder)
    assert (await third.poll(job_id)).state is PollState.DONE
    await third.aclose()


async def test_a_slow_relief_is_running_with_its_progress(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PATIENCE_SECONDS", 0.0)
    provider = models(folder)
    job_id = await provider.submit(source())

    assert (await provider.poll(job_id)).state is PollState.RUNNING

    await done(provider, job_id)
    await provider.aclose()


@pytest.mark.parametrize("job_id", ["0" * 32, "../../etc", "", "nonsense"])
async def test_a_job_whose_picture_is_gone_is_rejected(folder: Path, job_id: str) -> None:
    provider = models(folder)

    with pytest.raises(ProviderError) as caught:
        await provider.poll(job_id)

    assert caught.value.failure.code is FailureCode.PROVIDER_REJECTED
    assert not caught.value.failure.retryable
    await provider.aclose()


async def test_a_picture_that_cannot_be_read_is_rejected_at_each_poll(folder: Path) -> None:
    provider = models(folder)
    job_id = await provider.submit(SourceImage(b"no picture", "image/png"))

    for _ in range(2):
        with pytest.raises(ProviderError) as caught:
            await done(provider, job_id)
        assert caught.value.failure.code is FailureCode.PROVIDER_REJECTED
    await provider.aclose()


async def test_a_submit_removes_what_is_over_a_day_old(folder: Path) -> None:
    provider = models(folder)
    old, young = await provider.submit(source()), await provider.submit(source())
    yesterday = time.time() - 25 * 3600
    os.utime(folder / "local-models" / old, (yesterday, yesterday))

    await provider.submit(source())

    assert not (folder / "local-models" / old).exists()
    assert (folder / "local-models" / young).exists()
    await provider.aclose()


async def test_a_work_folder_without_room_is_named() -> None:
    provider = LocalModels(Settings(_env_file=None, work_dir=Path("/dev/null/work")))
    try:
        with pytest.raises(ProviderError, match="WORK_DIR cannot be written to") as caught:
            await provider.submit(source())
        assert caught.value.failure.code is FailureCode.STORAGE_UNAVAILABLE
    finally:
        await provider.aclose()
