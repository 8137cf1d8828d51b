"""CK+ as it ships: sequences from neutral to the peak of an expression, labelled if the FACS coders agreed.

Lucey et al.: The Extended Cohn-Kanade Dataset (CK+), CVPRW 2010. 593 sequences of 123 subjects, 327 of them labelled.
"""

from collections.abc import Iterator
from typing import Final

from pipeline.core.schema import Reason
from pipeline.ingest.parsing.codes import Codes
from pipeline.ingest.parsing.delimited import numbers, read_lines
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture, join, stem
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

CODES: Final = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
# In lower case; the likeliest first.
_PICTURES: Final = ("cohn-kanade-images", "extended-cohn-kanade-images", "cohn-kanade", "images")
_LABELS: Final = ("emotion", "emotions", "emotion_labels")
_POINTS: Final = ("landmarks",)
# 68 points, x and y.
_LANDMARKS: Final = 136


class CkPlus(Reader):
    """`cohn-kanade-images/S005/001/….png` and one label file per sequence; a missing or empty one means no label."""

    name = "ckplus"
    labels = CODES
    layout = "cohn-kanade-images/S005/001/*.png beside Emotion/S005/001/*_emotion.txt"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        pictures, labels = _folder(tree, root, _PICTURES), _folder(tree, root, _LABELS)
        if pictures is None or labels is None or not list(_sequences(tree, pictures)):
            return None
        return f"{pictures} holds sequences of subjects and {labels} their emotions"

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        pictures = _folder(raw.tree, raw.root, _PICTURES) or ""
        labels = _folder(raw.tree, raw.root, _LABELS) or ""
        points = _folder(raw.tree, raw.root, _POINTS)
        seen = set()
        # No sequence of the release is neutral. So the codes 0 to 6 mean that 1 to 7 were shifted by one.
        codes = Codes(raw, CODES, never=({*range(7)},))
        for subject, sequence in _sequences(raw.tree, pictures):
            within = f"{subject}/{sequence}"
            frames = [name for name in raw.tree.listing(f"{pictures}/{within}").files if is_picture(name)]
            if frames:
                seen.add((subject, sequence))
            label = _label(raw.tree, f"{labels}/{within}", codes)
            yield from _read_sequence(raw, f"{pictures}/{within}", frames, label, points and f"{points}/{within}")
        for subject, sequence in _sequences(raw.tree, labels):
            if (subject, sequence) in seen:
                continue
            if (label := _label(raw.tree, f"{labels}/{subject}/{sequence}", codes)) is not None:
                yield _lost(f"{pictures}/{subject}/{sequence}", label, subject, f"{subject}_{sequence}")
        codes.check()


def _folder(tree: Tree, root: str, names: tuple[str, ...]) -> str | None:
    """Return the first folder with one of these names that contains folders, or such a folder inside it."""
    there = {folder.casefold(): join(root, folder) for folder in tree.listing(root).folders}
    for found in (there[name] for name in names if name in there):
        # Some tools unpack an archive into a folder of its own: Emotion_labels/Emotion.
        inner = [join(found, name) for name in tree.listing(found).folders if name.casefold() in names]
        nested = next((name for name in inner if tree.listing(name).folders), None)
        if nested or tree.listing(found).folders:
            return nested or found
    return None


def _sequences(tree: Tree, pictures: str) -> Iterator[tuple[str, str]]:
    for subject in tree.listing(pictures).folders:
        if subject[:1] in "Ss" and subject[1:].isdigit():
            yield from ((subject, sequence) for sequence in tree.listing(f"{pictures}/{subject}").folders)


def _label(tree: Tree, folder: str, codes: Codes) -> str | RejectedRow | None:
    """Return the label of a sequence, None if it has none, or a rejected row if its files are not one code 0 to 7."""
    found: dict[str, str] = {}
    for name in tree.listing(folder).files:
        if not name.casefold().endswith("_emotion.txt"):
            continue
        for row, text in read_lines(tree, f"{folder}/{name}"):
            label = codes.label(text, row)
            if label is None:
                return RejectedRow("", Reason.bad_row, f"{row}: expected {codes.expected}, not {text[:40]!r}")
            found.setdefault(label, row)
    if len(found) > 1:
        detail = ", ".join(f"{label} in {row}" for label, row in found.items())
        return RejectedRow("", Reason.conflicting_labels, detail)
    return next(iter(found), None)


def _read_sequence(
    raw: RawDataset, folder: str, frames: list[str], label: str | RejectedRow | None, points: str | None
) -> Iterator[Row]:
    subject, sequence = folder.split("/")[-2:]
    if not isinstance(label, str):
        reason, detail = (
            (label.reason, label.detail) if label else (Reason.unlabelled, f"{folder}: a sequence without a label")
        )
        yield from (RejectedRow(f"{folder}/{name}", reason, detail, subject) for name in frames)
        return
    neutral = min(raw.params.ckplus_neutral_frames, len(frames) - 1)
    peak = max(neutral, len(frames) - raw.params.ckplus_peak_frames)
    for number_, name in enumerate(frames):
        path = f"{folder}/{name}"
        if neutral <= number_ < peak:
            yield RejectedRow(path, Reason.unlabelled, f"{path}: between the neutral and the peak frames", subject)
            continue
        yield Annotation(
            path,
            (label if number_ >= peak else CODES[0],),
            path,
            landmarks=_landmarks(raw, points and f"{points}/{stem(name)}_landmarks.txt"),
            subject=subject,
            sequence=f"{subject}_{sequence}",
        )


def _lost(folder: str, label: str | RejectedRow, subject: str, sequence: str) -> Row:
    """Return the row of a sequence with a label but without pictures; it still counts for the release's counts."""
    if isinstance(label, RejectedRow):
        return RejectedRow(folder, label.reason, f"{label.detail}; and there are no pictures of it")
    missing = RejectedRow(folder, Reason.missing_file, f"{folder}: labelled {label}, but there are no pictures of it")
    return Annotation(missing, (label,), folder, subject=subject, sequence=sequence)


def _landmarks(raw: RawDataset, name: str | None) -> list[float] | None:
    if name is None or name not in raw.tree:
        return None
    points = numbers(" ".join(text for _, text in read_lines(raw.tree, name)))
    if points is not None and len(points) == _LANDMARKS:
        return points
    raw.drop("list of landmarks (expected 68 rows of x and y)", name)
    return None
