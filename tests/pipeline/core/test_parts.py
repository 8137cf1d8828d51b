"""Whole parts of an earlier run are taken over, and nothing else is: no torn, edited, flawed or foreign one."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.core import place
from pipeline.core.errors import LineageError, OutputError
from pipeline.core.lineage.identity import identity
from pipeline.core.parallel.units import Units
from pipeline.core.parts import MakePart, Resume, Task, digest_of, kept_parts
from pipeline.core.stage_output import stage_output

TASKS = [Task(digest_of(text), text) for text in ("one", "two", "three")]


@dataclass
class Run:
    """What a run said, and which parts it made."""

    said: list[str]
    made: list[str]


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "source").mkdir()


def run(tasks=TASKS, *, recipe="a", fresh=False, lost=(), dies_after=99, of=KeyboardInterrupt, keep=True) -> Run:
    ran = Run([], [])

    def write(text, folder, units):
        if len(ran.made) == dies_after:
            raise of
        ran.made.append(text)
        (folder / "text").write_text(text)
        return not units.lost

    with stage_output(Path("out"), stage="split", sources=[Path("source")], params={}) as output:
        store = output.part_store({"recipe": recipe}, Resume(fresh, ran.said.append), lasting=keep)
        taken = store.take_over(tasks, 2)
        make = MakePart(write, digest_of, store.folder)
        made = (
            make(task, Units(lost={0: "died"} if task.job in lost else {})) for task in tasks if task.key not in taken
        )
        for number, part in enumerate(store.in_order(tasks, taken, made)):
            output.add_part(part, {"text": f"{number}"})
        output.finish(rows_in=0, rows_out=0)
    assert [Path("out", str(number)).read_text() for number in range(len(tasks))] == [task.job for task in tasks]
    return ran


def store() -> Path:
    (root,) = kept_parts(Path())
    return root


def parts() -> list[Path]:
    return sorted(folder for folder in store().glob("*/*"))


def part_of(text: str) -> Path:
    (found,) = store().glob(f"*/{digest_of(text)}.*")
    return found


def test_a_run_that_died_is_taken_up_where_it_was():
    with pytest.raises(KeyboardInterrupt):
        run(dies_after=2)
    assert not Path("out").exists()
    ran = run()
    assert ran == Run(["2 of 3 parts taken over from an earlier run"], ["three"])


def test_after_a_result_only_what_changed_is_made():
    run()
    ran = run([TASKS[0], Task(digest_of("2"), "2"), TASKS[2]])
    assert ran == Run(["2 of 3 parts taken over from an earlier run"], ["2"])
    assert len(parts()) == 3  # what only the result before had is gone


def test_taking_over_changes_no_byte():
    run()
    before = identity(Path("out"))
    run()
    assert identity(Path("out")) == before
    run(fresh=True)
    assert identity(Path("out")) == before


def test_what_is_torn_edited_or_flawed_is_made_again():
    run(lost=["three"])
    (part_of("one") / "text").write_text("onE")
    assert run().made == ["one", "three"]
    record = part_of("one") / "part.json"
    record.write_text(record.read_text().replace('"size": 3', '"size": 4'))
    (part_of("two") / "text").write_bytes(b"")
    (part_of("three") / "more").touch()
    assert run().made == ["one", "two", "three"]
    (part_of("one") / "part.json").unlink()
    (part_of("two") / "text").unlink()
    part_of("three").rename(part_of("three").with_suffix(".new"))
    assert run() == Run([], ["one", "two", "three"])
    assert len(parts()) == 3


def test_another_recipe_and_fresh_take_over_nothing():
    run()
    assert run(recipe="b").made == ["one", "two", "three"]
    assert run(recipe="b", fresh=True).made == ["one", "two", "three"]
    assert run(recipe="b").made == []


def test_a_run_with_other_parameters_that_was_stopped_costs_the_one_before_nothing():
    run()
    for recipe in ("b", "c"):
        with pytest.raises(KeyboardInterrupt):
            run(recipe=recipe, dies_after=1)
        os.utime(store() / digest_of({"recipe": recipe}), (1, 1))
    assert run().made == []
    assert len(list(store().glob("*/"))) == 1


def test_parts_of_a_stage_that_keeps_none_are_gone_after_its_result():
    with pytest.raises(KeyboardInterrupt):
        run(dies_after=2, keep=False)
    assert run(keep=False).made == ["three"]
    assert kept_parts(Path()) == []
    assert not Path(".out.partial").exists()


def test_a_full_disk_leaves_the_result_and_the_whole_parts():
    run()
    others = [Task(digest_of(text), text) for text in ("one!", "two!", "three!")]
    with pytest.raises(OutputError, match="the disk is full; nothing was changed"):
        run(others, dies_after=2, of=OSError(28, "No space left on device"))
    assert Path("out/2").read_text() == "three"
    assert run(others).made == ["three!"]


def test_a_disk_that_fills_while_the_result_is_synced_leaves_the_last_one(monkeypatch):
    run()

    def full(_):
        raise OSError(28, "No space left on device")

    others = [Task(digest_of(text), text) for text in ("one!", "two!", "three!")]
    with monkeypatch.context() as patch:
        patch.setattr(place, "sync", full)
        with pytest.raises(OutputError, match="the disk is full; nothing was changed"):
            run(others)
    assert Path("out/2").read_text() == "three"
    assert run(others).made == []


@pytest.mark.parametrize("name", ["text", "part.json"])
def test_a_part_that_a_power_cut_emptied_is_made_again(name):
    with pytest.raises(KeyboardInterrupt):
        run(dies_after=2)
    (part_of("one") / name).write_text("")
    assert run().made == ["one", "three"]


def test_where_there_are_no_hard_links_nothing_is_kept(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(KeyboardInterrupt):
        run(dies_after=2)
    assert run().made == ["three"]
    assert kept_parts(Path()) == []


def test_a_part_in_dvcs_cache_is_copied_and_keeps_its_rights():
    """With `cache.type hardlink`, the cache has the very file, and takes the right to write from it."""
    run()
    protected = part_of("one") / "text"
    protected.chmod(0o444)
    assert run().made == []
    assert stat.S_IMODE(protected.stat().st_mode) == 0o444
    assert not Path("out/0").samefile(protected)
    assert Path("out/1").samefile(part_of("two") / "text")


def test_what_is_edited_while_the_run_lasts_is_refused():
    run()
    with pytest.raises(OutputError, match="1 is not what its worker wrote"):  # noqa: SIM117 - the output comes first
        with stage_output(Path("out"), stage="split", sources=[Path("source")], params={}) as output:
            taken = output.part_store({"recipe": "a"}, Resume(), lasting=True).take_over(TASKS, 1)
            output.add_part(taken[TASKS[1].key], {"text": "1"})
            (part_of("two") / "text").write_text("tw0")
            output.finish(rows_in=0, rows_out=0)


def test_parts_are_their_owners_alone_and_no_part_of_a_repository():
    old = os.umask(0)
    try:
        run()
    finally:
        os.umask(old)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (store(), *parts())} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in store().glob("*/*/*")} == {0o600}
    assert (store() / ".gitignore").read_text() == "*\n"


def test_a_second_run_leaves_the_parts_of_a_living_one():
    run()
    before = parts()
    with stage_output(Path("out"), stage="split", sources=[Path("source")], params={}) as output:
        output.part_store({"recipe": "b"}, Resume(), lasting=True)
        with pytest.raises(OutputError, match="another run is writing it"):
            run(fresh=True)
        assert [folder for folder in parts() if folder in before] == before
        output.finish(rows_in=0, rows_out=0)


def test_a_part_of_an_input_that_changed_is_not_kept():
    """Its key is that of the earlier input, which may be back when the next run looks."""
    with pytest.raises(LineageError, match="changed while it was being read"):
        run([Task(digest_of("before"), "after")])
    assert parts() == []
