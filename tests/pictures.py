"""Pictures as datasets ship them."""

import io

import numpy as np
from PIL import Image


def encoded(pixels: np.ndarray, quality: int = 92) -> bytes:
    """Return pixels, (H, W, 3) RGB or (H, W) grey, as a JPEG that Pillow wrote."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()
