"""`prep models`: list the networks that can be trained, and where their weights come from."""

from typing import TYPE_CHECKING, Any, Final

from pipeline.core.emotions import AFFECTNET, CLASSES
from stages.say import Json, show, show_json

if TYPE_CHECKING:
    from models.core.inputs import InputSpec
    from models.registry import ModelEntry

_TITLES: Final = ("model", "kind", "side", "values", "weights", "MB", "licence", "here", "what")


def models(as_json: Json = False) -> None:
    """Print every network that `train.model` takes: its kind, its input, its published weights, what it is.

    The side is the one it takes unless train.size_px says another, the values are those that black and white become.
    `train.weights: hub` loads the published weights; `here` says whether their file is on this machine already.
    Every other name of timm.list_models() works too.
    """
    from models.registry import list_models

    entries = [_described(entry) for entry in list_models()]
    if as_json:
        numbers = [AFFECTNET[name] for name in CLASSES]
        show_json({"models": entries, "outputs": list(CLASSES), "affectnet_numbers": numbers})
        return
    rows = [_TITLES, *(_cells(entry) for entry in entries)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_TITLES))]
    for row in rows:
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    show("and any name of timm.list_models()")
    said = ", ".join(f"{number} {name} (AffectNet's {AFFECTNET[name]})" for number, name in enumerate(CLASSES))
    show(f"outputs: {said}")


def _described(entry: "ModelEntry") -> dict[str, Any]:
    spec = entry.input(None)
    published = entry.published() if entry.published is not None else None
    return {
        "model": entry.name,
        "kind": entry.kind,
        "size_px": spec.size_px,
        "mean": list(spec.mean),
        "std": list(spec.std),
        "values": _values(spec),
        "published_weights": published is not None,
        "weights": published.hub.source if published else None,
        "weights_name": published.hub.name if published else None,
        "weights_mb": round(published.size_mb(), 1) if published else None,
        "licence": published.licence if published else None,
        "here": published.hub.path() is not None if published else None,
        "what": entry.what,
    }


def _values(spec: "InputSpec") -> str:
    """Return what a black and a white pixel become, over all channels."""
    black = -max(mean / std for mean, std in zip(spec.mean, spec.std, strict=True))
    white = max((1 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True))
    return f"{black + 0.0:.1f} to {white:.1f}"


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    has = entry["published_weights"]
    here = ("yes" if entry["here"] else "no") if has else "-"
    weights = (entry["weights"], f"{entry['weights_mb']:.1f}", entry["licence"]) if has else ("-", "-", "-")
    return (entry["model"], entry["kind"], f"{entry['size_px']} px", entry["values"], *weights, here, entry["what"])
