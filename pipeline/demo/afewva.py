"""A small rendered AFEW-VA in its native layout: clips with valence, arousal and 68 points for every frame, no classes.

`001/001.json` (video_id, actor, frames) and `001/00000.png`. Every person has a clip with a high, one with a low
valence and one of another kind, so that there is something to learn about each of them.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.core.emotions import Emotion
from pipeline.demo.clips import ClipPlan, plan_clip
from pipeline.demo.scene import Photo, Shot
from pipeline.demo.truth import Truth

NAME: Final = "afewva"
CLIPS_EACH: Final = 3
FRAMES: Final = 8
# Films are larger; faces of this size are found, and read as PNG, in a third of the time.
_SIZE: Final = (320, 256)
_FIRST: Final = (Emotion.happy, Emotion.sad)
_OTHERS: Final = (Emotion.anger, Emotion.surprise, Emotion.disgust, Emotion.fear, Emotion.contempt)
# Values are whole numbers from -10 to 10.
_SCALE: Final = 10


@dataclass(frozen=True)
class Frame:
    """One picture of a clip. `number` counts from 0; valence and arousal are whole numbers from -10 to 10."""

    shot: Shot
    plan: ClipPlan
    number: int

    @property
    def valence(self) -> int:
        """The valence of the frame."""
        return round(_SCALE * self.plan.valence[self.number])

    @property
    def arousal(self) -> int:
        """The arousal of the frame."""
        return round(_SCALE * self.plan.arousal[self.number])


def build_rows(count: int, seed: int) -> list[Frame]:
    """Plan the clips of about `count` frames in all, at least two people."""
    people = max(2, round(count / (CLIPS_EACH * FRAMES)))
    frames: list[Frame] = []
    for clip in range(people * CLIPS_EACH):
        person, take = divmod(clip, CLIPS_EACH)
        emotion = (*_FIRST, _OTHERS[person % len(_OTHERS)])[take]
        plan = plan_clip(f"{clip + 1:03d}", f"{NAME}-actor-{person + 1:02d}", emotion, FRAMES, seed, _SIZE)
        frames.extend(Frame(shot, plan, number) for number, shot in enumerate(plan.shots))
    return frames


def write(out: Path, rows: Sequence[Frame], photos: Mapping[str, Photo]) -> list[Truth]:
    """Write the tree and return the ground truth of every face."""
    truths = []
    clips: dict[str, list[Frame]] = defaultdict(list)
    for row in rows:
        clips[row.plan.name].append(row)
        path = out / row.shot.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photos[row.shot.path].content)
        truths.append(_truth(row, photos[row.shot.path]))
    for name, frames in clips.items():
        values = {f"{row.number:05d}": _values(row, photos[row.shot.path]) for row in frames}
        said = {"video_id": name, "actor": frames[0].plan.actor, "frames": values}
        (out / name / f"{name}.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return truths


def _values(row: Frame, photo: Photo) -> dict[str, Any]:
    # Two digits: the last ones of a float may differ between machines.
    points = np.round(photo.landmarks[0], 2).tolist()
    return {"landmarks": points, "valence": float(row.valence), "arousal": float(row.arousal)}


def _truth(row: Frame, photo: Photo) -> Truth:
    (figure,) = row.shot.figures
    return Truth(
        dataset=NAME,
        source_path=row.shot.path,
        subject_id=row.plan.actor,
        valence=row.valence / _SCALE,
        arousal=row.arousal / _SCALE,
        roll_deg=figure.roll_deg,
        points=photo.landmarks[0],
    )
