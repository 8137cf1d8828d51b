"""The data card of two small datasets that went through the real stages."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

from pipeline.align.stage import run as align
from pipeline.core.emotions import CLASSES
from pipeline.core.errors import LineageError
from pipeline.core.lineage.identity import identity
from pipeline.core.lineage.snapshot import read_snapshot
from pipeline.core.params import ReportParams, read_params
from pipeline.core.stage_output import stage_output
from pipeline.equalize.stage import run as equalize
from pipeline.ingest.stage import run as ingest
from pipeline.labels.stage import run as harmonize
from pipeline.report import contact
from pipeline.report.card import build_card
from pipeline.report.page import build_page
from pipeline.report.stage import run as write_report
from pipeline.select.stage import run as select
from pipeline.shards.stage import run as write_shards
from pipeline.split.stage import run as split
from tests.imports import ROOT
from tests.pictures import encoded
from tests.shard_inputs import shard_params

PARAMS = ReportParams(contact_faces=5)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Dataset `one`: the NASA portrait in two classes, and a wall in each; its table contradicts its folders."""
    root = tmp_path_factory.mktemp("report")
    params = read_params(ROOT / "params.yaml")
    face, wall = data.astronaut()[:256, 100:356], data.brick()
    raw = root / "raw" / "one"
    labels = {"sad": "happy", "happy": "sad"}  # by folder
    for folder, label in labels.items():
        (raw / folder).mkdir(parents=True)
        for number in range(3):
            turned = np.roll(face, 5 * number + (label == "sad"), axis=1)
            (raw / folder / f"face{number}.jpg").write_bytes(encoded(turned, 90 - number))
        (raw / folder / "wall.jpg").write_bytes(encoded(wall, 80 if label == "sad" else 81))
    (raw / "sad" / "torn.jpg").write_bytes(encoded(face, 90)[:2000])
    listed = sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*.jpg"))
    rows = [f"{name},{labels[name.partition('/')[0]]}" for name in listed]
    (raw / "labels.csv").write_text("\n".join(["path,label", *rows]))
    small = params.align.model_copy(update={"size_px": 64})
    ingest(str(raw), root / "samples", dataset="one", fmt="csv", params=params.ingest, accept_mismatch=True)
    align(root / "samples", str(raw), root / "aligned", small, workers=1)
    equalize(root / "aligned", root / "faces", params.equalize, workers=1)
    harmonize(root / "samples", root / "labels", params.harmonize)
    free = params.split.model_copy(update={"duplicates": "none"})
    one = {"one": root / "labels"}
    split({"one": root / "aligned"}, one, {"one": "both"}, root / "split", free, seed=1, workers=1)
    select(root / "aligned", root / "selected", params.select)
    faces = {"one": root / "faces"}, {"one": root / "selected"}
    write_shards(*faces, one, root / "split", root / "shards", shard_params(), seed=1, workers=1)
    return root / "shards"


@pytest.fixture(scope="module")
def out(shards):
    write_report(shards, shards.parent / "out", PARAMS)
    return shards.parent / "out"


@pytest.fixture(scope="module")
def card(out):
    return json.loads((out / "card.json").read_text())


def test_every_row_is_counted_by_stage_and_reason(card):
    stages = card["datasets"]["one"]["stages"]
    assert list(stages) == sorted(["ingest", "align", "select", "equalize", "harmonize"])
    assert stages["align"]["rows_in"] == 9
    assert stages["align"]["rows_out"] == 6
    assert stages["align"]["rejected"] == {"no_face": 2, "truncated": 1}
    assert stages["select"] == {"rows_in": 6, "rows_out": 6, "rejected": {}}


def test_a_face_that_was_turned_away_is_counted_missed_and_not_shown(shards, tmp_path):
    """One gate closed until one of six faces is left out; the rest as above."""
    root, params = shards.parent, read_params(ROOT / "params.yaml")
    detections = pq.read_table(root / "aligned" / "detections.parquet").to_pandas()
    faces = detections[detections.status == "aligned"].sort_values("sharpness")
    least = params.select.model_copy(update={"min_sharpness": float(faces.sharpness.iloc[:2].mean())})
    select(root / "aligned", tmp_path / "selected", least)
    one = {"one": root / "labels"}
    given = {"one": root / "faces"}, {"one": tmp_path / "selected"}, one, root / "split"
    write_shards(*given, tmp_path / "shards", shard_params(), seed=1, workers=1)
    facts = build_card(tmp_path / "shards")["datasets"]["one"]
    assert facts["stages"]["select"] == {"rows_in": 6, "rows_out": 5, "rejected": {"blurred": 1}}
    assert sum(counts["with_face"] for counts in facts["classes"].values()) == 5
    missing = pq.read_table(tmp_path / "shards" / "missing_faces.parquet").to_pandas()
    assert missing.sample_id[missing.reason == "blurred"].tolist() == [faces.sample_id.iloc[0]]
    shown = []

    def note(tiles, **_):
        shown.extend(tile.lines[1] for tile in tiles)
        return np.zeros((2, 2, 3), np.uint8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contact, "build_sheet", note)
        write_report(tmp_path / "shards", tmp_path / "out", ReportParams(contact_faces=9))
    assert set(shown) == set(faces.sample_id.iloc[1:])


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
    page = (out / "index.html").read_text()
    assert card["snapshot"]["shards"] in page
    assert "Faces are personal data" in page
    pictures = re.findall(r'<img src="([^"]+)"', page)
    assert pictures == ["contact/one-typical.png", "contact/one-doubtful.png"]
    for picture in pictures:
        with Image.open(out / picture) as opened:
            assert np.asarray(opened).std() > 20
    assert "<script" not in page


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
    keep |= {"missed_share", *card["sets"], "crossing", *card["sets"]["crossing"]}
    poisoned = poison(card)
    found = _Elements(build_page(poisoned, {name: ["a.png"] for name in poisoned["datasets"]})).found
    assert {tag for tag, _ in found} == {tag for tag, _ in _Elements(build_page(card, {"one": ["a.png"]})).found}
    assert not [attrs for _, attrs in found if any(name.startswith("on") for name in attrs)]
    assert {attrs["src"] for tag, attrs in found if tag == "img"} == {"a.png"}


