"""What has been learned by other libraries than torch, kept as tensors and saved like any network, without pickle."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Floats = NDArray[np.float64]


class Fitted(nn.Module):
    """A module whose buffers get their shapes when it is fitted or loaded.

    It stays on the CPU and in float64, because the features come from scikit-image, OpenCV and dlib.

    Attributes:
        learned: the names of its buffers.
    """

    learned: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        for name in self.learned:
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    def keep(self, name: str, values: Any) -> None:
        """Set a buffer to a copy of an array."""
        setattr(self, name, torch.from_numpy(np.array(values)))

    def _apply(self, *_args: Any, **_kwargs: Any) -> "Fitted":
        """Ignore moves and casts."""
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Take the shapes from the file, because how many features there are is known only after fitting."""
        for name in list(self._buffers):
            if prefix + name in state_dict:
                setattr(self, name, state_dict[prefix + name].clone())
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
