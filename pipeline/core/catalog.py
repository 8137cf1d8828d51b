"""The datasets that can be read, where to get each and under which terms; `prep formats` prints it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One format: the dataset, what its reader yields besides labels, where to get it, and a summary of its terms.

    `shown` are the only subjects whose faces the terms allow to be shown, and `credit` must be printed with them. None
    means that the terms name no subjects.
    """

    dataset: str
    gives: str
    where: str
    terms: str
    shown: frozenset[str] | None = None
    credit: str = ""


# The terms were read at the places named for RAF-DB (readme of the release; model4.html says what may be published),
# JAFFE, FER+, KDEF, AffectNet (what to cite), RaFD (rafd.socsci.ru.nl/FAQ.html) and the source of FER2013's pictures.
# The other pages open to applicants only, so their entries say no more than "on request".
_ON_REQUEST: Final = "on request, for research; the agreement you sign says what else"
_AFFECTNET: Final = ("mohammadmahoor.com/affectnet", f"{_ON_REQUEST}; who shows its pictures cites its paper")
# The people of CK+ who agreed to be shown, as its agreement lists them.
_CKPLUS_SHOWN: Final = ("S52", "S55", "S74", "S106", "S111", "S113", "S121", "S124", "S125", "S130", "S132")
_CKPLUS_CREDIT: Final = "©Jeffrey Cohn"
_CKPLUS: Final = (
    "jeffcohn.net/Resources",
    f"{_ON_REQUEST}. Of its people only {', '.join(_CKPLUS_SHOWN)} may be shown, with {_CKPLUS_CREDIT}",
    frozenset(_CKPLUS_SHOWN),
    _CKPLUS_CREDIT,
)
_RAFDB: Final = (
    "whdeng.cn/RAF/model1.html",
    "non-commercial research and education; no part of it copied further, published or distributed; on request",
)
_EMOTIC: Final = (
    "s3.sunai.uoc.edu/emotic",
    f"{_ON_REQUEST}; pictures partly of MSCOCO and ADE20K, under their own terms",
)
_FER2013: Final = (
    "kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge",
    "rules of the contest; pictures found by a web search, their rights not cleared",
)
_MAFW: Final = ("mafw-database.github.io/MAFW", _ON_REQUEST)
_MIRROR: Final = ("huggingface.co/datasets and other mirrors", "those of the dataset that it is a copy of")
_OWN: Final = ("your own pictures", "yours to know: consent and rights of everyone shown")

