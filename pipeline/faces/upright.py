"""Is a face that was found the right way up? Asked of MTCNN's later networks, whatever detector found it.

Measured on 120 people of muxspace and 150 of landmarks68, turned by 180 degrees: no face that was read upside down
scored above 0.994, and of upright ones four fifths score more than the 0.995 that end the question. Of the rest, the
third network looks at the crop and at the crop upside down; where that leaves a doubt, the second and third network
look around the box on the picture in each of its four turns, and the best score says how the face stands. No upright
face was turned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline.faces.cascade import Attempt, Found
from pipeline.faces.choice import Choice
from pipeline.faces.detector import Floats, Hint, View
from pipeline.faces.geometry import overlaps
from pipeline.faces.mtcnn_fast import MtcnnBox
from pipeline.faces.networks import Networks, load_networks
from pipeline.faces.refine import upright_crops
from pipeline.faces.turn import QUARTERS, turn_back, turn_boxes, turn_view

# A face found on a turned picture has at least this score: what MTCNN's coarser attempts ask for.
LEAST_TURNED_SCORE: Final = 0.9
_CERTAIN: Final = 0.995  # no more is asked
_DOUBTFUL: Final = LEAST_TURNED_SCORE  # at once looked at in all turns
CONFIRMED_SCORE: Final = 0.97  # by that look; an upright face of the 270 gets 0.979 and more
# In between: the third network's score of the crop, and how much less it gives the crop upside down.
_CROP_SCORE: Final = 0.98
_CROP_LEAD: Final = 0.05


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
    rows = [row for row, (_, one) in enumerate(found) if one.score < _CERTAIN]
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


def _doubted(found: Sequence[tuple[View, Found]], rows: Sequence[int], networks: Networks) -> dict[int, bool]:
    """Return the rows of the faces that could as well stand on their heads, from their crops alone.

    With each: whether its crop looks more like a face when it is reversed.
    """
    points = np.stack([one.faces.landmarks[one.choice.row] for _, one in found])
    crops, _ = upright_crops([view.pixels for view, _ in found], points)
    scores = networks.output(np.concatenate([crops, np.ascontiguousarray(crops[:, :, ::-1, ::-1])]))[0]
    own, reverse = scores[: len(crops)], scores[len(crops) :]
    clear = (own >= _CROP_SCORE) & (reverse < own - _CROP_LEAD)
    return {
        row: likelier
        for row, (_, one), is_clear, likelier in zip(rows, found, clear.tolist(), (reverse > own).tolist(), strict=True)
        if one.score < _DOUBTFUL or not is_clear
    }


def _look_around(found: Sequence[tuple[View, Found]], networks: Networks) -> list[Verdict]:
    """Show the networks each face in all four turns of its picture; the turn that it has now goes first."""
    detector = MtcnnBox(networks, (0.0, 0.0, 0.0))
    turns = [[one.turn_deg, *(turn for turn in (0, *QUARTERS) if turn != one.turn_deg)] for _, one in found]
    shown = [_show(view, one, turn) for (view, one), own in zip(found, turns, strict=True) for turn in own]
    answers, count = detector.detect(shown), len(QUARTERS) + 1
    verdicts = []
    for index, ((view, one), own) in enumerate(zip(found, turns, strict=True)):
        places = range(index * count, (index + 1) * count)
        scores = [float(answers[place].scores[0]) if len(answers[place]) else 0.0 for place in places]
        best = int(np.argmax(scores))
        if not best or scores[best] < LEAST_TURNED_SCORE or scores[best] <= one.score:
            verdicts.append(Verdict(one, sure=scores[0] >= CONFIRMED_SCORE))
            continue
        faces = turn_back(answers[places[best]], shown[places[best]], own[best])
        attempt = Attempt("mtcnn-box", detector)
        verdicts.append(Verdict(Found(attempt, faces, _choice(view, one, faces.boxes), own[best]), sure=True))
    return verdicts


def _show(view: View, found: Found, turn_deg: int) -> View:
    """Return the picture turned, and the found box on it as the hint."""
    box = turn_boxes(found.faces.boxes[[found.choice.row]], view.pixels.shape, turn_deg)[0]
    return View(turn_view(View(view.pixels), turn_deg).pixels, Hint(box, "face"))


def _choice(view: View, found: Found, boxes: Floats) -> Choice:
    iou = None if view.hint is None else float(overlaps(boxes[:1], view.hint.box)[0])
    return Choice(0, iou, found.choice.others)
