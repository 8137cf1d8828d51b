"""Archives in place: read like the folder they were made of, and refused whole where they are hostile."""

import gzip
import hashlib
import io
import os
import random
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipeline.core.errors import SourceError
from pipeline.core.lineage.identity import file_md5, identity
from pipeline.ingest.registry import open_pictures, open_tree
from pipeline.ingest.trees.gzip_stream import GzipStream
from tests.imports import ROOT
from tests.pipeline.ingest.layouts import WRITERS, Read, put, write_fer2013, write_rafdb

PICTURE = b"picture"


def pack(folder: Path, archive: Path, *, top: str = "") -> Path:
    """Pack a folder, in an order that is not the sorted one."""
    files = sorted(
        (path for path in folder.rglob("*") if path.is_file()),
        key=lambda path: hashlib.md5(path.name.encode(), usedforsecurity=False).digest(),
    )
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in files:
                packed.write(path, top + path.relative_to(folder).as_posix())
        return archive
    with tarfile.open(archive, "w:gz" if archive.suffix in {".gz", ".tgz"} else "w") as packed:
        for path in files:
            packed.add(path, top + path.relative_to(folder).as_posix())
    return archive


@pytest.mark.parametrize(
    ("fmt", "suffix"),
    [*((fmt, suffix) for fmt in WRITERS for suffix in (".zip", ".tar")), ("rafdb", ".tar.gz"), ("csv", ".tgz")],
)
def test_archive_reads_like_its_folder(fmt, suffix, tmp_path):
    WRITERS[fmt](tmp_path / "raw")
    folder = Read(tmp_path / "raw", tmp_path / "out")
    packed = pack(tmp_path / "raw", tmp_path / f"packed{suffix}")
    archive = Read(packed, tmp_path / "out2")
    assert archive.rows == folder.rows
    assert archive.reasons() == folder.reasons()
    pictures = open_pictures(str(packed), fmt)
    plain = open_pictures(str(tmp_path / "raw"), fmt)
    for row in reversed(archive.rows):
        face = row["source_path"], row["face_number"]
        assert pictures.read(*face) == plain.read(*face)


def test_identity_of_an_archive_is_its_md5_and_nothing_is_unpacked(tmp_path):
    write_rafdb(tmp_path / "raw")
    (tmp_path / "a").mkdir()
    packed = pack(tmp_path / "raw", tmp_path / "a" / "r.zip")
    tree = open_tree(str(packed))
    assert tree.identity() == file_md5(packed)
    assert {file.path: file.md5 for file in tree.manifest()} == {
        path.relative_to(tmp_path / "raw").as_posix(): file_md5(path) for path in (tmp_path / "raw").rglob("*.*")
    }
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["r.zip"]


def test_folder_of_archives_reads_as_if_each_was_unpacked_where_it_lies(tmp_path):
    write_rafdb(tmp_path / "raw")
    folder = Read(tmp_path / "raw", tmp_path / "out")
    packed = tmp_path / "packed"
    put(packed, "EmoLabel/list_patition_label.txt", (tmp_path / "raw/EmoLabel/list_patition_label.txt").read_bytes())
    (packed / "Image").mkdir()
    (packed / "Annotation").mkdir()
    pack(tmp_path / "raw/Image/original", packed / "Image/original.zip", top="original/")  # with its top folder
    pack(tmp_path / "raw/Annotation/boundingbox", packed / "Annotation/boundingbox.tar.gz")  # without
    pack(tmp_path / "raw/Annotation/manual", packed / "Annotation/manual.tar")
    archives = Read(packed, tmp_path / "out2")
    assert archives.rows == folder.rows
    assert open_tree(str(packed)).identity() == identity(packed)
    assert sorted(entry["path"] for entry in archives.manifest) == sorted(
        path.relative_to(packed).as_posix() for path in packed.rglob("*.*")
    )
    pictures = open_pictures(str(packed), "rafdb")
    assert pictures.read("Image/original/train_00003.jpg", 0) == b"Image/original/train_00003.jpg"


def test_archive_that_was_unpacked_already_is_passed_over(tmp_path):
    write_rafdb(tmp_path / "raw")
    plain = Read(tmp_path / "raw", tmp_path / "out")
    pack(tmp_path / "raw/Image/original", tmp_path / "raw/Image/original.zip", top="original/")
    both = Read(tmp_path / "raw", tmp_path / "out")
    assert both.rows == plain.rows
    put(tmp_path / "raw", "Image/original/train_00001.jpg", b"another size")
    with pytest.raises(SourceError, match=r"train_00001.jpg is there twice, and in Image/original.zip of another size"):
        open_tree(str(tmp_path / "raw"))


