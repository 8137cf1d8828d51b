"""MTCNN (Zhang et al. 2016), arranged for speed: large faces first, and all pictures of a batch in one run per network.

The networks and their weights are those of facenet-pytorch. Their input differs: fewer scales, crops from a pyramid
instead of from the full picture, and only the best candidates after each network. If the dataset gives a face
box, `MtcnnBox` does without the first network. `MtcnnExact` is the reference in the tests and benchmarks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline.align.detectors.detector import Faces, Floats, Hint, View
from pipeline.align.mtcnn.candidates import NONE, Candidates, correct, gather, square, suppress, suppress_nested
from pipeline.align.mtcnn.networks import CELL_PX, OUTPUT_PX, REFINE_PX, Floats32, Networks
from pipeline.align.mtcnn.pyramid import Layout, Pyramid, Region, build_layout, build_pyramid, cut_crops, pack
from pipeline.align.turn import turn_boxes

# How far the search extends beyond the annotated box: left, top, right and bottom, as shares of the box's width and
# height. A negative share leaves out a part of the box: of a body, only the upper part is searched.
_REACH: Final = {"face": (0.75, 0.75, 0.75, 0.75), "body": (0.1, 0.15, 0.1, -0.4)}
# The pyramid's first level shows an annotated box at this many times the third network's 48 px. If the networks choose
# a smaller box, of at least half the side, its crop is still not enlarged.
_BOX_OVER_OUTPUT: Final = 2.0
# Some datasets draw boxes around the features, others around the face or the head. The box is tried at the sizes
# `_SIZES`, too, if the second network scores it below `_SURE_SCORE`, or changes its side by a factor whose logarithm
# exceeds `_SURE_GROWTH`. With three sizes every time, the error was 0.0644 instead of 0.0618 eye distances, because the
# given size is nearly always right (benchmarks/align.md).
_SURE_SCORE: Final = 0.99
_SURE_GROWTH: Final = 0.25
_SIZES: Final = (0.65, 0.8, 1.25)
# Below this score, a guessed box (the whole picture, or the last face of a video) is not believed.
GUESS_SCORE: Final = 0.97
# The second network's least score of a box in another orientation. Below it, the third and slower network does not run.
_LEAST_REFINED: Final = 0.2
_ROOM: Final = 0.25  # the border that is added around a picture, as a share of its short side
# The pyramid begins at this many times the first network's finest scale, where the smallest face measures 12 px. It
# then measures 48 px, so that its crop for the third network is not enlarged.
_OUTPUT_OVER_CELL: Final = OUTPUT_PX // CELL_PX
# Of two candidates whose intersection over union exceeds this, only the better one is passed on: after the first and
# after the second network.
_PROPOSED_IOU: Final = 0.4
_REFINED_IOU: Final = 0.5


@dataclass(frozen=True, slots=True)
class Search:
    """How thoroughly a picture is searched.

    The smallest face is `least_share` of the region's short side or `least_px` pixels, whichever is larger. `cells` is
    the number of candidates that are kept of the first network's, `refined` and `output` the number that the second and
    the third network read, all of them per picture and best first. `thresholds` are the least scores of the three.
    """

    least_share: float
    least_px: float
    cells: int
    refined: int
    output: int
    thresholds: tuple[float, float, float]


# Three searches, for smaller and smaller faces. The third network's threshold is higher than facenet-pytorch's, so that
# only a sure face ends the search. On portraits, two searches (0.3 and 0.1) took 15% longer, and beginning with 0.4
# took 8% longer, because the first search then found no face (benchmarks/align.md).
COARSE: Final = Search(0.35, 12, cells=32, refined=10, output=4, thresholds=(0.6, 0.7, 0.9))
MEDIUM: Final = Search(0.2, 12, cells=48, refined=16, output=4, thresholds=(0.6, 0.7, 0.9))
FINE: Final = Search(0.1, 12, cells=64, refined=20, output=6, thresholds=(0.6, 0.7, 0.9))
# The third network is less sure of a face that fills its picture, so the threshold is facenet-pytorch's. That is safe
# here, because the finer searches before it have found no other face.
PADDED: Final = replace(COARSE, thresholds=(0.6, 0.7, 0.7))
# The smallest face and the thresholds of facenet-pytorch, for the pictures in which the other searches found nothing.
FULL: Final = Search(0.0, 20, cells=256, refined=96, output=32, thresholds=(0.6, 0.7, 0.7))


class _Stages:
    """Runs the second and the third network on the candidates of a batch."""

    name = "mtcnn"

    def __init__(self, networks: Networks, thresholds: tuple[float, float, float]) -> None:
        self._networks = networks
        self._thresholds = thresholds

    def _refine(self, pyramids: list[Pyramid], candidates: Candidates) -> Candidates:
        owners, places = candidates.flat()
        # All crops of a batch are one run of the network: that is faster than one run per picture.
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
        # The points are shares of the crop, so they belong to the box as it was cut, before it is corrected.
        landmarks = points.astype(float) * sides + boxes[:, None, :2] - 1
        boxes = correct(boxes, corrections.astype(float))
        results = []
        for index in range(len(pyramids)):
            rows = np.flatnonzero((owners == index) & (scores >= self._thresholds[2]))
            rows = rows[suppress_nested(boxes[rows], scores[rows].astype(float), 0.5)]
            results.append(Faces(boxes[rows], scores[rows].astype(float), landmarks[rows]))
        return results


class MtcnnFast(_Stages):
    """Runs the three networks with one `Search`; a cascade has several of these."""

    def __init__(self, networks: Networks, search: Search) -> None:
        super().__init__(networks, search.thresholds)
        self._search = search

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the faces of each view, best score first; with a hint, those in the region around its box."""
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
        """Return boxes (n, 4), in pixels of the picture, and scores (n,) of the best cells of one picture."""
        scores = answer[0].reshape(-1)[layout.cells]
        chosen = np.flatnonzero(scores >= self._thresholds[0])
        if len(chosen) > self._search.cells:
            chosen = chosen[np.argsort(-scores[chosen], kind="stable")[: self._search.cells]]
        scale = (layout.widths / region.width_px)[layout.scales[chosen], None]
        corner = layout.corners[chosen].astype(float)
        # MTCNN counts pixels from one, so a cell of 12 px reaches from corner + 1 to corner + 12.
        low, high = (corner + 1) / scale, (corner + CELL_PX) / scale
        moves = answer[1].reshape(4, -1)[:, layout.cells[chosen]].T.astype(float)
        boxes = np.concatenate([low, high], axis=1) + moves * (high - low)[:, [0, 1, 0, 1]]
        return square(boxes + [region.left, region.top] * 2), scores[chosen].astype(float)


