import numpy as np
import pyarrow.parquet as pq
import pytest
from skimage.transform import SimilarityTransform

from pipeline.core.errors import DataError
from pipeline.geometry.similarity import template_points
from pipeline.shards.landmarks import crop_landmarks
from tests.shard_inputs import ALIGN


def test_landmarks_are_moved_into_the_crop_as_skimage_moves_them(inputs, shards):
    template = template_points(ALIGN["size_px"], ALIGN["margin"])
    rows = pq.read_table(shards / "parquet/val-00000.parquet").to_pylist()
    for row in rows:
        source = np.array(inputs.rows[row["sample_id"]]["landmarks"]).reshape(5, 2)
        expected = SimilarityTransform.from_estimate(source, template)(source)
        # Umeyama may reflect, our similarity never does; random points sometimes ask for it.
        if np.linalg.det(SimilarityTransform.from_estimate(source, template).params[:2, :2]) > 0:
            assert np.allclose(np.array(row["landmarks"]).reshape(5, 2), expected, atol=1e-2)


def test_a_turned_and_scaled_template_lands_on_the_template():
    template = template_points(100, 0.2)
    turn = np.deg2rad(25)
    matrix = 3 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    source = (template @ matrix.T + [400, 90]).reshape(1, 10).astype(np.float32)
    align = {"template": "arcface-112", "size_px": 100, "margin": 0.2}
    assert np.allclose(crop_landmarks(source, align).reshape(5, 2), template, atol=1e-3)


@pytest.mark.parametrize("align", [None, {}, {"template": "mine", "size_px": 10, "margin": 0}])
def test_another_template_is_refused(align):
    with pytest.raises(DataError, match="expected 'arcface-112'"):
        crop_landmarks(np.zeros((1, 10), np.float32), align)
