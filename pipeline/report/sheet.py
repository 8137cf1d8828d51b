"""Contact sheets: faces in a grid with captions, written as PNG. The same tiles give the same bytes."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.core.errors import OutputError
from pipeline.core.place import FILE_MODE

Pixels = NDArray[np.uint8]

_GAP_PX: Final = 6
_LINE_PX: Final = 16
_FONT_PX: Final = 12
_PAPER: Final = (255, 255, 255)
_INK: Final = (30, 30, 30)


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture, grey (H, W) or RGB (H, W, 3), and the lines below it."""

    pixels: Pixels
    lines: tuple[str, ...] = ()


def build_sheet(tiles: Sequence[Tile], *, columns: int, side_px: int, title: str = "") -> Pixels:
    """Arrange tiles in rows.

    Args:
        tiles: at least one, in reading order.
        columns: tiles per row.
        side_px: side of the square that each picture is scaled to.
        title: a line at the top.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    lines = max(len(tile.lines) for tile in tiles)
    step_x, step_y = side_px + _GAP_PX, side_px + lines * _LINE_PX + _GAP_PX
    top = _GAP_PX + (_LINE_PX + _GAP_PX if title else 0)
    columns = min(columns, len(tiles))
    size = (_GAP_PX + columns * step_x, top + -(-len(tiles) // columns) * step_y)
    paper = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(paper)
    draw.text((_GAP_PX, _GAP_PX), title, fill=_INK, font=font(_FONT_PX + 2))
    for number, tile in enumerate(tiles):
        x, y = _GAP_PX + number % columns * step_x, top + number // columns * step_y
        paper.paste(_scaled(tile.pixels, side_px), (x, y))
        for row, line in enumerate(tile.lines):
            draw.text((x, y + side_px + row * _LINE_PX), _fit(line, side_px), fill=_INK, font=font(_FONT_PX))
    return np.asarray(paper)


@cache
def font(size_px: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    """Return the font that comes with Pillow, so that a sheet does not depend on the machine's fonts."""
    return ImageFont.load_default(size_px)


def write_png(path: Path, pixels: Pixels) -> None:
    """Write grey or RGB pixels as PNG without any metadata, readable by their owner only: they may show faces.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        with open(path, "wb", opener=_open_private) as stream:
            Image.fromarray(pixels).save(stream, format="PNG", optimize=False, compress_level=6)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _open_private(path: str, flags: int) -> int:
    opened = os.open(path, flags, FILE_MODE)
    # One that was there still has its old mode; a device such as /dev/stdout keeps it.
    if stat.S_ISREG(os.fstat(opened).st_mode):
        os.fchmod(opened, FILE_MODE)
    return opened


def _scaled(pixels: Pixels, side_px: int) -> Image.Image:
    picture = Image.fromarray(pixels).convert("RGB")
    return picture if picture.size == (side_px, side_px) else picture.resize((side_px, side_px), Image.Resampling.BOX)


def _fit(line: str, width_px: int) -> str:
    """Shorten a line that is too wide at its beginning, because the end of a path says more."""
    if font(_FONT_PX).getlength(line) <= width_px:
        return line
    while line and font(_FONT_PX).getlength("…" + line) > width_px:
        line = line[1:]
    return "…" + line