class MtcnnPadded:
    """Searches the picture with a border around it, so that the first network sees the whole of a face that fills it.

    The border repeats the picture's edge. With a black border, the networks took it for the outline of the face and
    missed a tenth of the tightest crops. Only pictures whose edge the search region reaches are searched: for the
    others, a border would add nothing new.
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
    """Runs the second and the third network on the annotated face box; finds nothing in a picture without one.

    The first two thresholds are 0, because the box replaces the first network and may be drawn in a way that the second
    one does not expect. The third network decides.
    """

    def __init__(self, networks: Networks, thresholds: tuple[float, float, float] = (0.0, 0.0, 0.8)) -> None:
        super().__init__(networks, thresholds)

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the annotated face of each view, if the third network confirms it."""
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
        """Return the second network's correction of each box (n, 4); the best of several sizes if it is not sure."""
        sides = _sides(boxes)
        best = self._refine(pyramids, _squares(boxes, sides, (1.0,)))
        growth = (best.boxes[:, 0, 2] - best.boxes[:, 0, 0]) / sides
        doubtful = np.flatnonzero((best.scores[:, 0] < _SURE_SCORE) | (abs(np.log(growth)) > _SURE_GROWTH))
        if not len(doubtful):
            return best
        others = self._refine([pyramids[row] for row in doubtful], _squares(boxes[doubtful], sides[doubtful], _SIZES))
        for row, boxes_of_one, scores in zip(doubtful.tolist(), others.boxes, others.scores, strict=True):
            chosen = int(np.argmax(scores))
            if scores[chosen] > best.scores[row, 0]:
                best.boxes[row, 0], best.scores[row, 0] = boxes_of_one[chosen], scores[chosen]
        return best


