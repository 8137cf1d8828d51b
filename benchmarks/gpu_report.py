"""The page that `benchmarks/gpu.py` writes beside its numbers."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.device import tell_device

_HEAD = """# Training and alignment on {device}

torch {torch}, {threads} cores, {seconds:.0f} s in all; {faces} drawn faces of {side_px} px, {batch_size} a batch.

| network | precision | images/s, `prep train` | from the shards | from device memory | ratio | accuracy | memory, MiB |
|---|---|---|---|---|---|---|---|
"""


def build_page(found: Mapping[str, Any]) -> str:
    """Return gpu.md."""
    page = _HEAD.format(device=tell_device(found["ran"]), **{**found, **found["size"]})
    lines = [
        _line(name, precision, entry[precision])
        for name, entry in found["networks"].items()
        for precision in _of(entry)
    ]
    resume, align = found["resume"], found["align"]
    worst = {name: entry["losses"]["largest_difference"] for name, entry in found["networks"].items()}
    differ = ", ".join(f"{name} {100 * value:.3f}%" for name, value in worst.items())
    killed, whole = resume["losses"]
    return page + "\n".join(
        [
            *lines,
            "",
            f"- The first {found['size']['losses']} losses in fp32 differ from the CPU's by at most: {differ}.",
            f"- Killed at step {resume['killed_at']}, a training went on at step {resume['went_on_at']} and ended with "
            f"a validation loss of {killed:.6f}, beside {whole:.6f} without the kill.",
            f"- Alignment of {align['faces']} faces: {align['device_faces_s']:.1f} a second, "
            f"{align['cpu_faces_s']:.1f} on the CPU; points lie at most {align['largest_distance_px']:.3f} px apart.",
            "",
        ]
    )


def _of(entry: Mapping[str, Any]) -> list[str]:
    return [name for name in entry if name != "losses"]


def _line(name: str, precision: str, one: Mapping[str, float]) -> str:
    rates = " | ".join(f"{one[key]:.0f}" for key in ("images_s", "streamed_images_s", "device_images_s"))
    return f"| {name} | {precision} | {rates} | {one['ratio']:.2f} | {one['accuracy']:.3f} | {one['memory_mb']:.0f} |"
