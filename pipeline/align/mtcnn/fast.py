"""MTCNN, arranged for speed: coarse before fine, all pictures of a batch in one run of each network.

The networks and their weights are facenet-pytorch's. What differs is what they are shown: fewer scales, crops out of a
pyramid instead of the full picture, and only the best candidates of each stage; where the dataset gives a box, the
first network is not asked at all. `MtcnnExact` is what it is measured against.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline.align.detectors.detector import Faces, Floats, View
from pipeline.align.mtcnn.candidates import NONE, Candidates, correct, gather, square, suppress, suppress_nested
from pipeline.align.mtcnn.networks import CELL_PX, OUTPUT_PX, REFINE_PX, Floats32, Networks
from pipeline.align.mtcnn.pyramid import Layout, Pyramid, Region, build_layout, build_pyramid, cut_crops, pack
from pipeline.align.turn import turn_boxes

# Around an annotated face is searched this many of its sides in each direction; of a body, its upper part.
_REACH: Final = {"face": (0.75, 0.75, 0.75, 0.75), "body": (0.1, 0.15, 0.1, -0.4)}
# An annotated box is shown to the last network at this many times its 48 px, so that it is not enlarged there.
_BOX_OVER_OUTPUT: Final = 2.0
# Datasets draw boxes around the features, the face or the head. Where the second network is less sure of the box than
# this, or makes it larger or smaller by more (the logarithm of their ratio), it is tried at other sizes, too.
_SURE_SCORE: Final = 0.99
_SURE_GROWTH: Final = 0.25
_SIZES: Final = (0.65, 0.8, 1.25)
# Of a box in a turned picture the third network is asked only where the second one says at least this.
_LEAST_REFINED: Final = 0.2
_ROOM: Final = 0.25  # around a picture, as a share of its short side
# The pyramid begins at this many times the first network's finest scale: a face of 12 px there is one of 48 px here.
_OUTPUT_OVER_CELL: Final = OUTPUT_PX // CELL_PX
# Of two candidates of one face that overlap by more than this, the better one goes on.
_PROPOSED_IOU: Final = 0.4
_REFINED_IOU: Final = 0.5


@dataclass(frozen=True, slots=True)
class Search:
    """How thoroughly to look.

    `least_share` is the smallest face as a share of the region's short side, `least_px` in pixels; the larger counts.
    `cells`, `refined` and `output` are how many candidates of a picture each network passes on or looks at, best first.
    `thresholds` are the three networks'.
    """

    least_share: float
    least_px: float
    cells: int
    refined: int
    output: int
    thresholds: tuple[float, float, float]


# A face of a third of the picture ends the search, if the last network is sure.
COARSE: Final = Search(0.35, 12, cells=32, refined=10, output=4, thresholds=(0.6, 0.7, 0.9))
MEDIUM: Final = Search(0.2, 12, cells=48, refined=16, output=4, thresholds=(0.6, 0.7, 0.9))
FINE: Final = Search(0.1, 12, cells=64, refined=20, output=6, thresholds=(0.6, 0.7, 0.9))
# Of a face that fills its picture, the last network is less sure; by then, the finer searches have seen nothing else.
PADDED: Final = replace(COARSE, thresholds=(0.6, 0.7, 0.7))
# facenet-pytorch's defaults.
FULL: Final = Search(0.0, 20, cells=256, refined=96, output=32, thresholds=(0.6, 0.7, 0.7))


class _Stages:
    """The second and third network on the candidates of a batch."""

    name = "mtcnn"

    def __init__(self, networks: Networks, thresholds: tuple[float, float, float]) -> None:
        self._networks = networks
        self._thresholds = thresholds

    def _refine(self, pyramids: list[Pyramid], candidates: Candidates) -> Candidates:
        owners, places = candidates.flat()
        boxes, scores = candidates.boxes.copy(), np.full_like(candidates.scores, NONE)
        if len(owners):
            crops = cut_crops(pyramids, owners, boxes[owners, places], REFINE_PX)
            found, corrections = self._networks.refine(crops)
            boxes[owners, places] = square(correct(boxes[owners, places], corrections.astype(float)))
            scores[owners, places] = np.where(found >= self._thresholds[1], found, NONE)
        return Candidates(boxes, scores)

    def _output(self, pyramids: list[Pyramid], candidates: Candidates) -> list[Faces]:
        owners, places = candidates.flat()
        if not len(owners):
            return [Faces.none() for _ in pyramids]
        boxes = candidates.boxes[owners, places]
        scores, corrections, points = self._networks.output(cut_crops(pyramids, owners, boxes, OUTPUT_PX))
        sides = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None]
        landmarks = points.astype(float) * sides + boxes[:, None, :2] - 1
        boxes = correct(boxes, corrections.astype(float))
        results = []
        for index in range(len(pyramids)):
            rows = np.flatnonzero((owners == index) & (scores >= self._thresholds[2]))
            rows = rows[suppress_nested(boxes[rows], scores[rows].astype(float), 0.5)]
            results.append(Faces(boxes[rows], scores[rows].astype(float), landmarks[rows]))
        return results


class MtcnnFast(_Stages):
    """The three networks at one thoroughness; a cascade has several."""

    def __init__(self, networks: Networks, search: Search) -> None:
        super().__init__(networks, search.thresholds)
        self._search = search

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the faces of each view, or of the part of it that its hint leaves, best score first."""
        if not views:
            return []
        search = self._search
        regions = [search_region(view) for view in views]
        layouts = [self._layout(region) for region in regions]
        pyramids = [
            build_pyramid(view.pixels, region, _OUTPUT_OVER_CELL * min(layout.places[0][2:]))
            for view, region, layout in zip(views, regions, layouts, strict=True)
        ]
        answers = self._networks.propose([pack(*pair) for pair in zip(pyramids, layouts, strict=True)])
        tables = [self._cells(*three) for three in zip(regions, layouts, answers, strict=True)]
        candidates = suppress(gather(tables, search.cells), _PROPOSED_IOU, search.refined)
        return self._output(pyramids, suppress(self._refine(pyramids, candidates), _REFINED_IOU, search.output))

    def _layout(self, region: Region) -> Layout:
        least_px = max(self._search.least_px, self._search.least_share * region.short_px)
        ratio = CELL_PX / min(least_px, region.short_px)
        return build_layout(round(region.height_px * ratio), round(region.width_px * ratio))

    def _cells(self, region: Region, layout: Layout, answer: tuple[Floats32, Floats32]) -> tuple[Floats, Floats]:
        """Return the boxes (n, 4) and scores (n,) of the best cells of one picture."""
        scores = answer[0].reshape(-1)[layout.cells]
        chosen = np.flatnonzero(scores >= self._thresholds[0])
        if len(chosen) > self._search.cells:
            chosen = chosen[np.argsort(-scores[chosen], kind="stable")[: self._search.cells]]
        scale = (layout.widths / region.width_px)[layout.scales[chosen], None]
        corner = layout.corners[chosen].astype(float)
        # MTCNN counts pixels from one: a cell begins at its second pixel.
        low, high = (corner + 1) / scale, (corner + CELL_PX) / scale
        moves = answer[1].reshape(4, -1)[:, layout.cells[chosen]].T.astype(float)
        boxes = np.concatenate([low, high], axis=1) + moves * (high - low)[:, [0, 1, 0, 1]]
        return square(boxes + [region.left, region.top] * 2), scores[chosen].astype(float)


