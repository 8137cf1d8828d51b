"""`prep models`: what can be trained."""

from pipeline.emotions import AFFECTNET, CLASSES
from stages.say import say


def models() -> None:
    """Print every network that `train.model` takes: its kind, the side of its input, what it is.

    Every other name of timm.list_models() works too.
    """
    from models.registry import list_models

    rows = [("model", "kind", "side", "weights", "what")]
    for entry in list_models():
        weights = "published" if entry.hub is not None else "-"
        rows.append((entry.name, entry.kind, f"{entry.input(None).size_px} px", weights, entry.what))
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    say("and any name of timm.list_models()")
    said = ", ".join(f"{number} {name} (AffectNet's {AFFECTNET[name]})" for number, name in enumerate(CLASSES))
    say(f"outputs: {said}")
