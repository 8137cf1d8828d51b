"""Every native name of every dataset has an entry, every entry a class or a reason, every choice a source."""

import pytest

from pipeline.emotions import CLASSES
from pipeline.errors import DataError
from pipeline.sources import READERS
from pipeline.spellings import normalize, synonyms
from pipeline.taxonomy import FOLDER, Lookup, Taxonomy, list_taxonomies, read_taxonomy

SEVEN = "anger disgust fear happy neutral sad surprise"
COMPOUND = {
    "happily surprised": "happy surprise", "happily disgusted": "happy disgust", "sadly fearful": "sad fear",
    "sadly angry": "sad anger", "sadly surprised": "sad surprise", "sadly disgusted": "sad disgust",
    "fearfully angry": "fear anger", "fearfully surprised": "fear surprise", "angrily surprised": "anger surprise",
    "angrily disgusted": "anger disgust", "disgustedly surprised": "disgust surprise",
}  # fmt: skip
EMOTIC_VOTES = {
    "Anger": "anger", "Annoyance": "anger", "Aversion": "disgust", "Disapproval": "contempt", "Fear": "fear",
    "Disquietment": "fear", "Happiness": "happy", "Pleasure": "happy", "Peace": "neutral", "Disconnection": "neutral",
    "Sadness": "sad", "Suffering": "sad", "Surprise": "surprise",
}  # fmt: skip
EMOTIC_NONE = [
    "Affection", "Anticipation", "Confidence", "Doubt/Confusion", "Embarrassment", "Engagement", "Esteem", "Excitement",
    "Fatigue", "Pain", "Sensitivity", "Sympathy", "Yearning",
]  # fmt: skip
# What each dataset's names mean, from the datasets' own readmes and code tables; None: not one of the eight.
NATIVE = {
    "affectnet": dict(zip(CLASSES, CLASSES, strict=True)) | {"none": None, "uncertain": None, "no-face": None},
    "affectnet_npy": dict(zip(CLASSES, CLASSES, strict=True)),
    "affectnet_folder": dict(zip(CLASSES, CLASSES, strict=True)) | {"happiness": "happy", "angry": "anger"},
    "ckplus": dict(zip(CLASSES, CLASSES, strict=True)) | {"sadness": "sad"},
    "ckplus_csv": dict(zip(CLASSES, CLASSES, strict=True)),
    "ck48": {"anger": "anger", "contempt": "contempt", "disgust": "disgust", "fear": "fear", "happy": "happy",
             "sadness": "sad", "surprise": "surprise"},
    "rafdb": {"Surprise": "surprise", "Fear": "fear", "Disgust": "disgust", "Happiness": "happy", "Sadness": "sad",
              "Anger": "anger", "Neutral": "neutral"},
    "rafdb_folder": {"surprise": "surprise", "happiness": "happy", "sadness": "sad", "anger": "anger",
                     "fear": "fear", "disgust": "disgust", "neutral": "neutral"},
    "rafdb_compound": COMPOUND,
    "emotic": EMOTIC_VOTES | dict.fromkeys(EMOTIC_NONE) | {"Disquietement": "fear"},
    "emotic_csv": EMOTIC_VOTES | dict.fromkeys(EMOTIC_NONE),
    "fer2013": {name: name for name in SEVEN.split()},
    "fer2013_folder": {"angry": "anger"} | {name: name for name in SEVEN.split() if name != "anger"},
    "ferplus": {"neutral": "neutral", "happiness": "happy", "surprise": "surprise", "sadness": "sad", "anger": "anger",
                "disgust": "disgust", "fear": "fear", "contempt": "contempt", "unknown": None, "NF": None},
    "jaffe": {"AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happy", "NE": "neutral", "SA": "sad",
              "SU": "surprise"},
    "expw": {"angry": "anger"} | {name: name for name in SEVEN.split()},
    "kdef": {"AF": "fear", "AN": "anger", "DI": "disgust", "HA": "happy", "NE": "neutral", "SA": "sad",
             "SU": "surprise", "afraid": "fear"},
    "rafd": {"angry": "anger", "contemptuous": "contempt", "disgusted": "disgust", "fearful": "fear", "happy": "happy",
             "neutral": "neutral", "sad": "sad", "surprised": "surprise"},
    "sfew": {"Angry": "anger"} | {name.title(): name for name in SEVEN.split() if name != "anger"},
    "folder": {"ANGRY": "anger", "Anger": "anger", "happiness": "happy", "Happy": "happy", "sadness": "sad",
               "afraid": "fear", "Fearful": "fear", "surprised": "surprise", "contemptuous": "contempt",
               "Disgusted": "disgust", " neutral ": "neutral", "no_face": None, "Unknown": None},
    "csv": {"anger": "anger", "HAPPINESS": "happy", "surprise": "surprise", "contempt": "contempt"},
}  # fmt: skip


