"""Things for the offline pictures: each stands on z = 0, is about two high, and faces -y."""

from __future__ import annotations

import numpy as np

from providers.images.character import Character
from providers.images.clay import Clay, ball, block, disc, lathe, limb, plate, ring


def vase(clay: Clay, character: Character) -> None:
    belly, neck, lip = character.between(0.5, 0.74), character.between(0.28, 0.38), character.between(0.4, 0.54)
    at = character.between(0.6, 0.95)
    heights = np.linspace(0, 2, 24)
    stops = ([0, 0.12, at, 1.55, 1.75, 2.0], [0.36, 0.4, belly, neck, neck * 1.04, lip])
    # A cosine between the stops makes the swell smooth.
    turned = []
    for z in heights:
        one = int(np.clip(np.searchsorted(stops[0], z) - 1, 0, 4))
        part = (z - stops[0][one]) / (stops[0][one + 1] - stops[0][one])
        turned.append((stops[1][one] + (stops[1][one + 1] - stops[1][one]) * (1 - np.cos(np.pi * part)) / 2, float(z)))
    clay.add(lathe([(0, 0), *turned, (lip - 0.17, 2.0), (neck - 0.15, 1.72), (0, 1.6)], 0.03))
    for _ in range(character.count(1, 3)):
        z = character.between(0.3, 1.3)
        radius = float(np.interp(z, [one[1] for one in turned], [one[0] for one in turned]))
        clay.add(ring(radius, 0.045), (0, 0, z), tint="deep", blend=0.03)


def cup(clay: Clay, character: Character) -> None:
    flare = character.between(0.56, 0.72)
    wall = [(0, 0), (0.5, 0), (0.54, 0.1), (flare, 1.3), (flare - 0.12, 1.3), (0.42, 0.2), (0, 0.16)]
    clay.add(lathe(wall, 0.05), (0, 0, 0.1))
    clay.add(ring(0.34, 0.09), (flare - 0.02, 0, 0.82), turn=(90, 0, 0), blend=0.06)
    clay.add(disc(flare - 0.1, 0.1), (0, 0, 1.16), tint="dark", blend=0.01)
    clay.add(lathe([(0, 0), (0.5, 0), (0.95, 0.14), (0.95, 0.2), (0.4, 0.12), (0, 0.12)], 0.03), tint="light")


def bottle(clay: Clay, character: Character) -> None:
    width = character.between(0.4, 0.55)
    clay.add(
        lathe([(0, 0), (width, 0), (width, 1.05), (0.2, 1.4), (0.17, 1.8), (0.21, 1.84), (0.21, 1.92), (0, 1.92)], 0.06)
    )
    clay.add(disc(0.15, 0.2), (0, 0, 2), tint="accent")
    clay.add(disc(width + 0.02, 0.5), (0, 0, 0.55), tint="light", blend=0.01)


def lamp(clay: Clay, character: Character) -> None:
    clay.add(lathe([(0, 0), (0.5, 0), (0.46, 0.14), (0.1, 0.24), (0.08, 1.3), (0, 1.3)]))
    clay.add(ball(character.between(0.16, 0.24)), (0, 0, 0.7), tint="accent", blend=0.05)
    clay.add(lathe([(0, 1.1), (0.72, 1.1), (0.4, 1.9), (0, 1.9)], 0.06), tint="light")


def house(clay: Clay, character: Character) -> None:
    width = character.between(1.2, 1.5)
    clay.add(block(width, 1.1, 1, 0.04), (0, 0, 0.52))
    roof = [(-width / 2 - 0.16, 0), (0, character.between(0.66, 0.95)), (width / 2 + 0.16, 0)]
    clay.add(plate(roof, 1.34, 0.05), (0, 0, 0.98), tint="deep", blend=0.01)
    clay.add(block(0.22, 0.22, 0.6, 0.04), (width * 0.28, 0.12, 1.6), tint="accent", blend=0.01)
    clay.add(block(0.34, 0.12, 0.6, 0.05), (0, -0.55, 0.32), tint="dark", blend=0.01)
    for x in (-width * 0.32, width * 0.32):
        clay.add(block(0.26, 0.1, 0.28, 0.03), (x, -0.55, 0.66), tint="light", blend=0.01)
    clay.add(block(width + 0.3, 1.4, 0.1, 0.04), (0, 0, 0.05), tint="light", blend=0.01)


