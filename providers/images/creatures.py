"""Creatures for the offline pictures: each stands on z = 0, is about two high, and looks towards -y."""

from __future__ import annotations

from providers.images.character import Character
from providers.images.clay import Clay, ball, block, disc, lathe, limb, plate, ring


def _face(clay: Clay, character: Character, *, at: tuple[float, float, float], size: float) -> None:
    """Two eyes, mirrored in x: `at` is the right one's."""
    size *= character.eyes
    x, y, z = at
    clay.add(ball(size), at, tint="light", both=True, blend=0.01)
    clay.add(ball(size * 0.55), (x * 0.97, y - size * 0.62, z), tint="dark", both=True, blend=0.01)


def owl(clay: Clay, character: Character) -> None:
    girth = character.between(0.92, 1.08)
    clay.add(ball(0.62 * girth, 0.56, 0.78), (0, 0, 0.8))
    clay.add(ball(0.56, 0.5, 0.46), (0, -0.02, 1.46), blend=0.16)
    clay.add(limb((0.16, 0.02, character.between(0.26, 0.4)), 0.16, 0.03), (0.3, -0.04, 1.72), both=True, blend=0.12)
    clay.add(
        ball(0.17, 0.38, 0.6), (0.58 * girth, 0.06, 0.82), turn=(-8, character.between(8, 18), 0), both=True, blend=0.03
    )
    clay.add(limb((0, 0.28, -0.3), 0.2, 0.1), (0, 0.42, 0.42), blend=0.14)
    clay.add(ball(0.4, 0.14, 0.52), (0, -0.5, 0.72), tint="light", blend=0.02)
    clay.add(ring(0.21, 0.055), (0.23, -0.43, 1.5), turn=(76, 0, 14), both=True, blend=0.06)
    _face(clay, character, at=(0.225, -0.4, 1.5), size=0.165)
    clay.add(limb((0, -0.16, -0.14), 0.09, 0.02), (0, -0.46, 1.4), tint="accent", blend=0.02)
    for x in (0.14, 0.25, 0.36):
        clay.add(limb((0, -0.16, -0.02), 0.08, 0.06), (x, -0.38, 0.09), tint="accent", both=True, blend=0.05)


def cat(clay: Clay, character: Character) -> None:
    clay.add(ball(0.5, 0.56, 0.66), (0, 0.12, 0.62))
    clay.add(ball(0.38, 0.36, 0.5), (0, -0.16, 0.82), blend=0.2)
    clay.add(ball(0.47, 0.4, 0.4), (0, -0.24, 1.46), blend=0.1)
    clay.add(limb((0.08, 0.02, 0.32), 0.17, 0.03), (0.27, -0.18, 1.7), both=True, blend=0.07)
    clay.add(limb((0, -0.04, -0.62), 0.15, 0.13), (0.19, -0.42, 0.74), both=True, blend=0.08)
    clay.add(ball(0.16, 0.22, 0.11), (0.19, -0.54, 0.11), both=True, blend=0.06)
    clay.add(ball(0.24, 0.4, 0.3), (0.42, 0.1, 0.3), both=True, blend=0.1)
    clay.add(ring(0.42, 0.11), (0.34, 0.36, 0.14), blend=0.1)
    clay.add(ball(0.15, 0.1, 0.11), (0.1, -0.6, 1.36), both=True, tint="light", blend=0.05)
    clay.add(ball(0.06, 0.05, 0.045), (0, -0.71, 1.42), tint="accent", blend=0.02)
    _face(clay, character, at=(0.2, -0.55, 1.53), size=0.095)


def dog(clay: Clay, character: Character) -> None:
    clay.add(ball(0.46, 0.56, 0.62), (0, 0.16, 0.6))
    clay.add(ball(0.38, 0.36, 0.5), (0, -0.14, 0.82), blend=0.2)
    clay.add(ball(0.42, 0.42, 0.42), (0, -0.2, 1.5), blend=0.1)
    clay.add(limb((0, -0.3, -0.06), 0.24, 0.17), (0, -0.46, 1.42), blend=0.1)
    clay.add(ball(0.12, 0.22, 0.36), (0.45, -0.12, 1.42), turn=(0, -14, 0), both=True, blend=0.03, tint="deep")
    clay.add(ball(0.09, 0.07, 0.07), (0, -0.93, 1.46), tint="dark", blend=0.01)
    clay.add(limb((0, -0.04, -0.62), 0.16, 0.14), (0.2, -0.38, 0.74), both=True, blend=0.08)
    clay.add(ball(0.17, 0.24, 0.12), (0.2, -0.5, 0.12), both=True, blend=0.06)
    clay.add(ball(0.22, 0.38, 0.28), (0.4, 0.2, 0.28), both=True, blend=0.1)
    clay.add(limb((0.12, 0.36, 0.4), 0.12, 0.07), (0, 0.62, 0.4), blend=0.08)
    _face(clay, character, at=(0.19, -0.53, 1.63), size=0.085)


