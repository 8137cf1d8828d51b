"""Counts against those of known releases: another release, shuffled classes, too much, a part."""

import itertools
import json
import random
from collections import Counter

import pytest

from pipeline.core.errors import SourceError
from pipeline.core.params import IngestParams
from pipeline.core.schema import Reason
from pipeline.ingest.raw_dataset import Annotation, RawDataset, RejectedRow
from pipeline.ingest.registry import open_tree
from pipeline.ingest.releases.counts import RELEASES
from pipeline.ingest.releases.fingerprints import compare, expected_release
from pipeline.ingest.releases.orders import affect_order, count_order
from pipeline.ingest.samples import Listed
from tests.pipeline.ingest.layouts import (
    AFFECTNET_HEADER,
    PARAMS,
    Read,
    affectnet_row,
    put,
    write_affectnet_folder,
    write_ckplus,
)

RAFDB = next(release for release in RELEASES if release.name == "RAF-DB basic")
ORDER = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


def test_public_sizes():
    sizes = {release.name: release.size() for release in RELEASES}
    assert sizes == {
        "AffectNet": 414799 + 5500, "AffectNet-8": 287651 + 4000, "CK+": 327, "CK+48": 981, "CK+ as csv of pixels": 920,
        "RAF-DB basic": 12271 + 3068, "EMOTIC": 34320,
        "FER2013": 28709 + 2 * 3589, "FER+": 35887, "JAFFE": 213, "ExpW": 91793, "KDEF": 4900,
        "RaFD": 8040, "SFEW 2.0": 958 + 436,
    }  # fmt: skip


def write_rafdb_list(root, codes=ORDER, share=1.0):
    """Write the whole list of RAF-DB; only the first pictures are there, as in a copy that broke off."""
    rows = []
    for split, counts in RAFDB.labels.items():
        labels = [label for label, count in counts.items() for _ in range(round(count * share))]
        random.Random(5).shuffle(labels)
        digits = 5 if split == "train" else 4
        rows += [f"{split}_{n:0{digits}d}.jpg {codes.index(label) + 1}" for n, label in enumerate(labels, 1)]
    put(root, "EmoLabel/list_patition_label.txt", "\n".join(rows))
    put(root, "Image/original/train_00001.jpg")


def test_whole_release_is_exact(tmp_path):
    write_rafdb_list(tmp_path / "raw")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["fingerprint"] == {"verdict": "exact", "release": "RAF-DB basic", "share": 1.0}


