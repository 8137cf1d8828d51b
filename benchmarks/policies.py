"""What each policy for several categories at once makes of the demo's EMOTIC: the table in docs/harmonize.md.

`make policies`. The demo is rendered anew, read and harmonized under every value of `harmonize.multi_label` and
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
        print("|", " | ".join(("`several`", "`affect`", *CLASSES, "labelled", *(f"`{name}`" for name in REASONS))), "|")
        print("|", " | ".join(["---"] * 2 + ["--:"] * (len(CLASSES) + 1 + len(REASONS))), "|")
        for several, affect in product(("reject", "vote", "priority"), ("check", "ignore")):
            policy = params.harmonize.model_copy(update={"multi_label": several, "affect": affect})
            found = harmonize(samples, Path(folder, f"{several}-{affect}"), policy)
            counts = [found["classes"][name] for name in CLASSES] + [found["rows_out"]]
            counts += [found["rejected"].get(reason, 0) for reason in REASONS]
            print("|", " | ".join((f"`{several}`", f"`{affect}`", *map(str, counts))), "|")


if __name__ == "__main__":
    main()
