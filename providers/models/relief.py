"""From a picture to a closed solid: its relief on a base, the object raised where the ground can be told from it."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from providers.printing.mesh import Floats, Ints, Mask, Mesh

# Along the longer side: what is looked at, and the points of the relief, one every third of a millimetre at 100 mm.
LOOKED_AT = 480
SAMPLES = 320
MAX_PIXELS = 64_000_000
# As parts of the longer side.
BASE = 0.035
OBJECT = 0.055
SWELL = 0.075
DETAIL = 0.03
PHOTOGRAPH = 0.10
EDGE = 0.03
MARGIN = 0.1


class PictureError(Exception):
    """The picture cannot be read. The message is for the user."""


def read_picture(content: bytes) -> tuple[Floats, Mask]:
    """The picture's colours (h, w, 3), 0 to 1, `LOOKED_AT` along its longer side, and where it is opaque.

    Raises `PictureError`.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            _bound(picture)
            # A JPEG is scaled while it is decoded, in a part of the time and memory.
            picture.draft("RGB", (LOOKED_AT, LOOKED_AT))
            plain = _eight_bits(picture)
            plain = plain.convert("RGBA" if plain.has_transparency_data else "RGB").convert("RGBa")
            upright = ImageOps.exif_transpose(plain)
    except (PictureError, MemoryError):
        raise
    except Exception as error:
        raise PictureError("The picture cannot be read.") from error
    scale = LOOKED_AT / max(upright.size)
    size = (max(2, round(upright.width * scale)), max(2, round(upright.height * scale)))
    # Colours are mixed by their opacity, so that what is hidden under transparency does not bleed in.
    small = np.asarray(
        upright.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC), np.float32
    )
    opacity = small[..., 3]
    colours = small[..., :3] / np.maximum(opacity, 1)[..., None]
    return np.clip(colours, 0, 1), opacity > 127


