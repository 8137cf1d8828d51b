"""The data card of two small datasets that went through the real stages."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage.data import brick

from pipeline.core.emotions import CLASSES
from pipeline.core.errors import LineageError
from pipeline.core.lineage.identity import identity
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.params import read_params
from pipeline.core.stage_output import stage_output
from pipeline.report.card import build_card
from pipeline.report.page import Gallery, build_page
from pipeline.report.stage import run as write_report
from pipeline.select.stage import run as select
from pipeline.shards.stage import run as write_shards
from tests.imports import ROOT
from tests.shard_inputs import shard_params


def test_every_row_is_counted_by_stage_and_reason(card):
    stages = card["datasets"]["one"]["stages"]
    assert list(stages) == sorted(["ingest", "align", "select", "equalize", "harmonize"])
    assert stages["align"]["rows_in"] == 9
    assert stages["align"]["rows_out"] == 6
    assert stages["align"]["rejected"] == {"no_face": 2, "truncated": 1}
    assert stages["select"] == {"rows_in": 6, "rows_out": 6, "rejected": {}}


def test_a_face_that_was_turned_away_is_counted_missed_and_shown_among_those_left_out(shards, tmp_path, params):
    """One gate closed until one of six faces is left out; the rest as above."""
    root, given = shards.parent, read_params(ROOT / "params.yaml").select
    detections = pq.read_table(root / "aligned" / "detections.parquet").to_pandas()
    faces = detections[detections.status == "aligned"].sort_values("sharpness")
    least = given.model_copy(update={"min_sharpness": float(faces.sharpness.iloc[:2].mean())})
    select(root / "aligned", tmp_path / "selected", least)
    one = {"one": root / "labels"}
    tables = {"one": root / "faces"}, {"one": tmp_path / "selected"}, one, root / "split"
    write_shards(*tables, tmp_path / "shards", shard_params(), seed=1, workers=1)
    facts = build_card(tmp_path / "shards")["datasets"]["one"]
    assert facts["stages"]["select"] == {"rows_in": 6, "rows_out": 5, "rejected": {"blurred": 1}}
    assert sum(counts["with_face"] for counts in facts["classes"].values()) == 5
    missing = pq.read_table(tmp_path / "shards" / "missing_faces.parquet").to_pandas()
    assert missing.sample_id[missing.reason == "blurred"].tolist() == [faces.sample_id.iloc[0]]
    write_report(tmp_path / "shards", tmp_path / "out", params)
    page = _Page(tmp_path / "out")
    assert {face["sample_id"] for face in page.data["faces"]["one"]} == set(faces.sample_id.iloc[1:])
    assert [(reason, len(pictures)) for reason, _, pictures in page.left][-1] == ("blurred", 1)


def test_misses_are_told_by_class(card):
    classes = card["datasets"]["one"]["classes"]
    assert classes["happy"] == {"labelled": 5, "with_face": 3, "missed_share": 0.4}
    assert classes["sad"] == {"labelled": 4, "with_face": 3, "missed_share": 0.25}
    assert classes["fear"] == {"labelled": 0, "with_face": 0, "missed_share": 0.0}


def test_class_counts_are_those_of_the_shards(card, shards):
    index = pq.read_table(shards / "index.parquet").to_pandas()
    for name, counts in card["datasets"]["one"]["splits"].items():
        assert sum(counts.values()) == (index.split == name).sum()


def test_the_raw_tree_has_the_hash_that_dvc_gives_it(card, shards):
    ((path, md5),) = card["datasets"]["one"]["raw"].items()
    assert path.endswith("raw/one")
    assert md5 == identity(shards.parent / "raw" / "one")
    assert card["snapshot"]["shards"] == read_snapshot(shards).id
    assert "personal data" in card["licence"]


def test_the_page_shows_facts_and_pictures_that_are_there(out, card):
    page = _Page(out)
    assert card["snapshot"]["shards"] in page.text
    assert "Faces are personal data" in page.text
    faces = page.data["faces"]["one"]
    assert len(faces) == 6
    for picture in [face["picture"] for face in faces]:
        with Image.open(out / picture) as opened:
            assert max(opened.size) <= 112
            assert np.asarray(opened).std() > 20
    on_disk = {path.relative_to(out).as_posix() for path in (out / "pictures").rglob("*.jpg")}
    assert on_disk == {face["picture"] for face in faces} | set(page.pictures)


def test_what_is_known_of_a_face_is_in_the_page(out, shards):
    root = shards.parent
    detections = pq.read_table(root / "aligned" / "detections.parquet").to_pandas().set_index("sample_id")
    labels = pq.read_table(root / "labels" / "labels.parquet").to_pandas().set_index("sample_id")
    split = pq.read_table(root / "split" / "split.parquet").to_pandas().set_index("sample_id")
    for face in _Page(out).data["faces"]["one"]:
        name = face["sample_id"]
        assert face["label"] == labels.label[name]
        assert face["split"] == split.split[name]
        assert face["detector"] == detections.detector[name]
        assert face["sharpness"] == pytest.approx(detections.sharpness[name], rel=1e-3)
        assert face["face_score"] == pytest.approx(detections.face_score[name], rel=1e-3)
        assert "predicted" not in face


def test_rows_left_out_are_shown_as_they_came(out):
    """Two walls, which can be seen, and a torn file, which cannot."""
    left = _Page(out).left
    assert [(reason, rows) for reason, rows, _ in left] == [("no face", "2 rows"), ("truncated", "1 row")]
    (walls, torn) = (pictures for _, _, pictures in left)
    assert torn == []
    assert len(walls) == 2
    for picture in walls:
        with Image.open(out / picture) as opened:
            assert np.abs(np.asarray(opened.convert("L"), float).mean() - brick().mean()) < 5


def test_without_the_raw_tree_nothing_is_missing_but_its_pictures(shards, tmp_path, params):
    (shards.parent / "raw").rename(shards.parent / "away")
    try:
        write_report(shards, tmp_path / "out", params)
    finally:
        (shards.parent / "away").rename(shards.parent / "raw")
    page = _Page(tmp_path / "out")
    assert [pictures for _, _, pictures in page.left] == [[], []]
    assert len(page.data["faces"]["one"]) == 6


class _Page(HTMLParser):
    """A page as it lies on the disk: its data, its pictures, and what it says was left out."""

    def __init__(self, folder):
        super().__init__()
        self.text = (folder / "index.html").read_text()
        self.pictures, self.left, self._words, self._in = [], [], None, ""
        self.data = json.loads(re.search(r'id="data">(.*?)</script>', self.text)[1])
        self.feed(self.text)

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        if tag == "details":
            self._in = known["class"]
        if tag == "summary" and "rejects" in self._in:
            self._words = []
        if tag == "img" and known.get("src"):
            self.pictures.append(known["src"])
            self.left[-1][2].append(known["src"])

    def handle_endtag(self, tag):
        if tag == "summary" and self._words is not None:
            reason, _, rows = (word for word in map(str.strip, self._words) if word)
            self.left.append((reason, rows, []))
            self._words = None

    def handle_data(self, data):
        if self._words is not None:
            self._words.append(data)


class _Elements(HTMLParser):
    """Every element of a page, with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_what_others_wrote_is_text(card):
    """Whatever a path, a label, a dataset or a licence is called: the page has the elements that it has without."""
    hostile = '"><img src=x onerror=alert(1)><script>alert(2)</script>'

    def poison(value):
        if isinstance(value, dict):
            return {(hostile + key if key not in keep else key): poison(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [poison(inner) for inner in value]
        return hostile + value if isinstance(value, str) else value

    keep = {*CLASSES, *card, *(key for facts in card["datasets"].values() for key in facts)}
    keep |= {"share", "release", "verdict", "accepted", "rows_in", "rows_out", "rejected", "labelled", "with_face"}
    keep |= {"missed_share", *card["sets"], "crossing", *card["sets"]["crossing"], "size_px", "align", "ingest"}
    keep |= {"train", "val", "test", "split", "shard", "select", "equalize", "harmonize"}
    poisoned = poison(card)
    face = {"sample_id": hostile, "label": 1, "picture": "a.png", "split": hostile, "detector": hostile}
    left = {"sample_id": hostile, "stage": hostile, "reason": hostile, "detail": hostile, "rows": 1, "picture": "a.png"}

    def drawn(card):
        names = list(card["datasets"])
        return build_page(card, Gallery({name: [face] for name in names}, {name: [left] for name in names}))

    found = _Elements(drawn(poisoned)).found
    assert {tag for tag, _ in found} == {tag for tag, _ in _Elements(drawn(card)).found}
    assert sum(tag == "script" for tag, _ in found) == 2
    assert not [attrs for _, attrs in found if any(name.startswith("on") for name in attrs)]
    assert {attrs["src"] for tag, attrs in found if tag == "img" and "src" in attrs} == {"a.png"}
    assert all(attrs["href"].startswith("#") for tag, attrs in found if tag == "a")


def test_the_page_asks_for_nothing_but_its_pictures(card):
    policy = next(attrs["content"] for _, attrs in _Elements(build_page(card)).found if "http-equiv" in attrs)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.pop("img-src") == "'self' file:"
    assert {name for name, value in rules.items() if value == "'none'"} == {"default-src", "base-uri", "form-action"}
    assert all(re.fullmatch(r"'sha256-[\w+/=]+'", rules[name]) for name in ("script-src", "style-src"))


def test_accepted_mismatch_is_on_the_card_with_what_differs(out, card):
    told = "the table contradicts the folders in 9 of 9 rows"
    assert card["datasets"]["one"]["fingerprint"] == {
        "verdict": "mismatch", "release": None, "share": None, "accepted": told,
    }  # fmt: skip
    page = (out / "index.html").read_text()
    assert f"read all the same (accept_mismatch).</strong> {told}" in page


def test_page_says_which_share_of_a_release_it_is_and_of_no_mismatch_where_none_was_accepted(card):
    facts = card["datasets"]["one"] | {"fingerprint": {"verdict": "subset", "release": "RAF-DB & Co", "share": 0.25}}
    page = build_page(card | {"datasets": {"one": facts}})
    assert "<dt>By its counts</dt><dd>25.0% of RAF-DB &amp; Co (subset)</dd>" in page
    assert "accept_mismatch" not in page


def test_it_says_on_what_the_network_was_trained(shards, tmp_path):
    ran = {"device": "cuda", "card": "NVIDIA <H100>", "precision": "bf16", "tf32": False, "processes": 2}
    with stage_output(tmp_path / "run", stage="train", sources=[shards], params={}) as output:
        output.finish(rows_in=0, rows_out=0, ran=ran)
    card = build_card(shards, tmp_path / "run")
    assert card["device"] == {"train": ran}
    assert "NVIDIA &lt;H100&gt; (cuda), bf16, 2 processes" in build_page(card)


def test_what_crosses_and_how_classes_were_balanced_is_told(out, card):
    sets = card["sets"]
    assert sets["crossing"] == {"groups": 0, "files": 0, "pictures": 0, "decided": 0} | dict.fromkeys(
        ("subjects", "sequences", "duplicates", "identities")
    )
    assert sets["counts"]["pictures"] == 6
    assert sets["keep"] is None
    assert sets["policy"] == shard_params().plain() | {"seed": 1}
    lacking = [name for name in CLASSES if name not in ("happy", "sad")]
    assert set(lacking) <= set(sets["missing_classes"]["train"]["one"])
    page = (out / "index.html").read_text()
    assert re.search(r'<tr><th scope="row">groups</th><td>\d+</td><td>0</td></tr>', page)
    assert '<tr><th scope="row">identities</th><td></td><td>not looked for</td></tr>' in page
    assert re.search(r"one, train</th><td>[a-z, ]*contempt, disgust", page)
    assert "balance_over" in page
    assert "The earlier split that is kept" not in page


def test_again_it_is_the_same_bytes(out, shards, params):
    write_report(shards, shards.parent / "again", params)
    for path in sorted(out.rglob("*")):
        if path.is_file():
            assert (shards.parent / "again" / path.relative_to(out)).read_bytes() == path.read_bytes()


def test_a_step_that_is_gone_is_one_line(shards, params):
    (shards.parent / "labels").rename(shards.parent / "gone")
    try:
        with pytest.raises(LineageError, match="labels: missing") as error:
            write_report(shards, shards.parent / "out2", params)
    finally:
        (shards.parent / "gone").rename(shards.parent / "labels")
    assert "\n" not in str(error.value)


def test_the_page_says_chance_seeds_and_what_looks_swapped(card):
    counts = {actual: {predicted: int(actual == predicted) for predicted in CLASSES} for actual in CLASSES}
    measured = {
        "metrics": {"accuracy": 0.5, "rows": 8, "ece": 0.07, "ece_chance": 0.06},
        "described": {},
        "groups": {},
        "occlusion": {},
        "confusion": counts,
        "seeds": {"training": 7},
    }
    page = build_page({**card, **measured, "permutation_probe": {}})
    assert "calibration error by chance alone</th><td>0.0600</td>" in page
    assert "seed of training</th><td>7</td>" in page
    assert "Silence is no proof" in page
    assert "Hidden parts" not in page
    swapped = {"one": {"swapped": {"first": "anger", "second": "disgust"}}}
    page = build_page({**card, **measured, "permutation_probe": swapped})
    assert "0 anger (6) and 2 disgust (5) look swapped" in page
    assert "Silence" not in page


def test_the_page_says_what_is_lost_where_a_part_of_the_face_is_hidden(card):
    scores = {"balanced_accuracy": {"value": 0.412, "low": 0.3, "high": 0.52}}
    measured = {"metrics": {"accuracy": 0.5, "rows": 8}, "described": {}, "groups": {}, "seeds": {}}
    whole = {"balanced_accuracy": {"this network": {"value": 0.731}}}
    page = build_page({**card, **measured, "figures": whole, "per_class": {}, "occlusion": {"surgical_mask": scores}})
    shown = page[page.index("Hidden parts of the face") :]
    assert "0.731" in shown[shown.index("nothing hidden") : shown.index("surgical mask")]
    assert "surgical mask" in shown
    assert "0.412" in shown