def test_the_page_asks_for_nothing_but_its_pictures(card):
    policy = next(attrs["content"] for _, attrs in _Elements(build_page(card, {})).found if "http-equiv" in attrs)
    assert policy.split("; ")[0] == "default-src 'none'"
    assert "script" not in policy


def test_accepted_mismatch_is_on_the_card_with_what_differs(out, card):
    told = "the table contradicts the folders in 9 of 9 rows"
    assert card["datasets"]["one"]["fingerprint"] == {
        "verdict": "mismatch", "release": None, "share": None, "accepted": told,
    }  # fmt: skip
    page = (out / "index.html").read_text()
    assert f"read all the same (accept_mismatch).</strong> {told}" in page


def test_page_says_which_share_of_a_release_it_is_and_of_no_mismatch_where_none_was_accepted(card):
    facts = card["datasets"]["one"] | {"fingerprint": {"verdict": "subset", "release": "RAF-DB & Co", "share": 0.25}}
    page = build_page(card | {"datasets": {"one": facts}}, {})
    assert "By its counts: 25.0% of RAF-DB &amp; Co (subset)" in page
    assert "accept_mismatch" not in page


def test_it_says_on_what_the_network_was_trained(shards, tmp_path):
    ran = {"device": "cuda", "card": "NVIDIA <H100>", "precision": "bf16", "tf32": False, "processes": 2}
    with stage_output(tmp_path / "run", stage="train", sources=[shards], params={}) as output:
        output.finish(rows_in=0, rows_out=0, ran=ran)
    card = build_card(shards, tmp_path / "run")
    assert card["device"] == {"train": ran}
    assert "NVIDIA &lt;H100&gt; (cuda), bf16, 2 processes" in build_page(card, {})


def test_what_crosses_and_how_classes_were_balanced_is_told(out, card):
    sets = card["sets"]
    assert sets["crossing"] == {"groups": 0, "files": 0, "pictures": 0} | dict.fromkeys(
        ("subjects", "sequences", "duplicates", "identities")
    )
    assert sets["counts"]["pictures"] == 6
    assert sets["keep"] is None
    assert sets["policy"] == shard_params().plain() | {"seed": 1}
    lacking = [name for name in CLASSES if name not in ("happy", "sad")]
    assert set(lacking) <= set(sets["missing_classes"]["train"]["one"])
    page = (out / "index.html").read_text()
    assert re.search(r"<tr><td>groups</td><td>\d+</td><td>0</td></tr>", page)
    assert "<tr><td>identities</td><td></td><td>not looked for</td></tr>" in page
    assert re.search(r"one, train</td><td class=\"text\">[a-z, ]*contempt, disgust", page)
    assert "balance_over" in page
    assert "The earlier split that is kept" not in page


def test_again_it_is_the_same_bytes(out, shards):
    write_report(shards, shards.parent / "again", PARAMS)
    for path in sorted(out.rglob("*")):
        if path.is_file():
            assert (shards.parent / "again" / path.relative_to(out)).read_bytes() == path.read_bytes()


def test_a_step_that_is_gone_is_one_line(shards):
    (shards.parent / "labels").rename(shards.parent / "gone")
    try:
        with pytest.raises(LineageError, match="labels: missing") as error:
            write_report(shards, shards.parent / "out2", PARAMS)
    finally:
        (shards.parent / "gone").rename(shards.parent / "labels")
    assert "\n" not in str(error.value)


def test_the_page_says_chance_seeds_and_what_looks_swapped(card):
    counts = {actual: {predicted: int(actual == predicted) for predicted in CLASSES} for actual in CLASSES}
    measured = {
        "metrics": {"accuracy": 0.5, "ece": 0.07, "ece_chance": 0.06},
        "confusion": counts,
        "seeds": {"training": 7},
    }
    page = build_page({**card, **measured, "permutation_probe": {}}, {})
    assert "<td>calibration error by chance alone</td><td>0.0600</td>" in page
    assert "<td>seed of training</td><td>7</td>" in page
    assert "Silence is no proof" in page
    swapped = {"one": {"swapped": {"first": "anger", "second": "disgust"}}}
    page = build_page({**card, **measured, "permutation_probe": swapped}, {})
    assert "0 anger (6) and 2 disgust (5) look swapped" in page
    assert "Silence" not in page
