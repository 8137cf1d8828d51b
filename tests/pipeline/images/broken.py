"""Crafted files that must be refused, each with its one status: cut, cut and closed, foreign, too large, corrupt."""

import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.pipeline.images.cases import Case, chunk, plain_files, png, save

FOREIGN = {
    "JPEG 2000": [b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\x00\x2f", b"\x00\x00\x00\x14ftypjp2 "],
    "HEIC": [b"\x00\x00\x00\x18ftypheic", b"\x00\x00\x00\x18ftypheix", b"\x00\x00\x00\x18ftyphevc"],
    "HEIF": [b"\x00\x00\x00\x18ftypmif1"],
    "AVIF": [b"\x00\x00\x00\x1cftypavif", b"\x00\x00\x00\x1cftypavis"],
    "JPEG XL": [b"\xff\x0a\xfa\x1f", b"\x00\x00\x00\x0cJXL \r\n\x87\n"],
    "camera raw": [b"II*\x00\x10\x00\x00\x00CR\x02\x00", b"FUJIFILMCCD-RAW 0201", b"IIU\x00\x18", b"IIRO\x08"],
    "Photoshop": [b"8BPS\x00\x01"],
    "icon": [b"\x00\x00\x01\x00\x01\x00"],
    "PDF": [b"%PDF-1.7\n"],
    "PostScript": [b"%!PS-Adobe-3.0"],
    "OpenEXR": [b"v/1\x01\x02"],
    "Radiance HDR": [b"#?RADIANCE\n"],
    "DDS": [b"DDS |\x00"],
    "BigTIFF": [b"II+\x00\x08\x00", b"MM\x00+\x00\x08"],
    "JPEG XR": [b"II\xbc\x01"],
    "QOI": [b"qoif\x00"],
    "bitmap (PBM)": [b"P1\n2 2\n0 1 1 0", b"P4\n8 1\n\xaa"],
    "PAM": [b"P7\nWIDTH 2\n"],
    "float map": [b"PF\n2 2\n-1.0\n", b"Pf\n2 2\n-1.0\n"],
    "FITS": [b"SIMPLE  =                    T"],
    "XPM": [b"/* XPM */\nstatic"],
    "SGI": [b"\x01\xda\x00\x01"],
}
VECTORS = (b"<svg xmlns=''/>", b"<?xml version='1.0'?>\n<svg/>", b"\xef\xbb\xbf<!-- x -->\n<SVG width='1'>")


def broken_cases() -> list[Case]:
    groups = (_cuts, _closed_jpegs, _closed_others, _foreign, _foreign_kinds, _not_images, _large, _corrupt_png,
              _corrupt_jpeg, _corrupt_others)  # fmt: skip
    return [case for group in groups for case in group()]


def _cuts() -> Iterator[Case]:
    for name, content in plain_files().items():
        # A GIF's second frame may be cut: the first is whole.
        least = 0.25 if name == "gif-animated" else 0.97
        for share in (0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97):
            if share <= least:
                yield Case(f"cut-{name}-{share}", content[: int(len(content) * share)], status="truncated")
    for name in ("jpeg", "jpeg-progressive", "png", "webp", "ppm"):
        for lost in (1, 2, 3, 12):
            yield Case(f"cut-{name}-last-{lost}", plain_files()[name][:-lost], status="truncated")


def _closed_jpegs() -> Iterator[Case]:
    """Files that lost their end, and whose end marker says that all is well."""
    for name in ("jpeg", "jpeg-444", "jpeg-grey", "jpeg-progressive", "jpeg-cmyk"):
        content = plain_files()[name]
        start = content.index(b"\xff\xda") if name == "jpeg-progressive" else content.rindex(b"\xff\xda")
        for share in (0.2, 0.5, 0.9):
            cut = start + 20 + int((len(content) - start - 20) * share)
            yield Case(f"closed-{name}-{share}", content[:cut].rstrip(b"\xff") + b"\xff\xd9", status="truncated")


def _closed_others() -> Iterator[Case]:
    files = plain_files()
    content = files["png"]
    start = content.index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", content, start)
    for share in (0.2, 0.5, 0.9):
        data = content[start + 8 : start + 8 + int(length * share)]
        closed = content[:start] + chunk(b"IDAT", data) + chunk(b"IEND", b"")
        yield Case(f"closed-png-{share}", closed, status="truncated")
        yield Case(f"closed-gif-{share}", _shorter_gif(files["gif"], share), status="truncated")
        for name in ("webp", "webp-lossless"):
            cut = bytearray(files[name][: int(len(files[name]) * share) // 2 * 2])
            cut[4:8] = struct.pack("<I", len(cut) - 8)
            cut[16:20] = struct.pack("<I", len(cut) - 20)
            yield Case(f"closed-{name}-{share}", bytes(cut), status="corrupt")
        for name in ("tiff-lzw", "tiff-deflate", "tiff-packbits"):
            yield Case(f"closed-{name}-{share}", _shorter_strips(files[name], share), status="corrupt")
    yield Case("closed-png-rows", png(8, 8, 8, 2, [bytes(24)] * 5), status="truncated")


def _shorter_gif(content, share):
    """Keep the first data blocks and end there as a GIF does."""
    first = 13 + 3 * 64 + 11
    assert content[first - 1] == 8
    end, cut = first, first + int((len(content) - first) * share)
    while end + 1 + content[end] < cut:
        end += 1 + content[end]
    return content[:end] + b"\x00\x3b"


def _shorter_strips(content, share):
    """Say in the directory that the strips are shorter than they are."""
    shorter = bytearray(content)
    (at,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, at)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, values, value = struct.unpack_from("<HHII", content, entry)
        if tag == 279:
            size, code = (2, "<H") if kind == 3 else (4, "<I")
            first = entry + 8 if size * values <= 4 else value
            for number in range(values):
                (length,) = struct.unpack_from(code, content, first + size * number)
                struct.pack_into(code, shorter, first + size * number, int(length * share))
    return bytes(shorter)


def _foreign() -> Iterator[Case]:
    for name, beginnings in FOREIGN.items():
        for number, beginning in enumerate(beginnings):
            yield Case(f"foreign-{name}-{number}", beginning + bytes(64), status="unsupported_format", said=name)
    for number, content in enumerate(VECTORS):
        yield Case(f"foreign-SVG-{number}", content, status="unsupported_format", said="SVG")


def _foreign_kinds() -> Iterator[Case]:
    """Kinds of the formats that are read which are not read."""
    jpeg = bytearray(plain_files()["jpeg"])
    frame = jpeg.index(b"\xff\xc0")
    for marker, said in ((0xC3, "lossless"), (0xC5, "hierarchical"), (0xF7, "JPEG-LS"), (0xCB, "arithmetic")):
        jpeg[frame + 1] = marker
        yield Case(f"foreign-sof-{marker:x}", bytes(jpeg), status="unsupported_format", said=said)
    jpeg[frame + 1 : frame + 5] = b"\xc1\x00\x11\x0c"
    yield Case("foreign-12-bit", bytes(jpeg), status="unsupported_format", said="12 bits")
    two = bytearray(plain_files()["jpeg"])
    two[frame + 9] = 2
    yield Case("foreign-two-components", bytes(two), status="unsupported_format", said="2 components")
    for mode in ("F", "I", "LAB"):
        yield Case(
            f"foreign-tiff-{mode}", save(Image.new(mode, (8, 8)), "TIFF"), status="unsupported_format", said=mode
        )
    doubles = bytearray(save(Image.new("F", (8, 8)), "TIFF"))
    bits = doubles.index(struct.pack("<HHI", 258, 3, 1)) + 8
    doubles[bits : bits + 2] = struct.pack("<H", 64)
    yield Case("foreign-tiff-64-bit", bytes(doubles), status="unsupported_format", said="samples")
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    apple = b"\x89PNG\r\n\x1a\n" + header + chunk(b"CgBI", bytes(4)) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")
    yield Case("foreign-iphone-png", apple, status="unsupported_format", said="CgBI")
    raw = Image.new("RGB", (8, 8))
    yield Case("foreign-dng", save(raw, "TIFF", tiffinfo={50706: b"\x01\x04\x00\x00"}), status="unsupported_format",
               said="camera raw")  # fmt: skip


def _not_images() -> Iterator[Case]:
    for name, content, said in (
        ("zeros", bytes(5000), "zeros"),
        ("text", b"hello world\n" * 9, "text"),
        ("web-page", b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        ("zip", b"PK\x03\x04" + bytes(60), "a zip archive"),
        ("gzip", b"\x1f\x8b\x08" + bytes(60), "gzip"),
        ("matlab", b"MATLAB 5.0 MAT-file" + bytes(60), "MATLAB"),
        ("numpy", b"\x93NUMPY\x01\x00" + bytes(60), "NumPy"),
        ("lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        ("apple-double", b"\x00\x05\x16\x07\x00\x02" + bytes(60), "AppleDouble"),
        ("video", b"\x00\x00\x00\x20ftypisom" + bytes(60), "a video"),
        ("avi", b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(60), "RIFF"),
        ("random", bytes(np.random.default_rng(5).integers(128, 255, 500, dtype=np.uint8)), "unknown first bytes"),
    ):
        yield Case(f"no-image-{name}", content, status="not_an_image", said=said)


def _large() -> Iterator[Case]:
    """Small files that claim 60,000 x 60,000 pixels."""
    side = 60_000
    files = plain_files()
    jpeg = bytearray(files["jpeg"])
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    gif = bytearray(files["gif"])
    gif[6:10] = struct.pack("<HH", side, side)
    bmp = bytearray(files["bmp"])
    bmp[18:26] = struct.pack("<ii", side, -side)
    webp = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_000_000 - 1).to_bytes(3, "little") * 2
    tiff = bytearray(files["tiff-deflate"])
    at = struct.unpack_from("<I", tiff, 4)[0] + 2
    for entry in range(at, at + 24, 12):
        tiff[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, side)
    claims = {
        "jpeg": bytes(jpeg),
        "gif": bytes(gif),
        "bmp": bytes(bmp),
        "tiff": bytes(tiff),
        "png": png(side, side, 8, 2, [bytes(30)]),
        "webp": b"RIFF" + struct.pack("<I", len(webp) + 4) + b"WEBP" + webp,
        "pgm": b"P5 60000 60000 255\n" + bytes(100),
        "ppm-plain": b"P3 60000 60000 255\n1 2 3",
    }
    for name, content in claims.items():
        yield Case(f"large-{name}", content, status="too_large", said="the limit is")


def _corrupt_png() -> Iterator[Case]:
    content = plain_files()["png"]
    at = content.index(b"IDAT")
    flipped = content[: at + 40] + bytes([content[at + 40] ^ 1]) + content[at + 41 :]
    nonsense = content[: at - 4] + chunk(b"IDAT", b"not deflate") + chunk(b"IEND", b"")
    nameless = content[:33] + struct.pack(">I", 0) + b"\x00\x01\x02\x03" + content[33:]
    chunks = content[:33] + chunk(b"tEXt", b"") * 100_001 + content[33:]
    yield Case("corrupt-png-checksum", flipped, status="corrupt", said="checksum")
    yield Case("corrupt-png-size-zero", png(0, 5, 8, 2, []), status="corrupt", said="0x5")
    yield Case("corrupt-png-depth", png(4, 4, 7, 2, [bytes(12)] * 4), status="corrupt", said="7 bits")
    yield Case("corrupt-png-no-header", content[:8] + content[33:], status="corrupt", said="begin")
    yield Case("corrupt-png-zlib", nonsense, status="corrupt")
    yield Case("corrupt-png-chunk-name", nameless, status="corrupt", said="chunk named")
    yield Case("corrupt-png-chunks", chunks, status="corrupt", said="chunks")


def _corrupt_jpeg() -> Iterator[Case]:
    content = plain_files()["jpeg"]
    frame, scan = content.index(b"\xff\xc0"), content.index(b"\xff\xda")
    quarter = scan + (len(content) - scan) // 4
    left_over = content[:-2] + content[quarter:-2] * 3 + b"\xff\xd9"
    yield Case("corrupt-jpeg-no-frame", content[:frame] + content[scan:], status="corrupt", said="before its frame")
    yield Case("corrupt-jpeg-width-zero", content[: frame + 7] + b"\x00\x00" + content[frame + 9 :], status="corrupt")
    yield Case("corrupt-jpeg-length", content[: frame + 2] + b"\x00\x01" + content[frame + 4 :], status="corrupt")
    yield Case("corrupt-jpeg-twice", content[:frame] + b"\xff\xd8" + content[frame:], status="corrupt")
    yield Case("corrupt-jpeg-left-over", left_over, status="corrupt", said="left over")
    restart = plain_files()["jpeg-restart"]
    second = restart.index(b"\xff\xd1")
    yield Case("corrupt-jpeg-restart", restart[: second - 30] + restart[second:], status="truncated")
    scans = plain_files()["jpeg-progressive"]
    many = scans[:-2] + scans[scans.rindex(b"\xff\xda") : -2] * 200 + b"\xff\xd9"
    yield Case("corrupt-jpeg-scans", many, status="corrupt", said="scans")
    comment = b"\xff\xfe\x00\x04\xff\xd9"  # holds what looks like the end of the picture
    end = len(scans) - 2
    yield Case("corrupt-jpeg-scans-hidden", many[:end] + comment + many[end:], status="corrupt", said="scans")


def _corrupt_others() -> Iterator[Case]:
    files = plain_files()
    tiff = bytearray(files["tiff-lzw"])
    tiff[8:200] = b"\xff" * 192
    yield Case("corrupt-tiff-lzw", bytes(tiff), status="corrupt")
    tiles = bytearray(save(Image.new("RGB", (8, 8)), "TIFF", tiffinfo={270: "a", 271: "b"}))
    for tag, tile in ((270, 322), (271, 323)):
        entry = tiles.index(struct.pack("<HH", tag, 2))
        tiles[entry : entry + 12] = struct.pack("<HHII", tile, 4, 1, 65520)
    yield Case("corrupt-tiff-tiles", bytes(tiles), status="corrupt", said="tiles")
    many = bytearray(files["tiff"])
    samples = many.index(struct.pack("<HHI", 277, 3, 1)) + 8
    many[samples : samples + 2] = struct.pack("<H", 2048)
    yield Case("corrupt-tiff-samples", bytes(many), status="corrupt", said="2048 samples")
    gif = files["gif"]
    yield Case("corrupt-gif-no-frame", gif[: 13 + 3 * 64] + b"\x3b" + bytes(20), status="corrupt", said="frame")
    webp = bytearray(files["webp-lossless"])
    webp[24:60] = bytes(36)
    yield Case("corrupt-webp", bytes(webp), status="corrupt")
    yield Case("corrupt-pgm-above-top", b"P5 7 5 100\n" + bytes([200] * 35), status="corrupt", said="above the largest")
    yield Case("corrupt-pgm-zero", b"P5 0 5 255\n", status="corrupt")
    yield Case("corrupt-pgm-top-zero", b"P5 7 5 0\n" + bytes(35), status="corrupt")
    yield Case("corrupt-pgm-words", b"P2 2 1 255\nten twenty", status="corrupt", said="not a number")
    yield Case("corrupt-pgm-negative", b"P5 -7 5 255\n" + bytes(35), status="corrupt")