def _bound(picture: Image.Image) -> None:
    if picture.width * picture.height > MAX_PIXELS:
        raise PictureError(f"The picture has more than {MAX_PIXELS // 1_000_000} million pixels.")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Depths beyond eight bits are stretched over their own range, where Pillow would clip them."""
    if picture.mode not in {"I", "F", "I;16", "I;16B", "I;16L"}:
        picture.load()
        return picture
    values = np.nan_to_num(np.asarray(picture, np.float64))
    low, high = float(values.min()), float(values.max())
    scaled = Image.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))
    scaled.info.update(picture.info)
    return scaled


def relief(content: bytes, tell: Callable[[float], None] = lambda _: None) -> Mesh:
    """The closed solid of a picture: lying on z = 0, the picture facing up, its longer side 1.

    `tell` hears the part that is done, 0 to 1. Raises `PictureError`.
    """
    colours, opaque = read_picture(content)
    tell(0.3)
    thing = opaque if np.mean(~opaque) > 0.02 else _object(colours)
    if thing is not None and thing.any():
        box = _around(thing)
        heights = _raised(_sampled(colours[box]), _sampled(thing[box].astype(np.float32)) > 0.5)
    else:
        heights = _photograph(_sampled(colours))
    tell(0.8)
    return solid(heights)


def _around(thing: Mask) -> tuple[slice, slice]:
    """The part of the picture that the object is in, with a margin of ground."""
    spans = [np.flatnonzero(thing.any(axis)) for axis in (1, 0)]
    margin = round(MARGIN * max(span[-1] - span[0] for span in spans)) + 2
    rows, columns = (slice(max(0, int(span[0]) - margin), int(span[-1]) + 1 + margin) for span in spans)
    return rows, columns


def _sampled(values: Floats) -> Floats:
    """Brought to at most `SAMPLES` along the longer side."""
    factor = SAMPLES / max(values.shape[:2])
    if factor >= 1:
        return values
    factors = [max(2, round(side * factor)) / side for side in values.shape[:2]] + [1.0] * (values.ndim - 2)
    blur = [0.4 / factor] * 2 + [0.0] * (values.ndim - 2)
    return np.asarray(
        ndimage.zoom(ndimage.gaussian_filter(values, blur), factors, order=1, grid_mode=True, mode="nearest")
    )


def _grey(colours: Floats) -> Floats:
    return np.asarray(colours @ np.array([0.299, 0.587, 0.114], np.float32))


def _photograph(colours: Floats) -> Floats:
    """Heights over the bed by brightness, as parts of the longer side."""
    smooth = ndimage.gaussian_filter(ndimage.median_filter(_grey(colours), 3), 1.0)
    return np.asarray(BASE + PHOTOGRAPH * _stretched(smooth, np.ones(smooth.shape, bool)))


def _raised(colours: Floats, thing: Mask) -> Floats:
    """Heights over the bed, as parts of the longer side: the object stands out, the ground is flat.

    How far inside its outline a point lies makes the body; its shades, without the broad light, the detail.
    """
    grey = _grey(colours)
    depth = ndimage.distance_transform_edt(np.pad(thing, 1))[1:-1, 1:-1]
    reach = max(float(depth.max()), 1.0)
    round_off = np.sqrt(np.clip(1 - (1 - depth / reach) ** 2, 0, 1))
    weight = ndimage.gaussian_filter(thing.astype(np.float32), 9) + 1e-6
    broad = ndimage.gaussian_filter(np.where(thing, grey, 0), 9) / weight
    fine = ndimage.gaussian_filter(np.where(thing, grey - broad, 0), 0.9)
    shades = np.tanh(fine * 5) * DETAIL + (_stretched(broad, thing) - 0.5) * SWELL * 0.7
    rim = np.clip(depth / (EDGE * max(thing.shape)), 0, 1)
    raised = OBJECT + SWELL * ndimage.gaussian_filter(round_off, 2.5) + shades * rim
    raised = np.where(thing, np.maximum(raised, OBJECT * 0.6), 0)
    return np.asarray(BASE + ndimage.gaussian_filter(ndimage.median_filter(raised, 3), 0.8))


def _stretched(values: Floats, where: Mask) -> Floats:
    if not where.any():
        return values
    low, high = np.percentile(values[where], [2, 98])
    return np.asarray(np.clip((values - low) / max(float(high - low), 0.02), 0, 1))


def _object(colours: Floats) -> Mask | None:
    """What stands before a plain ground; None where the picture's border is not plain.

    The ground is what looks like the border and is joined to it. A shadow that falls on it is darker and of the same
    hue, and counts as ground.
    """
    border = np.concatenate(
        [
            colours[:3].reshape(-1, 3),
            colours[-3:].reshape(-1, 3),
            colours[:, :3].reshape(-1, 3),
            colours[:, -3:].reshape(-1, 3),
        ]
    )
    ground = np.median(border, axis=0)
    spread = float(np.percentile(np.abs(border - ground).max(1), 90))
    if spread > 0.16:
        return None
    smooth = ndimage.gaussian_filter(colours, (0.7, 0.7, 0))
    light = _grey(smooth)
    ground_light = float(_grey(ground))
    # Hue as the colour that is left when the brightness is that of the ground.
    hue = np.abs(smooth * (ground_light / np.maximum(light, 0.05))[..., None] - ground).max(2)
    distance = np.abs(smooth - ground).max(2)
    shade = (hue < 0.05) & (light > 0.55 * ground_light) & (light < ground_light) & (ground_light > 0.5)
    shade &= ndimage.gaussian_gradient_magnitude(light, 1.0) < 0.045
    plain = (distance < max(0.05, 1.3 * spread)) | shade
    labels, _ = ndimage.label(np.pad(plain, 1, constant_values=True))
    thing = (labels != labels[0, 0])[1:-1, 1:-1]
    thing = ndimage.binary_opening(thing, iterations=2)
    thing = ndimage.binary_closing(np.pad(thing, 4), iterations=3)[4:-4, 4:-4]
    labels, count = ndimage.label(thing)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    kept = np.isin(labels, 1 + np.flatnonzero(sizes >= max(0.06 * sizes.max(), 12)))
    share = kept.mean()
    return ndimage.binary_fill_holes(kept) if 0.01 < share < 0.97 else None


def solid(heights: Floats) -> Mesh:
    """Close a field of heights (h, w) above zero with straight sides and a flat underside; its longer side is 1."""
    height, width = heights.shape
    step = 1 / (max(height, width) - 1)
    rows, columns = np.mgrid[:height, :width]
    top = np.stack([columns * step, (height - 1 - rows) * step, heights], axis=-1).reshape(-1, 3)
    index = np.arange(height * width).reshape(height, width)
    a, b, c, d = (index[i : height - 1 + i, j : width - 1 + j].ravel() for i, j in ((0, 0), (0, 1), (1, 1), (1, 0)))
    # Cut each square along the diagonal that is nearer to level, so that ridges run clean.
    flat = heights.ravel()
    other = abs(flat[a] - flat[c]) > abs(flat[b] - flat[d])
    first = np.where(other[:, None], np.stack([a, d, b], 1), np.stack([a, d, c], 1))
    second = np.where(other[:, None], np.stack([b, d, c], 1), np.stack([a, c, b], 1))
    rim = np.concatenate([index[0, :-1], index[:-1, -1], index[-1, :0:-1], index[:0:-1, 0]])
    foot = np.arange(len(rim)) + len(top)
    bottom = top[rim] * (1, 1, 0)
    sides = _strip(rim, foot)
    middle = len(top) + len(rim)
    fan = np.stack([foot, np.roll(foot, -1), np.full(len(foot), middle)], axis=1)
    vertices = np.concatenate([top, bottom, [[(width - 1) * step / 2, (height - 1) * step / 2, 0]]])
    return Mesh(vertices, np.concatenate([first, second, sides, fan]).astype(np.int32))


def _strip(rim: Ints, foot: Ints) -> Ints:
    after, foot_after = np.roll(rim, -1), np.roll(foot, -1)
    return np.concatenate([np.stack([rim, after, foot], 1), np.stack([after, foot_after, foot], 1)])
