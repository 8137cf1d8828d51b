"""Every native label of every dataset with its class, its source and what the literature makes of it instead.

`make labels` writes docs/labels.md from the taxonomies and docs/labels.yaml; a test holds the page to both.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.labels.taxonomy import FOLDER, Taxonomy, TaxonomyEntry, list_taxonomies, read_taxonomy

DOCS: Final = Path(__file__).parents[1] / "docs"
PAGE: Final = DOCS / "labels.md"
_ANY: Final = "*"
_HEAD: Final = """# Native labels

Every native label of every format, the class that its taxonomy gives it, and the source of that choice. The last column
is what the literature does instead, where we know of it. `make labels` makes this page from
`pipeline/labels/taxonomies/` and `docs/labels.yaml`. To map a label differently, edit its taxonomy; the snapshot of
every number that depends on it shows the edit.
"""


def build_page(known: Mapping[str, Any]) -> str:
    """Return the page as Markdown, given the content of labels.yaml."""
    parts = [_HEAD]
    for name in list_taxonomies():
        taxonomy = read_taxonomy(name)
        parts.append(f"## {name}\n\n" + "\n".join(_rows(taxonomy, known["alternatives"])) + "\n\n" + _sources(taxonomy))
    listed = "".join(f"- `{key}`: {text}\n" for key, text in known["sources"].items())
    return "\n".join([*parts, f"## Sources of the alternatives\n\n{listed}"])


def families(name: str) -> Iterator[str]:
    """Yield a taxonomy and those that it extends, nearest first."""
    while name:
        yield name
        name = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")).get("extends", "")


def _rows(taxonomy: Taxonomy, alternatives: Mapping[str, Any]) -> Iterator[str]:
    yield "| label | class | source | why | the literature's alternatives |"
    yield "|---|---|---|---|---|"
    tables = [alternatives.get(name, {}) for name in families(taxonomy.name)]
    for label, entry in taxonomy.labels.items():
        given = [table[key] for table in tables for key in (label, _ANY) if key in table]
        instead = "; ".join(f"{one['instead']} (`{one['source']}`)" for one in given)
        spelled = ", ".join((f"`{label}`", *entry.also))
        yield f"| {spelled} | {_meaning(entry)} | `{entry.source}` | {entry.why or ''} | {instead} |"


def _meaning(entry: TaxonomyEntry) -> str:
    if entry.reject is not None:
        return f"none: {entry.reject}"
    return entry.to or ", ".join(f"{share:g} {name}" for name, share in (entry.weights or {}).items())


def _sources(taxonomy: Taxonomy) -> str:
    used = {entry.source for entry in taxonomy.labels.values()}
    return "".join(f"- `{key}`: {text}\n" for key, text in taxonomy.sources.items() if key in used)


def read_known() -> dict[str, Any]:
    """Return the maintained alternatives and their sources."""
    known: dict[str, Any] = yaml.safe_load((DOCS / "labels.yaml").read_text(encoding="utf-8"))
    return known


def main() -> None:
    """Write the page."""
    PAGE.write_text(build_page(read_known()), encoding="utf-8")


if __name__ == "__main__":
    main()
