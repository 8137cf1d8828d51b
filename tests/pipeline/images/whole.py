"""Crafted files that must be read: every format, mode, turn, depth and transparency, and files that are only odd."""

import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from tests.pipeline.images.cases import Case, chunk, noise, orientation_exif, pillow_pixels, save, whole

SIZES = ((1, 1), (1, 9), (7, 5), (16, 16), (61, 83))
JPEG_OPTIONS = {
    "420": {},
    "444": {"subsampling": 0},
    "422": {"subsampling": 1},
    "progressive": {"progressive": True},
    "restart": {"restart_marker_blocks": 1},
    "optimized": {"optimize": True},
}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def whole_cases() -> list[Case]:
    groups = (_sizes, _jpegs, _modes, _palettes, _frames, _turns, _sixteen_bits, _pnm, _transparency, _odd_but_whole)
    return [case for group in groups for case in group()]


def _sizes() -> Iterator[Case]:
    for height, width in SIZES:
        colour, grey = Image.fromarray(noise(height, width)), Image.fromarray(noise(height, width, 1))
        for kind in ("PNG", "TIFF", "BMP", "PPM"):
            yield whole(f"{kind}-{height}x{width}", save(colour, kind))
            yield whole(f"{kind}-grey-{height}x{width}", save(grey, kind))
        yield whole(f"WEBP-{height}x{width}", save(colour, "WEBP", lossless=True))
        yield whole(f"GIF-{height}x{width}", save(colour.quantize(16), "GIF"))


def _jpegs() -> Iterator[Case]:
    for height, width in SIZES:
        colour, grey = Image.fromarray(noise(height, width)), Image.fromarray(noise(height, width, 1))
        for name, options in JPEG_OPTIONS.items():
            yield whole(f"JPEG-{name}-{height}x{width}", save(colour, "JPEG", **options), 2)
        yield whole(f"JPEG-grey-{height}x{width}", save(grey, "JPEG"), 1)
        for rate in (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440):
            content = cv2.imencode(".jpg", noise(height, width), [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, rate])[1].tobytes()
            yield whole(f"JPEG-{rate:x}-{height}x{width}", content, 2)


def _modes() -> Iterator[Case]:
    picture = Image.fromarray(noise(24, 31))
    cmyk = picture.convert("CMYK")
    yield whole("jpeg-cmyk", save(cmyk, "JPEG", quality=100, subsampling=0), 2)
    yield whole("tiff-cmyk", save(cmyk, "TIFF"))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate"):
        yield whole(f"tiff-{compression}", save(picture, "TIFF", compression=compression))
    yield whole("tiff-jpeg", save(picture, "TIFF", compression="jpeg"), 2)
    yield whole("tiff-bilevel", save(picture.convert("1"), "TIFF", compression="group4"))
    yield whole("tiff-ycbcr", save(picture.convert("YCbCr"), "TIFF"), 1)
    yield whole("png-bilevel", save(picture.convert("1"), "PNG"))
    yield whole("bmp-bilevel", save(picture.convert("1"), "BMP"))
    for depth, colour, samples in ((1, 0, 1), (2, 0, 1), (4, 0, 1), (8, 0, 1), (8, 2, 3), (16, 2, 3), (8, 6, 4)):
        content = _interlaced(9, 13, depth, colour, samples)
        yield whole(f"png-interlaced-{depth}-{colour}", content, 1)
    yield Case("bmp-top-down", _bmp_top_down(np.asarray(picture)), np.array(picture))


