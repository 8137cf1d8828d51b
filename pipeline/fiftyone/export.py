"""Write a dataset as a folder that FiftyOne imports: pictures, crops, and a document of each sample."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from pipeline.core.errors import DataError, ImageError, SourceError
from pipeline.core.folders import ALIGNED
from pipeline.core.parallel.pool import Progress, no_progress
from pipeline.core.schema import Reason, shown_in
from pipeline.core.stage_output import Reject, StageOutput, stage_output
from pipeline.core.tables import iter_batches
from pipeline.fiftyone.fields import (
    CROPS,
    DOUBT,
    FIELDS,
    LEFT_OUT,
    METADATA_NAME,
    PICTURES,
    SAMPLES_NAME,
    classification,
    detections,
    keypoints,
    relative_box,
)
from pipeline.fiftyone.known import KnownSamples, read_known_samples, sources
from pipeline.images import open_picture
from pipeline.images.formats import Format
from pipeline.ingest.registry import Pictures

STAGE: Final = "fiftyone"
# What browsers show, with the ends of their names; the others are written as PNG.
_SHOWN: Final = {Format.JPEG: "jpg", Format.PNG: "png", Format.WEBP: "webp", Format.GIF: "gif", Format.BMP: "bmp"}
_MAX_BYTES: Final = 512 * 10**6  # of memory for decoding one picture
_STEP: Final = 100  # samples between two reports of progress


def export(
    dataset: str,
    pictures: Pictures,
    out: Path,
    *,
    withdrawn: Collection[str] = (),
    limit: int | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write metadata.json, samples.json, the pictures and the crops of a dataset; see `fields`.

    Args:
        dataset: its name.
        pictures: its raw tree.
        out: the folder to write; nobody else may read it.
        withdrawn: samples that are left out, and whose pictures are not written for other faces in them either.
        limit: at most so many samples, the most doubtful ones; None for all.
        progress: called with the samples written.

    Returns:
        The content of summary.json; rows_in are the samples asked for. A sample without picture and crop is rejected.

    Raises:
        TableError: a table is torn.
        DataError: no sample is left.
    """
    with stage_output(out, stage=STAGE, sources=sources(dataset), params={"limit": limit}) as output:
        known = read_known_samples(dataset)
        names = known.doubtful_first(limit)
        gone = [name for name in names if name in withdrawn]
        output.reject(Reject(name, dataset, Reason.withdrawn, "its person withdrew") for name in gone)
        kept = [name for name in names if name not in withdrawn]
        crops = dict(_write_crops(output, dataset, {name: number for number, name in enumerate(kept)}))
        written = _Pictures(output, pictures, withdrawn)
        documents: list[dict[str, Any]] = []
        for done, name in enumerate(kept):
            if done % _STEP == 0:
                progress(done, len(kept), "")
            try:
                picture = written.write(known.samples[name])
            except (ImageError, SourceError) as error:
                picture = None
                if name not in crops:
                    reason = error.status if isinstance(error, ImageError) else Reason.gone
                    output.reject([Reject(name, dataset, Reason(reason), str(error))])
                    continue
            documents.append(_document(name, known, picture, crops.get(name)))
        progress(len(kept), len(kept), "")
        output.write_json(METADATA_NAME, {"name": dataset, "media_type": "image", "sample_fields": dict(FIELDS)})
        _write_samples(output.path(SAMPLES_NAME), documents)
        return output.finish(rows_in=len(names), rows_out=len(documents), dataset=dataset, pictures=len(written.sizes))


