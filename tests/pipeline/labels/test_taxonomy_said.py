"""What a taxonomy takes over, what it says of a file that breaks a rule, and which spellings are a name's."""

import pytest
import yaml

from pipeline.core.errors import DataError
from pipeline.core.synonyms import normalize, synonyms
from pipeline.labels import taxonomy as module
from pipeline.labels.taxonomy import Lookup, Taxonomy, read_taxonomy
from tests.pipeline.labels.test_labels_said import HERE


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    (tmp_path / "affect.yaml").write_text(yaml.safe_dump({"classes": {"sad": {"valence": [-1.0, 0.5]}}}))
    (tmp_path / "synonyms.yaml").write_text("words: {}")
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(HERE))
    return tmp_path


def test_a_taxonomy_takes_over_what_it_does_not_say_anew(folder):
    more = {
        "extends": "toy", "name": "more", "version": 9, "without": ["cross", "level"], "sources": {"them": "others"},
        "labels": {"glad": {"class": "neutral", "source": "them"}, "low": {"class": "sad", "source": "us"}},
    }  # fmt: skip
    (folder / "more.yaml").write_text(yaml.safe_dump(more))
    assert module.list_taxonomies() == ["more", "toy"]
    found = read_taxonomy("more")
    assert set(found.labels) == {"bitter", "blank", "glad", "torn", "low"}
    assert found.labels["glad"].to == "neutral"
    assert found.sources == {"us": "this test", "them": "others"}
    assert (found.name, found.version, found.priority) == ("more", 9, ("anger", "happy"))
    assert found.contract() == {"name": "more", "version": 9, "digest": found.digest}
    assert len(found.digest) == 12
    assert list(found.affect) == ["happy"]
    del more["extends"], more["without"]
    (folder / "more.yaml").write_text(yaml.safe_dump(more))
    with pytest.raises(DataError, match=r"^taxonomies/more\.yaml: : .*low: source 'us' is none of them$"):
        read_taxonomy("more")
    (folder / "alone.yaml").write_text(yaml.safe_dump({key: HERE[key] for key in HERE if key != "affect"}))
    assert read_taxonomy("alone").affect["sad"].valence == [-1.0, 0.5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", r"toy\.yaml: expected 'labels:' and the names below it$"), ("a: [", r"toy\.yaml: not YAML: .*expected"),
        ("extends: none", r"none\.yaml: cannot be read: No such file or directory$"),
        ("extends: toy", r"toy\.yaml: extends itself$"),
        ("{name: toy, version: 0}", r"toy\.yaml: version: Input should be greater than or equal to 1$"),
    ],
)  # fmt: skip
def test_a_file_that_breaks_a_rule_is_named(folder, text, said):
    (folder / "toy.yaml").write_text(text)
    with pytest.raises(DataError, match=r"^taxonomies/" + said):
        read_taxonomy("toy")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"priority": ["happy", "happy"]}, "priority: each of anger, contempt, .* at most once"),
        ({"priority": ["joy"]}, "priority: each of"), ({"affect": {"joy": {}}}, "affect: each of"),
        ({"labels": {"x": {"weights": {"sad": 0.5, "happy": 0.499}, "source": "us"}}}, "add up to 0.999, not 1"),
        ({"labels": {"x": {"class": "joy", "source": "us"}}}, "no such class: joy; the classes are anger, contempt, "),
        ({"labels": {"x": {"class": "sad", "head": "sad", "source": "us"}}}, "head 'sad' is none of the weights"),
        ({"labels": {"x": {"class": "sad", "source": "who"}}}, "x: source 'who' is none of us"),
    ],
)  # fmt: skip
def test_a_taxonomy_that_breaks_a_rule_says_which(change, said):
    with pytest.raises(ValueError, match=said):
        Taxonomy.model_validate(HERE | change)


def test_names_are_found_in_any_spelling_of_theirs_alone():
    lookup = Lookup(Taxonomy.model_validate(HERE))
    for text in ("glad", "GL_AD 2", "1. Glad", " gl-ad", "1glad", "glad faces"):
        assert lookup.find(text)[0] == "glad", text
    assert lookup.find("cross")[1].to == "anger"
    for text in ("2", "gladly", "angry"):
        assert lookup.find(text) is None, text
    word = Lookup(Taxonomy.model_validate(HERE | {"labels": {"Angry": {"class": "anger", "source": "us"}}}))
    assert word.find("anger")[0] == word.find("2_ANGER")[0] == "Angry"
    twice = {"glad": {"class": "happy", "source": "us"}, "Gl ad": {"class": "sad", "source": "us"}}
    with pytest.raises(DataError, match=r"^taxonomies/toy\.yaml: 'Gl ad' and 'glad' are one name$"):
        Lookup(Taxonomy.model_validate(HERE | {"labels": twice}))


def test_spellings_are_compared_without_case_and_separators(tmp_path, monkeypatch):
    assert normalize(" No_Face-1 ") == "noface1"
    from pipeline.core import synonyms as spellings

    path = tmp_path / "words.yaml"
    monkeypatch.setattr(spellings, "_PATH", path)
    path.write_text("words: {anger: [Ang Ry], sad: [Ang-ry]}")
    for text, said in (
        ("words: {anger: [Ang Ry], sad: [Ang-ry]}", r"/words\.yaml: 'Ang-ry' is a spelling of two words$"),
        ("word: {}", r"/words\.yaml: cannot be read: 'words'$"),
    ):
        path.write_text(text)
        synonyms.cache_clear()
        with pytest.raises(DataError, match=said):
            synonyms()
    path.write_text("words: {anger: [Ang Ry, anger]}")
    assert synonyms() == {"anger": "anger", "angry": "anger"}
    synonyms.cache_clear()
