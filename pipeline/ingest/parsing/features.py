"""The names of classes as the Hugging Face Hub keeps them: in a table's schema, beside it as JSON, or in the card.

`datasets` writes the key `huggingface` into the schema of Parquet and Arrow files, `dataset_info.json` beside the
files of `save_to_disk`, and `dataset_info` into the YAML at the head of README.md.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import yaml

from pipeline.core.errors import SourceError
from pipeline.core.params.bounded import BombError, BoundedLoader
from pipeline.ingest.parsing.label_names import class_word
from pipeline.ingest.raw_dataset import join
from pipeline.ingest.trees.tree import Tree

Names = Mapping[str, tuple[str, ...]]  # column -> the name of each class, by its code
_KEY: Final = b"huggingface"
# A card or a description is small; what is larger is not one.
_MAX_BYTES: Final = 4 << 20
_MAX_CLASSES: Final = 1000


def class_names(tree: Tree, name: str, schema: pa.Schema) -> Names:
    """Return the names of the classes in a table's columns, of all that say them.

    Raises:
        SourceError: two of them contradict each other.
    """
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for where, said in _said(tree, name, schema):
        for column, names in said.items():
            first, known = found.setdefault(column, (where, names))
            if list(map(_plain, known)) != list(map(_plain, names)):
                raise SourceError(
                    f"{tree.src}/{name}: {first} names the classes of {column} {', '.join(known)}, and {where} "
                    f"{', '.join(names)}: remove the wrong one"
                )
    return {column: names for column, (_, names) in found.items()}


def _said(tree: Tree, name: str, schema: pa.Schema) -> Iterator[tuple[str, Names]]:
    """Yield (where it stands, names) of every description of a table: its own, and those in the folders above it."""
    if content := (schema.metadata or {}).get(_KEY):
        yield from (("its schema", _names(features)) for features in _features(_json(content)))
    folder = name.rpartition("/")[0]
    while True:
        for beside, read in _BESIDE.items():
            if (at := join(folder, beside)) in tree and tree.size(at) <= _MAX_BYTES:
                yield from ((at, _names(features)) for features in _features(read(tree.read(at), at)))
        if not folder:
            return
        folder = folder.rpartition("/")[0]


def _json(content: bytes, name: str = "") -> Any:  # noqa: ARG001 - called as `_head` is
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _head(content: bytes, name: str) -> Any:
    """Return the YAML between the first two lines of dashes; None if there is none that can be read."""
    text = content.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    head, dashes, _ = text.removeprefix("---\n").partition("\n---")
    if head == text or not dashes:
        return None
    try:
        return yaml.load(head, Loader=BoundedLoader)  # noqa: S506 - a SafeLoader
    except BombError as error:
        raise SourceError(f"{name}: {error}") from None
    except yaml.YAMLError:
        return None


def _features(said: Any) -> Iterator[Mapping[str, Any]]:
    """Yield column -> its description, for each configuration, wherever the features stand."""
    if not isinstance(said, Mapping):
        return
    inner = said.get("info", said.get("dataset_info", said))
    if isinstance(inner, Mapping):
        inner = [inner] if "features" in inner else list(inner.values())  # dataset_infos.json: by configuration
    for one in inner if isinstance(inner, list) else ():
        features = one.get("features") if isinstance(one, Mapping) else None
        if isinstance(features, list):  # in a card
            features = {str(of.get("name")): of.get("dtype", of) for of in features if isinstance(of, Mapping)}
        if isinstance(features, Mapping):
            yield {str(column): kind for column, kind in features.items()}


_BESIDE: Final = {"dataset_info.json": _json, "dataset_infos.json": _json, "README.md": _head}


def _names(features: Mapping[str, Any]) -> Names:
    """Return the names of each column of classes: as a list, or as a map from code to name in any order."""
    found = {}
    for column, kind in features.items():
        if not isinstance(kind, Mapping):
            continue
        # A list of classes: in a schema under feature, in a card under sequence or list.
        of = next((kind[key] for key in ("feature", "sequence", "list") if isinstance(kind.get(key), Mapping)), kind)
        inner = of.get("class_label", of)
        names = inner.get("names") if isinstance(inner, Mapping) else None
        if isinstance(names, Mapping):
            names = [names.get(str(code), names.get(code)) for code in range(len(names))]
        if isinstance(names, list) and 0 < len(names) <= _MAX_CLASSES and None not in names:
            found[column] = tuple(map(str, names))
    return found


def _plain(name: str) -> str:
    return class_word(name) or name.strip().casefold()
