"""The course of a training: one plot over its phases, in the report and in DVC's plots."""

import json
import shutil
import subprocess

import pytest

from pipeline.report.charts import losses_plots
from pipeline.report.network import build_losses
from tests.imports import ROOT

HEADER = "epoch,phase,train_loss,val_loss,train_accuracy,val_accuracy,loss\n"


def call(folder, *command):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def run(tmp_path):
    phases = ["features", "features", "finetune", "finetune"]
    rows = [f"{n},{phase},{2 / n},{3 / n},0.{n},0.{n},1 - CCC\n" for n, phase in enumerate(phases, start=1)]
    (tmp_path / "losses.csv").write_text(HEADER + "".join(rows))
    return tmp_path


def test_fine_tuning_begins_between_two_epochs_and_the_loss_has_its_name(run):
    course = build_losses(run)
    assert (course["name"], course["fine_tuned_from"], course["epoch"]) == ("1 - CCC", 3.0, [1.0, 2.0, 3.0, 4.0])
    loss, accuracy = losses_plots(course)
    assert (loss.y_title, accuracy.y_title) == ("1 - CCC", "accuracy")
    xs = [float(point.split(",")[0]) for point in loss.lines[0].points.split()]
    for plot in (loss, accuracy):
        assert plot.rule.text == "fine-tuning"
        assert plot.rule.at == pytest.approx((xs[1] + xs[2]) / 2, abs=0.1)


@pytest.mark.parametrize("phases", [["train", "train"], ["features", "features"], ["finetune", "finetune"]])
def test_one_phase_has_no_line(tmp_path, phases):
    rows = [f"{n},{phase},1,1,0.5,0.5,cross-entropy\n" for n, phase in enumerate(phases, start=1)]
    (tmp_path / "losses.csv").write_text(HEADER + "".join(rows))
    assert [plot.rule for plot in losses_plots(build_losses(tmp_path))] == [None, None]


def test_a_csv_of_earlier_versions_has_a_loss_without_a_name(tmp_path):
    (tmp_path / "losses.csv").write_text("epoch,phase,train_loss,val_loss\n1,train,2,\n2,train,1,\n")
    assert [plot.y_title for plot in losses_plots(build_losses(tmp_path))] == ["loss"]
    (tmp_path / "losses.csv").write_text(HEADER)
    assert losses_plots(build_losses(tmp_path)) == []


def test_dvc_draws_both_phases_in_one_plot_with_the_line(run):
    """DVC fills the template of `.dvc/plots`; what Vega makes of it was looked at."""
    call(run, "git", "init", "-q")
    call(run, "dvc", "init", "-q")
    shutil.copytree(ROOT / ".dvc/plots", run / ".dvc/plots", dirs_exist_ok=True)
    (run / "runs/train").mkdir(parents=True)
    shutil.move(run / "losses.csv", run / "runs/train")
    plots = (ROOT / "dvc.yaml").read_text().partition("\nplots:\n")[2].partition("\n  - confusion:")[0]
    (run / "dvc.yaml").write_text(f"plots:\n{plots}\n")
    shown = json.loads(call(run, "dvc", "plots", "show", "--json"))["data"]
    assert set(shown) == {"losses", "accuracy"}
    for of in shown.values():
        spec = json.loads(of[0]["content"]) if isinstance(of[0]["content"], str) else of[0]["content"]
        assert "<DVC" not in json.dumps(spec)
        rows = spec["data"]["values"]
        assert [row["phase"] for row in rows[:4]] == ["features", "features", "finetune", "finetune"]
        assert {row["loss"] for row in rows} == {"1 - CCC"}
