"""A small project, and its dataset as a folder for FiftyOne."""

import shutil

import pytest

from pipeline.fiftyone.export import export
from pipeline.ingest.registry import open_pictures
from tests.pipeline.review.conftest import write_project


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The project with its folder for FiftyOne, not to be changed."""
    root = write_project(tmp_path_factory.mktemp("fiftyone"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        pictures = open_pictures("raw/toy", "folder")
        export("toy", pictures, root / "runs/export/fiftyone/toy", withdrawn={"toy/happy/03.jpg#0"})
    return root


@pytest.fixture
def exported(made):
    return made / "runs/export/fiftyone/toy"


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    """A copy of the project in the working folder."""
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "project"))
    return tmp_path / "project"
