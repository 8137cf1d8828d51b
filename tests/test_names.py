"""Every module, function, file, command and parameter that a docstring or a document names is there."""

import ast
import re
import tokenize
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from stages.cli import app
from tests.imports import PACKAGES, ROOT
from tests.names import TOPS, classes, documented, members, modules, resolves, top_level, tree_of, words_of

FILES = sorted(path for top in TOPS for path in (ROOT / top).rglob("*.py"))
# The changelog tells of names that are gone; there only what is named in full must still be there.
DOCUMENTS = sorted(
    path for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "splits/*.md") for path in ROOT.glob(pattern)
)
# Of these all the text counts: comments, messages, settings.
OTHERS = sorted(
    [path for path in FILES if path.relative_to(ROOT).parts[0] in PACKAGES]
    + [ROOT / name for name in (".ci/run", "Makefile", "dvc.yaml", "params.yaml", "pyproject.toml")]
)
HISTORY = ROOT / "CHANGELOG.md"
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())

_TICKED = re.compile(r"(?<!`)(`{1,2})(?!`)(.+?)\1(?!`)", re.DOTALL)
_FENCED = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
_PATH = re.compile(rf"(?<![\w/.<>-])(?:{'|'.join(TOPS)}|docs|\.ci)(?:/[\w.-]+)+/?")
_DOTTED = re.compile(rf"(?<![\w/.-])(?:{'|'.join(TOPS)})(?:\.[A-Za-z_]\w*)+")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_SET = re.compile(r"-S ([a-z_.]+)=")
_COMMAND = re.compile(r"(?:^|[`$|] ?)(prep|make) ([a-z][a-z-]*)([^`|\n]*)", re.MULTILINE)
# What names of files end in: `train.csv` is no name `csv` in a module `train`.
_FILE = re.compile(
    r".*\.(c|csv|dvc|gif|html|jpe?g|json|lock|LICENSE|lst|m|mat|md|npy|parquet|png|py|safetensors|tiff?|toml|txt|yaml|zip)"
)
# Names of other libraries whose first word is ours, too.
FOREIGN = {
    "DistributedSampler",
    "Tree.digest",
    "datasets.Features.to_dict",
    "models/dlib_face_recognition_resnet_model_v1.dat",
    "random.py",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def stems() -> dict[str, list[Path]]:
    """Return the last word of a module's name -> the modules of that name."""
    found: dict[str, list[Path]] = {}
    for dotted, path in modules().items():
        found.setdefault(dotted.rpartition(".")[2], []).append(path)
    return found


@cache
def vocabulary() -> frozenset[str]:
    texts = [
        path.read_text() for pattern in ("*.yaml", "*.yml", "docs/*.yaml", "*.toml") for path in ROOT.glob(pattern)
    ]
    texts += [path.read_text() for path in (ROOT / "pipeline").rglob("*.yaml")]
    written = {word for text in texts for word in re.findall(r"\w+", text)}
    return frozenset(written.union(stems(), *(words_of(path) for path in modules().values())))


def stale(name: str) -> bool:
    """Tell whether a name in backticks is none of the code's; a name of another library is not stale."""
    head, *rest = name.split(".")
    if name in FOREIGN:
        return False
    if not rest:
        return head not in vocabulary()
    if head in TOPS or _FILE.fullmatch(name):
        return False  # the former are looked for in all of the text
    known = [members(node) for _, node in classes().get(head, [])]
    known += [set(top_level(path)) | {child.stem for child in path.parent.glob("*")} for path in stems().get(head, [])]
    known += [set(PARAMS[head]) | section_fields(head)] if head in PARAMS else []
    return bool(known) and not any(rest[0] in names for names in known)


def section_fields(section: str) -> set[str]:
    """Return what may stand in a section of params.yaml and does not there."""
    return {name for _, node in classes().get(f"{section.capitalize()}Params", []) for name in members(node)}


def exists(path: str) -> bool:
    """Tell whether a path from the top, or the end of one, is there."""
    return (ROOT / path).exists() or any(name_of(file).endswith(f"/{path}") for file in FILES)


def spans(text: str) -> list[str]:
    return [" ".join(span.split()) for _, span in _TICKED.findall(_FENCED.sub("", text))]


def unresolved(text: str) -> list[str]:
    """Return the paths, dotted names and python files in a text that are not there."""
    wrong = [path for path in _PATH.findall(text) if not exists(path.rstrip("."))]
    wrong += [dotted for dotted in _DOTTED.findall(text) if not dotted.endswith(".py") and not resolves(dotted)]
    wrong += [span for span in spans(text) if re.fullmatch(r"[\w/]+\.py", span) and not exists(span)]
    return [name for name in wrong if name not in FOREIGN]


def said(path: Path) -> str:
    """Return the comments and texts of a python file, and all of another."""
    if path.suffix != ".py":
        return path.read_text()
    with path.open("rb") as stream:
        kinds = (tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))
        return "\n".join(token.string for token in tokenize.tokenize(stream.readline) if token.type in kinds)


