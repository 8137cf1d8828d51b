"""Digests of everything that shows withdrawn samples, taken before it is removed: pictures, crops, and their pixels."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.core.errors import ImageError, SourceError
from pipeline.core.folders import ALIGNED, FACES, SAMPLES
from pipeline.core.names import SAMPLES_NAME
from pipeline.core.tables import iter_batches, read_table, table_files
from pipeline.decisions.forgotten import Digest
from pipeline.images import decode_face
from pipeline.ingest.registry import Pictures


def md5_of(content: bytes) -> str:
    """Return the md5 of some bytes in hex."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def pixels_md5(content: bytes) -> str | None:
    """Return the md5 of the decoded pixels of a JPEG, their shape included; None if it cannot be decoded."""
    try:
        pixels = decode_face(content)
    except ImageError:
        return None
    return md5_of(repr(pixels.shape).encode() + pixels.tobytes())


def find_samples(dataset: str, subjects: Collection[str], samples: Collection[str]) -> list[dict[str, Any]]:
    """Return the rows of the samples of these people, and those named, sorted; see `schema.SAMPLES`."""
    columns = ["sample_id", "source_path", "face_number", "source_md5", "subject_id"]
    rows = read_table(SAMPLES / dataset / SAMPLES_NAME, columns).to_pylist()
    return [row for row in rows if row["subject_id"] in subjects or row["sample_id"] in samples]


def take_digests(dataset: str, rows: Iterable[Mapping[str, Any]], pictures: Pictures | None) -> Iterator[Digest]:
    """Yield the digests of the pictures and all stored crops of some samples.

    Of a picture that cannot be read any more, or if there are no `pictures`, it is that of its file in the samples.

    Raises:
        TableError: a table is torn.
    """
    wanted = {row["sample_id"]: row for row in rows}
    for name, row in wanted.items():
        yield Digest(name, "picture", _picture_md5(row, pictures))
    for folder in (ALIGNED / dataset, FACES / dataset):
        for name, image in _crops(folder, wanted):
            yield Digest(name, "crop", md5_of(image))
            if (pixels := pixels_md5(image)) is not None:
                yield Digest(name, "pixels", pixels)


def more_digests(
    dataset: str, rows: Iterable[Mapping[str, Any]], pictures: Mapping[tuple[str, int], str], in_table: bool
) -> list[Digest]:
    """Return the digests of the pictures of withdrawn people that none of their samples has.

    Args:
        dataset: its name.
        rows: the samples.
        pictures: the md5 of all pictures of these people, as `pipeline.ingest.people.pictures_of` returns them.
        in_table: whether a `source_path` is a table with a picture in each row.
    """
    known = {(row["source_path"], row["face_number"] if in_table else 0) for row in rows}
    left = ((place, md5) for place, md5 in pictures.items() if place not in known)
    return [Digest(f"{dataset}/{path}#{n}", "picture", md5) for (path, n), md5 in left]


def _picture_md5(row: Mapping[str, Any], pictures: Pictures | None) -> str:
    try:
        content = pictures.read(row["source_path"], row["face_number"]) if pictures else None
    except (ImageError, SourceError):
        content = None
    return str(row["source_md5"]) if content is None else md5_of(content)


def _crops(folder: Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    if not folder.is_dir():
        return
    for part in table_files(folder):
        for batch in iter_batches(part, ["sample_id", "image"]):
            ids = batch.column("sample_id").to_pylist()
            rows = [row for row, name in enumerate(ids) if name in wanted]
            images = batch.column("image").take(pa.array(rows, pa.int64())).to_pylist()
            yield from zip((ids[row] for row in rows), images, strict=True)