def _interlaced(height, width, depth, colour, samples):
    """An Adam7 PNG of random bytes: what they show is Pillow's to say."""
    rng = np.random.default_rng([depth, colour])
    rows = []
    for x, y, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        columns, lines = len(range(x, width, dx)), len(range(y, height, dy))
        if columns:
            rows += [b"\x00" + rng.bytes(-(-columns * samples * depth // 8)) for _ in range(lines)]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 1)
    data = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def _bmp_top_down(rgb):
    height, width, _ = rgb.shape
    body = b"".join(row.tobytes() + bytes(-3 * width % 4) for row in rgb[:, :, ::-1])
    info = struct.pack("<IiiHHIIiiII", 40, width, -height, 1, 24, 0, len(body), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + info + body


def _palettes() -> Iterator[Case]:
    picture = Image.fromarray(noise(24, 31))
    for kind in ("PNG", "BMP", "TIFF", "GIF"):
        yield whole(f"palette-{kind}", save(picture.quantize(32), kind))
    for colours in (2, 4, 16, 200):
        yield whole(f"png-palette-{colours}", save(picture.quantize(colours), "PNG"))
    grey_palette = Image.fromarray(np.asarray(picture.convert("L")) // 16).convert("P")
    grey_palette.putpalette([level for number in range(256) for level in (255 - number % 16 * 17,) * 3])
    for kind in ("PNG", "TIFF", "GIF"):
        content = save(grey_palette, kind)
        yield Case(f"grey-palette-{kind}", content, pillow_pixels(content)[:, :, 0])


def _frames() -> Iterator[Case]:
    picture = Image.fromarray(noise(24, 31))
    palette = picture.quantize(32)
    turned = picture.rotate(180)
    pages = save(picture, "TIFF", save_all=True, append_images=[turned])
    yield Case("tiff-first-page", pages, np.array(picture))
    frames = save(palette, "GIF", save_all=True, append_images=[palette.rotate(180)])
    yield Case("gif-first-frame", frames, np.array(palette.convert("RGB")))
    frames = save(picture, "WEBP", save_all=True, append_images=[turned], lossless=True)
    yield Case("webp-first-frame", frames, np.array(picture))
    yield Case("png-first-frame", save(picture, "PNG", save_all=True, append_images=[turned]), np.array(picture))
    smooth = picture.resize((124, 96), Image.Resampling.BICUBIC)
    several = save(smooth, "MPO", save_all=True, append_images=[smooth.rotate(180)], quality=100, subsampling=0)
    yield Case("mpo-first-picture", several, np.array(smooth), 6)
    rows = noise(3, 5)[:, :, 0]
    yield Case("bmp-run-lengths", _run_lengths(rows), np.dstack([255 - rows, rows, rows]))


def _run_lengths(rows: np.ndarray) -> bytes:
    """Return a BMP with run lengths of one; entry k of its palette is blue k, green k, red 255 - k."""
    height, width = rows.shape
    palette = b"".join(bytes([level, level, 255 - level, 0]) for level in range(256))
    lines = [b"".join(bytes([1, value]) for value in row) for row in rows[::-1].tolist()]
    data = b"\0\0".join(lines) + b"\0\1"
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 2835, 2835, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + palette + data


def _turns() -> Iterator[Case]:
    picture = Image.fromarray(noise(24, 31))
    for value in range(1, 9):
        exif = orientation_exif(value)
        yield whole(f"turn-jpeg-{value}", save(picture, "JPEG", exif=exif), 2)
        yield whole(f"turn-jpeg-grey-{value}", save(picture.convert("L"), "JPEG", exif=exif), 1)
        yield whole(f"turn-png-{value}", save(picture, "PNG", exif=exif))
        yield whole(f"turn-webp-{value}", save(picture, "WEBP", exif=exif, lossless=True))
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[274] = value
        copy = picture.copy()
        copy.getexif()[0x0112] = value
        turned = np.array(ImageOps.exif_transpose(copy))
        for compression in (None, "tiff_lzw"):
            content = save(picture, "TIFF", tiffinfo=tags, compression=compression)
            yield Case(f"turn-tiff-{compression}-{value}", content, turned)
    for value in (0, 9, 65535):
        yield Case(f"turn-nonsense-{value}", save(picture, "PNG", exif=orientation_exif(value)), np.array(picture))
    bent = save(picture, "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")
    yield Case("turn-exif-out-of-bounds", bent, pillow_pixels(save(picture, "JPEG")), 2)


def _sixteen_bits() -> Iterator[Case]:
    ramp = np.linspace(0, 65535, 24 * 31).round().astype(np.uint16).reshape(24, 31)
    for suffix in (".png", ".tiff"):
        for name, samples in (("grey", ramp), ("colour", np.dstack([ramp, ramp[::-1], ramp[:, ::-1]]))):
            content = cv2.imencode(suffix, samples)[1].tobytes()
            expected = samples if samples.ndim == 2 else samples[:, :, ::-1]
            yield Case(f"16-bit-{name}{suffix}", content, expected / 257.0, 1)
    rgba = np.dstack([ramp, ramp, ramp, np.full_like(ramp, 65535)])
    yield Case("16-bit-alpha", cv2.imencode(".png", rgba)[1].tobytes(), np.dstack([ramp] * 3) / 257.0, 1)
    # 12 bits and fewer in a file that has room for 16: OpenCV writes what it is given.
    for brightest, white in ((255, 255), (1000, 1023), (4095, 4095), (3000, 4095), (16000, 16383)):
        dim = np.linspace(0, brightest, 24 * 31).round().astype(np.uint16).reshape(24, 31)
        expected = dim * 255.0 / white
        yield Case(f"16-bit-of-{brightest}-grey", cv2.imencode(".png", dim)[1].tobytes(), expected, 0.51)
        colour = cv2.imencode(".png", np.dstack([dim, dim[::-1], dim[:, ::-1]]))[1].tobytes()
        expected = np.dstack([expected[:, ::-1], expected[::-1], expected])
        yield Case(f"16-bit-of-{brightest}-colour", colour, expected, 0.51)
        tiff = cv2.imencode(".tiff", dim)[1].tobytes()
        yield Case(f"16-bit-of-{brightest}-tiff", tiff, dim * 255.0 / white, 0.51)
    yield from _sixteen_bits_of_twelve()
    for strays in (0, 1):
        seen = np.dstack([dim] * 3)
        seen[0, :strays, 0] = 65535
        tiff = cv2.imencode(".tiff", seen)[1].tobytes()
        yield Case(f"14-bit-colour-tiff-{strays}", tiff, status="unsupported_format", said="make it a PNG")
    clear = np.dstack([dim // 4, dim // 4, dim // 4, np.full_like(dim, 65535)])
    yield Case("14-bit-alpha", cv2.imencode(".png", clear)[1].tobytes(), np.dstack([dim // 4] * 3) * 255.0 / 4095, 1)


def _sixteen_bits_of_twelve() -> Iterator[Case]:
    twelve = np.linspace(0, 4095, 40 * 60).round().astype(np.uint16).reshape(40, 60)
    expected = twelve * 255.0 / 4095
    yield Case("12-bit-pgm-of-65535", b"P5 60 40 65535\n" + twelve.astype(">u2").tobytes(), expected, 0.51)
    dead = twelve.copy()
    dead[0, 0] = 65535
    shown = expected.copy()
    shown[0, 0] = 255
    yield Case("12-bit-grey-with-a-dead-pixel", cv2.imencode(".png", dead)[1].tobytes(), shown, 0.51)
    for name, full in (("lower", 4095), ("whole", 65535)):
        opaque = cv2.imencode(".png", np.dstack([twelve] * 3 + [np.full_like(twelve, full)]))[1].tobytes()
        yield Case(f"12-bit-with-alpha-of-the-{name}-bits", opaque, np.dstack([expected] * 3), 1)


def _pnm() -> Iterator[Case]:
    grey, colour = noise(5, 7, 1), noise(5, 7)
    text = " ".join(map(str, grey.ravel())).encode()
    yield Case("pgm-plain", b"P2\n7 5\n255\n" + text, grey)
    yield Case("pgm-plain-comment", b"P2 # made by hand\n# twice\n7 5\n255\n" + text + b" # end\n", grey)
    yield Case("ppm-plain", b"P3\n7 5\n255\n" + " ".join(map(str, colour.ravel())).encode(), colour)
    yield Case("pgm-comment", b"P5\n#x\n7 5 #y\n255\n" + grey.tobytes(), grey)
    yield Case("ppm-raw", b"P6 7 5 255 " + colour.tobytes(), colour)
    for top in (1, 15, 100, 254, 256, 1023, 4095, 65535):
        samples = grey.astype(np.uint32) * top // 255
        raw = samples.astype(np.uint8 if top < 256 else ">u2").tobytes()
        yield Case(f"pgm-{top}", b"P5 7 5 %d\n" % top + raw, samples * 255.0 / top, 0.51)


def _transparency() -> Iterator[Case]:
    rgb, alpha = noise(24, 31), noise(24, 31, 1, seed=1)
    rgba = Image.fromarray(np.dstack([rgb, alpha]))
    yield whole("alpha-png", save(rgba, "PNG"), 1)
    yield whole("alpha-tiff", save(rgba, "TIFF"), 1)
    yield whole("alpha-webp", save(rgba, "WEBP", lossless=True, exact=True), 1)
    grey = Image.merge("LA", [Image.fromarray(noise(24, 31, 1)), Image.fromarray(alpha)])
    yield whole("alpha-grey-png", save(grey, "PNG"), 1)
    clear = Image.fromarray(np.dstack([rgb, np.zeros((24, 31), np.uint8)]))
    yield Case("alpha-all-clear", save(clear, "PNG"), np.full_like(rgb, 255))
    tall = Image.fromarray(np.dstack([noise(600, 7), noise(600, 7, 1, seed=1)]))
    yield whole("alpha-tall", save(tall, "PNG"), 1)
    palette = Image.fromarray(rgb).quantize(16)
    for kind in ("PNG", "GIF"):
        yield whole(f"alpha-palette-{kind}", save(palette, kind, transparency=3), 1)
    yield whole("alpha-key-png", save(Image.fromarray(rgb), "PNG", transparency=tuple(map(int, rgb[3, 3]))), 1)
    yield whole("alpha-key-grey-png", save(Image.fromarray(noise(24, 31, 1)), "PNG", transparency=128), 1)
    body = np.dstack([rgb[::-1, :, ::-1], np.zeros((24, 31), np.uint8)]).tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", 108, 31, 24, 1, 32, 3, len(body), 0, 0, 0, 0) + masks + bytes(108 - 56)
    content = b"BM" + struct.pack("<IHHI", 122 + len(body), 0, 0, 122) + info + body
    yield Case("bmp-alpha-unused", content, rgb)


def _odd_but_whole() -> Iterator[Case]:
    """Files that decoders complain of and whose pixels are all there."""
    picture = Image.fromarray(noise(24, 31))
    yield from _odd_jpegs(picture)
    content = save(picture, "PNG")
    pixels = np.array(picture)
    wrong = bytearray(chunk(b"tEXt", b"a\x00b"))
    wrong[-1] ^= 1
    blown = zlib.compress(bytes(50_000_000))
    odd = {
        "png-after-end": content + b"trailing",
        "png-text-bomb": content[:33] + chunk(b"zTXt", b"note\x00\x00" + blown) + content[33:],
        "png-profile-bomb": content[:33] + chunk(b"iCCP", b"x\x00\x00" + blown) + content[33:],
        "png-text-checksum": content[:33] + bytes(wrong) + content[33:],
        "webp-after-end": save(picture, "WEBP", lossless=True) + b"trailing",
        "bmp-after-end": save(picture, "BMP") + b"trailing",
    }
    yield from (Case(name, content, pixels) for name, content in odd.items())


def _odd_jpegs(picture) -> Iterator[Case]:
    content = save(picture, "JPEG")
    frame = content.index(b"\xff\xc0")
    scan = content.index(b"\xff\xda")
    odd = {
        "jpeg-after-end": content + b"trailing" * 100,
        "jpeg-padded-end": content[:-2] + bytes(20) + b"\xff\xd9",
        "jpeg-junk-before-frame": content[:frame] + b"junk" + content[frame:],
        "jpeg-fill-bytes": content[:frame] + b"\xff\xff\xff" + content[frame:],
        "jpeg-jfif-revision": content[:11] + b"\x09" + content[12:],
        "jpeg-scan-parameters": content[: scan + 11] + b"\x00\x00\x00" + content[scan + 14 :],
        "jpeg-no-jfif": content[:2] + content[20:],
        "jpeg-unknown-adobe": content[:20] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x09" + content[20:],
        "jpeg-junk-and-padded": content[:frame] + b"junk" + content[frame:-2] + bytes(20) + b"\xff\xd9",
    }
    expected = pillow_pixels(content)
    yield from (Case(name, content, expected, 2) for name, content in odd.items())
    # Twice the chroma of luma: no name in TurboJPEG's interface. Six blocks a unit either way, given to others: of
    # 4:2:0, Y 2x2, Cb 1x1, Cr 1x1 becomes Y 1x1, Cb 2x2, Cr 1x1.
    content = bytearray(save(Image.fromarray(noise(32, 32)), "JPEG", subsampling=2))
    frame = content.index(b"\xff\xc0")
    content[frame + 11], content[frame + 14] = 0x11, 0x22
    yield whole("jpeg-odd-sampling", bytes(content), 2)