def test_names_in_the_code_page_of_old_tools(tmp_path):
    class Old(zipfile.ZipInfo):
        def _encodeFilenameFlags(self):  # noqa: N802 - the name of what it replaces
            return self.filename.encode("cp437"), self.flag_bits & ~0x800

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(Old("img/café.jpg"), PICTURE)
        packed.writestr("labels.csv", "path,label\nimg/café.jpg,happy\n")
    assert b"caf\x82.jpg" in (tmp_path / "a.zip").read_bytes()
    assert Read(tmp_path / "a.zip", tmp_path / "out").labels() == {"img/café.jpg": "happy"}


def test_names_that_are_utf8_without_saying_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("h/Ünïcode 名前.jpg", PICTURE)
        packed.writestr("s/b.jpg", PICTURE)
    content = (tmp_path / "a.zip").read_bytes()
    # Clear the flag that says UTF-8, in the local header and in the directory.
    content = content.replace(b"PK\3\4\x14\0\0\x08", b"PK\3\4\x14\0\0\0")
    content = content.replace(b"\x14\x03\x14\0\0\x08", b"\x14\x03\x14\0\0\0")
    (tmp_path / "a.zip").write_bytes(content)
    assert open_tree(str(tmp_path / "a.zip")).names() == ["h/Ünïcode 名前.jpg", "s/b.jpg"]


def test_a_member_whose_two_names_differ_is_read_by_the_one_in_the_directory(tmp_path):
    path = make_zip(tmp_path / "a.zip", [("h/a.jpg", PICTURE), ("h/b.jpg", PICTURE)])
    content = path.read_bytes()
    path.write_bytes(content.replace(b"h/a.jpg", b"h\\a.jpg", 1))  # in the header before the member
    with zipfile.ZipFile(path) as packed, pytest.raises(zipfile.BadZipFile, match="differ"):
        packed.read("h/a.jpg")
    assert open_tree(str(path)).read("h/a.jpg") == PICTURE


def make_zip(path: Path, members: list, **options: object) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return path


def make_tar(path: Path, members: list) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as packed:
        for member, content in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return path