class MtcnnPadded:
    """A coarse search of the picture with room around it: of a face that fills its picture, the first network sees all.

    The room repeats the picture's edge: around black, the networks take the border for the face's own outline and miss
    it. Only for pictures whose border the search has come to: elsewhere the room would show it nothing new.
    """

    name = "mtcnn"

    def __init__(self, networks: Networks) -> None:
        self._search = MtcnnFast(networks, PADDED)

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the faces of each view, best score first."""
        tight = [index for index, view in enumerate(views) if _reaches_border(view)]
        rooms = [int(_ROOM * min(views[index].pixels.shape[:2])) for index in tight]
        wide = [_pad(views[index], room) for index, room in zip(tight, rooms, strict=True)]
        results = [Faces.none() for _ in views]
        for index, room, faces in zip(tight, rooms, self._search.detect(wide), strict=True):
            results[index] = Faces(faces.boxes - room, faces.scores, faces.landmarks - room)
        return results


def _reaches_border(view: View) -> bool:
    region, (height, width) = search_region(view), view.pixels.shape[:2]
    return bool(min(region.left, region.top, width - region.right, height - region.bottom) <= 0)


def _pad(view: View, room: int) -> View:
    pixels = np.pad(view.pixels, [(room, room), (room, room), (0, 0)][: view.pixels.ndim], mode="edge")
    return View(pixels, None if view.hint is None else replace(view.hint, box=view.hint.box + room))


class MtcnnBox(_Stages):
    """The second and third network on the face that the dataset annotated; nothing where it gives no face box."""

    def __init__(self, networks: Networks, thresholds: tuple[float, float, float] = (0.0, 0.0, 0.8)) -> None:
        super().__init__(networks, thresholds)

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the annotated face of each view, if the networks see one there."""
        hinted = [index for index, view in enumerate(views) if view.hint is not None and view.hint.kind == "face"]
        results = [Faces.none() for _ in views]
        if hinted:
            for index, faces in zip(hinted, self._detect([views[index] for index in hinted]), strict=True):
                results[index] = faces
        return results

    def _detect(self, views: Sequence[View]) -> list[Faces]:
        boxes = np.stack([view.hint.box for view in views if view.hint is not None])
        pyramids = [_pyramid(view, side) for view, side in zip(views, _sides(boxes).tolist(), strict=True)]
        return self._output(pyramids, self._fit(pyramids, boxes))

    def _fit(self, pyramids: list[Pyramid], boxes: Floats) -> Candidates:
        """Return the box that the second network makes of each (n, 4), the best of several sizes where it doubts."""
        sides = _sides(boxes)
        best = self._refine(pyramids, _squares(boxes, sides, (1.0,)))
        growth = (best.boxes[:, 0, 2] - best.boxes[:, 0, 0]) / sides
        doubtful = np.flatnonzero((best.scores[:, 0] < _SURE_SCORE) | (abs(np.log(growth)) > _SURE_GROWTH))
        others = self._refine([pyramids[row] for row in doubtful], _squares(boxes[doubtful], sides[doubtful], _SIZES))
        for row, boxes_of_one, scores in zip(doubtful.tolist(), others.boxes, others.scores, strict=True):
            chosen = int(np.argmax(scores))
            if scores[chosen] > best.scores[row, 0]:
                best.boxes[row, 0], best.scores[row, 0] = boxes_of_one[chosen], scores[chosen]
        return best


