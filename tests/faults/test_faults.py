"""Power that fails, and pictures that are damaged: nothing is lost, and each is said.

Every test prints what it tried; docs/reliability.md has the sums.
"""

import json
import random
import subprocess
import sys

import pytest

from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.stage_output import stage_output
from tests.faults.disks import after_power_cut, ext4
from tests.imports import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.skipif(sys.platform != "linux", reason="mounts and /proc are Linux's")]


@pytest.mark.parametrize("seed", [101, 102, 103, 104])
def test_mutated_pictures_get_a_status_or_pixels(seed):
    command = [sys.executable, "-W", "error", "-m", "tests.pipeline.images.mutations", "1600", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    sys.stdout.write(f"pictures mutated: {sum(found['outcomes'].values())}: {found['outcomes']}\n")
    assert sum(found["outcomes"].values()) == 1600
    assert found["peak_mib"] < 1500


def test_after_a_power_cut_there_is_the_new_result_or_the_one_before(tmp_path):
    """The disk's image is copied the moment a result is in place, with nothing written back that was not synced."""
    with ext4(tmp_path) as (disk, image):
        for number in range(8):
            with stage_output(disk / "out", stage="bench", sources=[], params={"number": number}) as output:
                for part in range(4):
                    output.path(f"part-{part}").write_bytes(random.Random(number).randbytes(200_000))
                output.finish(rows_in=1, rows_out=1)
            with after_power_cut(image, tmp_path) as found:
                left = {path.name: path.read_bytes() for path in (found / "out").iterdir()}
                assert left == {path.name: path.read_bytes() for path in (disk / "out").iterdir()}
                assert read_snapshot(found / "out").params == {"number": number}
    sys.stdout.write("power cuts: 8\n")