def castle(clay: Clay, character: Character) -> None:
    clay.add(block(1.3, 1.1, 0.9, 0.03), (0, 0, 0.45))
    for x in (-0.52, -0.26, 0, 0.26, 0.52):
        clay.add(block(0.15, 0.16, 0.18, 0.02), (x, -0.47, 0.98), blend=0.01)
    for x in (-0.68, 0.68):
        for y in (-0.55, 0.55):
            tall = character.between(1.15, 1.5)
            clay.add(disc(0.25, tall), (x, y, tall / 2), blend=0.02)
            clay.add(lathe([(0, 0), (0.33, 0), (0, 0.52)], 0.03), (x, y, tall), tint="deep", blend=0.01)
    clay.add(disc(0.32, 1.7), (0, 0.1, 0.85), blend=0.02)
    clay.add(lathe([(0, 0), (0.41, 0), (0, 0.66)], 0.03), (0, 0.1, 1.7), tint="deep", blend=0.01)
    clay.add(limb((0, 0, 0.26), 0.17, 0.17), (0, -0.52, 0.16), tint="dark", blend=0.01)


def tower(clay: Clay, character: Character) -> None:
    clay.add(lathe([(0, 0), (0.62, 0), (character.between(0.36, 0.46), 1.4), (0, 1.4)], 0.03))
    clay.add(disc(0.52, 0.1), (0, 0, 1.42), tint="deep")
    clay.add(disc(0.3, 0.36), (0, 0, 1.62), tint="light")
    clay.add(lathe([(0, 1.78), (0.4, 1.78), (0, 2.16)], 0.03), tint="deep")
    for z in (0.5, 0.95):
        clay.add(ring(0.62 - 0.14 * z, 0.07), (0, 0, z), tint="accent", blend=0.02)
    clay.add(limb((0, 0, 0.2), 0.13, 0.13), (0, -0.54, 0.14), tint="dark", blend=0.01)


def car(clay: Clay, character: Character) -> None:
    clay.add(block(2, 0.96, 0.5, 0.18), (0, 0, 0.55))
    roof = character.between(0.28, 0.4)
    cabin = [(-0.66, 0), (-0.36, roof + 0.12), (0.42, roof + 0.12), (0.8, 0)]
    clay.add(plate(cabin, 0.82, 0.1), (0, 0, 0.72), blend=0.05)
    window = [(-0.5, 0), (-0.3, roof - 0.02), (0.02, roof - 0.02), (0.02, 0)]
    other = [(0.1, 0), (0.1, roof - 0.02), (0.38, roof - 0.02), (0.62, 0)]
    for pane in (window, other):
        clay.add(plate(pane, 0.88, 0.03), (0, 0, 0.78), tint="light", blend=0.01)
    for x in (-0.6, 0.6):
        for y in (-0.42, 0.42):
            clay.add(disc(0.29, 0.24, 0.07), (x, y, 0.29), turn=(90, 0, 0), tint="dark", blend=0.01)
            clay.add(disc(0.13, 0.3, 0.04), (x, y, 0.29), turn=(90, 0, 0), tint="light", blend=0.01)
    clay.add(ball(0.1), (-0.97, 0.3, 0.62), tint="light", blend=0.01)
    clay.add(ball(0.1), (-0.97, -0.3, 0.62), tint="light", blend=0.01)
    clay.add(block(0.14, 0.98, 0.14, 0.06), (-0.98, 0, 0.4), tint="deep", blend=0.02)


def ship(clay: Clay, character: Character) -> None:
    hull = [(-0.72, 0), (0.72, 0), (1.05, 0.55), (-1.05, 0.55)]
    clay.add(plate(hull, 0.62, 0.12), (0, 0, 0.1), blend=0.1)
    clay.add(limb((-0.5, 0, 0.16), 0.05, 0.03), (-0.9, 0, 0.66), tint="deep", blend=0.03)
    clay.add(block(0.4, 0.44, 0.26, 0.05), (0.66, 0, 0.74), tint="deep", blend=0.03)
    for x, tall in ((-0.36, character.between(1.2, 1.4)), (0.3, character.between(0.95, 1.2))):
        clay.add(limb((0, 0, tall), 0.05, 0.04), (x, 0, 0.6), tint="deep", blend=0.02)
        sail = [(-0.3, 0.3), (-0.24, tall - 0.1), (0.24, tall - 0.1), (0.3, 0.3)]
        clay.add(plate(sail, 0.1, 0.04), (x, -0.1, 0.55), tint="light", blend=0.02)
    for x in (-0.6, -0.2, 0.2, 0.6):
        clay.add(ball(0.08), (x, -0.3, 0.4), tint="dark", blend=0.01)