def bear(clay: Clay, character: Character) -> None:
    clay.add(ball(0.62, 0.54, 0.66), (0, 0.05, 0.68))
    clay.add(ball(0.48, 0.44, 0.42), (0, -0.04, 1.5), blend=0.1)
    clay.add(ball(0.17, 0.1, 0.17), (0.38, 0, 1.84), both=True, blend=0.05)
    clay.add(ball(0.2, 0.2, 0.16), (0, -0.42, 1.42), tint="light", blend=0.04)
    clay.add(ball(0.08, 0.06, 0.06), (0, -0.61, 1.48), tint="dark", blend=0.01)
    clay.add(limb((0.22, -0.3, -0.34), 0.19, 0.17), (0.46, -0.12, 1.08), both=True, blend=0.06)
    clay.add(limb((0.1, -0.42, -0.04), 0.24, 0.21), (0.3, -0.24, 0.24), both=True, blend=0.06)
    clay.add(ball(0.14, 0.04, 0.14), (0.41, -0.86, 0.21), both=True, tint="light", blend=0.03)
    clay.add(ball(0.38, 0.12, 0.42), (0, -0.45, 0.72), tint="light", blend=0.03)
    _face(clay, character, at=(0.18, -0.42, 1.6), size=0.07)


def rabbit(clay: Clay, character: Character) -> None:
    lean = character.between(0.04, 0.2)
    clay.add(ball(0.5, 0.52, 0.56), (0, 0.06, 0.54))
    clay.add(ball(0.4, 0.38, 0.36), (0, -0.14, 1.22), blend=0.12)
    clay.add(limb((lean, 0.06, 0.6), 0.12, 0.09), (0.16, -0.06, 1.46), both=True, blend=0.06)
    clay.add(ball(0.055, 0.03, 0.24), (0.16 + lean / 2, -0.14, 1.8), both=True, tint="accent", blend=0.02)
    clay.add(ball(0.2), (0, 0.56, 0.36), tint="light", blend=0.03)
    clay.add(ball(0.18, 0.36, 0.13), (0.28, -0.36, 0.13), both=True, blend=0.05)
    clay.add(limb((-0.06, -0.2, -0.2), 0.13, 0.11), (0.3, -0.36, 0.74), both=True, blend=0.06)
    clay.add(ball(0.13, 0.1, 0.1), (0.08, -0.48, 1.13), both=True, tint="light", blend=0.05)
    clay.add(ball(0.05, 0.04, 0.04), (0, -0.57, 1.2), tint="accent", blend=0.01)
    _face(clay, character, at=(0.18, -0.42, 1.31), size=0.085)


def bird(clay: Clay, character: Character) -> None:
    clay.add(ball(0.56, 0.74, 0.52), (0, 0.1, 0.62), turn=(-12, 0, 0))
    clay.add(limb((0, -0.14, 0.42), 0.3, 0.22), (0, -0.42, 0.9), blend=0.2)
    clay.add(ball(0.36), (0, -0.52, 1.46), blend=0.12)
    clay.add(ball(0.2, 0.24, 0.07), (0, -0.88, 1.4), tint="accent", turn=(10, 0, 0), blend=0.05)
    clay.add(ball(0.12, 0.52, 0.32), (0.5, 0.18, 0.74), turn=(16, 12, 6), both=True, blend=0.03, tint="deep")
    clay.add(limb((0, 0.34, 0.26), 0.22, 0.06), (0, 0.66, 0.76), blend=0.16)
    clay.add(disc(0.44, 0.16), (0, 0, 0.08), blend=0.1)
    _face(clay, character, at=(0.25, -0.68, 1.56), size=0.08)


def fish(clay: Clay, character: Character) -> None:
    clay.add(ball(0.8, 0.3, character.between(0.44, 0.58)), (-0.1, 0, 1.1))
    clay.add(plate([(0.1, 0), (0.62, 0.46), (0.5, 0), (0.62, -0.46)], 0.16, 0.05), (0.5, 0, 1.1), blend=0.12)
    clay.add(plate([(-0.34, 0), (0.1, 0.42), (0.36, 0.1), (0.36, -0.1)], 0.14, 0.05), (-0.1, 0, 1.5), blend=0.1)
    clay.add(
        plate([(0, 0.16), (0.36, -0.24), (0, -0.16)], 0.1, 0.03),
        (-0.16, -0.28, 1),
        turn=(24, 0, 0),
        tint="deep",
        blend=0.03,
    )
    for x, z in ((0.16, 1.2), (0.2, 1), (0.42, 1.1)):
        clay.add(ring(0.1, 0.03), (x, -0.22, z), turn=(90, 0, 0), tint="deep", blend=0.02)
    clay.add(ball(0.12 * character.eyes), (-0.56, -0.18, 1.22), tint="light", blend=0.01)
    clay.add(ball(0.065), (-0.58, -0.27, 1.22), tint="dark", blend=0.01)
    clay.add(
        lathe([(0, 0), (0.42, 0), (0.4, 0.12), (0.12, 0.2), (0.1, 0.7), (0, 0.7)]), (0, 0, 0), tint="light", blend=0.04
    )