CATALOG: Final = {
    "affectnet": CatalogEntry("AffectNet, csv lists", "box, 68 points, split, valence, arousal", *_AFFECTNET),
    "affectnet_npy": CatalogEntry("AffectNet-8, npy arrays", "68 points, split, valence, arousal", *_AFFECTNET),
    "affectnet_folder": CatalogEntry(
        "AffectNet, class folders and labels.csv", "csv checked against folders", *_AFFECTNET
    ),
    "ckplus": CatalogEntry("CK+, sequences", "68 points, subject, sequence", *_CKPLUS),
    "ck48": CatalogEntry("CK+48, class folders", "subject, sequence", *_CKPLUS),
    "ckplus_csv": CatalogEntry("CK+, csv of pixels (ckextended.csv)", "split, which shares people", *_CKPLUS),
    "rafdb": CatalogEntry("RAF-DB basic", "box, 5 points, split, gender, age group, race", *_RAFDB),
    "rafdb_folder": CatalogEntry("RAF-DB basic, folders 1 to 7", "split; csv checked against folders", *_RAFDB),
    "rafdb_compound": CatalogEntry(
        "RAF-DB compound", "two classes at once, box, 5 points, split, gender, age group, race", *_RAFDB
    ),
    "emotic": CatalogEntry(
        "EMOTIC, mat",
        "body box, several categories and their votes, split, valence, arousal, dominance, gender, age group",
        *_EMOTIC,
    ),
    "emotic_csv": CatalogEntry(
        "EMOTIC, csv",
        "body box, several categories, split, valence, arousal, dominance, gender, age group",
        *_EMOTIC,
    ),
    "fer2013": CatalogEntry("FER2013, csv of pixels", "split", *_FER2013),
    "fer2013_folder": CatalogEntry("FER2013, class folders", "split; added copies left out", *_FER2013),
    "ferplus": CatalogEntry(
        "FER+", "ten votes, split", "github.com/microsoft/FERPlus", "labels MIT; the pictures are those of FER2013"
    ),
    "jaffe": CatalogEntry(
        "JAFFE",
        "subject",
        "zenodo.org/records/3451524",
        "non-commercial scientific research, the source cited; on request",
    ),
    "expw": CatalogEntry(
        "ExpW",
        "several faces a picture, boxes",
        "mmlab.ie.cuhk.edu.hk/projects/socialrelation",
        _ON_REQUEST,
    ),
    "kdef": CatalogEntry("KDEF", "subject, gender", "kdef.se", "researchers only, non-commercial; never redistributed"),
    "rafd": CatalogEntry(
        "RaFD",
        "subject, gender, race",
        "rafd.socsci.ru.nl",
        "scientific use by researchers of a university; shown in scientific publications alone; on request",
    ),
    "sfew": CatalogEntry("SFEW 2.0", "split, sequence", "users.cecs.anu.edu.au/~few_group/AFEW.html", _ON_REQUEST),
    "bu3dfe": CatalogEntry(
        "BU-3DFE, pictures", "subject, gender", "cs.binghamton.edu/~lijun/Research/3DFE", _ON_REQUEST
    ),
    "faces": CatalogEntry("FACES", "subject, gender, age group", "faces.mpdl.mpg.de", _ON_REQUEST),
    "yolo": CatalogEntry("any YOLO tree", "several faces a picture, boxes, split", *_MIRROR),
    "coco": CatalogEntry("any JSON of COCO", "several faces a picture, boxes, split", *_MIRROR),
    "voc": CatalogEntry("any tree of Pascal VOC", "several faces a picture, boxes, split", *_MIRROR),
    "hub": CatalogEntry("Parquet of the Hub, Arrow files of save_to_disk", "split, and what a csv may have", *_MIRROR),
    "dfew": CatalogEntry(
        "DFEW, lists of clips", "sequence, split of one of five folds", "dfew-dataset.github.io", _ON_REQUEST
    ),
    "ferv39k": CatalogEntry(
        "FERV39k, lists of clips", "sequence, split", "wangyanckxx.github.io/Proj_CVPR2022_FERV39k.html", _ON_REQUEST
    ),
    "mafw": CatalogEntry("MAFW, single labels", "sequence, split of one of five folds", *_MAFW),
    "mafw_compound": CatalogEntry(
        "MAFW, compound labels", "several classes at once, sequence, split of one of five folds", *_MAFW
    ),
    "oulu_casia": CatalogEntry("Oulu-CASIA", "subject, sequence", "oulu.fi/cmvs", _ON_REQUEST),
    "afew_va": CatalogEntry(
        "AFEW-VA",
        "68 points, box around them, subject, sequence, valence, arousal, no classes",
        "ibug.doc.ic.ac.uk/resources/afew-va-database",
        _ON_REQUEST,
    ),
    "affwild2": CatalogEntry(
        "Aff-Wild2, cropped frames",
        "subject, sequence, split, valence, arousal",
        "ibug.doc.ic.ac.uk/resources/aff-wild2",
        _ON_REQUEST,
    ),
    "ravdess": CatalogEntry(
        "RAVDESS, videos",
        "subject, gender, sequence",
        "zenodo.org/records/1188976",
        "CC BY-NC-SA 4.0: non-commercial, the source cited, shared under the same terms",
    ),
    "cremad": CatalogEntry(
        "CREMA-D, videos",
        "subject, gender, age, race, sequence; votes if asked for",
        "github.com/CheyneyComputerScience/CREMA-D",
        "Open Database License; its contents under the Database Contents License",
    ),
    "meld": CatalogEntry("MELD, videos", "subject, sequence, split", "affective-meld.github.io", _ON_REQUEST),
    "rml": CatalogEntry("RML, videos", "subject, sequence", "rml.ryerson.ca/rml-emotion-database.html", _ON_REQUEST),
    "baum1": CatalogEntry(
        "BAUM-1s and BAUM-1a, videos",
        "subject, gender, sequence",
        "the authors of its paper: Zhalehpour et al., IEEE Transactions on Affective Computing 2017",
        _ON_REQUEST,
    ),
    "folder": CatalogEntry("any folder of class folders", "split", *_OWN),
    "video_folder": CatalogEntry("any folder of class folders of videos, such as CAER", "sequence, split", *_OWN),
    "csv": CatalogEntry(
        "any csv", "box, subject, sequence, split, valence, arousal, dominance, gender, age, race", *_OWN
    ),
    "class_columns": CatalogEntry("any csv with a column for each class", "votes, and what a csv may have", *_OWN),
    "path_list": CatalogEntry("any list of paths and labels", "split, and what a csv may have", *_OWN),
}