def rocket(clay: Clay, character: Character) -> None:
    wide = character.between(0.36, 0.46)
    body = [(0, 0.25), (wide * 0.7, 0.25), (wide, 0.7), (wide, 1.2), (wide * 0.6, 1.7), (0, 2.1)]
    clay.add(lathe(body, 0.06))
    clay.add(lathe([(0, 1.64), (wide * 0.72, 1.6), (wide * 0.42, 1.86), (0, 2.14)], 0.03), tint="accent", blend=0.01)
    fin = [(0, 0.6), (0.5, 0.1), (0.5, -0.28), (0, 0.1)]
    for turn in (30, 150, 270):
        clay.add(
            plate(fin, 0.14, 0.05),
            (0.28 * np.cos(np.radians(turn)), 0.28 * np.sin(np.radians(turn)), 0.28),
            turn=(0, 0, turn),
            tint="deep",
            blend=0.02,
        )
    clay.add(lathe([(0, 0), (wide * 0.75, 0), (wide * 0.5, 0.3), (0, 0.3)], 0.03), tint="dark", blend=0.02)
    clay.add(ring(0.17, 0.06), (0, -wide, 1.2), turn=(90, 0, 0), tint="deep", blend=0.02)
    clay.add(ball(0.15, 0.06, 0.15), (0, -wide, 1.2), tint="light", blend=0.01)


def tree(clay: Clay, character: Character) -> None:
    clay.add(limb((0, 0, 0.9), 0.24, 0.15), (0, 0, 0.1), tint="deep", blend=0.06)
    for turn in (20, 140, 260):
        x, y = 0.3 * np.cos(np.radians(turn)), 0.3 * np.sin(np.radians(turn))
        clay.add(limb((x, y, -0.06), 0.14, 0.07), (0, 0, 0.12), tint="deep", blend=0.1)
    if character.count(0, 1):
        for step in range(4):
            wide = 0.74 - 0.15 * step
            clay.add(lathe([(0, 0), (wide, 0), (0.06, 0.6), (0, 0.6)], 0.06), (0, 0, 0.52 + 0.36 * step), blend=0.03)
        return
    clay.add(ball(0.5), (0, 0, 1.5))
    for turn in range(0, 360, 60):
        x, y = 0.42 * np.cos(np.radians(turn)), 0.42 * np.sin(np.radians(turn))
        clay.add(ball(character.between(0.26, 0.38)), (x, y, character.between(1.2, 1.6)), blend=0.08)


def flower(clay: Clay, character: Character) -> None:
    petals = character.count(5, 8)
    clay.add(lathe([(0, 0), (0.42, 0), (0.5, 0.4), (0.4, 0.42), (0, 0.36)], 0.05), tint="deep")
    clay.add(limb((0, 0, 1.1), 0.08, 0.06), (0, 0, 0.3), tint="accent", blend=0.03)
    clay.add(ball(0.3, 0.1, 0.12), (0.3, 0, 0.8), turn=(0, -30, 0), both=True, tint="accent", blend=0.05)
    for one in range(petals):
        turn = 360 / petals * one
        x, z = 0.38 * np.cos(np.radians(turn)), 0.38 * np.sin(np.radians(turn))
        clay.add(ball(0.36, 0.1, 1.5 / petals), (x, -0.04, 1.5 + z), turn=(0, -turn, 0), blend=0.03)
    clay.add(ball(0.24, 0.15, 0.24), (0, -0.08, 1.5), tint="light", blend=0.02)


