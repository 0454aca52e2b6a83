"""Draws one fundus photograph with the lesions of its two grades. Lengths are in fractions of the image's side.

Microaneurysms, haemorrhages and new vessels make the grade of retinopathy; exudates, and how near the macula they lie,
that of the edema. Drusen look a little like exudates, vessels a little like haemorrhages, and neither means anything.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

FINENESS = 4
"""Shapes are drawn so many times larger and then averaged, which gives them soft edges."""

_RADIUS = 0.48
_DISC_RADIUS = 0.075
_CENTRAL = 2 * _DISC_RADIUS
"""Exudates within a disc's width of the macula are central."""
_MICROANEURYSMS = ((0, 0), (2, 5), (5, 10), (7, 12), (6, 12))
_HAEMORRHAGES = ((0, 0), (0, 0), (1, 3), (6, 10), (3, 8))
"""Fewest and most lesions of each grade of retinopathy."""
_EXUDATES = (4, 9)
_DRUSEN, _DRUSEN_CHANCE = (3, 8), 0.25

_BACKGROUND = (0.015, 0.01, 0.01)
_VESSEL, _BLOOD, _DOT = (0.42, 0.10, 0.06), (0.34, 0.04, 0.03), (0.45, 0.05, 0.04)
_OPTIC_DISC, _MACULA = (0.97, 0.80, 0.50), (0.40, 0.17, 0.08)
_EXUDATE, _DRUSE, _FIBRE = (0.98, 0.88, 0.45), (0.88, 0.62, 0.33), (0.90, 0.82, 0.72)

