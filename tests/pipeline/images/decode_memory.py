"""What decoding takes by the kernel's count beside the estimate: run as a script, it prints both as JSON.

Arguments choose the kinds; without any, all are tried.

Each file is made, and decoded, in a process of its own: memory that Pillow or NumPy keep for later would hide what is
taken. Files are of noise where that makes them large, and never of zeros, which the kernel does not store.
"""

import json
import os
import struct
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipeline.core.errors import ImageError
from pipeline.images import open_picture
from tests.memory import peak_mib
from tests.pipeline.images.cases import orientation_exif, save

WIDTH, HEIGHT = 4000, 3000
MIB = 1 << 20


def _texture(channels: int = 3) -> np.ndarray:
    tile = np.random.default_rng(0).integers(1, 255, (50, 50, channels), dtype=np.uint8)
    return np.tile(tile, (HEIGHT // 50, WIDTH // 50, 1)).squeeze()


def _noise(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 255, (HEIGHT, WIDTH, channels), dtype=np.uint8).squeeze()


def _picture(mode: str = "RGB", pixels: Callable[[int], np.ndarray] = _texture) -> Image.Image:
    if mode in {"L", "RGB", "RGBA"}:
        return Image.fromarray(pixels({"L": 1, "RGB": 3, "RGBA": 4}[mode]))
    return Image.fromarray(pixels(3)).convert(mode)


def _deep(channels: int) -> np.ndarray:
    return _texture(channels).astype(np.uint16) * 257


def _opencv(kind: str, pixels: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(kind, pixels, options)[1].tobytes()


def _pnm(head: str, samples: np.ndarray) -> bytes:
    return f"{head.split(maxsplit=1)[0]} {WIDTH} {HEIGHT} {head.split()[1]}\n".encode() + samples.tobytes()


def _plain(digits: bytes, top: int) -> bytes:
    return b"P3 %d %d %d\n" % (WIDTH // 4, HEIGHT // 4, top) + digits * (WIDTH * HEIGHT // 16 * 3)


def _empty_webp() -> bytes:
    """An animation of less than 100 bytes whose canvas is far larger than its one frame."""
    frame = save(Image.new("RGB", (1, 1), "red"), "WEBP", lossless=True)[12:]
    side = [(value - 1).to_bytes(3, "little") for value in (WIDTH, HEIGHT)]
    anmf = bytes(12) + (100).to_bytes(3, "little") + b"\x00" + frame
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"".join(side)
    chunks += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    chunks += b"ANMF" + struct.pack("<I", len(anmf)) + anmf + b"\0" * (len(anmf) % 2)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


MADE: dict[str, Callable[[], bytes]] = {
    **{f"jpeg-{n}": lambda n=n: save(_picture(), "JPEG", subsampling=n) for n in (0, 1, 2)},
    **{f"jpeg-progressive-{n}": lambda n=n: save(_picture(), "JPEG", subsampling=n, progressive=True) for n in (0, 2)},
    "jpeg-grey": lambda: save(_picture("L"), "JPEG"),
    "jpeg-cmyk": lambda: save(_picture("CMYK"), "JPEG"),
    "jpeg-cmyk-progressive": lambda: save(_picture("CMYK"), "JPEG", progressive=True),
    "jpeg-noise": lambda: save(_picture(pixels=_noise), "JPEG", quality=100, subsampling=0),
    "jpeg-odd": lambda: _opencv(".jpg", _texture(), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x411111),
    "jpeg-turned": lambda: save(_picture(), "JPEG", exif=orientation_exif(6)),
    **{f"png-{mode}": lambda mode=mode: save(_picture(mode), "PNG") for mode in ("1", "L", "P", "LA", "RGB", "RGBA")},
    "png-keyed": lambda: save(_picture("P"), "PNG", transparency=3),
    "png-noise": lambda: save(_picture(pixels=_noise), "PNG"),
    **{f"png-16-{n}": lambda n=n: _opencv(".png", _deep(n)) for n in (1, 3, 4)},
    **{f"bmp-{mode}": lambda mode=mode: save(_picture(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")},
    "gif": lambda: save(_picture("P"), "GIF"),
    "gif-clear": lambda: save(_picture("P"), "GIF", transparency=3),
    "gif-frames": lambda: save(_picture("P"), "GIF", save_all=True, append_images=[_picture("L"), _picture("P")]),
    "webp": lambda: save(_picture(), "WEBP", method=0),
    "webp-clear": lambda: save(_picture("RGBA"), "WEBP", method=0),
    "webp-lossless": lambda: save(_picture(), "WEBP", lossless=True, method=0),
    "webp-lossless-noise": lambda: save(_picture("RGBA", _noise), "WEBP", lossless=True, method=0),
    "webp-empty": _empty_webp,
    **{
        f"tiff-{mode}-{how}": lambda mode=mode, how=how: save(_picture(mode), "TIFF", compression=how)
        for mode in ("L", "P", "RGB", "RGBA", "CMYK")
        for how in ("raw", "tiff_lzw")
    },
    "tiff-1": lambda: save(_picture("1"), "TIFF", compression="group4"),
    "tiff-jpeg": lambda: save(_picture(), "TIFF", compression="jpeg"),
    "tiff-one-strip": lambda: save(_picture(), "TIFF", compression="tiff_adobe_deflate", strip_size=1 << 30),
    "tiff-turned": lambda: save(_picture(), "TIFF", compression="tiff_lzw", tiffinfo={274: 6}),
    "tiff-float": lambda: save(Image.fromarray(_texture(1).astype(np.float32)), "TIFF", compression="tiff_lzw"),
    "tiff-16": lambda: save(Image.fromarray(_deep(1)), "TIFF", compression="tiff_lzw"),
    "tiff-16-4": lambda: _opencv(".tif", _deep(4)),
    "pgm": lambda: _pnm("P5 255", _texture(1)),
    "ppm": lambda: _pnm("P6 254", _texture()),
    "pgm-16": lambda: _pnm("P5 65535", _deep(1).astype(">u2")),
    "ppm-16": lambda: _pnm("P6 65535", _deep(3).astype(">u2")),
    "ppm-12": lambda: _pnm("P6 4095", (_deep(3) >> 4).astype(">u2")),
    "ppm-plain": lambda: _plain(b"1 ", 9),
    "ppm-plain-long": lambda: _plain(b"12345 ", 65535),
}


def _in_child(work: Callable[[], str]) -> str:
    """Return what `work` returns in a fork of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, work().encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        answer = stream.read()
    assert os.waitpid(child, 0)[1] == 0
    return answer


def _measure(file: Path, least_px: int) -> str:
    content = file.read_bytes()
    opened = open_picture(content)
    estimate = opened.picture.decode_bytes(least_px) + 3 * WIDTH * HEIGHT * (opened.picture.orientation != 1)
    # The size of now, not the highest one so far, which importing may have left.
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_mib()
    with suppress(ImageError):  # floats, which are refused once they are there
        opened.decode_scaled(least_px, max_bytes=1 << 40)
    return json.dumps({"taken": peak_mib() - before, "estimate": estimate / MIB, "file": len(content) / MIB})


def main() -> None:
    found = {}
    chosen = sys.argv[1:] or list(MADE)
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            file = Path(folder) / name
            _in_child(lambda file=file, make=MADE[name]: str(file.write_bytes(make())))
            for side, kind in ((0, name), *([(64, f"{name}-scaled")] if name.startswith("jpeg") else ())):
                found[kind] = json.loads(_in_child(lambda file=file, side=side: _measure(file, side)))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