def dragon(clay: Clay, character: Character) -> None:
    clay.add(ball(0.48, 0.54, 0.6), (0, 0.14, 0.62))
    clay.add(limb((0, -0.1, 0.5), 0.32, 0.22), (0, -0.1, 0.95), blend=0.18)
    clay.add(ball(0.34, 0.36, 0.3), (0, -0.26, 1.6), blend=0.12)
    clay.add(limb((0, -0.3, -0.08), 0.22, 0.17), (0, -0.46, 1.53), blend=0.1)
    clay.add(limb((0.1, 0.26, 0.24), 0.1, 0.02), (0.17, -0.14, 1.8), both=True, tint="light", blend=0.03)
    wing = [(0, -0.1), (0.2, 0.5), (0.95, 0.62), (0.8, 0.22), (0.68, 0.1), (0.5, -0.12), (0.34, -0.1), (0.2, -0.3)]
    clay.add(plate(wing, 0.1, 0.03), (0.24, 0.4, 1.15), turn=(-10, 0, 20), both=True, tint="deep", blend=0.04)
    clay.add(limb((0.02, -0.06, -0.56), 0.17, 0.15), (0.22, -0.3, 0.72), both=True, blend=0.08)
    clay.add(ball(0.18, 0.26, 0.12), (0.24, -0.44, 0.12), both=True, blend=0.06)
    clay.add(ball(0.24, 0.4, 0.32), (0.44, 0.14, 0.32), both=True, blend=0.1)
    clay.add(limb((0.6, 0.1, -0.06), 0.24, 0.15), (0.1, 0.6, 0.3), blend=0.1)
    clay.add(limb((0.3, -0.42, 0.06), 0.15, 0.06), (0.7, 0.7, 0.24), blend=0.08)
    for step in range(4):
        clay.add(
            limb((0, 0.16, 0.14), 0.1, 0.01), (0, 0.06 + 0.15 * step, 1.62 - 0.28 * step), tint="light", blend=0.03
        )
    clay.add(ball(0.28, 0.12, 0.42), (0, -0.4, 0.72), tint="light", blend=0.02)
    _face(clay, character, at=(0.19, -0.5, 1.7), size=0.075)


def person(clay: Clay, character: Character) -> None:
    lift = character.between(-0.3, 0.5)
    clay.add(lathe([(0, 0.5), (0.42, 0.5), (0.3, 0.95), (0.34, 1.2), (0.14, 1.36), (0, 1.36)], 0.06))
    clay.add(limb((0, 0, -0.5), 0.17, 0.15), (0.19, 0, 0.62), both=True, tint="deep", blend=0.04)
    clay.add(ball(0.17, 0.26, 0.12), (0.2, -0.1, 0.12), both=True, tint="deep", blend=0.05)
    clay.add(limb((0.3, -0.1, lift - 0.2), 0.13, 0.1), (0.3, 0, 1.2), both=True, blend=0.06)
    clay.add(ball(0.13), (0.63, -0.11, 1 + lift), both=True, tint="light", blend=0.02)
    clay.add(ball(0.36, 0.35, 0.38), (0, 0, 1.68), tint="light", blend=0.03)
    clay.add(ball(0.39, 0.37, 0.36), (0, 0.06, 1.78), tint="deep", blend=0.02)
    clay.add(ball(0.045), (0.13, -0.335, 1.68), both=True, tint="dark", blend=0.01)
    clay.add(ball(0.045), (0, -0.37, 1.6), tint="light", blend=0.03)


def robot(clay: Clay, character: Character) -> None:
    clay.add(block(0.86, 0.6, 0.74, 0.1), (0, 0, 0.86))
    clay.add(block(0.7, 0.56, 0.52, 0.12), (0, 0, 1.54))
    clay.add(disc(0.16, 0.2), (0, 0, 1.26), tint="deep")
    clay.add(block(0.54, 0.1, 0.26, 0.05), (0, -0.27, 1.56), tint="dark", blend=0.01)
    clay.add(ball(0.085 * character.eyes), (0.13, -0.32, 1.56), both=True, tint="light", blend=0.01)
    clay.add(limb((0, 0, 0.24), 0.035, 0.03), (0, 0, 1.78), tint="deep", blend=0.02)
    clay.add(ball(0.09), (0, 0, 2.06), tint="accent", blend=0.02)
    clay.add(ball(0.17), (0.5, 0, 1.08), both=True, tint="deep", blend=0.02)
    clay.add(limb((0.1, -0.14, -0.42), 0.12, 0.12), (0.55, 0, 0.98), both=True, blend=0.03)
    clay.add(ring(0.12, 0.06), (0.66, -0.18, 0.44), turn=(70, 0, 0), both=True, tint="deep", blend=0.02)
    clay.add(block(0.26, 0.3, 0.4, 0.08), (0.24, 0, 0.36), both=True, tint="deep", blend=0.03)
    clay.add(block(0.34, 0.56, 0.2, 0.08), (0.25, -0.06, 0.1), both=True, blend=0.03)
    for row in range(character.count(2, 3)):
        clay.add(ball(0.06), (0.2, -0.3, 1.02 - 0.17 * row), tint="accent", blend=0.01)
    clay.add(block(0.3, 0.06, 0.34, 0.03), (-0.14, -0.3, 0.9), tint="light", blend=0.01)
