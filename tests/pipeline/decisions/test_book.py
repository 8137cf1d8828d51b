"""The file of decisions: what is read, what is refused with its line, and what git makes of two people's files."""

import csv
import subprocess
from multiprocessing import get_context

import pytest

from pipeline.decisions.book import BookError, change_book, read_book, replace_own, write_book
from pipeline.decisions.decision import Decision, Kind
from pipeline.decisions.forgotten import Digest, add_digests, read_digests
from tests.imports import ROOT

HEADER = "sample_id,decision,value,by,note\n"


def line(sample="d/a.png#0", kind="right", value="", by="ann", note=""):
    return f"{sample},{kind},{value},{by},{note}\n"


def test_what_is_written_is_read_by_csv_and_by_us(tmp_path):
    path = tmp_path / "d.csv"
    given = [
        Decision("d/b, c.png#0", Kind.other_label, "fear", "ann", 'says "no", really'),
        Decision("d/a.png#0", Kind.wrong_face, "1.5 2 30 40", "ben"),
        Decision("d/a.png#0", Kind.same_person, "d/ä.png#1", "ann"),
    ]
    write_book(path, given)
    assert read_book(path) == sorted(given)
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == HEADER.strip().split(",")
    assert rows[3] == ["d/b, c.png#0", "other_label", "fear", "ann", 'says "no", really']
    assert read_book(tmp_path / "none.csv") == []


NAMES = [
    "nl\nx",
    "cr\rx",
    "tab\tx",
    "mac\u202f9.41",
    "turn\u202ejpg",
    "zwj\u200dx",
    "line\u2028x",
    "back\\nx",
    "\x1b[31m",
    '"q",',
    "=1+1",
]


def test_whatever_a_file_is_called_its_line_is_one_that_can_be_printed(tmp_path):
    given = [Decision(f"d/{name}.jpg#0", Kind.same_picture, f"d/{name}.png#0", "ann", "") for name in NAMES]
    assert change_book(tmp_path / "d.csv", lambda _: given) == sorted(given)
    assert read_book(tmp_path / "d.csv") == sorted(given)
    text = (tmp_path / "d.csv").read_bytes().decode()
    assert len(text.split("\n")) == len(NAMES) + 2
    assert text.replace("\n", "").isprintable()
    add_digests(tmp_path / "f.csv", [Digest(one.sample_id, "crop", "0" * 32) for one in given])
    assert [one.sample_id for one in read_digests(tmp_path / "f.csv")] == sorted(one.sample_id for one in given)