@pytest.mark.parametrize("share", [1.0, 0.05])
def test_rafdb_in_alphabetical_order_is_refused(share, tmp_path):
    write_rafdb_list(tmp_path / "raw", codes=sorted(ORDER), share=share)
    with pytest.raises(SourceError, match=r"in another order: alphabetical codes \(.*'surprise' is anger") as caught:
        Read(tmp_path / "raw", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert "--accept-mismatch" in str(caught.value)


def test_rafdb_folders_in_alphabetical_order_are_refused(tmp_path):
    for code, label in enumerate(sorted(ORDER), 1):
        for n in range(RAFDB.labels["train"][label] // 20):
            put(tmp_path / "raw", f"train/{code}/train_{code}{n:04d}_aligned.jpg")
    with pytest.raises(SourceError, match=r"in another order: alphabetical codes \(.*'surprise' is anger"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_mismatch_can_be_accepted_by_option_or_parameter(tmp_path):
    write_rafdb_list(tmp_path / "raw", codes=sorted(ORDER), share=0.05)
    found = Read(tmp_path / "raw", tmp_path / "out", accept=True)
    assert found.summary["fingerprint"]["verdict"] == "mismatch"
    assert found.summary["notes"][-1].startswith("accepted: the counts")
    # What was accepted is on the result, wherever it goes.
    told = found.summary["fingerprint"]["accepted"]
    assert told.startswith("the counts in t")
    assert json.loads((tmp_path / "out/snapshot.json").read_text())["contract"] == {"accepted_mismatch": told}
    assert Read(tmp_path / "raw", tmp_path / "out", accept_mismatch=["d"]).summary["rows_out"] == 1


def test_subset_says_which_share_it_is(tmp_path):
    write_rafdb_list(tmp_path / "raw", share=0.1)
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["fingerprint"] == {"verdict": "subset", "release": "RAF-DB basic", "share": 0.0999}
    assert "1532 of the 15339 of RAF-DB basic, 10.0%" in found.summary["notes"]


@pytest.mark.parametrize(("name", "message"), [("ferplus", "not of FER\\+"), ("my-fer2013", "not of FER2013")])
def test_mirror_that_is_another_release_is_refused(name, message, tmp_path):
    rows = ["path,label,split"]
    for label, count in RAFDB.labels["test"].items():
        rows += [f"test/{label}/{n}.jpg,{label},test" for n in range(count)]
    put(tmp_path / "raw", "labels.csv", "\n".join(rows))
    put(tmp_path / "raw", "test/fear/0.jpg")
    with pytest.raises(SourceError, match=f"these are the counts of RAF-DB basic, {message}"):
        Read(tmp_path / "raw", tmp_path / "out", dataset=name)
    found = Read(tmp_path / "raw", tmp_path / "out", dataset="faces")
    assert "these are the counts of RAF-DB basic" in found.summary["notes"]


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ({"train": 23706, "val": 3334, "test": 7280}, {"verdict": "exact", "release": "EMOTIC", "share": 1.0}),
        ({"train": 17160}, {"verdict": "subset", "release": "EMOTIC", "share": 0.5}),
        ({"train": 30000, "test": 6000}, "36000 rows, where EMOTIC has 34320"),
    ],
)
def test_release_of_which_only_the_size_is_public(rows, verdict, tmp_path):
    put(tmp_path, "a.jpg")
    raw = RawDataset(open_tree(str(tmp_path)), "", IngestParams(**PARAMS))
    listed = Listed(rows=Counter(rows))
    if isinstance(verdict, str):
        with pytest.raises(SourceError, match=verdict):
            compare("emotic", listed, raw, name="emotic", accepted=False)
    else:
        assert compare("emotic", listed, raw, name="emotic", accepted=False).plain() == verdict


def test_mirror_with_both_test_sets_of_fer2013_in_one_folder_is_the_release(tmp_path):
    put(tmp_path, "a.jpg")
    raw = RawDataset(open_tree(str(tmp_path)), "", IngestParams(**PARAMS))
    names = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    counts = {"train": (3995, 436, 4097, 7215, 4830, 3171, 4965), "test": (958, 111, 1024, 1774, 1247, 831, 1233)}
    listed = Listed(rows=Counter({split: sum(of) for split, of in counts.items()}))
    listed.labels.update({(split, name): n for split, of in counts.items() for name, n in zip(names, of, strict=True)})
    found = compare("folder", listed, raw, name="fer2013", accepted=False)
    assert found.plain() == {"verdict": "exact", "release": "FER2013", "share": 1.0}
    listed.labels["test", "angry"], listed.labels["test", "disgust"] = 111, 958
    with pytest.raises(SourceError, match="counts in test are those of FER2013 with its labels in another order"):
        compare("folder", listed, raw, name="fer2013", accepted=False)


def test_every_release_says_where_its_counts_are_to_be_read():
    assert all(len(release.source) > 20 for release in RELEASES)


def test_more_than_the_release_has_is_refused(tmp_path):
    for n in range(60):
        put(tmp_path / "raw", f"KA.AN{n}.{n}.tiff")
    with pytest.raises(SourceError, match="60 rows of anger, where JAFFE has 30"):
        Read(tmp_path / "raw", tmp_path / "out")


def test_ckplus_is_counted_by_sequences(tmp_path):
    write_ckplus(tmp_path / "raw")
    found = Read(tmp_path / "raw", tmp_path / "out")
    assert found.summary["fingerprint"] == {"verdict": "subset", "release": "CK+", "share": round(2 / 327, 4)}


def test_csv_that_contradicts_its_folders_is_refused(tmp_path):
    write_affectnet_folder(tmp_path / "raw")
    put(
        tmp_path / "raw", "labels.csv", "pth,label,relFCs\nanger/a.jpg,fear,1\nanger/b.jpg,sad,1\nhappy/c.jpg,happy,1\n"
    )
    with pytest.raises(SourceError, match="the table contradicts the folders in 2 of 3 rows"):
        Read(tmp_path / "raw", tmp_path / "out")
    found = Read(tmp_path / "raw", tmp_path / "out", accept=True)
    assert found.summary["rejected"] == {"conflicting_labels": 2}


def test_any_csv_that_contradicts_its_folders_is_refused_and_a_few_rows_are_told(tmp_path):
    rows = [f"{folder}/{n}.jpg,{label}" for n, (folder, label) in enumerate([("Happy", "happiness"), ("sad", "anger")])]
    for row in rows:
        put(tmp_path / "raw", row.partition(",")[0])
    put(tmp_path / "raw", "l.csv", "\n".join(["path,label", *rows]))
    found = Read(tmp_path / "raw", tmp_path / "out", fmt="csv")
    assert found.labels() == {"Happy/0.jpg": "happiness", "sad/1.jpg": "anger"}
    told = "l.csv row 3: anger, but in the folder sad; the folder says another class in 1 of 2 rows"
    assert told in found.summary["notes"]
    put(tmp_path / "raw", "l.csv", "\n".join(["path,label", *rows[1:], "Happy/0.jpg,fear"]))
    with pytest.raises(SourceError, match="the table contradicts the folders in 2 of 2 rows"):
        Read(tmp_path / "raw", tmp_path / "out", fmt="csv")


AFFECT = {
    "neutral": (0, 0),
    "happy": (0.7, 0.1),
    "sad": (-0.6, -0.3),
    "surprise": (0.2, 0.7),
    "fear": (-0.2, 0.7),
    "anger": (-0.5, 0.6),
}
AFFECTNET = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")


def write_affectnet_in(root, codes):
    rows, rand = [], random.Random(1)
    for n in range(20):
        for label, (valence, arousal) in AFFECT.items():
            given = valence + rand.gauss(0, 0.15), arousal + rand.gauss(0, 0.15)
            rows.append(affectnet_row(f"1/{label}{n}.jpg", codes.index(label), f"{given[0]:.3f}", f"{given[1]:.3f}"))
            put(root, f"Manually_Annotated_Images/1/{label}{n}.jpg")
    put(root, "Manually_Annotated_file_lists/training.csv", "\n".join([AFFECTNET_HEADER, *rows]))


def test_affectnet_with_codes_of_another_order_is_refused(tmp_path):
    write_affectnet_in(tmp_path / "right", AFFECTNET)
    assert Read(tmp_path / "right", tmp_path / "out").summary["rows_out"] == 120
    write_affectnet_in(tmp_path / "wrong", sorted(AFFECTNET))
    with pytest.raises(SourceError, match="valence and arousal contradict the labels"):
        Read(tmp_path / "wrong", tmp_path / "out")


def test_affectnet_counts_in_another_order_are_refused():
    known = next(release for release in RELEASES if release.name == "AffectNet-8").labels["training"]
    alphabet = dict(zip(known, [known[label] for label in sorted(known)], strict=True))
    assert "alphabetical" in count_order(alphabet, known)


@pytest.mark.parametrize("pair", list(itertools.combinations(ORDER, 2)))
def test_any_two_swapped_classes_of_the_whole_release_are_named(pair):
    known = RAFDB.labels["train"]
    swapped = known | {pair[0]: known[pair[1]], pair[1]: known[pair[0]]}
    told = count_order(swapped, known)
    assert told == f"{pair[0]!r} is {pair[1]}, {pair[1]!r} is {pair[0]}" or set(told.split(", ")) == {
        f"{pair[0]!r} is {pair[1]}", f"{pair[1]!r} is {pair[0]}",
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_honest_subsets_are_never_called_shuffled(seed):
    rand, known = random.Random(seed), RAFDB.labels["train"]
    drawn = random.Random(seed).choices(list(known), list(known.values()), k=rand.randrange(50, 4000))
    found = {label: drawn.count(label) for label in known}
    assert count_order(found, known) is None
    balanced = dict.fromkeys(known, rand.randrange(10, 280))
    assert count_order(balanced, known) is None
    assert affect_order({label: [(0.0, 0.0)] * 4 for label in known}) is None


@pytest.mark.parametrize("lists", ["both", "automatic"])
@pytest.mark.parametrize("manual", [0.0, 0.5, 1.0])
def test_automatic_list_is_never_counted_among_the_manual_ones(lists, manual, tmp_path):
    release = next(release for release in RELEASES if release.name == "AffectNet")
    listed = Listed()
    counts = {("automatic", "happy"): 246235, ("automatic", "neutral"): 143142, ("automatic", "anger"): 28130}
    if lists == "both":
        counts |= {
            (split, name): round(n * manual) for split, of in release.labels.items() for name, n in of.items() if manual
        }
    listed.labels.update(counts)
    for (split, _), count in counts.items():
        listed.rows[split] += count
    put(tmp_path, "a.jpg")
    raw = RawDataset(open_tree(str(tmp_path)), "", IngestParams(**PARAMS))
    found = compare("affectnet", listed, raw, name="affectnet", accepted=False)
    covered = manual if lists == "both" else 0
    assert found.kind == {0: "unknown", 0.5: "subset", 1: "exact"}[covered]
    assert found.share == (pytest.approx(covered, abs=1e-4) if covered else None)
    assert found.notes[0] == "417507 rows of automatic are not compared: AffectNet has no such split"
    listed.labels["training", "contempt"] += 4000
    listed.rows["training"] += 4000
    with pytest.raises(
        SourceError, match=r"in train.* AffectNet .*contempt|contempt in train, where AffectNet has 3750"
    ):
        compare("affectnet", listed, raw, name="affectnet", accepted=False)


def test_share_is_at_most_all_of_it(tmp_path):
    put(tmp_path, "a.jpg")
    raw = RawDataset(open_tree(str(tmp_path)), "", IngestParams(**PARAMS))
    labels = {(split, name): n + 2 for split, of in RAFDB.labels.items() for name, n in of.items()}
    listed = Listed(rows=Counter(train=12271 + 14, test=3068 + 14), labels=Counter(labels))
    found = compare("rafdb", listed, raw, name="rafdb", accepted=False)
    assert (found.kind, found.share) == ("subset", 1.0)
    assert found.notes == ("15367 of the 15339 of RAF-DB basic, 100.0%",)


PLACES = {**AFFECT, "disgust": (-0.65, 0.4), "contempt": (-0.5, 0.5)}


def rated(order):
    """Return the affect of the classes, each under the label that `order` gives it."""
    return {order.get(name, name): [place] * 6 for name, place in PLACES.items()}


@pytest.mark.parametrize(
    "pair", [("happy", "sad"), ("happy", "anger"), ("neutral", "happy"), ("surprise", "sad"), ("happy", "contempt")]
)
def test_two_labels_that_changed_places_are_named_and_no_others(pair):
    told = affect_order(rated({pair[0]: pair[1], pair[1]: pair[0]}))
    assert set(told.split(", ")) == {f"{pair[0]!r} is {pair[1]}", f"{pair[1]!r} is {pair[0]}"}


@pytest.mark.parametrize("order", [sorted(AFFECTNET), ["neutral", *sorted(set(AFFECTNET) - {"neutral"})]])
@pytest.mark.parametrize("missing", [(), ("disgust", "contempt"), ("contempt",)])
def test_order_that_the_field_uses_is_found_with_classes_missing(order, missing):
    given = {AFFECTNET[order.index(name)]: [place] * 6 for name, place in PLACES.items() if name not in missing}
    assert "'happy' is" in affect_order(given) or "is happy" in affect_order(given)


@pytest.mark.parametrize(
    "affect",
    [
        # Rated on 1 to 9 by people who saw little in fear: one label far from its place is an opinion, not an order.
        {"happy": (0.29, 0.07), "sad": (-0.33, -0.33), "fear": (-0.29, 0.11)},
        {"happy": (0.29, 0.07), "sad": (-0.33, -0.33), "fear": (-0.29, 0.11), "anger": (-0.33, 0.29)},
        {"happy": (0.33, 0.11), "sad": (-0.38, -0.29), "surprise": (0.09, 0.0), "anger": (-0.33, 0.33)},
        # The three of dislike lie beside one another.
        {"anger": (-0.65, 0.45), "disgust": (-0.55, 0.55), "contempt": (-0.45, 0.6), "happy": (0.6, 0.2)},
    ],
)
def test_opinions_about_affect_are_no_order(affect):
    assert affect_order({label: [place] * 6 for label, place in affect.items()}) is None


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("raf-db-dataset", "RAF-DB basic"), ("rafdb_faces", "RAF-DB basic"), ("RAF-DB", "RAF-DB basic"),
        ("rafdb-compound", None), ("rafdatabase", None), ("RaFD", "RaFD"), ("rafd_aligned", "RaFD"),
        ("fer2013plus", None), ("fer2013", "FER2013"), ("my FER-2013 copy", "FER2013"), ("FER+", "FER+"),
        ("fer_plus_data", "FER+"), ("ck+", "CK+"), ("CK+48", "CK+48"), ("affectnet", "AffectNet"),
        ("affectnet-8", "AffectNet-8"), ("faces", None), ("jaffedbase", None),
    ],
)  # fmt: skip
def test_release_is_named_by_whole_words(name, release):
    found = expected_release("folder", name)
    assert (found.name if found else None) == release


