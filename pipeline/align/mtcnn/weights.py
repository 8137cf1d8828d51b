"""The weights of MTCNN as facenet-pytorch ships them, kept here as safetensors.

facenet-pytorch's own files are pickles, and its package needs torch: two gigabytes to install for two megabytes of
numbers. `mtcnn.safetensors` holds the numbers of its `pnet.pt`, `rnet.pt` and `onet.pt`, the same in releases 2.5.3 and
2.6.0, unchanged, under its licence (MIT, `mtcnn.LICENSE`); tests/pipeline/align/test_networks.py makes the same bytes
from the package.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from pipeline.core.errors import ModelError

Weights = Mapping[str, NDArray[np.float32]]

_FILE: Final = Path(__file__).with_name("mtcnn.safetensors")


def read_weights(network: str) -> Weights:
    """Return the parameters of `pnet`, `rnet` or `onet` by name.

    Raises:
        ModelError: the file is missing or torn; it comes with this package.
    """
    try:
        every = load_file(_FILE)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{_FILE}: not the weights of MTCNN that this package ships: {error}") from None
    return {name.removeprefix(f"{network}."): array for name, array in every.items() if name.startswith(f"{network}.")}
