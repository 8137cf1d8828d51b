"""The data card as one HTML page: tables of the facts, and the contact sheets in the same folder as pictures.

Names of files, labels and paths were written by others and could contain HTML. So every text is escaped, and our own
markup has a type of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup, escape

from pipeline.core.device import tell_device
from pipeline.core.emotions import AFFECTNET, CLASSES

_STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222 }
h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem }
table { border-collapse: collapse; margin: .7rem 0 1.2rem } caption { text-align: left; font-weight: 600 }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top }
th:first-child, td:first-child { text-align: left } td.text { text-align: left }
code { font-size: .85em; overflow-wrap: anywhere } img { max-width: 100%; border: 1px solid #ddd }
.note { background: #fff4d6; border-left: 4px solid #d99a00; padding: .6rem 1rem }
"""

# The page needs no script and no network, and shows pictures of its own folder, on a server or from the disk.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' file:"

# The name of a score says what to compare it with.
_METRICS: Final = {"ece": "calibration error", "ece_chance": "calibration error by chance alone"}


def build_page(card: Mapping[str, Any], sheets: Mapping[str, Sequence[str]]) -> str:
    """Return the page.

    Args:
        card: see `card.build_card`.
        sheets: dataset -> the pictures to show, as paths relative to the page.
    """
    body = [
        "<h1>Data card</h1>",
        f'<p class="note"><strong>Licences.</strong> {escape(str(card["licence"]))}</p>',
        *_identity(card),
        *_overview(card),
    ]
    for name, facts in card["datasets"].items():
        body += _dataset(name, facts, sheets.get(name, ()))
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    head = f'<meta charset="utf-8">{policy}<title>Data card</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(body) + "\n</body></html>\n"


def _identity(card: Mapping[str, Any]) -> list[str]:
    rows = [(name, _code(value)) for name, value in card["snapshot"].items()]
    rows += [
        (f"{name}: {path}", _code(md5) + " (md5, as DVC has it)")
        for name, facts in card["datasets"].items()
        for path, md5 in facts["raw"].items()
    ]
    contract = {key: value for key, value in card["contract"].items() if key not in ("classes", "taxonomy")}
    rows += [(key, _code(_inline(value))) for key, value in contract.items()]
    return ["<h2>What this is</h2>", _table("Snapshots and preprocessing", ("", ""), rows, text=True)]


def _overview(card: Mapping[str, Any]) -> list[str]:
    parts = ["<h2>All datasets</h2>"]
    totals: dict[str, dict[str, int]] = {}
    for facts in card["datasets"].values():
        for split, counts in facts["splits"].items():
            for name, count in counts.items():
                totals.setdefault(split, dict.fromkeys(CLASSES, 0))[name] += count
    parts.append(_class_table("Rows in the shards, by class", totals))
    parts.append(_step_table("Split and shards", card["steps"]))
    parts += _sets(card["sets"])
    if "metrics" in card:
        rows = [(_METRICS.get(name, name), _number(value)) for name, value in card["metrics"].items()]
        rows += [(f"seed of {name}", str(seed)) for name, seed in card.get("seeds", {}).items()]
        parts.append(_table("The network on the test set (rows with a face)", ("", ""), rows))
    if ran := {step: facts for step, facts in card.get("device", {}).items() if facts}:
        where = [(step, tell_device(facts)) for step, facts in ran.items()]
        parts.append(_table("On what it ran", ("", ""), where, text=True))
    if "confusion" in card:
        parts.append(_confusion_table(card["confusion"]))
        parts += _probe(card.get("permutation_probe", {}))
    return parts


