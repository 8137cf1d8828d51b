"""There and back through FiftyOne itself, where it is installed: FIFTYONE_PYTHON names a Python that has it.

FIFTYONE_DATABASE_URI names its MongoDB, if it did not come with one.
"""

import importlib.util
import os
import subprocess
import sys

import pytest

from pipeline.fiftyone.edits import read_edits

PYTHON = os.environ.get("FIFTYONE_PYTHON") or (sys.executable if importlib.util.find_spec("fiftyone") else None)
# Reads the folder, checks what FiftyOne made of it, edits three samples as the App does, and exports it again.
SCRIPT = """
import sys
import fiftyone as fo
folder, out = sys.argv[1:]
for name in fo.list_datasets():
    if name.startswith("prep-test"):
        fo.delete_dataset(name)
data = fo.Dataset.from_dir(dataset_dir=folder, dataset_type=fo.types.FiftyOneDataset, name="prep-test")
assert len(data) == 11, data
assert data.count_values("label.label") == {"happy": 11}
assert data.count_values("tags") == {"doubt: label": 11}
assert data.count("face.detections") == data.count("points.keypoints") == 11
assert data.distinct("picture_px") == [512.0, 1024.0]
data.compute_metadata()
first, second, third = (data[f] for f in data.values("filepath")[:3])
assert (first.metadata.width, first.metadata.height) == tuple(first.picture_px)
first.label = fo.Classification(label="fear")
second.tags.append("bad_picture")
second["note"] = "a drawing"
third.face.detections[0].bounding_box = [0.625, 0.25, 0.125, 0.25]
for sample in (first, second, third):
    sample.save()
data.export(export_dir=out, dataset_type=fo.types.FiftyOneDataset)
fo.delete_dataset("prep-test")
"""


@pytest.mark.slow
@pytest.mark.skipif(PYTHON is None, reason="FiftyOne is not installed; FIFTYONE_PYTHON names a Python that has it")
def test_fiftyone_reads_the_folder_and_what_is_edited_there_comes_back(exported, tmp_path):
    environment = os.environ | {"FIFTYONE_DO_NOT_TRACK": "1", "HOME": str(tmp_path)}
    environment.pop("PYTHONPATH", None)
    command = [PYTHON, "-c", SCRIPT, str(exported), str(tmp_path / "back")]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    known = {f"toy/happy/{number:02d}.jpg#0" for number in range(12)}
    edits = read_edits(tmp_path / "back", "toy", known, "ann")
    assert (edits.samples, edits.foreign) == (11, 0)
    assert [(one.sample_id[10:12], str(one.kind), one.value, one.note) for one in edits.decisions] == [
        ("00", "other_label", "fear", ""),
        ("01", "bad_picture", "", "a drawing"),
        ("02", "wrong_face", "640 128 768 256", ""),
    ]