# What is asked for and not read, and why: nothing is guessed of what no public description or code shows.
UNREAD: Final = {
    "MMI": "no description of its labels is to be had; put its videos into class folders",
    "CFEE": "no description of its layout is to be had; put its pictures into class folders",
    "ExpW, votes": "no table of its ten votes is to be had; label.lst has the label and its confidence",
    "BP4D": "its lists are of action units, and of no expressions",
}
# Layouts that say nothing about the dataset: a mirror of any dataset may have them.
GENERIC: Final = frozenset(
    {"folder", "video_folder", "csv", "hub", "yolo", "coco", "voc", "class_columns", "path_list"}
)
# Those that have columns, which `columns` in params.yaml may name.
TABLES: Final = frozenset({"csv", "hub", "path_list", "class_columns"})
# Names of datasets other than those of their formats; all without separators.
_CALLED: Final = {name.replace("_", ""): name for name in CATALOG if name not in GENERIC} | {
    "ck": "ckplus",
    "cohnkanade": "ckplus",
    "ckextended": "ckplus_csv",
}
# So short a name ("ck") must be a word of its own: other words begin with it by chance.
_SHORT: Final = 3


def terms_of(dataset: str, fmt: str, told: str | None = None) -> str:
    """Return the name in the catalog whose terms bind a dataset.

    These are the terms of its format. A mirror in a generic layout has the terms of the dataset that it is named after,
    because terms apply to the pictures, in whatever layout they come.

    Args:
        dataset: its name in params.yaml, such as ``ckplus`` or ``my-CK48``.
        fmt: the format that it was read as.
        told: what params.yaml says under `terms`, which is not questioned; None if it says nothing.
    """
    if told is not None or fmt not in GENERIC:
        return told or fmt
    words = re.findall(r"[a-z0-9]+", dataset.casefold())
    rests = ["".join(words[start:]) for start in range(len(words))]
    for called in sorted(_CALLED, key=len, reverse=True):
        if called in words or (len(called) > _SHORT and any(rest.startswith(called) for rest in rests)):
            return _CALLED[called]
    return fmt


def terms_in(contract: Mapping[str, Any]) -> dict[str, str]:
    """Return what `terms_of` found for each dataset in shards, given their contract; "" if that does not say."""
    told = contract.get("terms") or {}
    # The contract records `terms` only where they differ from the format; a taxonomy has the name of its format.
    formats = {name: str((of or {}).get("name", "")) for name, of in (contract.get("taxonomy") or {}).items()}
    return formats | {name: str(terms) for name, terms in told.items()}


def may_show(fmt: str, subject: str | None) -> bool:
    """Say whether a face of this person may be shown under the terms of a dataset; ``S052`` and ``S52`` are one.

    Args:
        fmt: the result of `terms_of`; a name that is not in the catalog has no terms.
        subject: as the dataset names the person; None is shown only if the terms name nobody.
    """
    entry = CATALOG.get(fmt)
    return entry is None or entry.shown is None or _plain(subject) in {_plain(name) for name in entry.shown}


def _plain(subject: str | None) -> tuple[str, int] | None:
    found = re.fullmatch(r"([A-Za-z]*)0*([0-9]+)", subject or "")
    return (found[1].upper(), int(found[2])) if found else None
