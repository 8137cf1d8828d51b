"""One table of spellings, for readers and taxonomies alike."""

from pathlib import Path

import pytest
import yaml

from pipeline.core.emotions import CLASSES
from pipeline.core.synonyms import synonyms
from pipeline.ingest.parsing.label_names import class_word, common_name, native_label
from pipeline.ingest.registry import READERS
from pipeline.labels.taxonomy import Lookup, read_taxonomy

TABLE = yaml.safe_load((Path(__file__).parents[3] / "pipeline/core/synonyms.yaml").read_text())["words"]
SPELLED = [(word, spelling) for word, spellings in TABLE.items() for spelling in (word, *spellings)]
# Datasets whose labels are words, and not codes, of which CREMA-D's SAD looks like one.
READING = [reader for reader in READERS if sum(class_word(label) is not None for label in reader.labels) > 1]


def test_table_has_the_eight_words():
    assert set(TABLE) == set(synonyms().values()) == set(CLASSES)


@pytest.mark.parametrize(("word", "spelling"), SPELLED)
def test_readers_and_taxonomies_know_the_same_spellings(word, spelling):
    for text in (spelling, spelling.upper(), f"0_{spelling}", f"{spelling.title()} (3)"):
        assert class_word(text) == word
    assert common_name(spelling) == word
    for reader in READING:
        entry = Lookup(read_taxonomy(reader.name)).find(spelling)
        assert native_label(spelling, reader.labels) == (entry[0] if entry else None), reader.name


@pytest.mark.parametrize("text", ["", "0", "anger management", "calm", "sadder", "x", "1_", "²"])
def test_other_words_are_none(text):
    assert class_word(text) is None
    assert native_label(text, ("anger", "no-face")) is None


def test_label_that_is_no_emotion_is_found_by_its_name():
    assert native_label("No_Face", ("anger", "no-face")) == "no-face"
    assert native_label("8_none", ("none", "neutral")) == "none"
