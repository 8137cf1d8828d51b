"""A hook of mkdocs: the texts beside docs/ are pages, too, and links between files work here as they do on disk."""

import posixpath
import re
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
_ROOT_PAGES: Final = {
    "README.md": "index.md",
    **{f"{name}.md": f"{name.lower()}.md" for name in ("ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")},
}
_LINK: Final = re.compile(r"(\]\()([^)#\s:]+)(#[^)]*)?\)")


def pages() -> dict[str, str]:
    """Return path of a text or picture from the root -> its place in the site, for all that is shown."""
    shown = dict(_ROOT_PAGES)
    for kind in ("md", "png"):
        shown |= {
            f"benchmarks/{path.name}": f"benchmarks/{path.name}" for path in (ROOT / "benchmarks").glob(f"*.{kind}")
        }
        shown |= {f"docs/{path.name}": path.name for path in (ROOT / "docs").glob(f"*.{kind}")}
    return shown


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the texts and pictures that are not in docs/."""
    for source, place in pages().items():
        if not source.startswith("docs/"):
            files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - mkdocs's
    """Turn links from file to file into links from page to page; a file that is no page fails the build as missing."""
    shown = pages()
    source = next(source for source, place in shown.items() if place == page.file.src_uri)

    def turned(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        if target not in shown:
            return link[0]
        there = posixpath.relpath(shown[target], posixpath.dirname(page.file.src_uri) or ".")
        return f"{link[1]}{there}{link[3] or ''})"

    return _LINK.sub(turned, markdown)