@pytest.mark.parametrize("name", list_taxonomies())
def test_every_native_name_means_what_the_dataset_says(name):
    lookup = Lookup(read_taxonomy(name))
    for label, meaning in NATIVE[name].items():
        found = lookup.find(label)
        assert found is not None, label
        assert set(found[1].shares()) == set((meaning or "").split()), label
        assert (found[1].reject is not None) == (meaning is None), label


@pytest.mark.parametrize("name", list_taxonomies())
def test_no_entry_is_beyond_what_is_tested(name):
    known = {normalize(label) for label in NATIVE[name]} | {normalize(word) for word in CLASSES}
    known |= (
        {normalize(label) for label in NATIVE["affectnet"]}
        if name.startswith(("affectnet", "folder", "csv"))
        else set()
    )
    known |= {normalize(label) for label in ("unknown", "uncertain")} if name in {"folder", "csv"} else set()
    assert {normalize(label) for label in read_taxonomy(name).labels} <= known


def test_every_dataset_is_covered():
    assert set(NATIVE) == set(list_taxonomies())


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_every_label_that_a_reader_gives_is_known(reader):
    lookup = Lookup(read_taxonomy(reader.name))
    assert [label for label in reader.labels if lookup.find(label) is None] == []


def test_the_emotic_categories_are_all_twenty_six():
    assert len(read_taxonomy("emotic").labels) == 26


@pytest.mark.parametrize("name", list_taxonomies())
def test_names_are_names(name):
    for label in read_taxonomy(name).labels:
        assert not label.lstrip("+-").replace(".", "").isdecimal()


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("rafdb", "contempt"),
        ("rafdb", "contemptuous"),
        ("ck48", "neutral"),
        ("fer2013", "contempt"),
        ("affectnet_npy", "none"),
        ("ckplus", "calm"),
        ("folder", "3"),
        ("emotic", "Joy ride"),
    ],
)
def test_a_name_that_the_dataset_does_not_have_is_not_found(name, absent):
    assert Lookup(read_taxonomy(name)).find(absent) is None


def test_synonyms_are_of_the_eight_and_do_not_cross():
    assert set(synonyms().values()) == set(CLASSES)
    for word in ("angry", "happiness", "sadness", "afraid", "surprised", "contemptuous", "disgusted"):
        assert word in synonyms()


# A change of meaning needs a new version: whoever changes a file changes its line here, both numbers.
DIGESTS = {
    "ckplus_csv": (1, "f55a97ced8db"),
    "affectnet": (1, "5479257da174"),
    "affectnet_folder": (1, "df8635a20f58"),
    "affectnet_npy": (1, "a499d3b48443"),
    "ck48": (1, "31aa7d30f3fa"),
    "ckplus": (1, "30b14b8837f3"),
    "csv": (1, "39ae0f437952"),
    "emotic": (1, "2f52c143c934"),
    "emotic_csv": (1, "d3fcea8aacc0"),
    "expw": (1, "f18de1028bf5"),
    "fer2013": (1, "df7656b060d6"),
    "fer2013_folder": (1, "e4a6c31561a9"),
    "ferplus": (1, "e0d5302ca061"),
    "folder": (1, "064204babd8e"),
    "jaffe": (1, "8e2504dfef7c"),
    "kdef": (1, "72dd117895a6"),
    "rafd": (1, "668f4c7c5538"),
    "rafdb": (1, "d0e579d384ea"),
    "rafdb_folder": (1, "b2e5a6ffefe4"),
    "rafdb_compound": (1, "812a07c4c31a"),
    "sfew": (1, "d22b98095512"),
}  # fmt: skip


