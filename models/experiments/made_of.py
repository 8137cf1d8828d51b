"""What an experiment is made of: command, parameters, inputs and code of each stage up to the evaluation.

An experiment is done if DVC made it of just what it would be made of now. So one with other parameters, data or code
never counts as done, whatever it is called.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import ParamsError, UsageError
from pipeline.core.folders import CODE, PARAMS
from pipeline.core.lineage.code import code_root, code_text
from pipeline.core.lineage.identity import identity
from pipeline.core.params import Params, read_params
from pipeline.verify.dvc_lock import PIPELINES, Stage, Wanted, look_up, read_lock, read_yaml, wanted

TARGET: Final = "evaluate"
# Always runs, and its outputs are inputs of the others: what their code means.
_CODE_STAGE: Final = "code"
_DIGEST_BYTES: Final = 5

# Stage -> its command (`cmd`), its parameters (`params`) and the md5 of what no stage makes (`inputs`).
MadeOf = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Now:
    """params.yaml with some values replaced, and what an experiment with these values is made of."""

    params: Params
    made_of: MadeOf


def made_now(overrides: Sequence[str] = ()) -> Now:
    """Return what an experiment would be made of if it were run now.

    Args:
        overrides: `KEY=VALUE` as for `dvc exp run -S`; later ones win.

    Raises:
        UsageError: an override that DVC cannot read, or of a key that is not there.
        ParamsError: values that params.yaml may not have.
        LineageError: an input is missing, or dvc.yaml cannot be read.
    """
    read_params(PARAMS)  # which says where to run this from
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, PARAMS.name)
        path.write_bytes(PARAMS.read_bytes())
        _apply(path, overrides)
        try:
            params = read_params(path)
        except ParamsError as error:
            given = f"{PARAMS} with {' '.join(overrides)}" if overrides else str(PARAMS)
            raise ParamsError(str(error).replace(str(path), given)) from None
        values = read_yaml(path)
    stages = _behind(TARGET, {name: one for name, one in wanted(values).items() if name != _CODE_STAGE})
    recorded = _recorded()
    return Now(
        params,
        {
            name: {
                "cmd": stages[name][0].cmd,
                "params": {key: look_up(values, key) for key in sorted(stages[name][0].params)},
                "inputs": {path: _md5(path, values, recorded) for path in sorted(stages[name][1])},
            }
            for name in sorted(stages)
        },
    )


def made_then(stages: Iterable[Stage], now: MadeOf) -> MadeOf:
    """Return what an experiment was made of, from its dvc.lock, of the same stages, parameters and inputs as `now`."""
    known = {stage.name: stage for stage in stages}
    then = {}
    for name, made_of in now.items():
        if (stage := known.get(name)) is not None:
            inputs = {dep.path: dep.md5 for dep in stage.deps}
            then[name] = {
                "cmd": stage.cmd,
                "params": {key: stage.params.get(PARAMS.name, {}).get(key) for key in made_of["params"]},
                "inputs": {path: inputs.get(path) for path in made_of["inputs"]},
            }
    return then


def digest_of(made_of: MadeOf) -> str:
    """Return ten hex digits that stand for what an experiment is made of."""
    text = json.dumps(made_of, sort_keys=True).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).hexdigest()


def first_difference(then: MadeOf, now: MadeOf) -> str | None:
    """Name the first thing of which an experiment was made otherwise than it would be now; None if there is none."""
    for name, made_of in now.items():
        if name not in then:
            return f"stage {name} did not run"
        for kind, values in made_of.items():
            before = then[name][kind]
            if before != values:
                keys = [key for key in values if before.get(key) != values[key]] if kind != "cmd" else [kind]
                return f"{', '.join(keys)} of stage {name}"
    return None


def _apply(path: Path, overrides: Sequence[str]) -> None:
    """Change values of a params.yaml as DVC does."""
    if not overrides:
        return
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    try:
        apply_overrides(str(path), list(overrides))
    except DvcException as error:
        said = str(error.__cause__ or error).strip().splitlines()[0]
        raise UsageError(f"-S {' -S '.join(overrides)}: {said}") from None


def _behind(target: str, stages: Mapping[str, Wanted]) -> dict[str, tuple[Wanted, set[str]]]:
    """Return the stages on which one depends, itself included, and the inputs of each that no stage makes."""
    found: dict[str, tuple[Wanted, set[str]]] = {}
    waiting = [target]
    while waiting:
        name = waiting.pop()
        if name in found or name not in stages:
            continue
        given: set[str] = set()
        for dep in stages[name].deps:
            makers = [other for other, one in stages.items() if any(_overlap(dep, out) for out in one.outs)]
            waiting += makers
            given |= set() if makers else {dep}
        found[name] = (stages[name], given)
    return found


def _overlap(one: str, other: str) -> bool:
    first, second = Path(one), Path(other)
    return first == second or first in second.parents or second in first.parents


def _recorded() -> dict[str, str]:
    """Return the md5 of each output of the pipelines beside dvc.yaml, such as the demo's raw trees."""
    locks = [lock for _, lock in PIPELINES[1:]]
    return {
        (lock.parent / out.path).as_posix(): out.md5
        for lock in locks
        for stage in read_lock(lock)
        for out in stage.outs
    }


def _md5(path: str, params: Mapping[str, Any], recorded: Mapping[str, str]) -> str:
    """Return the md5 of an input as DVC takes it into an experiment: as recorded, or else as it lies here."""
    if Path(path).parent == CODE:
        text = code_text(Path(path).stem, code_root(), params)
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    if path in recorded:
        return recorded[path]
    if (file := Path(f"{path}.dvc")).is_file():
        return str(read_yaml(file)["outs"][0]["md5"])
    return identity(Path(path))
