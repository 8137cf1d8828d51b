"""What a group is named after, and that its key stays when copies and further pictures join."""

import numpy as np
import pytest

from pipeline.split.groups import build_groups
from pipeline.split.people import SplitRows


def rows(*entries):
    """Rows of (sample id, subject, md5), sorted as `read_rows` sorts them; a row without md5 has no file of its own."""
    entries = sorted(entries)
    ids = [sample_id for sample_id, _, _ in entries]
    names = [sample_id.partition("/")[0] for sample_id in ids]
    subjects = [subject and f"{name}/{subject}" for name, (_, subject, _) in zip(names, entries, strict=True)]
    pictures = [md5 for *_, md5 in entries]
    none = [None] * len(ids)
    labels = np.zeros(len(ids), np.int64)
    return SplitRows(ids, np.array(names), subjects, none, ids, pictures, none, labels, labels >= 0, labels == 0)


def found(*entries, links=()):
    given = rows(*entries)
    at = {key: number for number, key in enumerate(given.sample_ids)}
    pairs = np.array([(at[first], at[second]) for first, second in links], np.int64).reshape(-1, 2)
    groups = build_groups(given, [pairs])
    return {
        key: (groups.names[group], groups.keys[group])
        for key, group in zip(given.sample_ids, groups.of_row, strict=True)
    }


def test_each_kind_of_name():
    got = found(("b/1", "S1", "m1"), ("b/2", None, "m2"), ("b/t.csv#3", None, None))
    assert got == {
        "b/1": ("subject:b/S1", "subject:S1"),
        "b/2": ("picture:m2", "picture:m2"),
        "b/t.csv#3": ("row:b/t.csv#3", "row:t.csv#3"),
    }


@pytest.mark.parametrize("other", ["a", "c"])
def test_copies_in_another_dataset_change_nothing_wherever_its_name_comes(other):
    before = [("b/1", None, "m1"), ("b/2", "S1", "m2"), ("b/3", "S1", "m3")]
    copies = [(f"{other}/x", None, "m1"), (f"{other}/y", None, "m2"), (f"{other}/z", None, "m3")]
    old, new = found(*before), found(*before, *copies)
    assert {key: new[key] for key in old} == old
    assert new[f"{other}/x"] == old["b/1"]


def test_a_mirror_that_keeps_the_persons_names_keeps_the_key():
    (old,) = set(found(("b/1", "S1", "m1")).values())
    (new,) = set(found(("b/1", "S1", "m1"), ("a/1", "S1", "m1")).values())
    assert new[1] == old[1]


def test_further_pictures_of_a_person_change_nothing():
    old = found(("b/5", "S1", "m5"))
    new = found(("b/5", "S1", "m5"), *((f"b/{n}", "S1", f"m{n}") for n in range(5)))
    assert set(new.values()) == set(old.values())


def test_one_more_of_n_takes_the_key_with_a_chance_of_one_in_n_and_one():
    taken = 0
    for trial in range(600):
        before = [(f"b/{trial}-{n}", None, f"{trial} {n}") for n in range(3)]
        chain = [(before[n][0], before[n + 1][0]) for n in range(2)]
        more = (f"b/{trial}-0x", None, f"{trial} more")
        (old,) = set(found(*before, links=chain).values())
        (new,) = set(found(*before, more, links=[*chain, (before[0][0], more[0])]).values())
        taken += old != new
    # Binomial, n = 600, p = 1/4: 150 with a standard deviation of 10.6.
    assert abs(taken - 150) < 45
