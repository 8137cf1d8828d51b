"""Where else a training can be followed: MLflow, Weights & Biases, TensorBoard, by Lightning's loggers of these names.

They write beside the output and not into it, because their files contain times and hosts. MLflow follows
MLFLOW_TRACKING_URI where that is set. Weights & Biases stays offline; `wandb sync` sends what you choose to send.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lightning.pytorch.loggers import Logger

from pipeline.core.params import TrainParams

EXPERIMENT: Final = "expression-prep"
# Tags of a run: the snapshot ids of the shards that it reads and, once it is complete, of its own output.
SHARDS_TAG: Final = "prep.shards"
SNAPSHOT_TAG: Final = "prep.snapshot"
_TRACKING: Final = "MLFLOW_TRACKING_URI"
_LISTS: Final = frozenset({"presets", "augmentations"})  # what was chosen of them is among the other parameters


@dataclass(frozen=True, slots=True)
class Opened:
    """One of Lightning's loggers, how to tag its run, and how to end it: whether it was completed."""

    logger: Logger
    tag: Callable[[str, str], Any]
    end: Callable[[bool], Any]


@contextmanager
def open_loggers(params: TrainParams, root: Path, shards: str) -> Iterator[list[Opened]]:
    """Yield the loggers that `train.loggers` names besides dvclive, whose files are an output of the stage.

    Args:
        params: the training's parameters, which are logged, too.
        root: the folder to write below.
        shards: the snapshot id of the shards, a tag of the run.

    Raises:
        ModuleNotFoundError: a library is not installed.
    """
    opened: list[Opened] = []
    completed = False
    try:
        opened += [_OPEN[name](root / name) for name in params.loggers if name in _OPEN]
        for one in opened:
            one.logger.log_hyperparams({key: value for key, value in params.plain().items() if key not in _LISTS})
            one.tag(SHARDS_TAG, shards)
        yield opened
        completed = True
    finally:
        for one in opened:
            one.end(completed)


def _open_mlflow(root: Path) -> Opened:
    import mlflow  # noqa: F401 - Lightning's own error does not name the module
    from lightning.pytorch.loggers import MLFlowLogger

    where = os.environ.get(_TRACKING)
    if not where:
        # A folder needs neither a server nor a database; MLflow wants to be asked for it since 3.7.
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        where = root.absolute().as_uri()
    logger = MLFlowLogger(EXPERIMENT, tracking_uri=where)
    return Opened(logger, lambda name, value: logger.experiment.set_tag(logger.run_id, name, value), _finalize(logger))


def _open_wandb(root: Path) -> Opened:
    import wandb
    from lightning.pytorch.loggers import WandbLogger

    root.parent.mkdir(parents=True, exist_ok=True)  # it makes a folder of its own name there
    settings = wandb.Settings(
        mode="offline", disable_git=True, console="off", silent=True, x_disable_stats=True, x_disable_meta=True
    )
    run: Any = wandb.init(project=EXPERIMENT, dir=root.parent, settings=settings)
    logger = WandbLogger(experiment=run)
    return Opened(
        logger, lambda name, value: run.config.update({name: value}), lambda done: run.finish(exit_code=int(not done))
    )


def _open_tensorboard(root: Path) -> Opened:
    import tensorboard  # noqa: F401 - as above
    from lightning.pytorch.loggers import TensorBoardLogger

    logger = TensorBoardLogger(root.parent, name=root.name, default_hp_metric=False)
    return Opened(logger, logger.experiment.add_text, _finalize(logger))


def _finalize(logger: Logger) -> Callable[[bool], None]:
    return lambda completed: logger.finalize("success" if completed else "failed")


_OPEN: Final[Mapping[str, Callable[[Path], Opened]]] = {
    "mlflow": _open_mlflow,
    "wandb": _open_wandb,
    "tensorboard": _open_tensorboard,
}
