"""docs/labels.md: every native label, held to the taxonomies and to what the literature does instead."""

import re

import pytest

from benchmarks.labels import PAGE, build_page, families, read_known
from pipeline.core.emotions import CLASSES
from pipeline.labels.taxonomy import Lookup, list_taxonomies, read_taxonomy


def test_the_page_is_what_the_taxonomies_say():
    assert PAGE.read_text() == build_page(read_known()), "stale: run make labels"


@pytest.mark.parametrize("name", list_taxonomies())
def test_each_row_of_the_page_is_what_the_label_becomes(name):
    section = PAGE.read_text().split(f"\n## {name}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)`[^|]*\| ([^|]+) \| `(\w+)` \|", section, re.MULTILINE)
    taxonomy = read_taxonomy(name)
    assert [label for label, _, _ in rows] == list(taxonomy.labels)
    for label, meaning, source in rows:
        _, entry = Lookup(taxonomy).find(label)
        shares = dict(reversed(part.split()) for part in meaning.split(", ")) if meaning[0].isdigit() else {meaning: 1}
        expected = {} if meaning.startswith("none: ") else {name: float(share) for name, share in shares.items()}
        assert dict(entry.shares()) == expected
        assert f"- `{source}`: {taxonomy.sources[source]}" in section


def test_alternatives_are_of_labels_that_there_are_and_differ():
    known = read_known()
    for name, entries in known["alternatives"].items():
        labels = read_taxonomy(name).labels
        for label, one in entries.items():
            assert label == "*" or label in labels, f"{name}: {label}"
            assert one["source"] in known["sources"]
            first = one["instead"].split()[0]
            assert first not in CLASSES or first != labels[label].to, f"{name}: {label} is no alternative"


def test_a_format_takes_over_the_alternatives_of_what_it_extends():
    assert list(families("emotic_csv")) == ["emotic_csv", "emotic"]
    assert "left out (`seven`)" in PAGE.read_text().split("\n## affectnet_npy\n")[1].split("\n## ")[0]
