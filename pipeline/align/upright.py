"""Is a face that was found the right way up? Asked of MTCNN's later networks, whatever detector found it.

Measured on landmarks68 and every fifth of muxspace, each turned by quarters: of faces read upside down one in a hundred
scores above 0.995, and then its eyes are mostly too near to each other for its box; of upright ones seven in ten need
no more than that. Of the rest, the second network looks at the crop and at the crop upside down, and the third where
the second is not sure; where that leaves a doubt (one upright face in fifty), both look around the box in each of its
four turns, cut from the picture as it lies, and the best score says how the face stands. No upright face was turned.
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

# A face found on a turned picture has at least this score: what MTCNN's coarser attempts ask for.
LEAST_TURNED_SCORE: Final = 0.9
_CERTAIN: Final = 0.995  # no more is asked
_DOUBTFUL: Final = LEAST_TURNED_SCORE  # at once looked at in all turns
CONFIRMED_SCORE: Final = 0.97  # by that look; an upright face of the 270 gets 0.979 and more
# In between: the third network's score of the crop, and how much less it gives the crop upside down.
_CROP_SCORE: Final = 0.98
_CROP_LEAD: Final = 0.05
# With this score of the second network, too, a crop needs no more of the third than that, if reversed it has no chance.
_SURE_REFINED: Final = 0.99
_AGREED_SCORE: Final = 0.94
_FAR_BELOW: Final = 0.5
# Eyes nearer to each other than this share of the box may be an eye and something else, whatever the score: 7 of
# 1019 upright faces above the score that is certain, 7 of 12 that were read wrongly with 0.99 and more.
_LEAST_EYES: Final = 0.3


@dataclass(frozen=True, slots=True)
class Verdict:
    """A face the right way up, as far as can be told; `sure` where it is certain."""

    found: Found
    sure: bool


def set_upright(found: Sequence[tuple[View, Found]]) -> list[Verdict]:
    """Return each face, or the same one as it is seen on its picture turned, where it stands that way.

    Args:
        found: faces with their pictures, in pixels of the picture as it lies.
    """
    verdicts = [Verdict(one, sure=True) for _, one in found]
    rows = _uncertain([one for _, one in found]) if found else []
    if not rows:
        return verdicts
    networks = load_networks()
    doubted = _doubted([found[row] for row in rows], rows, networks)
    answers = _look_around([found[row] for row in doubted], networks)
    for (row, reversed_is_likelier), verdict in zip(doubted.items(), answers, strict=True):
        # A box of its own for each turn may still flatter the wrong one: the cascade is to look, too.
        stays = verdict.found is found[row][1]
        verdicts[row] = replace(verdict, sure=verdict.sure and not (stays and reversed_is_likelier))
    return verdicts


def _uncertain(found: Sequence[Found]) -> list[int]:
    """Return the rows of the faces whose detector's answer alone does not say that they are the right way up."""
    points = np.stack([one.faces.landmarks[one.choice.row] for one in found])
    boxes = np.stack([one.faces.boxes[one.choice.row] for one in found])
    eyes = np.hypot(*(points[:, 1] - points[:, 0]).T)
    narrow = eyes < _LEAST_EYES * box_sizes(boxes)
    return [row for row, one in enumerate(found) if one.score < _CERTAIN or narrow[row]]


def _doubted(found: Sequence[tuple[View, Found]], rows: Sequence[int], networks: Networks) -> dict[int, bool]:
    """Return the rows of the faces that could as well stand on their heads, from their crops alone.

    With each: whether its crop looks more like a face when it is reversed.
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
    """Say of upright crops whether they are clearly that, and whether they look more like a face when reversed.

    The second network, on a quarter of the pixels, settles more than half of them in a sixth of the third one's time.
    """
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
    """Return a network's scores of crops as they are and reversed."""
    scores = network(np.concatenate([crops, np.ascontiguousarray(crops[:, :, ::-1, ::-1])]))[0]
    return scores[: len(crops)], scores[len(crops) :]


def _look_around(found: Sequence[tuple[View, Found]], networks: Networks) -> list[Verdict]:
    """Show the networks each face in all four turns of its picture; the turn that it has now goes first."""
    if not found:
        return []
    detector = MtcnnAround(networks)
    turns = [[one.turn_deg, *(turn for turn in (0, *QUARTERS) if turn != one.turn_deg)] for _, one in found]
    boxed = [View(view.pixels, Hint(one.faces.boxes[one.choice.row], "face")) for view, one in found]
    verdicts = []
    for (view, one), own, answers in zip(found, turns, detector.look(boxed, turns), strict=True):
        scores = [float(faces.scores[0]) if len(faces) else 0.0 for faces in answers]
        best = int(np.argmax(scores))
        if not best or scores[best] < LEAST_TURNED_SCORE or scores[best] <= one.score:
            verdicts.append(Verdict(one, sure=scores[0] >= CONFIRMED_SCORE))
            continue
        faces = turn_back(answers[best], view.pixels.shape, own[best])
        attempt = Attempt("mtcnn-box", detector)
        verdicts.append(Verdict(Found(attempt, faces, _choice(view, one, faces.boxes), own[best]), sure=True))
    return verdicts


def _choice(view: View, found: Found, boxes: Floats) -> Choice:
    iou = None if view.hint is None else float(overlaps(boxes[:1], view.hint.box)[0])
    return Choice(0, iou, found.choice.others)
