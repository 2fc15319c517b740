"""The tokens of static/css/tokens.css: components use them instead of figures of their own, and the colours
of charts can be told from the page and from each other, also by those who see fewer colours.
"""

import math
import re
from itertools import combinations, pairwise
from pathlib import Path

import pytest

CSS = Path(__file__).resolve().parents[2] / "static" / "css"
TOKENS = (CSS / "tokens.css").read_text()
THEMES = {"light": 0, "dark": 1}
SERIES = [f"series-{number}" for number in range(1, 7)]
# How colours look without one of the three kinds of cones, in linear light (Machado, Oliveira and Fernandes
# 2009, doi:10.1109/TVCG.2009.113, severity 1).
SIGHT = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
LITERALS = {
    "a radius": r"border-radius:[^;]*\d(px|%|rem)",
    "a level": r"z-index:\s*\d",
    "a weight": r"font(-weight)?:\s*[1-9]00\b|font-weight:\s*\d",
}
# what files of fonts hold; the tokens themselves; what lies on top of unfold's figures
OWN_FIGURES = ("fonts.css", "tokens.css", "admin/lists.css", "admin/pages.css", "admin/start.css")
NOT_YET = ("components/message.css", "components/prose.css")


def linear(theme: str, name: str) -> tuple[float, ...]:
    """A token's red, green and blue in linear light."""
    found = re.search(rf"--{name}: light-dark\((oklch\([^)]*\)), (oklch\([^)]*\))\)", TOKENS)
    lightness, chroma, hue = map(float, re.findall(r"[\d.]+", found[1 + THEMES[theme]])[:3])
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    light = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return tuple(min(1.0, max(0.0, part)) for part in light)


def luminance(light: tuple[float, ...]) -> float:
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]


def contrast(theme: str, one: str, other: str) -> float:
    low, high = sorted(luminance(linear(theme, name)) for name in (one, other))
    return (high + 0.05) / (low + 0.05)


def seen(theme: str, name: str, sight: str) -> tuple[float, ...]:
    """A token's colour in OKLab, as it is seen."""
    light = linear(theme, name)
    red, green, blue = (
        min(1.0, max(0.0, sum(weight * part for weight, part in zip(row, light, strict=True))))
        for row in SIGHT[sight]
    )
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("surface", ["surface-0", "raised"])
def test_series_stand_out_from_what_they_are_drawn_on(theme, surface):
    assert {name: found for name in SERIES if (found := contrast(theme, name, surface)) < 3} == {}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sight", SIGHT)
def test_series_are_told_apart(theme, sight):
    """0.02 is the least difference that can be seen beside each other; a legend needs several times that."""
    distances = {
        pair: math.dist(*(seen(theme, name, sight) for name in pair)) for pair in combinations(SERIES, 2)
    }
    assert {pair: distance for pair, distance in distances.items() if distance < 0.08} == {}
    assert all(distances[pair] > 0.11 for pair in pairwise(SERIES)), distances


@pytest.mark.parametrize("theme", THEMES)
def test_a_tooltip_can_be_read(theme):
    assert contrast(theme, "tooltip", "tooltip-text") >= 7


def list_literals(text: str) -> list[str]:
    return [
        f"{kind}: {match[0]}" for kind, pattern in LITERALS.items() for match in re.finditer(pattern, text)
    ]


def test_components_take_radii_levels_and_weights_from_the_tokens():
    found = {
        name: literals
        for path in CSS.rglob("*.css")
        if (name := str(path.relative_to(CSS))) not in (*OWN_FIGURES, *NOT_YET)
        and (literals := list_literals(path.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "border-radius: 8px;",
        "z-index: 10;",
        "font-weight: 550;",
        "font: 500 1rem/1 x;",
        "border-radius: 50%;",
    ],
)
def test_a_figure_of_its_own_is_found(text):
    assert list_literals(text)


@pytest.mark.parametrize(
    "text", ["border-radius: 0;", "border-radius: var(--radius) 0;", "font: var(--w) 1rem x;"]
)
def test_what_is_no_figure_of_its_own_passes(text):
    assert list_literals(text) == []
