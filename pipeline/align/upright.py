"""Check whether detected faces are upright, with MTCNN's second and third networks, whatever detector found them.

There are three steps, each only for the faces that the one before leaves in doubt:

1. The detector's score and the distance between the eyes. Of faces that were read upside down, one in a hundred scores
   above 0.995, and then the eyes are mostly too close together for the box. Seven in ten upright faces pass here.
2. The second network compares the crop with the same crop upside down; if it is not sure, so does the third.
3. For one upright face in fifty, both networks look at the box in all four orientations, with crops cut from the
   unturned picture, and the best score decides.

The numbers were measured on landmarks68 and every fifth picture of muxspace, each in all four orientations. No upright
face was turned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.align.cascade import Attempt, Found
from pipeline.align.choice import Choice
from pipeline.align.detectors.detector import Floats, Hint, View
from pipeline.align.mtcnn.fast import MtcnnAround
from pipeline.align.mtcnn.networks import REFINE_PX, Floats32, Networks, load_networks
from pipeline.align.refine import upright_crops
from pipeline.align.turn import QUARTERS, turn_back
from pipeline.geometry.similarity import box_sizes, overlaps

# The least score of a face on a turned picture. It is the threshold of MTCNN's coarser searches, so that a turned face
# has to meet the same standard as an upright one.
LEAST_TURNED_SCORE: Final = 0.9
_CERTAIN: Final = 0.995  # from this score on, step 1 looks only at the distance between the eyes
_DOUBTFUL: Final = LEAST_TURNED_SCORE  # below this score, step 3 is always made
CONFIRMED_SCORE: Final = 0.97  # in step 3; each of 270 upright faces scored at least 0.979 there
# Step 2: the least score of the third network for the crop, and by how much it must exceed the score of the crop upside
# down.
_CROP_SCORE: Final = 0.98
_CROP_LEAD: Final = 0.05
# The second network settles a crop alone if it scores it at least `_SURE_REFINED`, and upside down below `_FAR_BELOW`.
# If it is sure of the crop but not of the reverse, `_AGREED_SCORE` of the third network is enough, if that one scores
# the reverse below `_FAR_BELOW`.
_SURE_REFINED: Final = 0.99
_AGREED_SCORE: Final = 0.94
_FAR_BELOW: Final = 0.5
# The least distance between the eyes, as a share of the box's side. Points that are closer together may be an eye and
# something else, whatever the score: this is so for 7 of 12 faces that were misread with a score of at least 0.99, but
# only for 7 of 1,019 upright faces above `_CERTAIN`.
_LEAST_EYES: Final = 0.3


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of the check: the face in its most likely orientation, and whether that orientation is certain."""

    found: Found
    sure: bool


def set_upright(found: Sequence[tuple[View, Found]]) -> list[Verdict]:
    """Check each face, and replace those that are upside down or on their side by the same face read correctly.

    Args:
        found: the faces with their pictures; boxes and landmarks in pixels of the unturned picture.

    Returns:
        One verdict for each face, in order. A replaced face has the turn of its picture in `turn_deg`.
    """
    verdicts = [Verdict(one, sure=True) for _, one in found]
    rows = _uncertain([one for _, one in found]) if found else []
    if not rows:
        return verdicts
    networks = load_networks()
    doubted = _doubted([found[row] for row in rows], rows, networks)
    answers = _look_around([found[row] for row in doubted], networks)
    for (row, reversed_is_likelier), verdict in zip(doubted.items(), answers, strict=True):
        # In step 3, each orientation gets a box of its own, which can favour the wrong one. If the crop of step 2
        # looked better upside down but the face was kept, it stays uncertain, and the turned picture is searched.
        # This happened to a small upside-down face: its crop scored 0.67, and the reversed crop 1.00.
        stays = verdict.found is found[row][1]
        verdicts[row] = replace(verdict, sure=verdict.sure and not (stays and reversed_is_likelier))
    return verdicts


