"""All stages through DVC in a repository of their own: once, again, by force, with a change, with a flipped byte."""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.core.lineage.identity import identity
from stages.cli import run
from tests.imports import ROOT

pytestmark = pytest.mark.slow

# Two of the demo's five: DVC itself takes seconds of each stage, the more the longer dvc.lock is. The others are below.
DATASETS = ("demo-affectnet", "demo-rafdb")
OTHERS = ("demo-ckplus", "demo-emotic", "demo-afewva")
SMALL = {
    "demo": {"faces": 96},
    "align": {"size_px": 64},
    "train": {"epochs": 2},
    "evaluate": {"bootstrap_draws": 200, "saliency_per_class": 1, "mistakes": 4},
}


def call(folder: Path, *command: str, code: int = 0) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # One worker is no process of its own, whose start takes longer than its work here; below, two have the same bytes.
    environment = os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1", "PREP_WORKERS": "1", "COLUMNS": "300"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def commit(folder: Path, message: str) -> None:
    call(folder, "git", "add", ".")
    call(folder, "git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", message)


def set_params(folder: Path, changes: dict[str, dict], datasets: tuple[str, ...] = ()) -> None:
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["datasets"] = {name: params["datasets"][name] for name in datasets or params["datasets"]}
    for section, values in changes.items():
        params[section] |= values
    path.write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    for name in ("pipeline", "stages", "models", "splits", "decisions"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "raw").mkdir()
    for name in ("dvc.yaml", "raw/dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    set_params(folder, SMALL, DATASETS)
    call(folder, "git", "init", "-q")
    call(folder, "dvc", "init", "-q")
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots", dirs_exist_ok=True)
    commit(folder, "code")
    call(folder, "dvc", "repro")
    commit(folder, "demo")
    return folder


def examples(page: str) -> str:
    """Return all python of a page as one script."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE))


def stale(folder: Path) -> set[str]:
    """Return the names of the stages that DVC calls changed, and of all that are made from what those write."""
    changed = {name.rpartition(":")[2] for name in json.loads(call(folder, "dvc", "status", "--json"))} - {"code"}
    locks = [yaml.safe_load((folder / name).read_text())["stages"] for name in ("dvc.lock", "raw/dvc.lock")]
    lock = locks[0] | locks[1]
    paths = {
        name: {kind: {Path(entry["path"]) for entry in stage.get(kind, ())} for kind in ("deps", "outs")}
        for name, stage in lock.items()
    }
    while True:
        outs = {out for name in changed for out in paths[name]["outs"]}
        more = {
            name
            for name, of in paths.items()
            if any(dep in (out, *out.parents) or out in dep.parents for dep in of["deps"] for out in outs)
        }
        if more <= changed:
            return changed
        changed |= more


def test_every_row_is_accounted_for(project):
    for kind in ("samples", "aligned", "selected", "faces", "labels"):
        for name in DATASETS:
            summary = json.loads((project / "data" / kind / name / "summary.json").read_text())
            assert summary["rows_in"] == summary["rows_out"] + sum(summary["rejected"].values())
            assert summary["rows_out"] > 0
    labels = sum(pq.read_metadata(project / "data/labels" / name / "labels.parquet").num_rows for name in DATASETS)
    split = json.loads((project / "data/split/summary.json").read_text())
    assert split["rows_in"] == labels


def test_the_examples_of_the_documents_run(project, monkeypatch):
    monkeypatch.chdir(project)
    names: dict = {}
    exec(compile(examples("docs/library.md"), "docs/library.md", "exec"), names)  # noqa: S102 - our own page
    assert [type(answer).__name__ for answer in names["answers"]] == ["list", "list", "ImageError"]
    assert names["answers"][0] == []
    assert names["answers"][1][0].predicted == names["predictor"].predict_one(names["picture"])[0].predicted
    summary = json.loads((project / "data/samples/demo-rafdb/summary.json").read_text())
    assert len(names["rows"]) == summary["rows_out"]
    labelled = json.loads((project / "data/labels/demo-rafdb/summary.json").read_text())
    assert names["rows"]["label"].notna().sum() == labelled["rows_out"]
    assert len(names["rejects"]) == sum((*summary["rejected"].values(), *labelled["rejected"].values()))
    manifest = json.loads((project / "data/shards/shards.json").read_text())["splits"]
    assert len(names["test"]) == sum(entry["rows"] for entry in manifest["test"])
    assert sum(len(batch) for batch in names["loader"]) == sum(entry["rows"] for entry in manifest["train"])
    assert names["first"].shape[0] == SMALL["align"]["size_px"]
    said = examples("README.md").replace("photo.jpg", str(names["picture"]))
    exec(compile(said, "README.md", "exec"), names)  # noqa: S102
    assert names["face"].predicted == names["answers"][1][-1].predicted


def write_photographs(folder: Path) -> None:
    """Write two photographs of each of 30 people with a csv, and one of them once more under a stranger's name."""
    source = ROOT / "../shared/data/muxspace"
    if not source.is_dir():
        pytest.skip("the shared photographs of muxspace are not here")
    with (source / "data/legend.csv").open(newline="") as stream:
        emotion = {row["image"]: row["emotion"].lower() for row in csv.DictReader(stream)}
    of_person = defaultdict(list)
    for name in sorted(emotion):
        if found := re.fullmatch(r"([A-Z]\w*?)_\d{4}\.jpg", name):
            of_person[found[1]].append(name)
    pairs = [(person, names[:2]) for person, names in sorted(of_person.items()) if len(names) > 1][:30]
    rows = [{"path": name, "label": emotion[name], "subject": person} for person, names in pairs for name in names]
    folder.mkdir(parents=True)
    for row in rows:
        shutil.copy(source / "images" / row["path"], folder / row["path"])
    shutil.copy(folder / rows[0]["path"], folder / "copy.jpg")
    rows.append({"path": "copy.jpg", "label": rows[0]["label"], "subject": "somebody else"})
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def mixture(project, tmp_path_factory):
    """The folders of DVC's datasets, the demo's others and photographs of people beside them, up to the shards."""
    folder = tmp_path_factory.mktemp("mixture")
    kinds = ("samples", "aligned", "selected", "faces", "labels")
    metrics = ("runs/align", "runs/select", "runs/decisions")
    for name in ("raw", *metrics, "data/decisions", *(f"data/{kind}" for kind in kinds)):
        shutil.copytree(project / name, folder / name, ignore=shutil.ignore_patterns(".gitignore", "dvc.*"))
    shutil.copy(ROOT / "params.yaml", folder)
    photographs = {"photographs": {"src": "raw/photographs", "format": "csv", "role": "both"}}
    set_params(folder, {**SMALL, "datasets": photographs})
    write_photographs(folder / "raw/photographs")
    sources = yaml.safe_load((folder / "params.yaml").read_text())["datasets"]
    # In this process: a start of the command line costs more than what it does here.
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PREP_WORKERS", "1")
        for name in (*OTHERS, "photographs"):
            src, to = sources[name]["src"], {kind: f"data/{kind}/{name}" for kind in kinds}
            assert run(["ingest", "--src", src, "--out", to["samples"]]) == 0
            assert run(["align", "--src", src, "--out", to["aligned"]]) == 0
            assert run(["select", "--src", to["aligned"], "--out", to["selected"]]) == 0
            assert run(["equalize", "--src", to["aligned"], "--out", to["faces"]]) == 0
            assert run(["harmonize", "--src", to["samples"], "--out", to["labels"]]) == 0
        assert run(["split"]) == run(["shard"]) == 0
    return folder


def test_a_mixture_of_six_datasets_has_a_certificate_of_zeros(mixture):
    certificate = json.loads((mixture / "data/split/certificate.json").read_text())
    sought = ("groups", "subjects", "sequences", "files", "pictures", "duplicates")
    # People decided nothing about this mixture, so that kind is counted, and empty.
    assert certificate["crossing"] == dict.fromkeys((*sought, "decided"), 0) | {"identities": None}
    assert certificate["counts"]["decided"] == 0
    assert all(certificate["counts"][kind] for kind in sought)
    splits = defaultdict(set)
    for row in pq.read_table(mixture / "data/split/split.parquet").to_pylist():
        splits[row["sample_id"].partition("/")[0]].add(row["split"])
    all_sets = {"train", "val", "test"}
    assert splits == {name: {"test"} for name in (*DATASETS, *OTHERS)} | dict.fromkeys(
        ("demo-affectnet", "photographs"), all_sets
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(mixture)
        assert run(["verify"]) == 0


def test_counted_again_from_the_shards_nobody_of_the_mixture_is_in_two_sets(mixture):
    people, splits = defaultdict(set), {}
    for file in sorted((mixture / "data/shards/parquet").iterdir()):
        for row in pq.read_table(file, columns=["subject_id", "sample_id"]).to_pylist():
            splits[row["sample_id"]] = file.name.partition("-")[0]
            if row["subject_id"]:
                people[row["sample_id"].partition("/")[0], row["subject_id"]].add(splits[row["sample_id"]])
    assert len([person for dataset, person in people if dataset == "photographs"]) > 25
    assert all(len(found) == 1 for found in people.values())
    # One photograph under two names: two people, one group.
    rows = pq.read_table(mixture / "data/split/split.parquet").to_pylist()
    groups = {row["sample_id"]: row["group_id"] for row in rows}
    copy = "photographs/copy.jpg#0"
    together = [key for key, group in groups.items() if group == groups[copy]]
    assert len(together) == 3
    assert {splits[key] for key in together} == {splits[copy]}


def test_again_there_is_nothing_to_do(project):
    before = (project / "dvc.lock").read_bytes()
    said = call(project, "dvc", "repro")
    assert re.findall(r"^> prep (\w+)", said, re.MULTILINE) == ["code"]
    assert (project / "dvc.lock").read_bytes() == before


def test_from_the_start_in_another_folder_everything_has_the_bytes_of_the_lock(project, tmp_path, monkeypatch):
    """In one process, because 30 starts of the command line took longer than the work of `dvc repro --force`.

    The demo itself is rendered twice in tests/pipeline/demo.
    """
    for name in ("raw", "splits", "decisions", "params.yaml", "dvc.yaml"):
        copy = shutil.copytree if (project / name).is_dir() else shutil.copy
        copy(project / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREP_WORKERS", "2")
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    order = list(yaml.safe_load((project / "dvc.yaml").read_text())["stages"])
    del stages["code"]
    for name in sorted(stages, key=lambda name: order.index(name.partition("@")[0])):
        assert run(shlex.split(stages[name]["cmd"])[1:]) == 0, name
        assert {out["path"]: identity(Path(out["path"])) for out in stages[name]["outs"]} == {
            out["path"]: out["md5"] for out in stages[name]["outs"]
        }


def test_metrics_lead_back_to_the_hash_in_the_lock(project):
    metrics = json.loads((project / "runs/evaluate/metrics.json").read_text())
    lock = (project / "dvc.lock").read_text()
    assert set(metrics["data"]) == {
        params["src"] for params in yaml.safe_load((project / "params.yaml").read_text())["datasets"].values()
    }
    assert all(md5 in lock for md5 in metrics["data"].values())
    printed = call(project, "prep", "trace", "runs/evaluate/metrics.json")
    newest = call(project, "git", "log", "-1", "--format=%h").strip()
    for path, md5 in metrics["data"].items():
        lines = [line for line in printed.splitlines() if f" {path} " in line]
        assert lines
        assert all(md5 in line and newest in line for line in lines)


def test_dvc_shows_metrics_and_plots(project):
    shown = json.loads(call(project, "dvc", "metrics", "show", "--json"))
    assert "runs/evaluate/metrics.json" in shown[""]["data"]
    misses = shown[""]["data"]["runs/align/demo-rafdb.json"]["data"]
    assert misses["missed"] == json.loads((project / "data/aligned/demo-rafdb/summary.json").read_text())["missed"]
    kept = shown[""]["data"]["runs/select/demo-rafdb.json"]["data"]
    assert kept["kept"] == pq.read_metadata(project / "data/selected/demo-rafdb/selected.parquet").num_rows
    page = project / "plots"
    call(project, "dvc", "plots", "show", "--out", str(page))
    assert "vega" in (page / "index.html").read_text().lower()


def test_the_data_card_has_the_confusion_that_dvc_plots(project):
    with (project / "runs/evaluate/confusion.csv").open() as stream:
        pairs = Counter((row["actual"], row["predicted"]) for row in csv.DictReader(stream))
    confusion = json.loads((project / "runs/report/card.json").read_text())["confusion"]
    assert {(a, p): n for a, row in confusion.items() for p, n in row.items() if n} == pairs
    page = (project / "runs/report/index.html").read_text()
    assert "Rows are the true class, columns the answer" in page


def test_another_equalization_leaves_alignment_and_split_alone(project):
    set_params(project, {"equalize": {"method": "hist"}})
    stages = stale(project)
    call(project, "git", "checkout", "-q", "params.yaml")
    assert {f"equalize@{name}" for name in DATASETS} | {"shard", "train", "evaluate"} <= stages
    assert not {name for name in stages if name.partition("@")[0] in {"demo", "ingest", "align", "harmonize", "split"}}


def test_a_gate_detects_nothing_again_and_leaves_the_split_alone(project):
    set_params(project, {"select": {"min_sharpness": 20.0}})
    stages = stale(project)
    call(project, "git", "checkout", "-q", "params.yaml")
    assert stages == {*(f"select@{name}" for name in DATASETS), "shard", "train", "evaluate", "report"}


def test_a_split_to_keep_is_a_dependency_of_the_split_alone(project):
    kept = Path(shutil.copy(project / "data/split/split.parquet", project / "splits/first.parquet"))
    stages = stale(project)
    kept.unlink()
    assert {"split", "shard"} <= stages
    assert not {name for name in stages if name.partition("@")[0] in {"demo", "ingest", "align", "harmonize"}}


def test_another_taxonomy_touches_no_pixel_until_the_shards(project):
    path = project / "pipeline/labels/taxonomies/rafdb.yaml"
    path.write_text(path.read_text() + "# another wording\n")
    call(project, "prep", "code")
    assert stale(project) == set()
    path.write_text(path.read_text().replace("class: happy", "class: neutral", 1))
    call(project, "prep", "code")
    stages = stale(project)
    call(project, "git", "checkout", "-q", "pipeline", "runs/code")
    assert {"harmonize@demo-rafdb", "split", "shard"} <= stages
    assert not {name for name in stages if name.partition("@")[0] in {"demo", "ingest", "align", "equalize"}}


def test_dvc_keeps_a_raw_tree_of_ones_own(project):
    tree = project / "raw/own"
    tree.mkdir()
    (tree / "a.csv").write_text("image,label\n")
    call(project, "dvc", "add", "-q", "raw/own")
    shutil.rmtree(tree)
    # `dvc checkout`, and with it experiments in the queue, and `dvc gc` know only what DVC finds by itself.
    call(project, "dvc", "gc", "--workspace", "--force", "-q")
    call(project, "dvc", "checkout", "-q")
    assert (tree / "a.csv").is_file()
    assert "raw/own.dvc" in call(project, "git", "status", "--short", "-uall")
    shutil.rmtree(tree)
    (project / "raw/own.dvc").unlink()


def test_an_unknown_parameter_is_one_line(project):
    set_params(project, {"align": {"sise_px": 64}})
    said = call(project, "prep", "align", "--src", "raw/demo/affectnet", code=2)
    call(project, "git", "checkout", "-q", "params.yaml")
    assert "params.yaml: align.sise_px: unknown key" in said
    assert len(said.strip().splitlines()) == 1


@pytest.fixture
def verify(project, monkeypatch, capsys):
    """Run `prep verify` in this process, and return what it said."""
    monkeypatch.chdir(project)

    def said(*arguments: str, code: int = 0) -> str:
        assert run(["verify", *arguments]) == code
        return "".join(capsys.readouterr())

    return said


def test_verify_holds_and_names_each_flipped_byte(project, verify):
    call(project, "prep", "verify")
    picture = next(iter(sorted((project / "raw/demo/rafdb").rglob("*.jpg"))))
    shard = next(iter(sorted((project / "data/shards/parquet").iterdir())))
    tar = next(iter(sorted((project / "data/shards/webdataset").iterdir())))
    parts = (
        picture,
        project / "data/aligned/demo-rafdb/part-00000.parquet",
        shard,
        tar,
        project / "runs/train/model.safetensors",
    )
    for path in parts:
        name = path.relative_to(project).as_posix()
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 0x10
        # A file of DVC's cache may be linked here: replaced, never written into.
        path.unlink()
        path.write_bytes(bytes(flipped))
        assert name in verify(code=1)
        path.write_bytes(content)
    verify("runs/evaluate/metrics.json")


def test_verify_compares_with_what_dvc_has_of_the_raw_trees(project, verify):
    lock = project / "dvc.lock"
    content = lock.read_text()
    md5 = json.loads((project / "runs/evaluate/metrics.json").read_text())["data"]["raw/demo/rafdb"]
    lock.write_text(content.replace(md5, md5[::-1]))
    assert "raw/demo/rafdb: DVC has" in verify(code=1)
    lock.write_text("")
    assert "dvc.lock: not a dvc.lock" in verify(code=1)
    lock.write_text(content)
    snapshot = project / "runs/report/snapshot.json"
    snapshot.rename(project / "aside.json")
    assert "runs/report/snapshot.json" in verify(code=1)
    (project / "aside.json").rename(snapshot)
    with (project / "raw/demo/truth.parquet").open("r+b") as stream:
        stream.seek(100)
        stream.write(b"x")
    assert "raw/demo/truth.parquet" in verify(code=1)