def tar_special(name: str, kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, b""


def zip_link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = 0o120777 << 16
    return info


TRAVERSALS = [
    "../evil.jpg", "../../evil.jpg", "a/../../evil.jpg", "a/b/../../../evil.jpg", "/etc/passwd", "//etc/passwd",
    "C:/evil.jpg", "c:evil.jpg", "..\\evil.jpg", "a\\..\\..\\evil.jpg", "\\\\server\\share\\evil.jpg", "\\evil.jpg",
    "..", "a/..", "./../evil.jpg",
]  # fmt: skip
LINKS = [
    ("abs_symlink", tarfile.SYMTYPE, "/etc/passwd"), ("rel_symlink", tarfile.SYMTYPE, "../../etc/passwd"),
    ("inner_symlink", tarfile.SYMTYPE, "a.jpg"), ("hardlink", tarfile.LNKTYPE, "a.jpg"),
    ("abs_hardlink", tarfile.LNKTYPE, "/etc/passwd"), ("fifo", tarfile.FIFOTYPE, ""), ("device", tarfile.CHRTYPE, ""),
    ("block", tarfile.BLKTYPE, ""),
]  # fmt: skip


@pytest.mark.parametrize("name", TRAVERSALS)
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_member_that_leads_out_condemns_the_archive(name, suffix, tmp_path):
    make = make_zip if suffix == ".zip" else make_tar
    path = make(tmp_path / f"a{suffix}", [("ok/a.jpg", PICTURE), (name, PICTURE)])
    with pytest.raises(SourceError, match=r"the archive is refused") as caught:
        open_tree(str(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == [path.name]


@pytest.mark.parametrize(("name", "kind", "target"), LINKS, ids=[link[0] for link in LINKS])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_links_and_devices_condemn_a_tar(name, kind, target, suffix, tmp_path):
    path = make_tar(tmp_path / f"a{suffix}", [("a.jpg", PICTURE), tar_special(name, kind, target)])
    with pytest.raises(SourceError, match=r"is a link|is neither a file nor a folder"):
        open_tree(str(path))


def test_links_condemn_a_zip_and_so_does_a_name_that_is_there_twice(tmp_path):
    with pytest.raises(SourceError, match=r"'link.jpg' is a link; the archive is refused"):
        open_tree(str(make_zip(tmp_path / "a.zip", [("a.jpg", PICTURE), (zip_link("link.jpg"), "/etc/passwd")])))
    with pytest.warns(UserWarning, match="Duplicate"):
        make_zip(tmp_path / "b.zip", [("a.jpg", PICTURE), ("a.jpg", b"another")])
    with pytest.raises(SourceError, match="is there twice"):
        open_tree(str(tmp_path / "b.zip"))
    make_tar(tmp_path / "b.tar", [("a.jpg", PICTURE), ("./a.jpg", b"another")])
    with pytest.raises(SourceError, match="is there twice"):
        open_tree(str(tmp_path / "b.tar"))


def patch_directory(path: Path, name: bytes, field: int, value: int) -> Path:
    """Write another number into a member's entry of the directory (PKWARE APPNOTE 4.3.12)."""
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\1\2", 0, content.rindex(name) + 1)
    struct.pack_into("<I", content, at + field, value)
    path.write_bytes(bytes(content))
    return path


SIZE, PACKED, OFFSET = 24, 20, 42
ZEROS = bytes(3 << 20)


def zip_of_zeros(path, megabytes):
    make_zip(path, [("a.jpg", bytes(megabytes << 20))])


def zip_total(path):
    make_zip(path, [(f"{n}.jpg", bytes(1 << 20)) for n in range(64)])


def zip_declares_less(path):
    make_zip(path, [("a.jpg", random.Random(1).randbytes(5000))])
    patch_directory(path, b"a.jpg", SIZE, 100)


def zip_declares_more(path):
    make_zip(path, [("a.jpg", random.Random(1).randbytes(5000))])
    patch_directory(path, b"a.jpg", SIZE, 5001)


def zip_declares_huge(path):
    make_zip(path, [("a.jpg", random.Random(1).randbytes(5000))])
    patch_directory(path, b"a.jpg", SIZE, 0xFFFFFFF0)


def zip_overlap(path):
    make_zip(path, [("a.jpg", random.Random(1).randbytes(900)), ("b.jpg", random.Random(2).randbytes(900))])
    patch_directory(path, b"b.jpg", OFFSET, 0)


def zip_quine_kernel(path):
    kernel = random.Random(1).randbytes(100000)
    make_zip(path, [(f"{n}.jpg", kernel if n == 0 else b"x") for n in range(50)])
    for n in range(1, 50):
        patch_directory(path, f"{n}.jpg".encode(), OFFSET, 0)
        patch_directory(path, f"{n}.jpg".encode(), PACKED, 100000)


def zip_stored_lie(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("a.jpg", b"x" * 1000)
    patch_directory(path, b"a.jpg", SIZE, 10)


def zip_wrong_crc(path):
    make_zip(path, [("a.jpg", random.Random(1).randbytes(5000))])
    patch_directory(path, b"a.jpg", 16, 1)


def zip_cut(path):
    make_zip(path, [("a.jpg", random.Random(1).randbytes(5000))])
    path.write_bytes(path.read_bytes()[:3000])


def gz_of_zeros(path):
    make_tar(path, [("a.jpg", bytes(16 << 20))])


def gz_after_the_end(path):
    make_tar(path, [("a.jpg", PICTURE)])
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(16 << 20)))


def gz_pax_header(path):
    info = tarfile.TarInfo("a.jpg")
    info.pax_headers = {"comment": "x" * (8 << 20)}
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as packed:
        packed.addfile(info)


def tar_pax_header(path):
    info = tarfile.TarInfo("a.jpg")
    info.pax_headers = {"comment": "x" * (4 << 20)}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as packed:
        packed.addfile(info)


def gz_long_name(path):
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as packed:
        packed.addfile(tarfile.TarInfo("n" * (8 << 20)))


def tar_declares_more(path):
    info = tarfile.TarInfo("a.jpg")
    info.size = 1 << 40
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def tar_sparse(path):
    info = tarfile.TarInfo("a.jpg")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:398] = b"00000000000\0"
    header[398:410] = b"00000000000\0"
    header[483:495] = b"77777777777\0"  # 8 GB of a hole
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + bytes(1024))


def tar_cut(path):
    make_tar(path, [("a.jpg", bytes(5000)), ("b.jpg", bytes(5000))])
    path.write_bytes(path.read_bytes()[:8000])


