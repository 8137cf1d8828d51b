"""`make bench-gpu` runs where there is no GPU, every line of it, so that it runs where there is one."""

import json

from benchmarks.gpu import main


def test_every_part_is_measured(tmp_path, capsys):
    main(["--tiny", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["ran"]["device"] == "cpu"
    (network,) = found["networks"].values()
    assert network["losses"]["largest_difference"] == 0  # the CPU beside itself
    assert len(network["losses"]["cpu"]) == 2
    for precision in ("fp32", "bf16"):
        assert network[precision]["images_s"] > 0
        assert network[precision]["streamed_images_s"] > 0
        assert network[precision]["memory_mb"] > 100
    killed, whole = found["resume"]["losses"]
    assert found["resume"]["went_on_at"] > 1
    assert killed == whole
    assert found["align"]["faces"] == 1
    assert found["align"]["largest_distance_px"] == 0
    page = (tmp_path / "gpu.md").read_text()
    assert page in capsys.readouterr().out
    assert "# Training and alignment on cpu, fp32" in page