class MtcnnWhole(MtcnnBox):
    """Takes the whole picture for the box of its face: the first attempt on releases of faces that were cut out.

    The first network, which mostly finds this box again, need not run. A picture with an annotated box is left to
    `MtcnnBox`, and a face that scores less than `GUESS_SCORE` to the searches.
    """

    def __init__(self, networks: Networks) -> None:
        super().__init__(networks, (0.0, 0.0, GUESS_SCORE))

    def detect(self, views: Sequence[View]) -> list[Faces]:
        """Return the face of each view without a hint, if the third network is sure of it."""
        return super().detect([_whole(view) for view in views])


class MtcnnAround(MtcnnBox):
    """Runs the second and the third network on one box of a picture in several orientations.

    All crops are cut from one pyramid, and only they are turned, so that no picture has to be.
    """

    def __init__(self, networks: Networks) -> None:
        super().__init__(networks, (0.0, 0.0, 0.0))

    def look(self, views: Sequence[View], turns: Sequence[Sequence[int]]) -> list[list[Faces]]:
        """Return the face in the box of each view, in each of the given orientations.

        The third network always reads the first orientation, and the others only if the second network scores them at
        least 0.2.

        Args:
            views: pictures with a hint, whose box is in pixels of the unturned picture.
            turns: for each view, clockwise turns of 0, 90, 180 or 270 degrees.

        Returns:
            For each view and turn, one face or none, in pixels of the picture turned in that way.

        Raises:
            ValueError: a view has no hint.
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
    """Keeps the dataset's face box as it is, whatever its score; only the landmarks come from the networks."""

    name = "given"

    def __init__(self, networks: Networks) -> None:
        super().__init__(networks, (0.0, 0.0, 0.0))

    def _detect(self, views: Sequence[View]) -> list[Faces]:
        found = super()._detect(views)
        boxes = [view.hint.box[None] for view in views if view.hint is not None]
        return [Faces(box, faces.scores, faces.landmarks) for box, faces in zip(boxes, found, strict=True)]


def _whole(view: View) -> View:
    height, width = view.pixels.shape[:2]
    return View(view.pixels, Hint(np.array([0.0, 0.0, width, height]), "face") if view.hint is None else None)


def _sides(boxes: Floats) -> Floats:
    """Return the longer side (n,) of boxes (n, 4), at least one pixel."""
    return np.asarray(np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1), 1.0))


def _pyramid(view: View, side: float) -> Pyramid:
    """Return a pyramid of two levels, from which crops of an annotated box with this side are cut."""
    region = search_region(view)
    short_px = max(CELL_PX, round(region.short_px * _BOX_OVER_OUTPUT * OUTPUT_PX / side))
    return build_pyramid(view.pixels, region, short_px, levels=2)


def search_region(view: View) -> Region:
    """Return the part of a picture that is searched, in whole pixels.

    It is the surroundings of a face box, the upper part of a body box, or the whole picture: without a box, or if the
    box leaves less than 12 px of the picture.
    """
    height, width = view.pixels.shape[:2]
    if view.hint is None or view.hint.kind == "point":
        return Region(0, 0, width, height)
    x0, y0, x1, y1 = view.hint.box.tolist()
    across, down = max(1.0, x1 - x0), max(1.0, y1 - y0)
    before, above, behind, below = _REACH[view.hint.kind]
    left, right = _clip(x0 - before * across, width), _clip(x1 + behind * across, width)
    top, bottom = _clip(y0 - above * down, height), _clip(y1 + below * down, height)
    if right - left < CELL_PX or bottom - top < CELL_PX:
        return Region(0, 0, width, height)  # the box is outside the picture or too small
    return Region(left, top, right, bottom)


def _clip(place: float, extent: int) -> int:
    return min(max(round(place), 0), extent)


def _squares(boxes: Floats, sides: Floats, sizes: tuple[float, ...]) -> Candidates:
    """Return squares around the centres of boxes (n, 4), with sides of `sizes` times `sides` (n,), as candidates."""
    centre = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
    half = np.outer(sides, sizes)[:, :, None] / 2
    squares = np.concatenate([centre - half, centre + half], axis=2)
    return Candidates(squares, np.ones(squares.shape[:2]))