class _Pictures:
    """Writes every picture once, whichever of its faces are samples."""

    def __init__(self, output: StageOutput, pictures: Pictures, withdrawn: Collection[str]) -> None:
        self._output = output
        self._pictures = pictures
        self._hidden = {shown_in(name) for name in withdrawn}
        self._done: dict[tuple[str, int], str] = {}
        self.sizes: dict[str, tuple[int, int]] = {}

    def write(self, row: Mapping[str, Any]) -> tuple[str, int, int]:
        """Return the name of a sample's picture in the folder, and its width and height in pixels.

        Raises:
            ImageError: it is a frame of a video, somebody in it withdrew, or it cannot be decoded.
            SourceError: it is not there.
        """
        if shown_in(row["sample_id"]) in self._hidden:
            raise ImageError(Reason.withdrawn, "somebody else in its picture withdrew")
        if row["time_s"] is not None:
            raise ImageError(Reason.unsupported_format, "a frame of a video")
        number = row["face_number"] if self._pictures.in_table else 0
        place = row["source_path"], number
        if place not in self._done:
            content = self._pictures.read(row["source_path"], row["face_number"])
            header = open_picture(content).header
            name = f"{PICTURES}/{len(self._done):06d}.{_SHOWN.get(header.format, 'png')}"
            self._output.path(name).write_bytes(content if header.format in _SHOWN else _as_png(content))
            self._done[place] = name
            self.sizes[name] = header.width, header.height
        return self._done[place], *self.sizes[self._done[place]]


def _as_png(content: bytes) -> bytes:
    pixels = open_picture(content).decode_scaled(1 << 30, max_bytes=_MAX_BYTES).pixels
    turned = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    return bytes(np.asarray(cv2.imencode(".png", turned)[1]))


def _write_crops(output: StageOutput, dataset: str, numbers: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Write the crop of each sample that has one and yield its id and the name of the file."""
    if not (ALIGNED / dataset).is_dir():
        return
    for batch in iter_batches(ALIGNED / dataset, ["sample_id", "image"]):
        for name, image in zip(batch.column("sample_id").to_pylist(), batch.column("image"), strict=True):
            if name in numbers:
                file = f"{CROPS}/{numbers[name]:06d}.jpg"
                output.path(file).write_bytes(image.as_py())
                yield name, file


def _document(name: str, known: KnownSamples, picture: tuple[str, int, int] | None, crop: str | None) -> dict[str, Any]:
    row, face = known.samples[name], known.faces.get(name)
    label = known.labels[name]["label"] if name in known.labels else None
    document: dict[str, Any] = {
        "filepath": picture[0] if picture else crop,
        "tags": _tags(name, known),
        "sample_id": name,
        "subject_id": row["subject_id"],
        "source_labels": row["source_labels"],
        "label": classification(label),
        "given_label": (classification(label) or {}).get("label"),
        "crop": crop,
        **_of_doubt(name, known),
    }
    if name in known.answers:
        answer = known.answers[name]
        document["answer"] = classification(answer["predicted"], answer["probabilities"][answer["predicted"]])
    if picture:
        document["picture_px"] = list(picture[1:])
    if picture and face:
        box = relative_box(face["face_box"], *picture[1:])
        points = [side / picture[1 + axis % 2] for axis, side in enumerate(face["landmarks"])]
        document |= {"face": detections(box, face["face_score"]), "given_box": box, "points": keypoints(points)}
    return document


def _tags(name: str, known: KnownSamples) -> list[str]:
    tags = [known.sets[name]["split"]] if name in known.sets else []
    tags += [f"{LEFT_OUT}{reason}" for reason in known.left_out.get(name, ())]
    return tags + ([f"{DOUBT}{known.doubt[name]['reason']}"] if known.is_doubtful(name) else [])


def _of_doubt(name: str, known: KnownSamples) -> dict[str, Any]:
    if name not in known.doubt:
        return {}
    row = known.doubt[name]
    likelier = row["suggested"]
    suggested = None if likelier is None else classification(likelier, row["probs"][likelier])
    doubt = {"doubt": row["score"], "doubt_reason": row["reason"], "doubt_detail": row["detail"]}
    return {**doubt, "suggested": suggested}


def _write_samples(path: Path, documents: Sequence[Mapping[str, Any]]) -> None:
    if not documents:
        raise DataError(f"{path.name}: no sample with a picture or a crop is left")
    with path.open("w", encoding="utf-8") as stream:
        stream.write('{"samples": [\n')
        for number, document in enumerate(documents):
            stream.write(",\n" if number else "")
            json.dump(document, stream, allow_nan=False)
        stream.write("\n]}\n")
