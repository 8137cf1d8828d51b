"""Which of several problems are said."""

from pipeline.verify.links import Problem, name_files


def test_a_file_is_named_rather_than_its_folder(tmp_path):
    (tmp_path / "raw" / "a").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "raw" / "a" / "1.png").write_bytes(b"x")
    raw, data = (Problem((tmp_path / name).as_posix(), "not what it was") for name in ("raw", "data"))
    picture = Problem((tmp_path / "raw" / "a" / "1.png").as_posix(), "changed")
    assert name_files([raw, data, picture]) == [picture, data]
    assert name_files([raw, data]) == [raw, data]