Point = NDArray[np.float64]
"""Across and down, shape (2,)."""
Draw = Callable[[ImageDraw.ImageDraw], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """Where things are in one eye."""

    centre: Point
    optic_disc: Point
    macula: Point


def place_eye(rng: np.random.Generator, *, is_left: bool) -> Eye:
    """The optic disc lies on the left of a left eye's photograph here, the macula near the middle."""
    centre = 0.5 + rng.uniform(-0.015, 0.015, 2)
    to_disc = np.array([-1.0 if is_left else 1.0, 0.0])
    optic_disc = centre + to_disc * rng.uniform(0.24, 0.3) + rng.uniform(-0.03, 0.03, 2)
    macula = centre - to_disc * rng.uniform(0.03, 0.09) + rng.uniform(-0.03, 0.03, 2)
    return Eye(centre=centre, optic_disc=optic_disc, macula=macula)


def draw_fundus(
    rng: np.random.Generator, size_px: int, *, retinopathy: int, edema: int, is_left: bool, contrast: float
) -> NDArray[np.uint8]:
    """An image of shape (size_px, size_px, 3); `contrast` from 0, nothing to see, to 1 fades the lesions."""
    eye = place_eye(rng, is_left=is_left)
    image = _ground(rng, size_px, eye)
    image = _laid_over(image, _vessels(rng, eye), _VESSEL, 0.75)
    if rng.random() < _DRUSEN_CHANCE:
        image = _laid_over(image, _spots(rng, eye, _DRUSEN, (0.008, 0.016), nearest=0.28), _DRUSE, 0.5)
    image = _laid_over(image, _spots(rng, eye, _MICROANEURYSMS[retinopathy], (0.009, 0.014)), _DOT, 0.85 * contrast)
    blots = _spots(rng, eye, _HAEMORRHAGES[retinopathy], (0.014, 0.034), nearest=0.05, are_round=False)
    image = _laid_over(image, blots, _BLOOD, 0.85 * contrast)
    if retinopathy == 4:
        image = _laid_over(image, _new_vessels(rng, eye), _DOT, 0.8 * contrast)
        start, way = _somewhere(rng, eye, 0.15), _direction(rng)
        fibre = start + np.outer(np.linspace(0, rng.uniform(0.08, 0.16), 8), way)
        image = _laid_over(image, _strokes([(fibre, 0.022)]), _FIBRE, 0.45 * contrast)
    if edema:
        image = _laid_over(image, _exudates(rng, eye, is_central=edema == 2), _EXUDATE, 0.85 * contrast)
    image = image + rng.normal(0, 0.012, image.shape)
    # Black outside the round window.
    inside = np.clip((_RADIUS - _distance(size_px, eye.centre)) * size_px + 0.5, 0, 1)[..., None]
    image = inside * image + (1 - inside) * np.array(_BACKGROUND)
    return np.round(255 * image.clip(0, 1)).astype(np.uint8)


def _ground(rng: np.random.Generator, size_px: int, eye: Eye) -> NDArray[np.float64]:
    """Retina with its light falling off to one side, optic disc and macula."""
    light = rng.uniform(0.7, 1.05)
    colour = light * np.array([rng.uniform(0.62, 0.85), rng.uniform(0.28, 0.42), rng.uniform(0.1, 0.2)])
    slope = rng.uniform(-0.35, 0.35, 2)
    across, down = _pixels(size_px)
    fall = 1 + slope[0] * (across - 0.5) + slope[1] * (down - 0.5) - 0.6 * _distance(size_px, eye.centre) ** 2
    image = colour * fall[..., None]
    for centre, radius, tint, share in (
        (eye.macula, 0.07, _MACULA, 0.6),
        (eye.optic_disc, _DISC_RADIUS * rng.uniform(0.85, 1.1), _OPTIC_DISC, 0.85),
    ):
        alpha = share / (1 + np.exp((_distance(size_px, centre) - radius) / (0.25 * radius)))
        image += alpha[..., None] * (light * np.array(tint) - image)
    return image


def _vessels(rng: np.random.Generator, eye: Eye) -> Draw:
    """Four arcades that leave the optic disc and bend around the macula, each with two branches."""
    inwards = np.sign(eye.macula[0] - eye.optic_disc[0])
    lines = []
    for vertical, towards in ((-1, inwards), (1, inwards), (-1, -inwards), (1, -inwards)):
        bend, length = rng.uniform(0.2, 0.34), rng.uniform(0.45, 0.62) if towards == inwards else 0.25
        steps = np.linspace(0, 1, 24)
        across = eye.optic_disc[0] + towards * length * steps
        down = eye.optic_disc[1] + vertical * bend * np.sqrt(steps) + 0.02 * np.sin(8 * steps + rng.uniform(0, 6))
        trunk = np.stack([across, down], axis=1)
        lines.append((trunk, 0.016))
        for start in rng.integers(5, 20, 2):
            way = np.array([towards, vertical * rng.uniform(-1.2, 1.2)])
            lines.append((trunk[start] + 0.16 * steps[:, None] * way, 0.008))
    return _strokes(lines)


def _spots(
    rng: np.random.Generator,
    eye: Eye,
    number: tuple[int, int],
    radius: tuple[float, float],
    *,
    nearest: float = 0.0,
    are_round: bool = True,
) -> Draw:
    """Fewest and most of them, at least so far from the macula."""
    spots = []
    for _ in range(rng.integers(number[0], number[1] + 1)):
        centre = _somewhere(rng, eye, nearest)
        radii = np.full(2, rng.uniform(*radius)) if are_round else rng.uniform(*radius, 2)
        spots.append((centre, radii))
    return _ellipses(spots)


def _exudates(rng: np.random.Generator, eye: Eye, *, is_central: bool) -> Draw:
    """A cluster around one point, within a disc's width of the macula or surely farther away."""
    if is_central:
        point = eye.macula + _direction(rng) * rng.uniform(0.03, 0.6 * _CENTRAL)
    else:
        point = _somewhere(rng, eye, _CENTRAL + 0.1)
    count = rng.integers(_EXUDATES[0], _EXUDATES[1] + 1)
    return _ellipses([(point + rng.normal(0, 0.028, 2), rng.uniform(0.007, 0.017, 2)) for _ in range(count)])


def _new_vessels(rng: np.random.Generator, eye: Eye) -> Draw:
    """A tangle of fine loops, on the optic disc or elsewhere."""
    point = eye.optic_disc if rng.random() < 0.5 else _somewhere(rng, eye, 0.15)
    turns = np.linspace(0, 2 * np.pi, 24)
    loops = []
    for _ in range(rng.integers(5, 9)):
        middle, size = point + rng.normal(0, 0.025, 2), rng.uniform(0.015, 0.045, 2)
        loops.append((middle + size * np.stack([np.cos(turns), np.sin(turns + rng.uniform(0, 3))], axis=1), 0.006))
    return _strokes(loops)


def _laid_over(
    image: NDArray[np.float64], draw: Draw, colour: tuple[float, float, float], alpha: float
) -> NDArray[np.float64]:
    side = FINENESS * len(image)
    canvas = Image.new("L", (side, side))
    draw(ImageDraw.Draw(canvas))
    share = alpha / 255 * np.asarray(canvas.reduce(FINENESS), np.float64)[..., None]
    return image + share * (np.array(colour) - image)


def _strokes(lines: list[tuple[NDArray[np.float64], float]]) -> Draw:
    """Lines, each a row of points of shape (P, 2) and a width."""

    def draw(pen: ImageDraw.ImageDraw) -> None:
        side = pen.im.size[0]
        for points, width in lines:
            pen.line([tuple(point) for point in side * points], fill=255, width=max(1, round(side * width)))

    return draw


def _ellipses(ellipses: list[tuple[Point, Point]]) -> Draw:
    """Filled ellipses, each a centre and its two radii."""

    def draw(pen: ImageDraw.ImageDraw) -> None:
        side = pen.im.size[0]
        for centre, radii in ellipses:
            pen.ellipse([*(side * (centre - radii)), *(side * (centre + radii))], fill=255)

    return draw


def _somewhere(rng: np.random.Generator, eye: Eye, nearest: float) -> Point:
    """A point of the retina, at least so far from the macula and not on the optic disc."""
    while True:
        point = eye.centre + _direction(rng) * (_RADIUS - 0.05) * np.sqrt(rng.random())
        far_enough = np.hypot(*(point - eye.macula)) >= nearest
        if far_enough and np.hypot(*(point - eye.optic_disc)) > 1.3 * _DISC_RADIUS:
            return point


def _direction(rng: np.random.Generator) -> Point:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def _pixels(size_px: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    middles = (np.arange(size_px) + 0.5) / size_px
    return middles[None, :], middles[:, None]


def _distance(size_px: int, point: Point) -> NDArray[np.float64]:
    across, down = _pixels(size_px)
    return np.hypot(across - point[0], down - point[1])
