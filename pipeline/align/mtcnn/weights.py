"""The weights of MTCNN as facenet-pytorch ships them, kept here as safetensors.

facenet-pytorch's own files are pickles, and its package needs torch: an installation of two gigabytes for two megabytes
of weights. `mtcnn.safetensors` contains the unchanged weights of its `pnet.pt`, `rnet.pt` and `onet.pt`, which are the
same in releases 2.5.3 and 2.6.0, under its licence (MIT, `mtcnn.LICENSE`). tests/pipeline/align/test_networks.py builds
the file from the package and compares the bytes.
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
    """Return the float32 parameters of `pnet`, `rnet` or `onet` by name, such as `conv1.weight`.

    Raises:
        ModelError: the file, which is part of this package, is missing or damaged.
    """
    try:
        every = load_file(_FILE)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{_FILE}: not the weights of MTCNN that this package ships: {error}") from None
    return {name.removeprefix(f"{network}."): array for name, array in every.items() if name.startswith(f"{network}.")}
