"""500 changed copies planted among real photographs, each found and aligned anew by the pipeline itself."""

import re
import shutil
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.align.stage import run as align
from pipeline.core.params import read_params
from pipeline.core.tables import read_table, table_files
from pipeline.ingest.stage import run as ingest
from pipeline.split.duplicates import find_duplicates

from .test_find import encoded, gamma, resized, shifted

ROOT = Path(__file__).parents[4]
PHOTOS = ROOT / "../shared/data/muxspace/images"
ORIGINALS, COPIES = 520, 1
CHANGES = [
    lambda pixels, random: resized(pixels, random.uniform(0.5, 0.9)),
    lambda pixels, random: encoded(pixels, int(random.integers(30, 96))),
    lambda pixels, random: shifted(pixels, *random.permutation([0, random.choice([-2, 2])])),
    lambda pixels, random: pixels[:, ::-1],
    lambda pixels, random: gamma(pixels, random.choice([0.5, 0.7, 1.4, 2.0])),
]


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    """A folder of aligned faces: 520 photographs and a copy of each, by turns of another kind."""
    if not PHOTOS.is_dir():
        pytest.skip("the shared photographs of muxspace are not here")
    root = tmp_path_factory.mktemp("photographs")
    tree = root / "tree/neutral"
    tree.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number, file in enumerate(sorted(PHOTOS.iterdir())[:: 2800 // ORIGINALS][:ORIGINALS]):
        shutil.copy(file, tree / f"{number:03d}-0{file.suffix}")
        pixels = cv2.imread(str(file))
        for copy in range(COPIES):
            change = CHANGES[(number * COPIES + copy) % len(CHANGES)]
            cv2.imwrite(str(tree / f"{number:03d}-{copy + 1}.png"), change(pixels, random))
    params = read_params(ROOT / "params.yaml")
    ingest(str(root / "tree"), root / "samples", dataset="mux", fmt="folder", params=params.ingest)
    align(root / "samples", str(root / "tree"), root / "aligned", params.align, workers=1)
    return root / "aligned", params.split.duplicate_similarity


@pytest.mark.slow  # aligns 1000 photographs
def test_planted_copies_are_found_and_hardly_anything_else(aligned):
    folder, threshold = aligned
    photo = {name: name.partition("-")[0] for name in read_table(folder, ["sample_id"])["sample_id"].to_pylist()}
    found = find_duplicates(table_files(folder), near=True, threshold=threshold, workers=1).table.to_pylist()
    pairs = {(row["first"], row["second"]) for row in found}
    of_photo = defaultdict(list)
    for name in photo:
        of_photo[photo[name]].append(name)
    planted = found_copies = 0
    for names in of_photo.values():
        original, *others = sorted(names)
        if not re.search(r"-0\.\w+#0$", original):
            continue  # no face was found in the photograph itself
        planted += len(others)
        found_copies += sum((original, other) in pairs for other in others)
    different = len(photo) * (len(photo) - 1) // 2 - planted
    false = sum(photo[first] != photo[second] for first, second in pairs)
    assert planted >= 500
    assert found_copies / planted >= 0.98
    assert false / different < 1e-4