def tar_damaged(path):
    make_tar(path, [("a.jpg", b"x" * 512), ("b.jpg", b"y" * 512)])
    content = bytearray(path.read_bytes())
    content[1024 + 148] ^= 0x55  # the checksum of the second header
    path.write_bytes(bytes(content))


def gz_cut(path):
    make_tar(path, [("a.jpg", random.Random(1).randbytes(50000))])
    path.write_bytes(path.read_bytes()[:30000])


BOMBS = [
    (
        "zip of 3 MB of zeros",
        ".zip",
        lambda path: zip_of_zeros(path, 3),
        "'a.jpg' unpacks to more than 200 times its size",
    ),
    (
        "zip of 64 MB of zeros",
        ".zip",
        lambda path: zip_of_zeros(path, 64),
        "'a.jpg' unpacks to more than 200 times its size",
    ),
    ("zip of many small ones", ".zip", zip_total, "zip: unpacks to more than 200 times its size"),
    ("zip that declares less", ".zip", zip_declares_less, "holds more than the 100 bytes it declares"),
    (
        "zip that declares one byte more",
        ".zip",
        zip_declares_more,
        "a.jpg is damaged: its bytes are not those that were packed",
    ),
    ("zip that declares 4 GB", ".zip", zip_declares_huge, "unpacks to more than 200 times its size"),
    ("zip of members over one another", ".zip", zip_overlap, "overlaps another, or lies outside"),
    ("zip with one kernel for all", ".zip", zip_quine_kernel, "overlaps another, or lies outside"),
    ("zip that stores more", ".zip", zip_stored_lie, "declares 10 bytes and stores 1000"),
    ("zip with a wrong checksum", ".zip", zip_wrong_crc, "a.jpg is damaged: its bytes are not those that were packed"),
    ("zip cut short", ".zip", zip_cut, "not a readable zip"),
    ("gzip of 16 MB of zeros", ".tar.gz", gz_of_zeros, "unpacks to more than 200 times its size"),
    ("gzip with a bomb after the end", ".tar.gz", gz_after_the_end, "unpacks to more than 200 times its size"),
    ("gzip with a pax header of 8 MB", ".tar.gz", gz_pax_header, "a header of 83"),
    ("tar with a pax header of 4 MB", ".tar", tar_pax_header, "a header of 41"),
    ("gzip with a name of 8 MB", ".tar.gz", gz_long_name, "a header of 83"),
    ("tar that declares 1 TB", ".tar", tar_declares_more, "not a readable tar: unexpected end"),
    ("tar with a hole of 8 GB", ".tar", tar_sparse, "'a.jpg' is neither a file nor a folder"),
    ("tar cut short", ".tar", tar_cut, "not a readable tar: unexpected end"),
    ("tar with a damaged header", ".tar", tar_damaged, "damaged after 1 members"),
    ("gzip cut short", ".tar.gz", gz_cut, "it ends in the middle"),
]


@pytest.mark.parametrize(("suffix", "make", "says"), [bomb[1:] for bomb in BOMBS], ids=[bomb[0] for bomb in BOMBS])
def test_bomb_is_refused_in_one_line_that_says_which_it_is(suffix, make, says, tmp_path):
    path = tmp_path / f"a{suffix}"
    make(path)
    with pytest.raises(SourceError, match=re.escape(says)) as caught:
        tree = open_tree(str(path))
        for name in tree.names():
            tree.md5(name)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_bombs_take_little_memory(tmp_path):
    paths = []
    for number, (_, suffix, make, _) in enumerate(BOMBS):
        paths.append(tmp_path / f"{number}{suffix}")
        make(paths[-1])
    code = (
        "import sys; from pipeline.ingest.registry import open_tree; from pipeline.core.errors import SourceError\n"
        "from tests.memory import peak_mib; before = peak_mib()\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        tree = open_tree(path); tree.identity()\n"
        "        [tree.md5(name) for name in tree.names()]\n"
        "        print('read', path)\n"
        "    except SourceError: pass\n"
        "print(peak_mib() - before)\n"
    )
    command = [sys.executable, "-c", code, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert float(done.stdout) < 64


def test_one_damaged_picture_is_a_reject_and_the_others_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for name in ("happy/a.jpg", "happy/b.jpg", "sad/c.jpg"):
            packed.writestr(name, name * 10)
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"happy/b.jpg" * 10, b"happy/B.jpg" * 10))
    found = Read(tmp_path / "a.zip", tmp_path / "out")
    assert sorted(found.labels()) == ["happy/a.jpg", "sad/c.jpg"]
    assert found.reasons() == [("corrupt", "happy/b.jpg")]