def mushroom(clay: Clay, character: Character) -> None:
    cap = character.between(0.72, 0.9)
    clay.add(lathe([(0, 0), (0.36, 0), (0.24, 0.6), (0.26, 1.1), (0, 1.1)], 0.08), tint="light")
    clay.add(ring(0.27, 0.06), (0, 0, 0.84), tint="light")
    clay.add(lathe([(0, 1.02), (cap, 1.0), (cap * 0.8, 1.5), (cap * 0.4, 1.8), (0, 1.88)], 0.09))
    for turn, up in ((-100, 1.4), (-50, 1.26), (-140, 1.2), (-75, 1.68), (20, 1.4), (180, 1.4), (90, 1.4)):
        wide = cap * float(np.interp(up, [1, 1.5, 1.8, 1.9], [0.98, 0.8, 0.42, 0.1]))
        clay.add(
            ball(0.11), (wide * np.cos(np.radians(turn)), wide * np.sin(np.radians(turn)), up), tint="light", blend=0.01
        )


def book(clay: Clay, character: Character) -> None:
    clay.add(block(1.5, 1.1, 0.1, 0.04), (0, 0, 0.5))
    clay.add(block(1.5, 1.1, 0.1, 0.04), (0, 0, 0.06))
    clay.add(block(0.12, 1.1, 0.54, 0.05), (-0.72, 0, 0.28))
    clay.add(block(1.36, 0.98, 0.36, 0.02), (0, 0, 0.28), tint="light", blend=0.01)
    emblem = plate(_star(character.count(4, 7), 0.3, 0.14), 0.08, 0.02)
    clay.add(emblem, (0.05, 0, 0.55), turn=(-90, 0, 0), tint="accent", blend=0.01)


def pawn(clay: Clay, character: Character) -> None:
    profile = [
        (0, 0),
        (0.56, 0),
        (0.56, 0.16),
        (0.44, 0.28),
        (0.3, 0.5),
        (0.19, 1.1),
        (0.34, 1.22),
        (0.2, 1.32),
        (0, 1.34),
    ]
    clay.add(lathe(profile, 0.04))
    clay.add(ball(character.between(0.27, 0.36)), (0, 0, 1.6), blend=0.04)


def king(clay: Clay, character: Character) -> None:
    profile = [
        (0, 0),
        (0.56, 0),
        (0.56, 0.18),
        (0.42, 0.32),
        (0.24, 0.7),
        (0.2, 1.2),
        (0.36, 1.3),
        (0.24, 1.4),
        (0.36, 1.82),
        (0, 1.9),
    ]
    clay.add(lathe(profile, 0.04))
    if character.count(0, 1):
        clay.add(block(0.12, 0.12, 0.36, 0.03), (0, 0, 2.02), blend=0.02)
        clay.add(block(0.32, 0.12, 0.12, 0.03), (0, 0, 2.06), blend=0.02)
        return
    for turn in range(0, 360, 60):
        clay.add(ball(0.09), (0.32 * np.cos(np.radians(turn)), 0.32 * np.sin(np.radians(turn)), 1.86), blend=0.03)


def knight(clay: Clay, character: Character) -> None:
    clay.add(lathe([(0, 0), (0.56, 0), (0.56, 0.18), (0.42, 0.34), (0.36, 0.46), (0, 0.46)], 0.04))
    clay.add(limb((0.06, 0, 0.86), 0.4, 0.27), (0.08, 0, 0.5), blend=0.12)
    clay.add(limb((-0.62, 0, character.between(-0.26, -0.08)), 0.27, 0.15), (0.06, 0, 1.5), blend=0.14)
    clay.add(limb((0.06, 0, 0.2), 0.09, 0.02), (0.06, -0.12, 1.72), blend=0.05)
    clay.add(limb((0.06, 0, 0.2), 0.09, 0.02), (0.06, 0.12, 1.72), blend=0.05)
    for step in range(6):
        clay.add(ball(0.12, 0.08, 0.12), (0.36 + 0.02 * step, 0, 1.64 - 0.2 * step), tint="deep", blend=0.04)
    clay.add(ball(0.07), (-0.16, -0.23, 1.54), tint="dark", blend=0.01)


def gear(clay: Clay, character: Character) -> None:
    teeth = character.count(8, 14)
    outline = []
    for one in range(teeth):
        for part, radius in ((0.05, 0.74), (0.22, 0.95), (0.5, 0.95), (0.67, 0.74)):
            turn = 2 * np.pi * (one + part) / teeth
            outline.append((radius * float(np.cos(turn)), radius * float(np.sin(turn))))
    clay.add(plate(outline, 0.36, 0.03), (0, 0, 0.96))
    clay.add(disc(0.27, 1, 0.02), (0, 0, 0.96), turn=(90, 0, 0), cut=True, blend=0.03)
    for turn in range(30, 390, 60):
        at = (0.52 * float(np.cos(np.radians(turn))), 0, 0.96 + 0.52 * float(np.sin(np.radians(turn))))
        clay.add(disc(0.12, 1, 0.02), at, turn=(90, 0, 0), cut=True, blend=0.03)
    clay.add(ring(0.33, 0.06), (0, -0.18, 0.96), turn=(90, 0, 0), tint="deep", blend=0.02)