def _uncertain(found: Sequence[Found]) -> list[int]:
    """Return the indices of the faces that need more than step 1."""
    points = np.stack([one.faces.landmarks[one.choice.row] for one in found])
    boxes = np.stack([one.faces.boxes[one.choice.row] for one in found])
    eyes = np.hypot(*(points[:, 1] - points[:, 0]).T)
    narrow = eyes < _LEAST_EYES * box_sizes(boxes)
    return [row for row, one in enumerate(found) if one.score < _CERTAIN or narrow[row]]


def _doubted(found: Sequence[tuple[View, Found]], rows: Sequence[int], networks: Networks) -> dict[int, bool]:
    """Run step 2; return, by its number in `rows`, each face that needs step 3.

    The value is whether its crop looks more like a face when it is reversed.
    """
    points = np.stack([one.faces.landmarks[one.choice.row] for _, one in found])
    crops, _ = upright_crops([view.pixels for view, _ in found], points)
    clear, likelier = _compare(crops, networks)
    return {
        row: bool(likelier[place])
        for place, (row, (_, one)) in enumerate(zip(rows, found, strict=True))
        if one.score < _DOUBTFUL or not clear[place]
    }


def _compare(crops: Floats32, networks: Networks) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Compare crops (n, 3, 48, 48) with themselves upside down.

    Returns:
        (n,) whether a crop is clearly upright, and (n,) whether the third network scores it higher when it is reversed.
    """
    # The second network comes first: it reads a quarter of the pixels, takes a sixth of the third network's time, and
    # settles more than half of the crops.
    small = crops.reshape(len(crops), 3, REFINE_PX, 2, REFINE_PX, 2).mean(axis=(3, 5))
    own, reverse = _both_ways(small, networks.refine)
    sure = own >= _SURE_REFINED
    clear, likelier = sure & (reverse < _FAR_BELOW), np.zeros(len(crops), bool)
    left = np.flatnonzero(~clear)
    if len(left):
        own, reverse = _both_ways(crops[left], networks.output)
        clear[left] = ((own >= _CROP_SCORE) & (reverse < own - _CROP_LEAD)) | (
            sure[left] & (own >= _AGREED_SCORE) & (reverse < _FAR_BELOW)
        )
        likelier[left] = reverse > own
    return clear, likelier


def _both_ways(crops: Floats32, network: Callable[[Floats32], tuple[Floats32, ...]]) -> tuple[Floats32, Floats32]:
    """Return a network's scores (n,) of the crops as they are, and of the crops turned by 180 degrees."""
    scores = network(np.concatenate([crops, np.ascontiguousarray(crops[:, :, ::-1, ::-1])]))[0]
    return scores[: len(crops)], scores[len(crops) :]


def _look_around(found: Sequence[tuple[View, Found]], networks: Networks) -> list[Verdict]:
    """Run step 3: score each face in all four orientations, beginning with the one in which it was found."""
    if not found:
        return []
    detector = MtcnnAround(networks)
    turns = [[one.turn_deg, *(turn for turn in (0, *QUARTERS) if turn != one.turn_deg)] for _, one in found]
    boxed = [View(view.pixels, Hint(one.faces.boxes[one.choice.row], "face")) for view, one in found]
    verdicts = []
    for (view, one), own, answers in zip(found, turns, detector.look(boxed, turns), strict=True):
        scores = [float(faces.scores[0]) if len(faces) else 0.0 for faces in answers]
        best = int(np.argmax(scores))
        # Another orientation must be likelier than this one, and must score higher than the detector did.
        if not best or scores[best] < LEAST_TURNED_SCORE or scores[best] <= one.score:
            verdicts.append(Verdict(one, sure=scores[0] >= CONFIRMED_SCORE))
            continue
        faces = turn_back(answers[best], view.pixels.shape, own[best])
        attempt = Attempt("mtcnn-box", detector)
        verdicts.append(Verdict(Found(attempt, faces, _choice(view, one, faces.boxes), own[best]), sure=True))
    return verdicts


def _choice(view: View, found: Found, boxes: Floats) -> Choice:
    boxed = view.hint is not None and view.hint.kind != "point"
    iou = float(overlaps(boxes[:1], view.hint.box)[0]) if view.hint is not None and boxed else None
    return Choice(0, iou, found.choice.others)
