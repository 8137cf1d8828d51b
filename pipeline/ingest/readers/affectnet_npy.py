"""AffectNet-8, npy release: pictures cropped to 224x224, with one array file per annotated value.

Mollahosseini, Hasani, Mahoor: AffectNet, IEEE TAC 2017; the release of 2021.
"""

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from pipeline.core.schema import Reason
from pipeline.core.split_names import TEST, TRAIN, VAL, split_name
from pipeline.ingest.parsing.codes import Codes
from pipeline.ingest.parsing.delimited import given
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow, Row, is_picture, join, stem
from pipeline.ingest.readers.affectnet import CODES, LANDMARKS, read_affect
from pipeline.ingest.readers.reader import Reader
from pipeline.ingest.trees.tree import Tree

_IMAGES, _NOTES = "images", "annotations"
# As the csv lists of the dataset call its splits.
_SPLITS: Final = {TRAIN: "training", VAL: "validation", TEST: TEST}
# An annotation has at most 136 numbers, so a larger file is not one, and is not read into memory.
_MAX_NPY_BYTES: Final = 1 << 16
# The .npy format, versions 1 and 2 (NumPy enhancement proposal 1): magic, length, a dictionary as text, the data.
_HEADER: Final = re.compile(
    rb"\x93NUMPY[\1\2]\0.{2,4}?\{ *'descr': *'(?P<descr>[<>|=]?[fiu][1248]|[<>|=]?[US]\d{1,4})' *,"
    rb" *'fortran_order': *(?:False|True) *, *'shape': *\([\d, ]*\) *,? *\} *\n",
    re.DOTALL,
)


class AffectNetNpy(Reader):
    """`train_set/images/<id>.jpg` and `train_set/annotations/<id>_{exp,val,aro,lnd}.npy`."""

    name = "affectnet_npy"
    cut_out = True
    labels = CODES[:8]
    layout = "{train_set,val_set}/images/ beside {train_set,val_set}/annotations/*_exp.npy, also one of them alone"

    def evidence(self, tree: Tree, root: str) -> str | None:
        """See `Reader.evidence`."""
        for at, _ in _parts(tree, root):
            if any(name.endswith("_exp.npy") for name in tree.listing(join(at, _NOTES)).files):
                return f"{join(at, _NOTES)} holds *_exp.npy"
        return None

    def read(self, raw: RawDataset) -> Iterator[Row]:
        """See `Reader.read`."""
        codes = Codes(raw, self.labels, never=({*range(1, 8)},))
        for at, split in _parts(raw.tree, raw.root):
            pictures = {stem(name): name for name in raw.tree.listing(join(at, _IMAGES)).files if is_picture(name)}
            notes = raw.tree.listing(join(at, _NOTES)).files
            ids = {name.removesuffix("_exp.npy") for name in notes if name.endswith("_exp.npy")}
            for one in sorted(ids | pictures.keys()):
                yield self._row(raw, join(at, f"{_NOTES}/{one}"), pictures.get(one), at, split, codes)
        codes.check()

    def _row(self, raw: RawDataset, notes: str, picture: str | None, at: str, split: str | None, codes: Codes) -> Row:
        path, row = join(at, f"{_IMAGES}/{picture or notes.rpartition('/')[2] + '.jpg'}"), f"{notes}_exp.npy"
        if row not in raw.tree:
            return RejectedRow(path, Reason.unlabelled, f"{row}: missing")
        code = _scalar(raw.tree, row)
        label = codes.label(code or "", row) if code != "" else None
        if code != "" and label is None:
            return RejectedRow(path, Reason.bad_row, f"{row}: expected {codes.expected}")
        return Annotation(
            path if picture else RejectedRow(path, Reason.missing_file, f"{row}: no such picture: {path}"),
            (label,) if label else (),
            row,
            landmarks=_landmarks(raw, f"{notes}_lnd.npy"),
            split=split,
            valence=_affect(raw, "valence", f"{notes}_val.npy"),
            arousal=_affect(raw, "arousal", f"{notes}_aro.npy"),
        )


def _parts(tree: Tree, root: str) -> Iterator[tuple[str, str | None]]:
    """Yield the folder and the split of each part: train_set/ and val_set/, or what a split is called elsewhere.

    Somebody who has only one may have it without a folder of its own.
    """
    for folder in tree.listing(root).folders:
        if (split := split_name(folder)) is not None:
            yield join(root, folder), _SPLITS[split]
    if _NOTES in tree.listing(root).folders:
        split = split_name(root.rpartition("/")[2])
        yield root, split and _SPLITS[split]


def _load(tree: Tree, name: str) -> np.ndarray | None:
    """Return the values of an array, flattened; None if the file is missing or not a plain array.

    NumPy's own reader evaluates the header and can be made to run pickles, and these files need neither.
    """
    if name not in tree or tree.size(name) > _MAX_NPY_BYTES:
        return None
    content = tree.read(name)
    found = _HEADER.match(content)
    if found is None:
        return None
    dtype, data = np.dtype(found["descr"].decode()), content[found.end() :]
    if dtype.itemsize == 0 or len(data) % dtype.itemsize:
        return None
    return np.frombuffer(data, dtype)


def _scalar(tree: Tree, name: str) -> str | None:
    """Return the only value of an array as text, because the release stores numbers as strings without dimensions.

    "" means "not given", as does NaN; None means that there is no such array.
    """
    found = _load(tree, name)
    if found is None or found.size != 1:
        return None
    value = found[0]
    return given(value.decode("ascii", "replace") if isinstance(value, bytes) else str(value))


def _affect(raw: RawDataset, what: str, name: str) -> float | None:
    text = _scalar(raw.tree, name)
    if text is None and name in raw.tree:
        raw.drop(f"{what} (expected an array of one number)", name)
    return read_affect(raw, what, text or "", name)


def _landmarks(raw: RawDataset, name: str) -> list[float] | None:
    found = _load(raw.tree, name)
    points = _finite(found) if found is not None and found.size == LANDMARKS else None
    if points is None and name in raw.tree:
        raw.drop("list of landmarks (expected 68 points, x and y)", name)
    return points


def _finite(values: np.ndarray) -> list[float] | None:
    try:
        points = values.astype(np.float32)
    except ValueError:
        return None
    return [float(value) for value in points] if np.isfinite(points).all() else None
