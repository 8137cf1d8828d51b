"""What was read of a part of faces is read once, and again only if the part or its margin is another."""

import pytest

from pipeline.core.lineage.snapshot import Snapshot, write_snapshot
from pipeline.core.parts import Resume, kept_parts, recipe_of
from pipeline.core.stage_output import stage_output
from pipeline.core.tables import read_table, write_table
from pipeline.geometry.margin import read_margin
from pipeline.split.duplicates import find_duplicates
from pipeline.split.duplicates.hashes import write_hashes
from pipeline.split.identities import find_identities, write_descriptors

from .conftest import made_face


@pytest.fixture
def hashed(write_faces, tmp_path):
    files = [write_faces([made_face(seed), made_face(seed + 1)]) for seed in (0, 1)]

    def run(*, identities=False, fresh=False):
        said = []
        with stage_output(tmp_path / "out/split", stage="split", sources=[], params={}) as output:
            recipe = recipe_of([write_hashes, write_descriptors], {}, ["numpy"])
            store = output.part_store(recipe, Resume(fresh, said.append), lasting=True)
            table = find_duplicates(files, near=True, threshold=0.9, workers=1, store=store).table
            people = find_identities(files, threshold=0.4, workers=1, store=store) if identities else []
            output.finish(rows_in=0, rows_out=0)
        assert table.equals(find_duplicates(files, near=True, threshold=0.9, workers=1).table)
        assert people == (find_identities(files, threshold=0.4, workers=1) if identities else [])
        return said

    run.files = files
    return run


def test_faces_are_read_once(hashed, tmp_path):
    two = "2 of 2 parts taken over from an earlier run"
    assert hashed() == []
    assert hashed() == [two]
    assert hashed(identities=True) == [two]
    assert hashed(identities=True) == [two, two]
    assert hashed(fresh=True) == []
    (store,) = kept_parts(tmp_path)
    assert len(list(store.glob("*/*/hashes.parquet"))) == 2
    assert not list(store.glob("*/*/descriptors.parquet"))


def test_a_changed_part_or_margin_is_read_again(hashed, tmp_path):
    hashed()
    table = read_table(hashed.files[0])
    write_table(hashed.files[0], table.slice(1))
    assert hashed() == ["1 of 2 parts taken over from an earlier run"]
    write_snapshot(tmp_path, Snapshot("align", "id", (), {}, {}, {}, {"align": {"margin": 0.2}}))
    read_margin.cache_clear()
    assert hashed() == []
