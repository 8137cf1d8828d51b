"""Hashing every link from the raw bytes to a result again, and naming those that do not hold."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import PrepError
from pipeline.core.lineage.identity import FileIdentity, file_md5, folder_md5, walk_files
from pipeline.core.lineage.snapshot import Snapshot, read_snapshot
from pipeline.core.lineage.walk import owner
from pipeline.core.names import MANIFEST_NAME, SNAPSHOT_NAME
from pipeline.core.tables import read_table


@dataclass(frozen=True, slots=True)
class Problem:
    """A link that does not hold: the file or folder, and what is wrong with it."""

    path: str
    detail: str


class Verifier:
    """Checks output folders; every file is hashed only once, however many links lead to it."""

    def __init__(
        self,
        locked: Mapping[str, str],
        given: Mapping[str, str] | None = None,
        tree: Callable[[str], Mapping[str, str] | None] = lambda _: None,
        withdrawn: Set[str] = frozenset(),
    ) -> None:
        """Take what DVC has recorded.

        Args:
            locked: path -> DVC's hash of each output.
            given: path -> DVC's hash of everything that no stage writes.
            tree: for a folder's hash, returns path -> md5 of its files; None if DVC no longer has the list.
            withdrawn: md5 of pictures that are rightly not there any more.
        """
        self._locked = locked
        self._given = given or {}
        self._tree = tree
        self._withdrawn = withdrawn
        self._hashes: dict[Path, str] = {}
        self._folders: dict[Path, list[FileIdentity]] = {}

    def check(self, folder: Path) -> Iterator[Problem]:
        """Yield what is wrong with an output folder: its files, its inputs, and what DVC has recorded about it."""
        try:
            snapshot = read_snapshot(folder)
        except PrepError as error:
            yield Problem((folder / SNAPSHOT_NAME).as_posix(), str(error).partition(": ")[2])
            return
        locked = list(self._check_locked(folder))
        yield from locked
        if (folder / SNAPSHOT_NAME).as_posix() in {problem.path for problem in locked}:
            return  # a forged snapshot accuses files that are as they were
        yield from self._check_files(folder, snapshot)
        for given in snapshot.inputs:
            yield from self._check_input(folder, Path(given.path), given.md5, given.snapshot)

    def _check_files(self, folder: Path, snapshot: Snapshot) -> Iterator[Problem]:
        found = {file.path: file.md5 for file in self.files(folder) if file.path != SNAPSHOT_NAME}
        stated = {name: str(entry["md5"]) for name, entry in snapshot.files.items()}
        recorded = {name: md5 for name, md5 in stated.items() if name in found or md5 not in self._withdrawn}
        yield from _compare(folder, recorded, found)
        for name, entry in snapshot.beside.items():
            path = Path(name)
            here = {name: self.identity(path)} if path.is_file() else {}
            yield from _compare(Path(), {name: str(entry["md5"])}, here)

    def _check_input(self, result: Path, path: Path, md5: str, snapshot: str | None) -> Iterator[Problem]:
        if not path.exists():
            yield Problem(path.as_posix(), f"missing; {result} was made from it")
            return
        tracked = self._given.get(path.as_posix(), md5)
        if tracked != md5:
            yield Problem(path.as_posix(), f"DVC has {tracked}, but {result} was made from {md5}")
        if self.identity(path) == md5:
            return
        named = list(self._by_tree(path, md5))
        if not named:
            named = list(self._name_changed(result, path)) if snapshot is None else list(self._check_own(path))
        yield from named
        if not named:
            yield self._name_folder(path, f"not what {result} was made from: {self.identity(path)}, not {md5}")

    def differs(self, path: Path, md5: str, detail: str) -> Iterator[Problem]:
        """Yield how a file or folder differs from its record: the differing files, if the record lists them."""
        named = list(self._by_tree(path, md5))
        yield from named or [self._name_folder(path, f"{detail}: {self.identity(path)}, not {md5}")]

    def _by_tree(self, path: Path, md5: str) -> Iterator[Problem]:
        recorded = self._tree(md5) if path.is_dir() else None
        if recorded is not None:
            yield from _compare(path, recorded, {file.path: file.md5 for file in self.files(path)})

    def _name_folder(self, path: Path, detail: str) -> Problem:
        """Name the snapshot if a folder differs although all files are as the snapshot says: then it was forged."""
        snapshot = path / SNAPSHOT_NAME
        if not snapshot.is_file() or any(self._check_own(path)):
            return Problem(path.as_posix(), detail)
        return Problem(snapshot.as_posix(), f"changed, as every file beside it is as it says; its folder is {detail}")

    def _check_own(self, path: Path) -> Iterator[Problem]:
        folder = owner(path)
        if folder is None:
            return
        name = folder / SNAPSHOT_NAME
        recorded = self._locked.get(name.as_posix()) or self._of_tree(folder)
        if recorded is not None and self.identity(name) != recorded:
            yield Problem(name.as_posix(), f"not what dvc.lock has: {self.identity(name)}, not {recorded}")
            return
        try:
            snapshot = read_snapshot(folder)
        except PrepError as error:
            yield Problem(name.as_posix(), str(error).partition(": ")[2])
            return
        yield from self._check_files(folder, snapshot)

    def _of_tree(self, folder: Path) -> str | None:
        """Return the md5 of a folder's snapshot from DVC's list of the folder, if that is known."""
        return (self._tree(self._locked.get(folder.as_posix(), "")) or {}).get(SNAPSHOT_NAME)

    def _name_changed(self, result: Path, raw: Path) -> Iterator[Problem]:
        manifest = result / MANIFEST_NAME
        if not raw.is_dir() or not manifest.is_file():
            return
        rows = read_table(manifest, ["path", "md5"])
        recorded = dict(zip(rows["path"].to_pylist(), rows["md5"].to_pylist(), strict=True))
        yield from _compare(raw, recorded, {file.path: file.md5 for file in self.files(raw)})

    def _check_locked(self, folder: Path) -> Iterator[Problem]:
        for path in (folder, *(folder / file.path for file in self.files(folder))):
            locked = self._locked.get(path.as_posix())
            if locked is not None and self.identity(path) != locked:
                yield from self.differs(path, locked, "not what dvc.lock has")

    def check_rest(
        self, outputs: Iterable[Path], roots: Iterable[Path], passed_over: Iterable[Path]
    ) -> Iterator[Problem]:
        """Yield what is wrong outside output folders: files that dvc.lock records, and files that no stage wrote."""
        folders = set(outputs)
        beside = {name for folder in folders for name in _written_beside(folder)}
        for name, locked in self._locked.items():
            path = Path(name)
            if not path.exists():
                yield Problem(name, f"missing; dvc.lock has {locked}")
            elif not folders & {path, *path.parents} and self.identity(path) != locked:
                yield from self.differs(path, locked, "not what dvc.lock has")
        known = folders | set(passed_over) | {Path(name) for name in (*self._locked, *beside)}
        for path in sorted(file for root in roots for file in walk_files(root)):
            if path.name != ".gitignore" and not known & {path, *path.parents}:
                yield Problem(path.as_posix(), "a stray: no stage wrote it; remove it, or keep it elsewhere")

    def identity(self, path: Path) -> str:
        """Return DVC's hash of a file or folder.

        Raises:
            LineageError: nothing is there, or it cannot be read.
        """
        if path.is_dir():
            return folder_md5(self.files(path))
        if path not in self._hashes:
            self._hashes[path] = file_md5(path)
        return self._hashes[path]

    def files(self, folder: Path) -> list[FileIdentity]:
        """Return every file below a folder, sorted by path."""
        if folder not in self._folders:
            found = (
                FileIdentity(path.relative_to(folder).as_posix(), path.stat().st_size, self.identity(path))
                for path in walk_files(folder)
            )
            self._folders[folder] = sorted(found, key=lambda file: file.path)
        return self._folders[folder]


def find_outputs(roots: Iterable[Path]) -> list[Path]:
    """Return every output folder (one with a snapshot) below these folders, sorted."""
    return sorted(
        path.parent for root in roots for path in root.rglob(SNAPSHOT_NAME) if ".partial" not in path.as_posix()
    )


def name_files(problems: Iterable[Problem]) -> list[Problem]:
    """Drop problems of folders in which a file is named as well, and put the other folders last.

    If one byte of a file changed, its folder differs, too; only the file tells where to look.
    """
    given = list(problems)
    below = {parent.as_posix() for problem in given for parent in Path(problem.path).parents}
    kept = [problem for problem in given if problem.path not in below]
    return sorted(kept, key=lambda problem: Path(problem.path).is_dir())


def _written_beside(folder: Path) -> Iterable[str]:
    try:
        return read_snapshot(folder).beside
    except PrepError:  # named where the folder is checked
        return ()


def _compare(folder: Path, recorded: Mapping[str, str], found: Mapping[str, str]) -> Iterator[Problem]:
    for name in sorted({*recorded, *found}):
        path = (folder / name).as_posix()
        if name not in found:
            yield Problem(path, "missing")
        elif name not in recorded:
            yield Problem(path, "was not there when its folder was written")
        elif recorded[name] != found[name]:
            yield Problem(path, f"changed: md5 {found[name]}, not {recorded[name]}")
