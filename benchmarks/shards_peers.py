"""How others write and read the same faces: a writer fills a folder, a reader yields uint8 batches (B, 3, H, W)."""

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import litdata
import torch
import webdataset
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_image, decode_jpeg
from torchvision.transforms.v2.functional import pil_to_tensor

from models.data.loader import ShardLoader
from pipeline.core.emotions import CLASSES

Faces = list[tuple[bytes, int]]
Batches = Iterator[torch.Tensor]
BATCH = 64


def write_image_folder(out: Path, faces: Faces) -> None:
    """One file a face in a folder a class."""
    for name in CLASSES:
        (out / name).mkdir(parents=True)
    for number, (content, label) in enumerate(faces):
        (out / CLASSES[label] / f"{number:06d}.jpg").write_bytes(content)


def write_webdataset(out: Path, faces: Faces) -> None:
    """Tars of 256 by ShardWriter, so that two workers get equal shares."""
    out.mkdir()
    with webdataset.ShardWriter(f"{out}/%05d.tar", maxcount=256, verbose=0) as writer:
        for number, (content, label) in enumerate(faces):
            writer.write({"__key__": f"{number:06d}", "jpg": content, "cls": label})


def write_hugging_face(out: Path, faces: Faces) -> None:
    """Dataset.to_parquet, 1,024 rows a file, from rows that are already encoded."""
    out.mkdir()
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))})
    for part, start in enumerate(range(0, len(faces), 1024)):
        chosen = faces[start : start + 1024]
        columns = {
            "image": [{"bytes": content, "path": None} for content, _ in chosen],
            "label": [label for _, label in chosen],
        }
        datasets.Dataset.from_dict(columns, features=features).to_parquet(out / f"train-{part:05d}.parquet")


class _Take:
    """A picklable function from a number to a sample, as litdata asks for."""

    def __init__(self, faces: Faces) -> None:
        self.faces = faces

    def __call__(self, number: int) -> dict[str, object]:
        content, label = self.faces[number]
        return {"image": content, "label": label}


def write_litdata(out: Path, faces: Faces) -> None:
    """`litdata.optimize` with one worker and 8 MB chunks."""
    litdata.optimize(
        fn=_Take(faces),
        inputs=list(range(len(faces))),
        output_dir=str(out),
        chunk_bytes="8MB",
        num_workers=1,
        verbose=False,
        start_method="fork",
    )


def _decode_file(path: str) -> torch.Tensor:
    return decode_image(path, ImageReadMode.RGB)


def _decode_bytes(content: bytes) -> torch.Tensor:
    return decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)


def read_image_folder(out: Path, workers: int) -> Batches:
    """ImageFolder as its documentation shows it: PIL, then a tensor."""
    data = ImageFolder(str(out), transform=pil_to_tensor)
    return (images for images, _ in DataLoader(data, BATCH, shuffle=True, num_workers=workers))


def read_image_folder_turbo(out: Path, workers: int) -> Batches:
    """ImageFolder with torchvision's own decoder instead of PIL."""
    data = ImageFolder(str(out), loader=_decode_file)
    return (images for images, _ in DataLoader(data, BATCH, shuffle=True, num_workers=workers))


def _webdataset(out: Path, workers: int, decode: Callable[[webdataset.WebDataset], webdataset.WebDataset]) -> Batches:
    urls = sorted(map(str, out.glob("*.tar")))
    data = decode(webdataset.WebDataset(urls, shardshuffle=len(urls), seed=0).shuffle(1000)).to_tuple("jpg", "cls")
    batched = data.batched(BATCH)
    return (images for images, _ in webdataset.WebLoader(batched, batch_size=None, num_workers=workers))


def read_webdataset(out: Path, workers: int) -> Batches:
    """WebDataset with its own decoder (PIL)."""
    return _webdataset(out, workers, lambda data: data.decode("torchrgb8"))


def read_webdataset_turbo(out: Path, workers: int) -> Batches:
    """WebDataset with torchvision's decoder."""
    handler = webdataset.handle_extension("jpg", _decode_bytes)
    return _webdataset(out, workers, lambda data: data.decode(handler))


def read_hugging_face(out: Path, workers: int) -> Batches:
    """Hugging Face datasets, map style, format torch."""
    files = sorted(map(str, out.glob("*.parquet")))
    data = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(out.parent / "hf"))
    loader = DataLoader(data.with_format("torch"), BATCH, shuffle=True, num_workers=workers)
    return (batch["image"] for batch in loader)


def _decode_column(batch: dict[str, list[dict[str, bytes]]]) -> dict[str, list[torch.Tensor]]:
    return {"image": [_decode_bytes(image["bytes"]) for image in batch["image"]]}


def read_hugging_face_turbo(out: Path, workers: int) -> Batches:
    """Hugging Face datasets without its own decoding, torchvision's decoder in a transform."""
    files = sorted(map(str, out.glob("*.parquet")))
    data = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(out.parent / "hf"))
    raw = data.cast_column("image", datasets.Image(decode=False)).with_transform(_decode_column)
    return (batch["image"] for batch in DataLoader(raw, BATCH, shuffle=True, num_workers=workers))


class _LitDecoded(litdata.StreamingDataset):
    """litdata with torchvision's decoder."""

    def __getitem__(self, index: object) -> torch.Tensor:
        return _decode_bytes(super().__getitem__(index)["image"])


class _LitPil(litdata.StreamingDataset):
    """litdata with PIL."""

    def __getitem__(self, index: object) -> torch.Tensor:
        return pil_to_tensor(Image.open(io.BytesIO(super().__getitem__(index)["image"])))


def _lit(kind: type[litdata.StreamingDataset], out: Path, workers: int) -> Batches:
    data = kind(str(out), shuffle=True, seed=0)
    return iter(litdata.StreamingDataLoader(data, batch_size=BATCH, num_workers=workers))


def read_litdata(out: Path, workers: int) -> Batches:
    """Litdata, PIL."""
    return _lit(_LitPil, out, workers)


def read_litdata_turbo(out: Path, workers: int) -> Batches:
    """Litdata, torchvision's decoder."""
    return _lit(_LitDecoded, out, workers)


def read_ours(out: Path, workers: int) -> Batches:
    """This project."""
    loader = ShardLoader(out, "train", batch_size=BATCH, shuffle=True, seed=0, workers=workers)
    return (batch.images for batch in loader)


def clear(out: Path) -> Path:
    """Remove a folder if it is there."""
    shutil.rmtree(out, ignore_errors=True)
    return out


WRITERS = {
    "ImageFolder files": write_image_folder,
    "webdataset ShardWriter": write_webdataset,
    "datasets to_parquet": write_hugging_face,
    "litdata optimize": write_litdata,
}
# Reader, and whose folder it reads.
READERS = {
    "this project": (read_ours, "ours"),
    "ImageFolder, PIL": (read_image_folder, "ImageFolder files"),
    "ImageFolder, torchvision decoder": (read_image_folder_turbo, "ImageFolder files"),
    "webdataset, PIL": (read_webdataset, "webdataset ShardWriter"),
    "webdataset, torchvision decoder": (read_webdataset_turbo, "webdataset ShardWriter"),
    "datasets, format torch": (read_hugging_face, "datasets to_parquet"),
    "datasets, torchvision decoder": (read_hugging_face_turbo, "datasets to_parquet"),
    "litdata, PIL": (read_litdata, "litdata optimize"),
    "litdata, torchvision decoder": (read_litdata_turbo, "litdata optimize"),
}
