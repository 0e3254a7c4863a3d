"""The words that the offline pictures know."""

from __future__ import annotations

import re
from dataclasses import dataclass

from providers.images import creatures, things
from providers.images.character import Figure

FIGURES: dict[Figure, str] = {
    creatures.owl: "owl owls owlet 猫头鹰",
    creatures.cat: "cat cats kitten kitty tiger lion lynx fox 猫 老虎 狮子 狐狸",
    creatures.dog: "dog dogs puppy wolf 狗 小狗 狼",
    creatures.bear: "bear bears teddy panda koala monkey 熊 熊猫 猴子",
    creatures.rabbit: "rabbit rabbits bunny hare mouse 兔 兔子 老鼠",
    creatures.bird: "bird birds duck chicken penguin eagle parrot swan 鸟 鸭 鸡 企鹅 鹰",
    creatures.fish: "fish fishes shark whale dolphin 鱼 鲨鱼 鲸",
    creatures.dragon: "dragon dragons dinosaur dino lizard monster 龙 恐龙",
    creatures.person: "person man woman boy girl child figurine wizard princess hero astronaut doll 人 男孩 女孩 人偶",
    creatures.robot: "robot robots android mech droid 机器人",
    things.vase: "vase vases urn amphora pot jar 花瓶 罐",
    things.cup: "cup cups mug teacup goblet bowl 杯 杯子 碗",
    things.bottle: "bottle bottles flask 瓶",
    things.lamp: "lamp lamps lantern 灯",
    things.house: "house houses home cottage hut barn cabin 房子 屋",
    things.castle: "castle castles fortress palace temple 城堡 宫殿",
    things.tower: "tower towers lighthouse 塔 灯塔",
    things.car: "car cars truck bus van taxi vehicle 汽车 车 卡车",
    things.ship: "ship ships boat boats sailboat yacht 船 帆船",
    things.rocket: "rocket rockets spaceship missile 火箭 飞船",
    things.tree: "tree trees pine bonsai oak 树",
    things.flower: "flower flowers rose tulip sunflower daisy lotus 花 玫瑰",
    things.mushroom: "mushroom mushrooms toadstool 蘑菇",
    things.book: "book books 书",
    things.pawn: "pawn pawns 兵",
    things.king: "chess king queen bishop rook 国际象棋 国王",
    things.knight: "knight horse horses pony unicorn 马 骑士",
    things.gear: "gear gears cog cogwheel wheel 齿轮",
    things.star: "star stars 星 星星",
    things.heart: "heart hearts 爱心 心形",
    things.sphere: "sphere spheres ball globe planet orb 球 星球",
    things.cube: "cube cubes dice die box 立方体 骰子 盒子",
}
WORDS = {word: figure for figure, words in FIGURES.items() for word in words.split()}
WIDE_WORDS = sorted((word for word in WORDS if not word.isascii()), key=len, reverse=True)
UPON = re.compile(r"\b(?:on|upon|atop)\b|站在|坐在")
COLOURS = {
    "red": (0.62, 0.10, 0.08),
    "orange": (0.78, 0.30, 0.06),
    "yellow": (0.80, 0.58, 0.10),
    "green": (0.16, 0.42, 0.14),
    "blue": (0.10, 0.25, 0.60),
    "purple": (0.34, 0.14, 0.50),
    "pink": (0.80, 0.36, 0.46),
    "brown": (0.34, 0.18, 0.09),
    "grey": (0.36, 0.36, 0.37),
    "gray": (0.36, 0.36, 0.37),
    "black": (0.07, 0.07, 0.08),
    "white": (0.82, 0.80, 0.76),
    "gold": (0.74, 0.46, 0.10),
    "golden": (0.74, 0.46, 0.10),
    "silver": (0.52, 0.54, 0.57),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """What a prompt asks for, as far as it is understood."""

    figure: Figure
    support: Figure | None
    eyes: float
    width: float
    colour: tuple[float, float, float] | None


def understand(prompt: str) -> Scene:
    """The first word that is known is the figure; one after "on" is what it stands on; adjectives vary it."""
    text = prompt.casefold()
    before, *after = UPON.split(text, maxsplit=1)
    named = _figures(before)
    below = _figures(after[0]) if after else []
    if not named and len(below) > 1:
        # "On a book, an owl", and the order of Chinese.
        named = below[-1:]
    figure = next(iter(named or below), things.monument)
    words = re.findall(r"[a-z]+", text)
    return Scene(
        figure=figure,
        support=below[0] if named and below and below[0] is not figure else None,
        eyes=1.3 if re.search(r"\b(big|large|huge|wide)\s+(\w+\s+)?eyes\b|大眼", text) else 1.0,
        width=1
        + 0.14 * sum(word in {"fat", "chubby", "round", "stout", "plump"} for word in words)
        - 0.12 * sum(word in {"slim", "thin", "tall", "slender", "long"} for word in words),
        colour=next((COLOURS[word] for word in words if word in COLOURS), None),
    )


def _figures(text: str) -> list[Figure]:
    found = [(match.start(), WORDS[match.group()]) for match in re.finditer(r"[a-z]+", text) if match.group() in WORDS]
    for word in WIDE_WORDS:
        # Longest first, and taken out: an owl's name in Chinese ends in a cat's neighbour's.
        while (place := text.find(word)) >= 0:
            found.append((place, WORDS[word]))
            text = text[:place] + " " * len(word) + text[place + len(word) :]
    return [figure for _, figure in sorted(found, key=lambda one: one[0])]
