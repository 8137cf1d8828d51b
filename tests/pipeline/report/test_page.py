"""The page in a browser: on a desk and on a telephone, by keyboard alone, with words and scripts of others in it."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.emotions import CLASSES
from pipeline.core.params import ReportParams
from pipeline.report.faces import Dataset, Known, build_faces, read_crops
from pipeline.report.page import Gallery, build_page
from pipeline.report.tiles import build_tile

HOSTILE = "\"'><img src=x onerror=document.title='taken'>\n\u202e{{7*7}}</script>javascript:alert(1)" + "x" * 300
# Of the faces on the map, by the beginning of their ids.
PLACES = {"3-0": (0.0, 1.0), "3-1": (0.5, 0.2), "4-0": (0.6, 0.2)}
RULES = ("wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice")


def interval(value):
    return {"value": value, "low": max(0, value - 0.1), "high": min(1, value + 0.1)}


def network():
    """What is known of a network that takes every other anger for sad, and is right about all else."""
    counts = {actual: {answer: 6 * (actual == answer) for answer in CLASSES} for actual in CLASSES}
    counts["anger"] |= {"anger": 3, "sad": 3}
    return {
        "metrics": {"accuracy": 45 / 48, "rows": 48, "ece": 0.07, "ece_chance": 0.06},
        "described": {"model": HOSTILE},
        "figures": {
            "balanced_accuracy": {"this network": interval(0.93)},
            "accuracy": {"this network": interval(0.94), HOSTILE: interval(0.6), "majority class": {"value": 0.1}},
        },
        "per_class": {name: interval(0.9) for name in CLASSES} | {"fear": None},
        "losses": {"epoch": [1.0, 2.0], "train_loss": [2.0, None], "val_loss": [2.5, 1.5]},
        "calibration": [
            {"confidence": 0.4, "accuracy": 0.5, "rows": 3},
            {"confidence": 0.9, "accuracy": 0.95, "rows": 45},
        ],
        "affect": {"annotated": [(0.5, -0.25, 7), (-1, 1, 1)]},
        "confusion": counts,
        "permutation_probe": {HOSTILE: {"swapped": {"first": "anger", "second": "disgust"}}},
        "seeds": {"training": 7},
        "doubt": {"rows": 48, "reasons": {"label": 8}},
        "occlusion": {"surgical_mask": {"balanced_accuracy": {"value": 0.41, "low": 0.3, "high": 0.5}}},
        "groups": {
            "gender": [{**interval(0.5), "accuracy": 0.5, "rows": 9, "people": 2, "few": True, "value": HOSTILE}]
        },
    }


def gallery(folder, names):
    """Six faces of each class and three rows left out, of each dataset; the answers are those of `network`."""
    (folder / "pictures").mkdir()
    pixels = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    (folder / "pictures" / "a.jpg").write_bytes(build_tile(pixels))
    faces = [
        {
            "sample_id": f"{label}-{number}{HOSTILE if number == 5 else ''}",
            "label": label,
            "predicted": 6 if label == 0 and number % 2 else label,
            "confidence": 0.5 + number / 20,
            "split": ("train", HOSTILE)[number % 2],
            "detector": "mtcnn",
            "face_score": ((number * 5 + label * 7) % 48) / 48,
            "sharpness": 10.0 + number,
            "picture": "pictures/a.jpg",
            **dict(zip(("map_x", "map_y"), PLACES.get(f"{label}-{number}", ()), strict=False)),
            **({"doubt": 0.5 + label / 20, "reason": "label", "suggested": 1} if number == 0 else {}),
        }
        for label in range(8)
        for number in range(6)
    ]
    left = [
        {"sample_id": HOSTILE, "stage": "align", "reason": "no_face", "detail": HOSTILE, "rows": 7, **picture}
        for picture in ({"picture": "pictures/a.jpg"}, {}, {})
    ]
    return Gallery(
        dict(zip(names, (faces, []), strict=True)),
        dict.fromkeys(names, left),
        {"Where it looks": "pictures/a.jpg"},
    )


@pytest.fixture(scope="module")
def page(card, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    stages = card["datasets"]["one"]["stages"] | {"select": {"rows_in": 1234, "rows_out": 1234, "rejected": {}}}
    facts = {
        **card["datasets"]["one"],
        "stages": stages,
        "terms": HOSTILE,
        "affect": [(0.1, 0.2, 3)],
        "raw": {f"raw/{HOSTILE}": "0"},
    }
    whole = {**card, **network(), "datasets": {HOSTILE: facts, "none": {**facts, "classes": {}, "affect": []}}}
    (folder / "index.html").write_text(build_page(whole, gallery(folder, whole["datasets"])), encoding="utf-8")
    return folder / "index.html"


@pytest.mark.parametrize(("width_px", "scheme"), [(1400, "light"), (390, "dark")])
def test_it_fits_is_legible_and_asks_for_nothing_but_its_pictures(tab, page, width_px, scheme):
    shown = tab(page.as_uri(), width_px=width_px, scheme=scheme)
    shown.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert shown.overflow() == []
    assert shown.axe(tags=RULES) == []
    shown.page.locator("button.cell").first.click()
    assert shown.axe("#cell") == []
    assert shown.complaints == []
    assert shown.asked_beyond(page.parent.as_uri()) == []
    assert any(address.endswith("a.jpg") for address in shown.asked)
    assert shown.page.title() == "Data card"
    assert shown.page.locator("a:not([href^='#'])").count() == 0


def press_until(page, key, selector, most=200):
    for _ in range(most):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} never came to {selector}")


def test_by_keyboard_alone_to_the_faces_of_a_cell_and_back(tab, page):
    shown = tab(page.as_uri()).page
    press_until(shown, "Tab", "[aria-label='3 of anger answered sad: show faces']")
    shown.keyboard.press("Enter")
    assert shown.locator("#cell-title").inner_text() == "anger, answered sad: 3"
    titles = shown.locator("#cell .tile").evaluate_all("tiles => tiles.map(tile => tile.title.slice(0, 3))")
    assert titles == ["0-5", "0-3", "0-1"]  # the surest first
    press_until(shown, "Tab", "#cell .tile", 3)
    shown.keyboard.press("Enter")
    assert HOSTILE.partition("\n")[0] in shown.locator("#face-facts").inner_text()
    shown.keyboard.press("Escape")
    shown.keyboard.press("Escape")
    assert shown.locator("dialog[open]").count() == 0
    assert shown.evaluate("document.activeElement.getAttribute('aria-label')").startswith("3 of anger")


def test_by_keyboard_alone_a_sheet_is_filtered_sorted_and_grows(tab, page):
    shown = tab(page.as_uri()).page
    names = "tiles => tiles.map(tile => tile.title.slice(0, 3))"
    shown.locator("[data-dataset] select").first.focus()
    shown.keyboard.type("sad")
    assert shown.locator("[data-dataset] .tile").evaluate_all(names) == [f"6-{number}" for number in range(6)]
    told = "6 of the 48 faces that this page has; the dataset has 1,234"
    assert shown.locator("[data-dataset] [role=status]").inner_text() == told
    press_until(shown, "Tab", "#sheet-1-order", 9)
    shown.keyboard.type("least")
    scores = {f"6-{number}": (number * 5 + 42) % 48 for number in range(6)}
    assert shown.locator("[data-dataset] .tile").evaluate_all(names) == sorted(scores, key=scores.get)
    shown.locator("[data-dataset] select").first.focus()
    shown.keyboard.press("Home")
    assert shown.locator("[data-dataset] .tile").count() == 24
    press_until(shown, "Tab", "[data-dataset] .more")
    shown.keyboard.press("Enter")
    assert shown.locator("[data-dataset] .tile").count() == 48
    assert (
        shown.evaluate("[...document.querySelectorAll('[data-dataset] .tile')].indexOf(document.activeElement)") == 24
    )


def test_a_sheet_is_filtered_by_sharpness(tab, page):
    shown = tab(page.as_uri()).page
    names = "tiles => tiles.map(tile => tile.title.slice(0, 3))"
    shown.locator("#sheet-1-sharpness").select_option("most blurred quarter")
    # Eight faces of each of six sharpnesses: a quarter of 48 is twelve, and of the second sharpness not all are in it.
    assert shown.locator("[data-dataset] .tile").evaluate_all(names) == [f"{label}-0" for label in range(8)]
    shown.locator("#sheet-1-sharpness").select_option("sharpest quarter")
    assert shown.locator("[data-dataset] .tile").evaluate_all(names) == [f"{label}-5" for label in range(8)]


def test_by_keyboard_alone_from_face_to_face_on_the_map(tab, page):
    shown = tab(page.as_uri()).page
    press_until(shown, "Tab", ".map svg")
    shown.keyboard.press("Enter")  # no face yet
    told = []
    for key in ("ArrowLeft", "ArrowLeft", "ArrowDown", "ArrowDown", "ArrowUp", "PageDown", "PageDown", "ArrowDown"):
        shown.keyboard.press(key)
        told.append(shown.locator("#map-said").inner_text().partition(",")[0])
    # The most doubtful first; where nothing lies ahead it stays. Page Down goes by doubt: 4-0, 3-0, 3-1.
    assert told == ["happy", "fear", "fear", "fear", "fear", "happy", "fear", "fear"]
    assert shown.locator("dialog[open]").count() == 0
    shown.keyboard.press("Enter")
    assert "\n3-0\n" in shown.locator("#face-facts").inner_text()
    shown.keyboard.press("Escape")
    assert shown.evaluate("document.activeElement.matches('.map svg')")
    shown.keyboard.press("ArrowUp")
    shown.keyboard.press("Enter")
    assert "\n3-1\n" in shown.locator("#face-facts").inner_text()


@pytest.mark.parametrize("width_px", [1400, 390])
def test_a_click_on_the_map_opens_the_face_there_and_nothing_elsewhere(tab, page, width_px):
    shown = tab(page.as_uri(), width_px=width_px).page
    box = shown.locator(".map svg").bounding_box()

    def click(x, y):  # 5 of the 240 units of the map are its margin
        at = {"x": (5 + 230 * x) / 240 * box["width"] + 2, "y": (5 + 230 * y) / 240 * box["height"] + 2}
        shown.locator(".map svg").click(position=at)

    click(1.0, 1.0)
    assert shown.locator("dialog[open]").count() == 0
    click(*PLACES["4-0"])
    assert "\n4-0\n" in shown.locator("#face-facts").inner_text()


def test_the_doubtful_faces_come_first_and_the_map_has_no_picture(tab, page):
    shown = tab(page.as_uri()).page
    scores = shown.locator("#doubt .doubt").all_inner_texts()
    assert scores == [f"doubt {0.5 + label / 20:.2f}" for label in reversed(range(8))]
    assert shown.locator("#doubt .cloud").count() == 3
    assert shown.locator("#doubt svg image").count() == 0


def test_a_script_of_others_does_not_run(tab, page):
    (page.parent / "evil.js").write_text("document.title = 'taken'")
    steal = "document.title='taken'"
    inserted = f"<script>{steal}</script><script src=evil.js></script><img src=x onerror={steal}>"
    text = page.read_text(encoding="utf-8").replace('<main id="main">', f"<main>{inserted}", 1)
    (page.parent / "attacked.html").write_text(text, encoding="utf-8")
    shown = tab((page.parent / "attacked.html").as_uri())
    assert shown.page.title() == "Data card"
    assert sum("Content Security Policy" in said for said in shown.complaints) >= 3
    assert shown.page.locator("[data-dataset] .tile").count() == 24  # ours runs


def test_a_page_without_a_network_and_without_faces_is_whole(tab, card, tmp_path):
    (tmp_path / "index.html").write_text(build_page(card), encoding="utf-8")
    shown = tab((tmp_path / "index.html").as_uri(), width_px=390)
    assert shown.complaints == shown.overflow() == []
    assert shown.page.locator("#network").count() == 0
    assert "No face is shown" in shown.page.inner_text("main")


def test_however_many_faces_a_bounded_number_is_shown_with_the_worst_among_them(tmp_path):
    """600 faces of two classes, by a picture without a face; numpy says which are the worst of each."""
    random = np.random.default_rng(3)
    ids = [f"many/{number:04d}#0" for number in range(600)]
    label = np.repeat([2, 4], 300)
    score, sharpness, doubt, sure = random.random((4, 600)).astype(np.float32)
    for name in ("equalize", "align", "select", "harmonize"):
        (tmp_path / name).mkdir()
    crops = {
        "sample_id": ids,
        "subject_id": pa.nulls(600, pa.string()),
        "detector": ["mtcnn"] * 600,
        "face_score": score,
    }
    pq.write_table(pa.table(crops), tmp_path / "equalize" / "part-00000.parquet")
    tables = {
        "align/detections": {"sharpness": sharpness},
        "select/selected": {"dataset": ["many"] * 600},
        "harmonize/labels": {"label": pa.array(label, pa.int8())},
    }
    for name, columns in tables.items():
        pq.write_table(pa.table({"sample_id": ids, **columns}), tmp_path / f"{name}.parquet")
    answer = pa.array(np.where(np.arange(600) % 3, label, 0), pa.int8())
    places = {f"map_{name}": pa.array([0.25, 0.75], pa.float32()) for name in ("x", "y")}
    known = Known(
        places=pa.table({"sample_id": [ids[7], "gone#0"], **places}),
        answers=pa.table({"sample_id": ids, "predicted": answer, "confidence": sure}),
        doubts=pa.table({"sample_id": ids, "doubt": doubt, "reason": ["label"] * 600, "suggested": [2] * 600}),
    )
    dataset = Dataset("many", {name: tmp_path / name for name in ("equalize", "align", "select", "harmonize")}, "csv")
    params = ReportParams(faces_per_class=20, faces_per_cell=5, rejects_per_reason=1)
    chosen = set(build_faces(dataset, read_crops(dataset), known, params)["sample_id"].to_pylist())
    assert 2 * 20 <= len(chosen) <= 2 * 20 + 4 * 5 + 1
    assert ids[7] in chosen
    for of in (2, 4):
        mine = np.flatnonzero(label == of)
        for worst in (score, sharpness, -doubt):
            assert {ids[row] for row in mine[np.argsort(worst[mine])[:3]]} <= chosen
        wrong = mine[mine % 3 == 0]
        assert {ids[row] for row in wrong[np.argsort(-sure[wrong])[:5]]} <= chosen


def test_the_page_of_some_classes_has_these_alone_and_their_numbers(card):
    some = ["anger", "sad"]
    known = network()
    known["confusion"] = {actual: {answer: known["confusion"][actual][answer] for answer in some} for actual in some}
    page = build_page({**card, **known, "contract": card["contract"] | {"classes": some}})
    cells = re.findall(r'data-actual="(\d)" data-answer="(\d)" data-count="(\d+)"', page)
    assert cells == [("0", "0", "3"), ("0", "6", "3"), ("6", "6", "6")]
    assert "5 neutral" not in page
    assert "6 sad (2)" in page


@pytest.mark.parametrize(
    ("without", "said"),
    [
        (0, "9 rows of 1 dataset, each a face, cropped to 64 px, with one of 2 expressions."),
        (4, "13 rows of 1 dataset, each a face, cropped to 64 px, 9 with one of 2 expressions and 4 with valence, "
            "arousal or dominance alone."),
        (None, "4 rows of 1 dataset, each a face, cropped to 64 px, with valence, arousal or dominance alone."),
    ],
)  # fmt: skip
def test_the_first_sentence_counts_rows_without_a_class_too(card, without, said):
    """Of nine rows with a class and as many without one as given, or of four without one alone."""
    classed = {"train": {"anger": 4, "sad": 2}, "test": {"anger": 3}} if without is not None else {}
    counts = {split: classed.get(split, {}) | ({"unclassed": 2} if without != 0 else {}) for split in ("train", "test")}
    facts = card["datasets"]["one"] | {"splits": counts}
    page = build_page(
        {**card, "contract": card["contract"] | {"classes": ["anger", "sad"]}, "datasets": {"one": facts}}
    )
    lead = re.search(r'<p class="lead">(.*?)</p>', page, re.DOTALL)[1]
    assert " ".join(lead.split()) == said
    assert ('<th scope="row">unclassed</th>' in page) == (without != 0)
