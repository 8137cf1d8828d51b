import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn
from torch.nn import functional

from models.core.inputs import InputSpec
from models.evaluation.affect_report import AffectRows
from models.evaluation.gallery import (
    Face,
    before_pooling,
    build_class_sheet,
    build_mistake_sheet,
    choose_affects,
    choose_classes,
    choose_mistakes,
    choose_typical,
    explain,
    overlay,
)
from models.evaluation.saliency import cam_maps, choose_layer, gradient_maps, occlusion_maps, place

SPEC = InputSpec(32, (0.5,), (0.25,))


class Corners(nn.Module):
    """Class 0 counts the light in the upper left quarter, class 1 in the lower right one; nothing else counts."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(4)
        masks = torch.zeros(1, 2, 32, 32)
        masks[:, 0, :16, :16] = masks[:, 1, 16:, 16:] = 1
        self.register_buffer("masks", masks)

    def forward(self, images):
        counted = self.pool(images * self.masks).sum((2, 3))
        return torch.cat([counted, torch.zeros(len(images), 6)], dim=1)


def white(count=2):
    return torch.full((count, 3, 32, 32), 255, dtype=torch.uint8)


def inside(heat, label):
    """Return the share of the heat in the quarter that counts for the class."""
    half = heat.shape[-1] // 2
    quarter = heat[:half, :half] if label == 0 else heat[half:, half:]
    return quarter.sum() / heat.sum()


@pytest.mark.parametrize("label", [0, 1])
def test_every_kind_of_map_finds_the_quarter_that_counts(label):
    network = Corners().eval()
    targets = torch.tensor([label, label])

    def predict(faces):
        with torch.inference_mode():
            images = torch.from_numpy(faces).permute(0, 3, 1, 2)
            return (network(SPEC.prepare(images)) / 10).softmax(1).numpy()

    kinds = {
        "gradient": gradient_maps(network, SPEC, white(), targets),
        "HiResCAM": cam_maps(network, network.pool, SPEC, white(), targets),
        "occlusion": occlusion_maps(predict, white().permute(0, 2, 3, 1).numpy(), [label, label]),
    }
    for kind, maps in kinds.items():
        assert maps.min() >= 0
        assert maps.max() == 1
        assert inside(maps[0], label) > 0.8, kind


class Flattened(nn.Module):
    """A head that flattens: class 3 is the light at the mouth, and a little less wherever else is light."""

    def __init__(self):
        super().__init__()
        self.map = nn.AvgPool2d(2)
        weights = torch.full((16, 16), -0.01)
        weights[:4, :4] = 0  # the corner says nothing
        weights[10:13, 5:11] = 1
        self.register_buffer("weights", weights)

    def forward(self, images):
        logit = (self.map(images) * self.weights).sum((1, 2, 3))
        return torch.stack([torch.zeros_like(logit)] * 3 + [logit] + [torch.zeros_like(logit)] * 4, dim=1)


def test_a_map_peaks_at_the_evidence_and_not_at_a_bright_corner():
    """What an averaged gradient cannot know: of Grad-CAM the corner is the peak, where nothing speaks for the class."""
    images = torch.full((1, 3, 32, 32), 140, dtype=torch.uint8)
    images[:, :, :8, :8] = 255
    network, target = Flattened().eval(), torch.tensor([3])
    heat = cam_maps(network, network.map, SPEC, images, target)[0]
    mouth = np.zeros((32, 32), bool)
    mouth[20:26, 10:22] = True
    assert mouth[np.unravel_index(heat.argmax(), heat.shape)]
    assert heat[mouth].sum() / heat.sum() > 0.75
    assert heat[:8, :8].max() == 0
    averaged = LayerGradCam(network, network.map).attribute(SPEC.prepare(images), target=target)[0, 0]
    assert averaged[:4, :4].min() == averaged.max() > averaged[10:13, 5:11].max()


def test_a_map_is_what_each_place_adds_to_the_logit():
    torch.manual_seed(1)
    head = nn.Linear(4 * 30 * 30, 8, bias=False)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), head).eval()
    images = torch.randint(0, 255, (1, 3, 32, 32), dtype=torch.uint8)
    inputs = SPEC.prepare(images)
    with torch.inference_mode():
        features = network[1](network[0](inputs))[0]
        added = (features * head.weight[5].view(4, 30, 30)).sum(0)
        assert added.sum() == pytest.approx(float(network(inputs)[0, 5]), rel=1e-4)
    found = cam_maps(network, network[1], SPEC, images, torch.tensor([5]))[0]
    wide = functional.interpolate(added.clamp_min(0)[None, None], size=(32, 32), mode="bilinear")[0, 0]
    np.testing.assert_allclose(found, (wide / wide.flatten().quantile(0.99)).clamp(0, 1).numpy(), atol=1e-5)


@pytest.mark.parametrize(("size_px", "number"), [(48, 2), (96, 3), (32, 1), (8, 0)])
def test_the_layer_is_the_deepest_that_tells_parts_of_a_face_apart(size_px, number):
    blocks = [
        nn.Sequential(nn.Conv2d(1 if n == 0 else 2, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)) for n in range(4)
    ]
    spec = InputSpec(size_px, (0.5,), (0.25,))
    layers = [before_pooling(block) for block in blocks]
    network = nn.Sequential(*blocks[:3], blocks[3][0], blocks[3][1]).eval()
    assert choose_layer(network, layers, spec, white()) is layers[number]


def test_gradient_maps_are_the_gradient():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 30 * 30, 8)).eval()
    images = torch.randint(0, 255, (1, 3, 32, 32), dtype=torch.uint8)
    inputs = SPEC.prepare(images).requires_grad_()
    network(inputs)[0, 3].backward()
    expected = inputs.grad.abs()[0, 0]
    expected = (expected / torch.quantile(expected.flatten(), 0.99)).clamp(0, 1)
    found = gradient_maps(network, SPEC, images, torch.tensor([3]))[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_a_map_of_the_middle_is_put_into_the_middle():
    placed = place(np.ones((1, 8, 8), np.float32), 100, zoom=0.8)[0]
    assert placed.shape == (100, 100)
    assert placed[:10].sum() == placed[:, 90:].sum() == 0
    assert (placed[10:90, 10:90] == 1).all()


def test_heat_hides_the_face_only_where_it_is():
    face = np.full((10, 10, 3), 120, np.uint8)
    heat = np.zeros((10, 10), np.float32)
    heat[2:4, 2:4] = 1
    drawn = overlay(face, heat)
    assert (drawn[heat == 0] == 120).all()
    assert (drawn[heat == 1] != 120).any()


def test_typical_faces_are_spread_over_the_rows():
    labels = np.array([0] * 100 + [3] * 2)
    assert choose_typical(labels, 4) == [0, 25, 50, 75, 100, 101]


def test_mistakes_are_the_most_confident_wrong_answers():
    probabilities = np.full((5, 8), 0.01, np.float32)
    probabilities[np.arange(5), [1, 1, 2, 3, 1]] = [0.5, 0.9, 0.99, 0.7, 0.9]
    labels = np.array([0, 0, 2, 3, 5])
    assert choose_mistakes(labels, probabilities, 2) == [1, 4]
    assert choose_mistakes(labels, probabilities, 9) == [1, 4, 0]


def test_nobody_is_shown_whom_the_terms_do_not_allow():
    probabilities = np.eye(8, dtype=np.float32)[[1, 1, 1, 1]]
    shown = np.array([False, True, False, True])
    typical, wrong = choose_classes(np.array([0, 0, 1, 1]), probabilities, shown, 9, 9)
    assert [chosen.row for chosen in typical] == [1, 3]
    assert [chosen.row for chosen in wrong] == [1]
    true = np.array([[0.5, np.nan]] * 4, np.float32)
    rows = AffectRows(("valence", "arousal"), list("abcd"), np.array(["d"] * 4), np.arange(4), true, -true)
    typical, wrong = choose_affects(rows, shown, 9, 9)
    assert {chosen.row for chosen in (*typical, *wrong)} == {1, 3}


def test_typical_and_furthest_values_are_chosen_where_they_are_given():
    true = np.array([[0.5, np.nan], [-0.5, np.nan], [0.0, 0.2], [0.4, -0.4]], np.float32)
    answers = np.array([[0.6, 0.9], [0.5, 0.9], [0.2, 0.1], [0.1, 0.5]], np.float32)
    rows = AffectRows(("valence", "arousal"), list("abcd"), np.array(["d"] * 4), np.arange(4), true, answers)
    typical, off = choose_affects(rows, np.ones(4, bool), 1, 2)
    assert [(chosen.row, chosen.truth, chosen.target) for chosen in typical] == [
        (1, "valence -", 0), (0, "valence +", 0), (3, "arousal -", 1), (2, "arousal +", 1)
    ]  # fmt: skip
    assert [(chosen.row, chosen.truth, chosen.answer, chosen.target) for chosen in off] == [
        (1, "valence -0.50", "+0.50", 0), (3, "arousal -0.40", "+0.50", 1)
    ]  # fmt: skip


def test_sheets_are_drawn_for_the_classes_that_are_there():
    pixels = np.full((32, 32, 3), 100, np.uint8)
    faces = [Face(pixels, "anger", "happy 0.90", 4), Face(pixels, "happy", "happy 0.60", 4)]
    kinds = {"gradient": np.ones((2, 32, 32), np.float32), "HiResCAM": np.zeros((2, 32, 32), np.float32)}
    by_class, mistakes = build_class_sheet(faces, kinds), build_mistake_sheet(faces[:1], kinds)
    assert by_class.shape[0] > by_class.shape[1]  # two columns, three rows
    assert mistakes.shape[1] > mistakes.shape[0]  # one row
    assert mistakes.std() > 0


def test_a_model_without_gradients_is_explained_by_occlusion():
    class Classical:
        network, feature_layers, spec = None, [], SPEC

        @staticmethod
        def predict(faces):
            light = faces[:, :16, :16].mean((1, 2, 3)) / 255
            return np.stack([light, 1 - light, *[np.zeros(len(faces))] * 6], axis=1).astype(np.float32)

    maps = explain(Classical(), [np.full((32, 32, 3), 255, np.uint8)] * 20, [0] * 20)
    assert list(maps) == ["occlusion"]
    assert maps["occlusion"].shape == (20, 32, 32)
    assert inside(maps["occlusion"][19], 0) > 0.8