class MtcnnAround(MtcnnBox):
    """The second and third network on one box of a picture in several of its turns, cut from one pyramid."""

    def __init__(self, networks: Networks) -> None:
        super().__init__(networks, (0.0, 0.0, 0.0))

    def look(self, views: Sequence[View], turns: Sequence[Sequence[int]]) -> list[list[Faces]]:
        """Return what stands in the hint of each view in each of its turns, in pixels of the picture so turned.

        The third network is shown the first turn, and of the others those that the second one takes for a face at all.
        """
        pyramids, boxes, first = [], [], []
        for view, degrees in zip(views, turns, strict=True):
            if view.hint is None:
                raise ValueError("a box to look at is missing")
            box = view.hint.box[None]
            pyramid = _pyramid(view, _sides(box).item())
            pyramids += [replace(pyramid, turn_deg=turn_deg) for turn_deg in degrees]
            boxes += [turn_boxes(box, view.pixels.shape, turn_deg) for turn_deg in degrees]
            first += [place == 0 for place in range(len(degrees))]
        best = self._fit(pyramids, np.concatenate(boxes))
        best.scores[(best.scores[:, 0] < _LEAST_REFINED) & ~np.array(first)] = NONE
        answers = iter(self._output(pyramids, best))
        return [[next(answers) for _ in degrees] for degrees in turns]


class Given(MtcnnBox):
    """Trust the box: the landmarks are the networks', whatever they think of it; a box around a body is no face box."""

    name = "given"

    def __init__(self, networks: Networks) -> None:
        super().__init__(networks, (0.0, 0.0, 0.0))

    def _detect(self, views: Sequence[View]) -> list[Faces]:
        found = super()._detect(views)
        boxes = [view.hint.box[None] for view in views if view.hint is not None]
        return [Faces(box, faces.scores, faces.landmarks) for box, faces in zip(boxes, found, strict=True)]


def _sides(boxes: Floats) -> Floats:
    """Return the longer side of boxes (n, 4), at least a pixel."""
    return np.asarray(np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1), 1.0))


def _pyramid(view: View, side: float) -> Pyramid:
    """Return the levels that crops of an annotated box of this side are cut from."""
    region = search_region(view)
    short_px = max(CELL_PX, round(region.short_px * _BOX_OVER_OUTPUT * OUTPUT_PX / side))
    return build_pyramid(view.pixels, region, short_px, levels=2)


def search_region(view: View) -> Region:
    """Return the part of a picture to search: around an annotated face, the upper part of a body, or all of it."""
    height, width = view.pixels.shape[:2]
    if view.hint is None:
        return Region(0, 0, width, height)
    x0, y0, x1, y1 = view.hint.box.tolist()
    across, down = max(1.0, x1 - x0), max(1.0, y1 - y0)
    before, above, behind, below = _REACH[view.hint.kind]
    left, right = _clip(x0 - before * across, width), _clip(x1 + behind * across, width)
    top, bottom = _clip(y0 - above * down, height), _clip(y1 + below * down, height)
    if right - left < CELL_PX or bottom - top < CELL_PX:
        return Region(0, 0, width, height)  # a box beyond the picture says nothing
    return Region(left, top, right, bottom)


def _clip(place: float, extent: int) -> int:
    return min(max(round(place), 0), extent)


def _squares(boxes: Floats, sides: Floats, sizes: tuple[float, ...]) -> Candidates:
    """Return boxes (n, 4) as squares about their centres, of several sizes over that of the box."""
    centre = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
    half = np.outer(sides, sizes)[:, :, None] / 2
    squares = np.concatenate([centre - half, centre + half], axis=2)
    return Candidates(squares, np.ones(squares.shape[:2]))