def _probe(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return which datasets' labels fit another order of the classes much better."""
    if not found:
        return ["<p>No other order of the classes fits a dataset much better. Silence is no proof.</p>"]
    return [
        f'<p class="note"><strong>{escape(name)}</strong>: '
        f"{' and '.join(_numbered(permutation['swapped'][place]) for place in ('first', 'second'))} look swapped, "
        "is its label map right?</p>"
        for name, permutation in found.items()
    ]


def _plain(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Return counts, with nested ones as text in one cell."""
    return {
        name: ", ".join(f"{count} {what}" for what, count in value.items()) if isinstance(value, Mapping) else value
        for name, value in counts.items()
    }


def _sets(sets: Mapping[str, Any]) -> list[str]:
    """Return tables of what crosses the sets, how classes were balanced, and which classes a dataset lacks."""
    parts = []
    if "crossing" in sets:
        counts = [(kind, count, sets["counts"][kind]) for kind, count in sets["crossing"].items()]
        crossing = [
            (kind, "", "not looked for") if count is None else (kind, str(total), str(count))
            for kind, count, total in counts
        ]
        parts.append(_table("In more than one set", ("", "in all", "crossing"), crossing))
    tables = {
        "One picture, different labels": _plain(sets.get("contradictions") or {}),
        "The earlier split that is kept": sets.get("keep") or {},
        "How the classes were balanced": sets["policy"],
        "Classes without a face": {
            f"{dataset}, {split}": ", ".join(names)
            for split, datasets in sets["missing_classes"].items()
            for dataset, names in datasets.items()
        },
    }
    for caption, facts in tables.items():
        if facts:
            rows = [(name, str(value)) for name, value in facts.items()]
            parts.append(_table(caption, ("", ""), rows, text=True))
    return parts


def _numbered(name: str) -> str:
    """Return a class with its number here and in AffectNet, whose order differs."""
    return f"{CLASSES.index(name)} {escape(name)} ({AFFECTNET[name]})"


def _confusion_table(confusion: Mapping[str, Mapping[str, int]]) -> str:
    """Return a table with a row for each actual class; the larger a cell's share of its row, the darker it is."""
    caption = "Confusion: actual class by row, predicted class by column (AffectNet's number)"
    lines = [f"<table><caption>{caption}</caption>"]
    lines.append("<tr><th></th>" + "".join(f"<th>{_numbered(name)}</th>" for name in confusion) + "</tr>")
    for actual, counts in confusion.items():
        total = sum(counts.values()) or 1
        cells = "".join(
            f'<td style="background: rgba(31, 119, 180, {count / total:.2f})">{count}</td>' for count in counts.values()
        )
        lines.append(f"<tr><th>{_numbered(actual)}</th>{cells}</tr>")
    return "\n".join([*lines, "</table>"])


def _dataset(name: str, facts: Mapping[str, Any], pictures: Iterable[str]) -> list[str]:
    about = [f"Format: {facts['format']}", f"Terms: {facts['terms']}", f"To be had at: {facts['where']}"]
    about += _counts_say(facts["fingerprint"])
    parts = [f"<h2>{escape(name)}</h2>", *(f"<p>{escape(line)}</p>" for line in about)]
    if accepted := facts["fingerprint"].get("accepted"):
        told = "This is not what its release says, and was read all the same (accept_mismatch)."
        parts.append(f'<p class="note"><strong>{told}</strong> {escape(str(accepted))}</p>')
    parts.append(_step_table("Rows in, out and rejected", facts["stages"]))
    if facts["classes"]:
        rows = [
            (
                label,
                str(c["labelled"]),
                str(c["with_face"]),
                str(c["labelled"] - c["with_face"]),
                _share(c["missed_share"]),
            )
            for label, c in facts["classes"].items()
        ]
        parts.append(_table("Faces found, by class", ("class", "labelled", "with a face", "missed", ""), rows))
    parts.append(_class_table("Rows in the shards, by class", facts["splits"]))
    drawn = [f'<p><img src="{escape(path)}" alt="faces of {escape(name)}"></p>' for path in pictures]
    parts += drawn or ["<p>No face is shown: there is none, or nobody whom the terms allow to be shown.</p>"]
    return parts


def _counts_say(fingerprint: Mapping[str, Any]) -> list[str]:
    """Return how a dataset's counts compare with its release, as text; empty if no release is known."""
    share, release = fingerprint.get("share"), fingerprint.get("release")
    return [] if share is None else [f"By its counts: {_share(share)} of {release} ({fingerprint['verdict']})"]


def _step_table(caption: str, steps: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (name, str(step.get("rows_in", "")), str(step.get("rows_out", "")), _reasons(step.get("rejected", {})))
        for name, step in steps.items()
    ]
    return _table(caption, ("stage", "in", "out", "rejected"), rows)


def _reasons(rejected: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in rejected.items()) or "none"


def _class_table(caption: str, splits: Mapping[str, Mapping[str, int]]) -> str:
    header = ("class", *(title for split in splits for title in (split, "")))
    rows = [
        (name, *(cell for counts in splits.values() for cell in _with_share(counts[name], sum(counts.values()))))
        for name in CLASSES
    ]
    total = ("all", *(cell for counts in splits.values() for cell in (str(sum(counts.values())), "")))
    return _table(caption, header, [*rows, total])


def _with_share(count: int, total: int) -> tuple[str, str]:
    return str(count), _share(count / total if total else 0.0)


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, text: bool = False) -> str:
    mark = ' class="text"' if text else ""
    lines = [f"<table><caption>{escape(caption)}</caption>"]
    lines.append("<tr>" + "".join(f"<th>{escape(title)}</th>" for title in header) + "</tr>")
    lines += ["<tr>" + "".join(f"<td{mark}>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


def _code(value: object) -> Markup:
    return Markup("<code>{}</code>").format(str(value))


def _inline(value: object) -> str:
    return ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, Mapping) else str(value)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _share(value: float) -> str:
    return f"{100 * value:.1f}%"
