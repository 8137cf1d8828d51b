"""On their way to the device batches keep order and pixels, and the state is of the last that came out."""

from types import SimpleNamespace

import pytest
import torch

from models.core.inputs import InputSpec
from models.data.faces import FaceBatch
from models.training.epochs import CPU, MemoryEpochs, Reading, build_epochs, find_home
from models.training.feed import Feed
from tests.models.training_inputs import make_training_shards
from tests.pretended import GPU, PretendedGpu

SPEC = InputSpec(16, (0.5,) * 3, (0.25,) * 3, zoom=0.8)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return make_training_shards(tmp_path_factory.mktemp("feed"), rows=60)


@pytest.fixture
def road(monkeypatch):
    """Pretend a GPU whose streams keep a log of who waits for what."""
    log = []

    class Stream:
        def __init__(self, device, name="own"):
            assert device == GPU
            self.name = name

        def wait_stream(self, other):
            log.append((self.name, "waits for", other.name))

        def record_event(self):
            log.append((self.name, "is done with", sum(entry[1] == "is done with" for entry in log)))
            return log[-1][2]

        def wait_event(self, event):
            log.append((self.name, "needs", event))

    main = Stream(GPU, "main")
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", {GPU: main}.__getitem__)
    monkeypatch.setattr(torch.cuda, "stream", torch.cpu.stream)
    with PretendedGpu():
        yield log


def numbered(batches=5):
    """Faces whose labels say which batch they are of."""
    count = 2 * batches
    rest = (torch.zeros(count, 8), torch.ones(count), torch.zeros(count, 2), torch.zeros(count, 2, dtype=torch.bool))
    faces = FaceBatch(torch.zeros(count, 3, 4, 4, dtype=torch.uint8), torch.arange(count) // 2, *rest)
    return MemoryEpochs(faces, 2, seed=1, epoch=lambda: 0, shuffle=False)


def test_on_a_gpu_two_batches_are_ahead_and_the_state_is_of_the_last_that_came_out(road):
    feed = Feed(numbered(), None, GPU)
    assert len(feed) == 5
    for number, faces in enumerate(feed):
        assert faces.labels.device == GPU
        assert faces.labels.tolist() == [number] * 2
        assert feed.state_dict() == {"epoch": 0, "done": number + 1}
        done = sum(entry[1] == "is done with" for entry in road)
        assert done == min(5, number + 3)
        assert road[-1] == ("main", "needs", number)
    # The memory of what came out is not written to before the device has done with it.
    assert road.count(("own", "waits for", "main")) == 5
    assert road[0] == ("own", "waits for", "main")


def test_it_goes_on_after_the_last_batch_that_came_out(road):
    feed = Feed(numbered(), None, GPU)
    passing = iter(feed)
    next(passing), next(passing)
    again = Feed(numbered(), None, GPU)
    again.load_state_dict(feed.state_dict())
    assert [int(faces.labels[0]) for faces in again] == [2, 3, 4]


@pytest.mark.parametrize("cache_mb", [0, 4096])
def test_faces_are_scaled_on_the_device_to_what_the_cpu_gives(shards, road, cache_mb, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 30, 1 << 30))
    scaled_on = []
    resize = InputSpec.resize
    monkeypatch.setattr(
        InputSpec, "resize", lambda spec, images: scaled_on.append(images.device) or resize(spec, images)
    )
    reading = Reading(shards, "train", SPEC, 16, seed=1, cache_mb=cache_mb)
    here, there = (
        list(build_epochs(one, lambda: 0, shuffle=True)) for one in (reading, Reading(*parts(reading), device=GPU))
    )
    assert {device.type for device in scaled_on} == {"cpu", "cuda"}
    assert all(faces.pixels.device == GPU for faces in there)
    assert [faces.pixels.shape[1:] for faces in there[:1]] == [(3, 16, 16)]
    assert all(torch.equal(one.pixels, other.pixels.cpu()) for one, other in zip(here, there, strict=True))
    assert all(torch.equal(one.affect, other.affect.cpu()) for one, other in zip(here, there, strict=True))


def parts(reading):
    return [getattr(reading, name) for name in ("shards", "split", "spec", "batch_size", "seed", "cache_mb")]


@pytest.mark.parametrize(("free", "home"), [(4000, "cuda"), (3999, "cpu")])
def test_faces_stay_on_a_gpu_that_has_four_times_the_room(monkeypatch, free, home):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 8000))
    assert find_home(GPU, 1000).type == home
    assert find_home(CPU, 1000).type == "cpu"


def test_faces_for_a_gpu_are_pinned_first_and_those_there_are_not(monkeypatch, road):
    pinned = []
    monkeypatch.setattr(FaceBatch, "pinned", lambda faces: pinned.append(faces.labels.device.type) or faces)
    list(Feed(numbered(3), None, GPU))
    assert pinned == ["cpu"] * 3
    there = numbered(3)
    there.faces = there.faces.to(GPU)
    list(Feed(there, None, GPU))
    assert len(pinned) == 3


def test_every_tensor_is_pinned(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: SimpleNamespace(of=tensor))
    faces = numbered(1).faces
    found = faces.pinned()
    assert all(getattr(found, name).of is getattr(faces, name) for name in ("pixels", "labels", "weights", "affect"))


def test_on_the_processor_no_batch_is_ahead():
    epochs = numbered(3)
    read = []
    take = FaceBatch.take
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FaceBatch, "take", lambda faces, rows: read.append(1) or take(faces, rows))
        for number, _ in enumerate(Feed(epochs, None, CPU)):
            assert len(read) == number + 1