def told(paths: list[Path], wrong: Callable[[Path], list[str]]) -> dict[str, list[str]]:
    """Return what is wrong, by file. A test for each of 800 files would take longer than what it looks at."""
    return {name_of(path): names for path in paths if (names := wrong(path))}


def stale_names(text: str) -> list[str]:
    return [span for span in spans(text) if _NAME.fullmatch(span) and stale(span)]


def test_docstrings_name_what_is_there():
    def wrong(path: Path) -> list[str]:
        texts = [ast.get_docstring(node) or "" for node in documented(tree_of(path))]
        return [name for text in texts for name in unresolved(text) + stale_names(text)]

    assert told(FILES, wrong) == {}


def test_comments_and_messages_name_what_is_there():
    assert told(OTHERS, lambda path: unresolved(said(path))) == {}


def test_a_package_says_of_itself_what_it_has():
    def wrong(path: Path) -> list[str]:
        text = ast.get_docstring(tree_of(path)) or ""
        own = {word for file in path.parent.rglob("*.py") for word in (file.stem, *top_level(file))}
        names = {span.partition(".")[0] for span in spans(text) if _NAME.fullmatch(span)}
        return sorted(names - own - {*TOPS, "prep"})

    assert told([path for path in FILES if path.name == "__init__.py"], wrong) == {}


def test_all_that_a_module_exports_is_in_it():
    def wrong(path: Path) -> list[str]:
        exported = top_level(path).get("__all__")
        names = ast.literal_eval(exported.value) if isinstance(exported, ast.Assign) else []
        return [name for name in names if name not in top_level(path)]

    assert told(FILES, wrong) == {}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_documents_name_what_is_there(path):
    text = path.read_text()
    assert unresolved(text) + stale_names(text) == [] or path == HISTORY
    assert [link for link in _LINK.findall(text) if "://" not in link and not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_documents_name_commands_options_and_parameters_that_are_there(path):
    text = path.read_text()
    commands = get_command(app).commands
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for program, name, rest in _COMMAND.findall(text):
        assert name in (targets if program == "make" else commands), f"{program} {name}"
        if program == "prep":
            known = {option for param in commands[name].params for option in param.opts} | {"--help"}
            assert set(re.findall(r"(?<= )--[a-z-]+", rest)) <= known, f"prep {name}{rest}"
    for key in _SET.findall(text):
        section, name = key.split(".")
        assert name in PARAMS[section], key


def test_a_name_that_is_gone_is_told():
    text = "See `tests/gone.py`, tests.names.gone (`tests.names.resolves`, tests/), `gone.py` and `imports.py`."
    assert unresolved(text) == ["tests/gone.py", "tests.names.gone", "tests/gone.py", "gone.py"]
    word = "_".join(["gone", "word"])  # written in one piece, it would be a word of this file
    gone = [word, "Reader.gone", "schema.GONE", "align.gone"]
    assert [name for name in [*gone, "Reader.read", "schema.Reason", "align.cascade", "np.gone"] if stale(name)] == gone
