"""Every native name of every dataset has an entry, every entry a class or a reason, every choice a source."""

import pytest

from pipeline.core.catalog import GENERIC
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import DataError
from pipeline.core.synonyms import normalize, synonyms
from pipeline.ingest.registry import READERS
from pipeline.labels.taxonomy import FOLDER, Lookup, Taxonomy, list_taxonomies, read_taxonomy

SEVEN = "anger disgust fear happy neutral sad surprise"
COMPOUND = {
    "happily surprised": "happy surprise", "happily disgusted": "happy disgust", "sadly fearful": "sad fear",
    "sadly angry": "sad anger", "sadly surprised": "sad surprise", "sadly disgusted": "sad disgust",
    "fearfully angry": "fear anger", "fearfully surprised": "fear surprise", "angrily surprised": "anger surprise",
    "angrily disgusted": "anger disgust", "disgustedly surprised": "disgust surprise",
}  # fmt: skip
EMOTIC_VOTES = {
    "Anger": "anger", "Annoyance": "anger", "Aversion": "disgust", "Disapproval": "contempt", "Fear": "fear",
    "Disquietment": "fear", "Happiness": "happy", "Pleasure": "happy", "Peace": "neutral",
    "Sadness": "sad", "Suffering": "sad", "Surprise": "surprise",
}  # fmt: skip
EMOTIC_NONE = [
    "Affection", "Anticipation", "Confidence", "Disconnection", "Doubt/Confusion", "Embarrassment", "Engagement",
    "Esteem", "Excitement", "Fatigue", "Pain", "Sensitivity", "Sympathy", "Yearning",
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
               "Disgusted": "disgust", " neutral ": "neutral", "no_face": None, "Unknown": None, "face": None,
               "__background__": None, "Unlabeled": None, "Angry Faces": "anger", "1. Joy": "happy",
               "Surprise_1": "surprise", "sad_images": "sad", "class-fear": "fear", "NeutralFace": "neutral"},
    **{
        name: {"anger": "anger", "Happy": "happy", "No Face": None}
        for name in ("yolo", "coco", "voc", "class_columns", "path_list")
    },
    "bu3dfe": {"AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happy", "NE": "neutral", "SA": "sad",
               "SU": "surprise"},
    "faces": {"anger": "anger", "disgust": "disgust", "fear": "fear", "happiness": "happy", "neutrality": "neutral",
              "sadness": "sad"},
    "hub": {"angry": "anger", "Happy": "happy", "SURPRISE": "surprise"},
    "dfew": {"angry": "anger"} | {name: name for name in SEVEN.split() if name != "anger"},
    "ferv39k": {"Angry": "anger"} | {name.title(): name for name in SEVEN.split() if name != "anger"},
    "mafw": {"happiness": "happy", "sadness": "sad", "contempt": "contempt", "anger": "anger", "disgust": "disgust",
             "fear": "fear", "neutral": "neutral", "surprise": "surprise", "anxiety": None, "helplessness": None,
             "disappointment": None},
    "mafw_compound": {"happiness": "happy", "sadness": "sad", "anxiety": None, "helplessness": None,
                      "disappointment": None},
    "oulu_casia": {"Anger": "anger", "Disgust": "disgust", "Fear": "fear", "Happiness": "happy", "Sadness": "sad",
                   "Surprise": "surprise", "Neutral": "neutral"},
    "afew_va": {"none": None},
    "affwild2": {"Neutral": "neutral", "Anger": "anger", "Disgust": "disgust", "Fear": "fear", "Happiness": "happy",
                 "Sadness": "sad", "Surprise": "surprise", "Other": None, "none": None},
    "ravdess": {"neutral": "neutral", "calm": None, "happy": "happy", "sad": "sad", "angry": "anger",
                "fearful": "fear", "disgust": "disgust", "surprised": "surprise"},
    "cremad": {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"},
    "meld": {"anger": "anger", "disgust": "disgust", "fear": "fear", "joy": "happy", "neutral": "neutral",
             "sadness": "sad", "surprise": "surprise"},
    "video_folder": {"Anger": "anger", "Happy": "happy", "Sad": "sad", "no_face": None},
    "rml": {"an": "anger", "di": "disgust", "fe": "fear", "ha": "happy", "sa": "sad", "su": "surprise"},
    "baum1": {"anger": "anger", "contempt": "contempt", "disgust": "disgust", "fear": "fear", "happiness": "happy",
              "neutral": "neutral", "sadness": "sad", "surprise": "surprise", "boredom": None, "bothered": None,
              "concentrating": None, "interest": None, "thinking": None, "unsure": None},
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
    known |= {normalize(label) for label in NATIVE["affectnet"]} if name.startswith(("affectnet", *GENERIC)) else set()
    known |= {"unknown", "uncertain", "face", "background", "unlabeled"} if name in GENERIC else set()
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
    "dfew": (1, "80b27c44ef6f"),
    "ferv39k": (1, "0a90ba224601"),
    "mafw": (1, "c8ccf5b348b0"),
    "mafw_compound": (1, "119ca7671011"),
    "rml": (1, "dfc10f1f045f"),
    "baum1": (1, "371ab50429f9"),
    "oulu_casia": (1, "ba892efe99c1"),
    "afew_va": (1, "6a231a529c45"),
    "affwild2": (1, "02d1dc8df616"),
    "ravdess": (1, "3ef41582bd22"),
    "cremad": (1, "f1895f8d695a"),
    "meld": (1, "f3e502ed195a"),
    "video_folder": (2, "1b53756fad29"),
    "ckplus_csv": (2, "c3be16016cc3"),
    "affectnet": (2, "33fe5ef955bf"),
    "affectnet_folder": (2, "ca68d8808fbd"),
    "affectnet_npy": (2, "7fcc8294d2ec"),
    "ck48": (2, "e7d224e19616"),
    "ckplus": (2, "3e0f7c10bb00"),
    "csv": (3, "83ba64463fab"),
    "emotic": (2, "7437895ce4ee"),
    "emotic_csv": (2, "6e313e24478e"),
    "expw": (2, "af3b432f2fe3"),
    "fer2013": (2, "32a90808d08e"),
    "fer2013_folder": (2, "26f23e4b9c3c"),
    "ferplus": (2, "ca5e501439c0"),
    "folder": (3, "ed3860267b34"),
    "yolo": (2, "b46efce3e050"),
    "coco": (2, "9d2200eba09a"),
    "voc": (2, "fe6b5e9b7623"),
    "class_columns": (2, "062872c166c1"),
    "path_list": (2, "19a63cff3064"),
    "bu3dfe": (1, "cf4353925715"),
    "faces": (1, "e7cc4b372ebf"),
    "hub": (2, "a04113bf6ed5"),
    "jaffe": (2, "7f4beb624a7a"),
    "kdef": (2, "763af7ab8ef2"),
    "rafd": (2, "2c3b58b5b1e8"),
    "rafdb": (2, "abc845aa274b"),
    "rafdb_folder": (2, "73f4d9217499"),
    "rafdb_compound": (2, "32c3fe90d762"),
    "sfew": (2, "d39991c16d3f"),
}  # fmt: skip


@pytest.mark.parametrize("name", list_taxonomies())
def test_a_change_of_meaning_has_a_new_version(name):
    taxonomy = read_taxonomy(name)
    assert (taxonomy.version, taxonomy.digest) == DIGESTS[name], "raise the version, then put the new digest here"


def test_the_contract_says_name_and_version():
    assert read_taxonomy("rafdb").contract().items() >= {"name": "rafdb", "version": 2}.items()


def test_an_unknown_format_lists_the_known_ones():
    with pytest.raises(DataError, match=r"no taxonomy for format 'imagenet'; there are .*affectnet, .*rafdb"):
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
    monkeypatch.setattr("pipeline.labels.taxonomy.FOLDER", tmp_path)
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
        ("1_unheard", None), ("1_2_fear", "fear"), ("fear 3", "fear"),
    ],
)  # fmt: skip
def test_number_beside_the_name_of_a_class_is_no_part_of_it(label, native):
    found = Lookup(read_taxonomy("folder")).find(label)
    wanted = Lookup(read_taxonomy("folder")).find(native) if native else None
    assert found == wanted
    assert (found is None) == (native is None)
