"""Labels of the demo's EMOTIC under each multi-label policy: the table in docs/harmonize.md.

Run with `make policies`. The demo is rendered, read and harmonized once for every value of `harmonize.multi_label` and
`harmonize.affect`; the counts are those of summary.json.
"""

import tempfile
from itertools import product
from pathlib import Path

from pipeline.core.emotions import CLASSES
from pipeline.core.params import read_params
from pipeline.demo.stage import run as render
from pipeline.ingest.stage import run as ingest
from pipeline.labels.stage import run as harmonize

REASONS = ("mixed_emotions", "not_an_emotion", "affect_contradicts")


def main() -> None:
    """Print the table as Markdown."""
    params = read_params(Path("params.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        raw, samples = Path(folder, "raw"), Path(folder, "samples")
        render(raw, params.demo)
        rows = ingest(str(raw / "emotic"), samples, dataset="emotic", fmt="emotic", params=params.ingest)["rows_out"]
        print(f"{rows} people\n")
        heads = ("`multi_label`", "`affect`", *CLASSES, "labelled", *(f"`{name}`" for name in REASONS))
        print("|", " | ".join(heads), "|")
        print("|", " | ".join(["---"] * 2 + ["--:"] * (len(CLASSES) + 1 + len(REASONS))), "|")
        for multi_label, affect in product(("reject", "vote", "priority"), ("check", "ignore")):
            policy = params.harmonize.model_copy(update={"multi_label": multi_label, "affect": affect})
            found = harmonize(samples, Path(folder, f"{multi_label}-{affect}"), policy)
            counts = [found["classes"][name] for name in CLASSES] + [sum(found["classes"].values())]
            counts += [found["rejected"].get(reason, 0) + found["unclassed"].get(reason, 0) for reason in REASONS]
            print("|", " | ".join((f"`{multi_label}`", f"`{affect}`", *map(str, counts))), "|")


if __name__ == "__main__":
    main()
