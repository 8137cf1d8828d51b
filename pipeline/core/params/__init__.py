"""params.yaml as frozen models: no defaults, no unknown keys, and errors that name the key and its allowed values."""

from pipeline.core.params.preparation import (
    AlignParams,
    AnyDataset,
    Dataset,
    DecideParams,
    DemoParams,
    DoubtParams,
    EqualizeParams,
    HarmonizeParams,
    IngestParams,
    ReportParams,
    SelectParams,
    ShardParams,
    SplitParams,
    TableDataset,
    VideoParams,
)
from pipeline.core.params.read import Params, read_params
from pipeline.core.params.section import Section
from pipeline.core.params.training import AugmentParams, EvaluateParams, PersonalizeParams, TrainParams

__all__ = [
    "AlignParams",
    "AnyDataset",
    "AugmentParams",
    "Dataset",
    "DecideParams",
    "DemoParams",
    "DoubtParams",
    "EqualizeParams",
    "EvaluateParams",
    "HarmonizeParams",
    "IngestParams",
    "Params",
    "PersonalizeParams",
    "ReportParams",
    "Section",
    "SelectParams",
    "ShardParams",
    "SplitParams",
    "TableDataset",
    "TrainParams",
    "VideoParams",
    "read_params",
]
