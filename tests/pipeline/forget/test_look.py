"""What a damaged file still shows is found, and what it may show besides is not passed over."""

import gzip
import io
import json
import tarfile
import zipfile

import numpy as np
import pytest

from pipeline.decisions.forgotten import Digest
from pipeline.forget.digests import md5_of
from pipeline.forget.look import Seen, Wanted
from pipeline.forget.places import find_holders
from tests.pipeline.align.inputs import jpeg

CROPS = [jpeg(np.full((40, 40, 3), shade, np.uint8)) for shade in (40, 90, 140)]
GONE = "d/b.jpg#0"
WANTED = Wanted([Digest(GONE, "crop", md5_of(CROPS[1]))], [GONE])


def tar(mode):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for number, crop in enumerate(CROPS):
            member = tarfile.TarInfo(f"{number}.jpg")
            member.size = len(crop)
            archive.addfile(member, io.BytesIO(crop))
    return packed.getvalue()


def test_a_shard_that_was_cut_off_shows_what_is_left_of_it(tmp_path):
    whole = tar("w")
    third = whole.index(CROPS[2])
    for end, samples, torn in (
        (len(whole), {GONE}, False),
        (third + 10, {GONE}, True),
        (whole.index(CROPS[1]) + 10, set(), True),
    ):
        path = tmp_path / f"{end}.tar"
        path.write_bytes(whole[:end])
        seen = WANTED.in_file(path, "")
        assert (seen.samples, seen.torn) == (samples, torn), end


def test_a_torn_table_and_a_torn_zip_are_not_passed_over(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1" + bytes(100))
    (tmp_path / "t.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    (tmp_path / "t.tgz").write_bytes(tar("w:gz")[:300])
    assert all(WANTED.in_file(path, "").torn for path in tmp_path.iterdir())


def test_what_is_only_compressed_or_called_json_by_others_hides_nothing(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n"))
    assert WANTED.in_file(tmp_path / "t.csv.gz", "") == Seen()
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("0.json", "no json")
        archive.writestr("1.json", json.dumps({"sample_id": GONE}))
    assert WANTED.in_file(tmp_path / "t.zip", "").samples == {GONE}


@pytest.mark.parametrize(("url", "said"), [("s3://bucket/x", "is no folder"), ("../../away", "is not there")])
def test_a_remote_that_cannot_be_looked_into_is_unproven(tmp_path, monkeypatch, url, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(f"['remote \"far\"']\n    url = {url}\n")
    (holder,) = find_holders(WANTED, {})
    assert (holder.kind, holder.place) == ("unproven", "remote far")
    assert said in holder.detail