def test_encrypted_or_oddly_packed_zip_says_what_to_do(tmp_path):
    make_zip(tmp_path / "a.zip", [("a.jpg", PICTURE)])
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(bytes(content))
    with pytest.raises(SourceError, match="is encrypted; unpack it with its password first"):
        open_tree(str(tmp_path / "a.zip"))
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("a.jpg", PICTURE)
    with pytest.raises(SourceError, match="packed by method 14; repack it deflated"):
        open_tree(str(tmp_path / "b.zip"))


@pytest.mark.parametrize("content", [b"", b"Rar!\x1a\x07\x01\x00", b"no archive at all", b"PK\3\4", b"\x1f\x8b"])
def test_what_is_no_archive_says_what_is_read(content, tmp_path):
    put(tmp_path, "a.zip", content)
    with pytest.raises(SourceError, match=r"a\.zip: "):
        open_tree(str(tmp_path / "a.zip"))


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".zip"])
def test_members_are_theirs_wherever_the_pieces_end_that_are_read(suffix, tmp_path):
    # Headers and members lie across the 64 KiB that a gzip is read by, and across the pieces that are inflated.
    rand = random.Random(6)
    members = [(f"a/{n}.jpg", rand.randbytes(rand.choice([1, 700, 5000, 300_000]))) for n in range(60)]
    rand.shuffle(members)
    make = make_zip if suffix == ".zip" else make_tar
    tree = open_tree(str(make(tmp_path / f"a{suffix}", members)))
    wanted = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in members}
    assert list(tree.stored_order()) == [name for name, _ in members]
    assert {name: tree.md5(name) for name in tree.names()} == wanted
    assert {name: tree.size(name) for name in tree.names()} == {name: len(content) for name, content in members}
    with tree.open(members[0][0]) as one, tree.open(members[1][0]) as two:  # in turns
        parts = [(one.read(100), two.read(100)) for _ in range(3100)]
    assert [b"".join(part) for part in zip(*parts, strict=True)] == [members[0][1], members[1][1]]


def test_a_picture_that_is_known_is_read_without_a_look_at_the_rest(tmp_path):
    put(tmp_path, "happy/a.jpg", b"picture")
    put(tmp_path, "broken.zip", b"PK\3\4")
    pictures = open_pictures(str(tmp_path), "folder")
    assert pictures.read("happy/a.jpg", 0) == b"picture"
    with pytest.raises(SourceError, match=r"broken\.zip: not a readable zip"):
        pictures.read("happy/b.jpg", 0)  # may be in an archive


def test_gzip_reads_at_random_like_the_plain_bytes(tmp_path):
    rand = random.Random(3)
    plain = b"".join(rand.randbytes(1000) + bytes(rand.randrange(2000)) for _ in range(4000))
    half = len(plain) // 2
    # Two joined gzip files with zeros after them.
    (tmp_path / "a.gz").write_bytes(gzip.compress(plain[:half]) + gzip.compress(plain[half:]) + bytes(64))
    stream = GzipStream(tmp_path / "a.gz")
    assert stream.drain() == len(plain)
    for _ in range(200):
        at, size = rand.randrange(len(plain)), rand.randrange(1, 5000)
        stream.seek(at)
        found = b""
        while len(found) < min(size, len(plain) - at):
            found += stream.read(size - len(found))
        assert found == plain[at : at + size]
    stream.close()


def test_gzip_resumes_near_the_place_and_not_at_the_start(tmp_path):
    plain = random.Random(4).randbytes(12 << 20)
    (tmp_path / "a.gz").write_bytes(gzip.compress(plain, 1))
    stream = GzipStream(tmp_path / "a.gz")
    stream.drain()
    stream.seek(11 << 20)
    stream.seek(10 << 20)
    assert stream._at - stream._points[-3].at <= 3 << 20
    assert len(stream._points) > 8
    assert stream.read(16) == plain[10 << 20 :][:16]
    stream.close()


def test_pictures_of_a_packed_table_need_no_room_on_disk_afterwards(tmp_path):
    write_fer2013(tmp_path / "raw")
    packed = pack(tmp_path / "raw", tmp_path / "fer.tar.gz")
    assert open_pictures(str(packed), "fer2013").read("fer2013.csv", 2)[-1] == 20
    assert sorted(os.listdir(tmp_path)) == ["fer.tar.gz", "raw"]
