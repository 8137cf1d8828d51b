"""Drawing what a network answered into the picture: a box and words per face, and the circle of valence and arousal.

The circle is Russell's circumplex (1980, Journal of Personality and Social Psychology 39:1161): valence to the right,
arousal upwards, 0 in the middle, 1 at the rim. It is drawn into the lower right corner of the face's box.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from models.inference.predictor import MAX_BYTES, AnsweredFace
from pipeline.images import decode
from pipeline.report.sheet import font

_BOX_COLOUR: Final = (255, 214, 10)
_INK: Final = (20, 20, 20)
# Diameter of the circle, a share of the shorter side of the face's box.
_CIRCLE_SHARE: Final = 0.4


def draw_faces(content: bytes, faces: Sequence[AnsweredFace]) -> NDArray[np.uint8]:
    """Return the picture, uint8 RGB (H, W, 3) after its EXIF rotation, with the box and answer of each face drawn in.

    Raises:
        ImageError: the picture cannot be used.
    """
    pixels = decode(content, max_bytes=MAX_BYTES)
    paper = Image.fromarray(pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2))
    draw = ImageDraw.Draw(paper)
    # Lines and letters grow with the picture, so that they look the same when it is shown at the size of a screen.
    width = max(2, round(max(paper.size) / 400))
    letters = font(max(12, round(max(paper.size) / 45)))
    for face in faces:
        x0, y0, x1, y1 = face.box
        draw.rectangle((x0, y0, x1, y1), outline=_BOX_COLOUR, width=width)
        if {"valence", "arousal"} & face.affects.keys():
            _draw_circle(draw, face.box, face.affects, width)
        words = ", ".join((_name_answer(face), *face.doubts))
        left, top, right, bottom = draw.textbbox((0, 0), words, font=letters)
        # Above the box if there is room, otherwise inside its upper edge.
        place = (max(0.0, x0), y0 - bottom - width if y0 > bottom + width else max(0.0, y0 + width))
        draw.rectangle((place[0] + left, place[1] + top, place[0] + right, place[1] + bottom), fill=_BOX_COLOUR)
        draw.text(place, words, fill=_INK, font=letters)
    return np.asarray(paper)


def _name_answer(face: AnsweredFace) -> str:
    words = [] if face.predicted is None else [f"{face.predicted} {face.probabilities[face.predicted]:.2f}"]
    return "  ".join([*words, *(f"{name} {value:+.2f}" for name, value in face.affects.items())])


def _draw_circle(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], affects: Mapping[str, float], width: int
) -> None:
    """Draw the circle with its axes and the face's point; a value that the network does not answer counts as 0."""
    x0, y0, x1, y1 = box
    radius = _CIRCLE_SHARE * min(x1 - x0, y1 - y0) / 2
    across, down = x1 - radius - width, y1 - radius - width
    draw.ellipse((across - radius, down - radius, across + radius, down + radius), fill=_INK, outline=_BOX_COLOUR)
    draw.line((across - radius, down, across + radius, down), fill=_BOX_COLOUR)
    draw.line((across, down - radius, across, down + radius), fill=_BOX_COLOUR)
    valence, arousal = affects.get("valence", 0.0), affects.get("arousal", 0.0)
    # Two large values of one sign lie beyond the rim, at most by a factor of sqrt(2); their point is put onto it.
    inside = min(1.0, 1 / max(np.hypot(valence, arousal), 1e-9))
    x, y = across + radius * valence * inside, down - radius * arousal * inside
    dot = max(2.0 * width, radius / 8)
    draw.ellipse((x - dot, y - dot, x + dot, y + dot), fill=(255, 255, 255), outline=_BOX_COLOUR)