REFUSED = {
    "bom": ("\ufeff" + HEADER, ":1: begins with a byte order mark"),
    "crlf": (HEADER + line().replace("\n", "\r\n"), ":2: ends as lines do on Windows"),
    "semicolons": (HEADER.replace(",", ";") + line().replace(",", ";"), ":1: separated by semicolons"),
    "semicolon lines": (HEADER + line().replace(",", ";"), ":2: 1 cells, not 5"),
    "merge": (HEADER + "<<<<<<< ours\n" + line(), ":2: a mark of an unfinished merge"),
    "merge at the end": (HEADER + line() + ">>>>>>> theirs\n", ":3: a mark of an unfinished merge"),
    "header": (line(), ":1: expected the header"),
    "cut off": (HEADER + line()[:-4], ":2: the last line has no end"),
    "kind": (HEADER + line(kind="rigth"), ":2: unknown decision 'rigth'; did you mean 'right'?"),
    "label": (HEADER + line(kind="other_label", value="hapy"), ":2: unknown label 'hapy'; did you mean 'happy'?"),
    "no label": (HEADER + line(kind="other_label"), ":2: unknown label ''; expected anger, contempt"),
    "value": (HEADER + line(value="happy"), ":2: right takes no value"),
    "box": (HEADER + line(kind="wrong_face", value="5 5 1 9"), ":2: '5 5 1 9' is neither"),
    "nan": (HEADER + line(kind="wrong_face", value="nan 1"), ":2: 'nan 1' is neither"),
    "itself": (HEADER + line(kind="same_person", value="d/a.png#0"), ":2: same_person names the other sample"),
    "name": (HEADER + line(by="Ann Smith"), ":2: 'Ann Smith' is no alias"),
    "address": (HEADER + line(by="ann@x.org"), ":2: 'ann@x.org' is no alias"),
    "twice": (HEADER + line() + line(kind="unsure"), ":3: ann has decided about d/a.png#0 in line 2 already"),
    "copy": (HEADER + line() + line(by="ben") + line(), ":4: ann has decided about d/a.png#0 in line 2 already"),
    "formula": (HEADER + line(note="=HYPERLINK(A1)"), ":2: the note begins with =, so spreadsheets"),
    "not escaped": (
        HEADER + line(sample="d/mac\u202fx.png#0"),
        r":2: write 'd/mac\u202fx.png#0'".replace("\\u", "\\\\u"),
    ),
    "no escape": (HEADER + line(sample="d/\\q.png#0"), ":2: write 'd/"),
    "quote": (HEADER + line(note='"a'), ":2: not a line of csv"),
    "empty line": (HEADER + "\n" + line(), ":2: 0 cells, not 5"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_cannot_be_taken_is_refused_with_its_line(tmp_path, text, said):
    path = tmp_path / "d.csv"
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(BookError) as caught:
        read_book(path)
    assert str(caught.value).startswith(f"{path}{said}")
    with pytest.raises(BookError):
        change_book(path, lambda before: [*before, Decision("d/z.png#0", Kind.right, "", "ann")])
    assert path.read_bytes().decode() == text


def test_an_empty_file_is_refused_and_latin_1_too(tmp_path):
    path = tmp_path / "d.csv"
    path.write_bytes(b"")
    with pytest.raises(BookError, match="1: expected the header"):
        read_book(path)
    path.write_bytes((HEADER + line(note="J\xfcrgen")).encode("latin-1"))
    with pytest.raises(BookError, match=r"d\.csv:2: not UTF-8"):
        read_book(path)


def test_a_new_verdict_replaces_the_own_one_and_links_add_up(tmp_path):
    path = tmp_path / "decisions" / "d.csv"
    for new in (
        Decision("d/a.png#0", Kind.right, "", "ann"),
        Decision("d/a.png#0", Kind.other_label, "sad", "ben"),
        Decision("d/a.png#0", Kind.same_person, "d/b.png#0", "ann"),
        Decision("d/a.png#0", Kind.same_person, "d/c.png#0", "ann"),
        Decision("d/a.png#0", Kind.not_a_face, "", "ann"),
    ):
        change_book(path, lambda before, new=new: replace_own(before, new))
    said = [(one.kind, one.value, one.by) for one in read_book(path)]
    assert said == [
        ("not_a_face", "", "ann"),
        ("other_label", "sad", "ben"),
        ("same_person", "d/b.png#0", "ann"),
        ("same_person", "d/c.png#0", "ann"),
    ]


@pytest.mark.parametrize("kinds", [(Kind.right, Kind.unsure), (Kind.right, Kind.right)])
def test_a_change_that_could_not_be_read_again_is_refused_and_nothing_written(tmp_path, kinds):
    path = tmp_path / "d.csv"
    change_book(path, lambda _: [Decision("d/a.png#0", Kind.right, "", "ann")])
    before = path.read_bytes()
    twice = [Decision("d/b.png#0", kind, "", "ann") for kind in kinds]
    with pytest.raises(BookError, match=r"d/b\.png#0: ann would decide twice about it"):
        change_book(path, lambda lines: [*lines, *twice])
    assert path.read_bytes() == before
    others = [Decision("d/b.png#0", Kind.right, "", "ann"), Decision("d/b.png#0", Kind.unsure, "", "ben")]
    change_book(path, lambda lines: [*lines, *others])
    assert len(read_book(path)) == 3


def _decide(path, by, count):
    for number in range(count):
        new = Decision(f"d/{number:02d}.png#0", Kind.right, "", by)
        change_book(path, lambda before, new=new: replace_own(before, new))


def test_processes_that_write_at_once_lose_no_line(tmp_path):
    path = tmp_path / "d.csv"
    spawn = get_context("fork")
    writers = [spawn.Process(target=_decide, args=(path, by, 15)) for by in ("ann", "ben", "cy")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(read_book(path)) == 45


def test_git_merges_what_two_people_decided(tmp_path):
    def git(*words):
        return subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], cwd=tmp_path, check=True, capture_output=True
        )

    git("init", "-q", "-b", "one")
    (tmp_path / "decisions").mkdir()
    (tmp_path / "decisions/.gitattributes").write_bytes((ROOT / "decisions/.gitattributes").read_bytes())
    path = tmp_path / "decisions" / "d.csv"
    base = [Decision("d/m.png#0", Kind.right, "", "ann")]
    write_book(path, base)
    git("add", ".")
    git("commit", "-qm", "base")
    ours = [*base, Decision("d/n.png#0", Kind.right, "", "ann"), Decision("d/o.png#0", Kind.unsure, "", "ann")]
    theirs = [*base, Decision("d/n.png#0", Kind.unsure, "", "ben")]
    git("switch", "-qc", "two")
    write_book(path, theirs)
    git("commit", "-qam", "theirs")
    git("switch", "-q", "one")
    write_book(path, ours)
    git("commit", "-qam", "ours")
    git("merge", "-q", "two")
    assert sorted(read_book(path)) == sorted({*ours, *theirs})
    path.unlink()
    git("-c", "core.autocrlf=true", "checkout", "--", "decisions/d.csv")  # as Git for Windows does
    assert sorted(read_book(path)) == sorted({*ours, *theirs})