def _star(points: int, outer: float, inner: float) -> list[tuple[float, float]]:
    turns = np.pi * np.arange(2 * points) / points
    radii = np.where(np.arange(2 * points) % 2, inner, outer)
    return [(float(r * np.sin(t)), float(r * np.cos(t))) for r, t in zip(radii, turns, strict=True)]


def star(clay: Clay, character: Character) -> None:
    points = character.count(5, 6)
    clay.add(plate(_star(points, 0.95, character.between(0.4, 0.5)), 0.4, 0.1), (0, 0, 1.1))
    clay.add(ball(0.34, 0.26, 0.34), (0, 0, 1.1), blend=0.2)
    clay.add(lathe([(0, 0), (0.5, 0), (0.44, 0.14), (0.12, 0.24), (0.1, 0.5), (0, 0.5)]), tint="deep", blend=0.03)


def heart(clay: Clay, character: Character) -> None:
    turns = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = 16 * np.sin(turns) ** 3 / 17
    z = (13 * np.cos(turns) - 5 * np.cos(2 * turns) - 2 * np.cos(3 * turns) - np.cos(4 * turns)) / 17
    clay.add(
        plate([(float(a), float(b)) for a, b in zip(x, z, strict=True)], character.between(0.5, 0.7), 0.2), (0, 0, 1.16)
    )
    clay.add(lathe([(0, 0), (0.46, 0), (0.4, 0.14), (0.2, 0.34), (0, 0.4)]), tint="deep", blend=0.05)


def sphere(clay: Clay, character: Character) -> None:
    clay.add(ball(0.86), (0, 0, 0.98))
    for turn in (0, character.between(50, 130)):
        clay.add(ring(0.86, 0.05), (0, 0, 0.98), turn=(90, 0, turn), tint="deep", blend=0.02)
    clay.add(lathe([(0, 0), (0.5, 0), (0.4, 0.3), (0, 0.26)]), tint="light", blend=0.02)


def cube(clay: Clay, character: Character) -> None:
    side = character.between(1.3, 1.5)
    clay.add(block(side, side, side, 0.12), (0, 0, side / 2))
    half = side / 2
    for x, z in ((-0.34, 0.34), (0, 0), (0.34, -0.34)):
        clay.add(ball(0.13), (x, -half, half + z), tint="dark", blend=0.01)
        clay.add(ball(0.13), (half, x, half - z), tint="dark", blend=0.01)
    clay.add(ball(0.16), (0, 0, side), tint="dark", blend=0.01)


def monument(clay: Clay, character: Character) -> None:
    """For words that are not known: a turning form on a foot, another for each prompt."""
    sides, turns, levels = character.count(2, 5), character.between(20, 150), character.count(6, 9)
    swell, thin = character.between(0.3, 0.46), character.between(0.14, 0.24)
    for level in range(levels):
        part = level / (levels - 1)
        radius = thin + (swell - thin) * float(np.sin(np.pi * (0.15 + 0.8 * part)))
        for side in range(sides):
            angle = np.radians(360 / sides * side + turns * part)
            at = (radius * float(np.cos(angle)), radius * float(np.sin(angle)), 0.42 + 1.3 * part)
            clay.add(ball(radius * 0.62 + 0.08), at, blend=0.16)
    crown = character.between(0.16, 0.28)
    clay.add(ball(crown), (0, 0, 1.9 + crown / 2), tint="accent", blend=0.02)
    if character.count(0, 1):
        clay.add(
            ring(swell + 0.34, 0.06),
            (0, 0, character.between(0.8, 1.3)),
            turn=(character.between(-25, 25), 12, 0),
            tint="deep",
            blend=0.02,
        )
    clay.add(lathe([(0, 0), (0.62, 0), (0.58, 0.16), (0.3, 0.3), (0, 0.34)], 0.04), tint="deep", blend=0.02)
