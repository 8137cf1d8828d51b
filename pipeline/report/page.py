"""The page: jinja2 templates filled with the facts of the card, the charts, and the faces.

Names of files, labels and paths were written by others and could contain HTML. The templates escape every text; the
script sets text, never HTML; and the policy of the page allows this very style and this very script, by their hashes,
and no other, nor any address but its own folder.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2

from pipeline.core.device import tell_device
from pipeline.core.emotions import AFFECTNET, CLASSES, UNCLASSED
from pipeline.report.charts import MARGIN, build_circle, build_errors, build_map, calibration_plot, losses_plots
from pipeline.report.doubt import mark_classes
from pipeline.report.flow import build_flow, sum_classes, sum_misses

# The name of a score says what to compare it with.
_METRICS: Final = {
    "ece": "calibration error",
    "ece_chance": "calibration error by chance alone",
    "ccc": "CCC",
    "mean ccc": "mean CCC",
    "pearson": "Pearson's correlation",
    "rmse": "RMSE",
}
_SPLITS: Final = ("train", "val", "test")
_SHADES: Final = 10  # of a cell of the confusion, by its share of the row
_TEMPLATES: Final = Path(__file__).with_name("templates")


@dataclass(frozen=True, slots=True)
class Gallery:
    """The pictures of the page, by dataset, as plain JSON.

    Attributes:
        faces: dataset -> what is known of each face shown, with `picture`, its path from the page; see `faces.FACTS`.
        rejects: dataset -> some of the rows left out: sample_id, stage, reason, detail and perhaps `picture`.
        saliency: title -> path from the page.
    """

    faces: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    rejects: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    saliency: Mapping[str, str] = field(default_factory=dict)


def build_page(card: Mapping[str, Any], gallery: Gallery | None = None) -> str:
    """Return the page.

    Args:
        card: see `card.build_card`.
        gallery: the pictures that lie beside the page.
    """
    gallery = gallery or Gallery()
    environment = _environment()
    # As they are, because their hashes are in the policy.
    style, script = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    circles = [build_circle(title, cells) for title, cells in card.get("affect", {}).items()]
    known = card.get("contract", {}).get("classes", CLASSES)
    if card.get("errors"):
        circles.append(build_errors("from what is annotated to what is answered", card["errors"]))
    return environment.get_template("page.html").render(
        card=card,
        gallery=gallery,
        style=style,
        script=script,
        policy=_policy(style, script),
        classes=[name for name in CLASSES if name in known] or CLASSES,
        unclassed=UNCLASSED,
        class_numbers={name: number for number, name in enumerate(CLASSES)},
        splits=[split for split in _SPLITS if split in sum_classes(card)],
        totals=sum_classes(card),
        misses=sum_misses(card),
        flow=build_flow(card),
        losses=losses_plots(card.get("losses", {})),
        calibration=calibration_plot(card.get("calibration", ())),
        circles=circles,
        clouds=build_map(mark_classes(chain.from_iterable(gallery.faces.values()))),
        map_margin=MARGIN,
        device={step: tell_device(facts) for step, facts in card.get("device", {}).items() if facts},
        data={"classes": CLASSES, "faces": gallery.faces, "used": _used(card)},
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": True}
    environment.filters |= {
        "percent": lambda share: f"{100 * share:.1f}%",
        "width": lambda share: f"{100 * min(1.0, max(0.0, share)):.2f}%",
        "number": lambda value: f"{value:,}" if isinstance(value, int) else f"{value:.3f}",
        "shade": lambda share: min(_SHADES, round(share * _SHADES)),
        "inline": _inline,
        "over": lambda splits, names, label: sum(splits[split].get(label, 0) for split in names),
        "sum_values": lambda counts: sum(counts.values()),
        "url": quote,
        "by_reason": _by_reason,
    }
    environment.globals |= {
        "build_flow": build_flow,
        "build_circle": build_circle,
        "numbered": lambda name: f"{CLASSES.index(name)} {name} ({AFFECTNET[name]})",
        "metric": lambda name: _METRICS.get(name, name.replace("_", " ")),
        "counts_say": _counts_say,
    }
    return environment


def _policy(*inline: str) -> str:
    """Return the content-security policy: our style and our script by hash, pictures of the page's own folder."""
    style, script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline)
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src 'self' file:; "
        "base-uri 'none'; form-action 'none'"
    )


def _used(card: Mapping[str, Any]) -> dict[str, int]:
    """Return dataset -> how many faces of it are used, of which the page shows a part."""
    counts = {name: facts["stages"].get("select", {}) for name, facts in card["datasets"].items()}
    return {name: of["rows_out"] for name, of in counts.items() if "rows_out" in of}


def _inline(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_inline(item)}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _by_reason(rejects: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[Mapping[str, Any]]]]:
    """Return each stage and reason with its rows, in the order in which they come."""
    groups = groupby(rejects, key=lambda row: (row["stage"], row["reason"]))
    return [(stage, reason, list(rows)) for (stage, reason), rows in groups]


def _counts_say(fingerprint: Mapping[str, Any]) -> str:
    """Return how a dataset's counts compare with its release, as text; empty if no release is known."""
    share, release = fingerprint.get("share"), fingerprint.get("release")
    return "" if share is None else f"{100 * share:.1f}% of {release} ({fingerprint['verdict']})"