def dump_of(tmp_path):
    put(tmp_path, "a.jpg")
    return RawDataset(open_tree(str(tmp_path)), "", IngestParams(**PARAMS))


def redrawn_fer2013(val=500):
    """Return the rows of FER2013 with another 500 of each class, or fewer, held out."""
    release = next(release for release in RELEASES if release.name == "FER2013")
    total = Counter()
    for counts in release.labels.values():
        total.update(counts)
    listed = Listed()
    for label, count in total.items():
        held = min(val, count // 2)
        listed.labels.update({("train", label): count - held, ("val", label): held})
    for (split, _), count in listed.labels.items():
        listed.rows[split] += count
    return listed


@pytest.mark.parametrize("fmt", ["folder", "fer2013_folder"])
def test_splits_that_were_drawn_anew_are_told_and_no_mismatch(fmt, tmp_path):
    found = compare(fmt, redrawn_fer2013(), dump_of(tmp_path), name="fer2013", accepted=False)
    assert (found.kind, found.release, found.share) == ("subset", "FER2013", 1.0)
    assert "splits redrawn: the rows are within those of FER2013, their splits are not its own" in found.notes


def test_rows_that_the_release_lacks_are_no_redrawn_split(tmp_path):
    listed = redrawn_fer2013()
    listed.labels["train", "disgust"] += 100
    listed.rows["train"] += 100
    with pytest.raises(SourceError, match="4453 rows of anger in train, where FER2013 has 3995"):
        compare("folder", listed, dump_of(tmp_path), name="fer2013", accepted=False)


def test_affectnet_with_another_validation_set_is_told(tmp_path):
    listed = Listed(rows=Counter(train=8 * 3000, val=8 * 600))
    listed.labels.update({(split, name): n for split, n in (("train", 3000), ("val", 600)) for name in AFFECTNET})
    found = compare("folder", listed, dump_of(tmp_path), name="affectnet", accepted=False)
    assert found.kind == "subset"
    assert found.notes[0].startswith("splits redrawn")


@pytest.mark.parametrize(
    ("fmt", "label", "most"),
    [("kdef", "HA", 719), ("jaffe", "AN", 35), ("rafd", "sad", 1030)],  # 700, 30 and 1005 of each, 2% and 5 rows more
)
def test_a_copy_may_have_two_percent_and_five_rows_more_of_a_class(fmt, label, most, tmp_path):
    for rows in (most, most + 1):
        listed = Listed(rows=Counter(all=rows), labels=Counter({("all", label): rows}))
        if rows > most:
            with pytest.raises(SourceError, match=f"{rows} rows of .*, where .* has"):
                compare(fmt, listed, dump_of(tmp_path), name="d", accepted=False)
        else:
            assert compare(fmt, listed, dump_of(tmp_path), name="d", accepted=False).kind == "subset"


@pytest.mark.parametrize(
    ("fmt", "rows", "told"),
    [
        # EMOTIC has 34320 people in all, SFEW 958 and 436 frames, 1394 together.
        ("emotic", {"all": 35011}, "35011 of the 34320 of EMOTIC, 100.0%"),
        ("emotic", {"train": 20000, "val": 15012}, None),
        ("sfew", {"Train": 982, "Val": 444}, "1426 of the 1394 of SFEW 2.0, 100.0%"),
        ("sfew", {"Train": 983, "Val": 443}, "1426 of the 1394 of SFEW 2.0, 100.0%"),  # redrawn
        ("sfew", {"Train": 983, "Val": 444}, None),
    ],
)
def test_a_copy_may_have_two_percent_and_five_rows_more_in_all(fmt, rows, told, tmp_path):
    listed = Listed(rows=Counter(rows))
    if told is None:
        with pytest.raises(SourceError, match=r"35012 rows, where EMOTIC has 34320|983 rows in train, where SFEW 2\.0"):
            compare(fmt, listed, dump_of(tmp_path), name="d", accepted=False)
        return
    found = compare(fmt, listed, dump_of(tmp_path), name="d", accepted=False)
    assert (found.kind, found.share, found.notes[-1]) == ("subset", 1.0, told)
    redrawn = "splits redrawn: the rows are within those of SFEW 2.0, their splits are not its own"
    assert (redrawn in found.notes) is (rows.get("Train") == 983)


@pytest.mark.parametrize(
    ("contradicted", "compared", "refused"), [(0, 0, False), (1, 2, False), (2, 3, True), (1, 1, True)]
)
def test_more_than_half_of_the_rows_contradict_their_folders(contradicted, compared, refused, tmp_path):
    raw = dump_of(tmp_path)
    raw.contradicted, raw.compared = contradicted, compared
    if refused:
        told = f"contradicts the folders in {contradicted} of {compared} rows; --accept-mismatch, or"
        with pytest.raises(SourceError, match=told):
            compare("folder", Listed(), raw, name="d", accepted=False)
    else:
        assert compare("folder", Listed(), raw, name="d", accepted=False).kind == "unknown"


def test_what_is_listed_is_counted_by_split_label_and_sequence():
    def row(name, labels=("happy",), **more):
        return Annotation(name, labels, name, **more)

    listed = Listed()
    for one in (
        row("a/train_1_x.jpg", split="train", valence=0.5, arousal=-0.25),
        row("train_2.jpg", split="train", valence=1.0),
        row("b/c/val.jpg", ("sad",), split="train", sequence="s1", valence=0.0, arousal=0.75),
        row("noname", ("sad", "anger"), split="val"), row(RejectedRow("gone_1.jpg", Reason.missing_file, "")),
        row("x/_.jpg", ("sad",), sequence="s1"),
    ):  # fmt: skip
        listed.add(one)
    assert listed.rows == {"train": 3, "val": 1, "all": 2}
    assert listed.labels == {("train", "happy"): 2, ("train", "sad"): 1, ("all", "happy"): 1, ("all", "sad"): 1}
    assert listed.sequences == {("train", "sad", "s1"), ("all", "sad", "s1")}
    assert {label: list(values) for label, values in listed.affect.items()} == {"happy": [0.5, -0.25], "sad": [0, 0.75]}
    assert listed.words == {("train", "train"), ("train", "val.jpg"), ("val", "noname"), ("all", "gone"), ("all", "")}
    for n in range(40):
        listed.add(row(f"{n}_a.jpg"))
    assert len(listed.words) == 32
    assert listed.rows["all"] == 42
