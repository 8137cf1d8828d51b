"""`prep models`: list the networks that can be trained."""

from pipeline.core.emotions import AFFECTNET, CLASSES
from stages.say import Json, show, show_json


def models(as_json: Json = False) -> None:
    """Print every network that `train.model` takes: its kind, the side of its input, what it is.

    Every other name of timm.list_models() works too.
    """
    from models.registry import list_models

    entries = [
        {
            "model": entry.name,
            "kind": entry.kind,
            "size_px": entry.input(None).size_px,
            "published_weights": entry.hub is not None,
            "what": entry.what,
        }
        for entry in list_models()
    ]
    if as_json:
        numbers = [AFFECTNET[name] for name in CLASSES]
        show_json({"models": entries, "outputs": list(CLASSES), "affectnet_numbers": numbers})
        return
    rows = [("model", "kind", "side", "weights", "what")]
    for name, kind, size_px, published, what in (entry.values() for entry in entries):
        rows.append((str(name), str(kind), f"{size_px} px", "published" if published else "-", str(what)))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    show("and any name of timm.list_models()")
    said = ", ".join(f"{number} {name} (AffectNet's {AFFECTNET[name]})" for number, name in enumerate(CLASSES))
    show(f"outputs: {said}")