@pytest.mark.parametrize("name", list_taxonomies())
def test_a_change_of_meaning_has_a_new_version(name):
    taxonomy = read_taxonomy(name)
    assert (taxonomy.version, taxonomy.digest) == DIGESTS[name], "raise the version, then put the new digest here"


def test_the_contract_says_name_and_version():
    assert read_taxonomy("rafdb").contract().items() >= {"name": "rafdb", "version": 1}.items()


def test_an_unknown_format_lists_the_known_ones():
    with pytest.raises(DataError, match=r"no taxonomy for format 'imagenet'; there are affectnet, .*rafdb"):
        read_taxonomy("imagenet")
    with pytest.raises(DataError, match="no taxonomy for format 'synonyms'"):
        read_taxonomy("synonyms")


def make(**changes):
    content = {
        "name": "toy",
        "version": 1,
        "sources": {"here": "a test"},
        "labels": {"glad": {"class": "happy", "source": "here"}},
    }
    return Taxonomy.model_validate(content | changes)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"class": "happy", "reject": "no", "source": "here"}, "exactly one of"),
        ({"source": "here"}, "exactly one of"),
        ({"class": "joyous", "source": "here"}, "no such class"),
        ({"weights": {"happy": 0.5, "sad": 0.4}, "source": "here"}, "add up to"),
        ({"weights": {"happy": 0.5, "sad": 0.5}, "head": "fear", "source": "here"}, "none of the weights"),
        ({"class": "happy", "source": "there"}, "source 'there'"),
        ({"class": "happy"}, "Field required"),
        ({"class": "happy", "source": "here", "note": "x"}, "Extra inputs"),
    ],
)
def test_a_broken_entry_is_refused(entry, said):
    with pytest.raises(ValueError, match=said):
        make(labels={"glad": entry})


def test_one_name_twice_is_refused():
    entry = {"class": "happy", "source": "here"}
    taxonomy = make(labels={"glad": entry, "pleased": entry | {"also": ["GLAD"]}})
    with pytest.raises(DataError, match="are one name"):
        Lookup(taxonomy)


def test_a_taxonomy_that_extends_itself_or_takes_away_what_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.taxonomy.FOLDER", tmp_path)
    (tmp_path / "a.yaml").write_text("extends: b\nname: a\n")
    (tmp_path / "b.yaml").write_text("extends: a\nname: b\n")
    with pytest.raises(DataError, match="extends itself"):
        read_taxonomy("a")
    (tmp_path / "a.yaml").write_text((FOLDER / "rafdb.yaml").read_text())
    (tmp_path / "b.yaml").write_text("extends: a\nname: b\nversion: 1\nwithout: [contempt]\n")
    with pytest.raises(DataError, match="without 'contempt', which a does not have"):
        read_taxonomy("b")
    (tmp_path / "b.yaml").write_text("labels: [")
    with pytest.raises(DataError, match=r"taxonomies/b\.yaml: not YAML"):
        read_taxonomy("b")


@pytest.mark.parametrize(
    ("label", "native"),
    [
        ("1_Surprise", "surprise"), ("2 - Fear", "fear"), ("06.angry", "anger"), ("3_", None), ("3", None),
        ("1_unheard", None), ("1_2_fear", None),
    ],
)  # fmt: skip
def test_number_before_the_name_of_a_class_is_no_part_of_it(label, native):
    found = Lookup(read_taxonomy("folder")).find(label)
    wanted = Lookup(read_taxonomy("folder")).find(native) if native else None
    assert found == wanted
    assert (found is None) == (native is None)
