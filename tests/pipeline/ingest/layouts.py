"""Small raw trees in the native layouts, and what ingest must make of them."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
from PIL import Image

from pipeline.core.params import IngestParams
from pipeline.ingest.dataset_options import DatasetOptions
from pipeline.ingest.stage import run as ingest
from tests.pipeline.ingest.clip_layouts import CLIP_WRITERS, put

PARAMS = {
    "ckplus_peak_frames": 3,
    "ckplus_neutral_frames": 1,
    "rafdb_pictures": "original",
    "affectnet_lists": "both",
    "cremad_labels": "meant",
    "accept_mismatch": [],
    "video": {"fps": 5, "first": 0, "last": None, "keyframes": False},
}


class Read:
    """One run of ingest: summary, samples by source_path and rejects."""

    def __init__(
        self, src, out, *, fmt="auto", dataset="d", columns=None, scales=None, classes=None, accept=False, **params
    ):
        given = IngestParams(**(PARAMS | params))
        self.summary = ingest(
            str(src),
            out,
            dataset=dataset,
            fmt=fmt,
            params=given,
            accept_mismatch=accept,
            options=DatasetOptions(columns or {}, scales or {}, classes or {}),
        )
        self.rows = pq.read_table(out / "samples.parquet").to_pylist()
        self.rejects = pq.read_table(out / "rejects.parquet").to_pylist()
        self.manifest = pq.read_table(out / "manifest.parquet").to_pylist()
        assert self.summary["rows_in"] == len(self.rows) + len(self.rejects)
        assert [row["sample_id"] for row in self.rows] == sorted({row["sample_id"] for row in self.rows})

    def labels(self):
        """Return the labels by path; a path with several samples has a list of them."""
        found = {}
        for row in self.rows:
            found.setdefault(row["source_path"], []).append(",".join(row["source_labels"]))
        return {path: labels[0] if len(labels) == 1 else labels for path, labels in found.items()}

    def reasons(self):
        return sorted((reject["reason"], reject["source_path"]) for reject in self.rejects)


AFFECTNET_HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)
POINTS_68 = [(10.0 + place, 20.5 + place) for place in range(68)]


def affectnet_row(name: str, code: object, valence: object = 0.5, arousal: object = -0.25) -> str:
    points = ";".join(f"{x:.2f};{y:.2f}" for x, y in POINTS_68)
    return f"{name},1,2,30,40,{points},{code},{valence},{arousal}"


def write_affectnet(root: Path) -> None:
    codes = [
        (f"{code}/h{code}.{suffix}", code)
        for code, suffix in enumerate(["jpg", "JPG", "jpeg", "png", "PNG", "tif", "bmp", "jpg", "jpg", "jpg", "jpg"])
    ]
    rows = [affectnet_row(name, code, -2 if code >= 8 else 0.5, -2 if code >= 8 else -0.25) for name, code in codes]
    put(root, "Manually_Annotated_file_lists/training.csv", "\n".join([AFFECTNET_HEADER, *rows]))
    rows = [affectnet_row("700/v.jpg", 3, "nan", 1.5), affectnet_row("700/gone.jpg", 1), affectnet_row("700/x.jpg", 11)]
    # The header is missing, as in some copies.
    put(root, "Manually_Annotated_file_lists/validation.csv", "\n".join(rows) + "\n")
    put(
        root,
        "Automatically_Annotated_file_lists/automatically_annotated.csv",
        f"{AFFECTNET_HEADER}\n{affectnet_row('1/a.jpg', 6)}\n",
    )
    for name, _ in codes:
        put(root, f"Manually_Annotated_Images/{name}")
    for name in ("700/v.jpg", "700/x.jpg"):
        put(root, f"Manually_Annotated_Images/{name}")
    put(root, "Automatically_Annotated_Images/1/a.jpg")


def npy(value: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(value))
    return stream.getvalue()


def write_affectnet_npy(root: Path) -> None:
    for folder, ids in (("train_set", (0, 1, 2)), ("val_set", (7, 8))):
        for one in ids:
            put(root, f"{folder}/images/{one}.jpg")
            put(root, f"{folder}/annotations/{one}_exp.npy", npy(str(one)))
            put(root, f"{folder}/annotations/{one}_val.npy", npy("-0.5"))
            put(root, f"{folder}/annotations/{one}_aro.npy", npy("-2"))
            put(root, f"{folder}/annotations/{one}_lnd.npy", npy(np.arange(136.0)))
    put(root, "train_set/images/5.jpg")  # no annotation
    put(root, "train_set/annotations/6_exp.npy", npy("6"))  # no picture
    put(root, "train_set/images/9.jpg")
    put(root, "train_set/annotations/9_exp.npy", npy({"a": object}))  # a pickle


def write_affectnet_folder(root: Path) -> None:
    rows = [
        "anger/a.jpg,anger,0.8",
        "anger/b.jpg,surprise,0.9",
        "happy/c.jpg,Happiness,0.7",
        "happy/gone.jpg,happy,0.1",
    ]
    put(root, "labels.csv", "pth,label,relFCs\n" + "\n".join(rows))
    for name in ("anger/a.jpg", "anger/b.jpg", "happy/c.jpg", "sad/unlisted.jpg"):
        put(root, name)


def write_ckplus(root: Path, *, labels: str = "Emotion") -> None:
    for subject, sequence, frames, label in (
        ("S005", "001", 6, "   3.0000000e+00\n"),
        ("S010", "002", 2, "   2.0000000e+00\n"),
        ("S011", "003", 4, None),
        ("S011", "004", 4, "  \n"),
        ("S999", "001", 4, "   9.0000000e+00\n"),
    ):
        for frame in range(1, frames + 1):
            stem = f"{subject}/{sequence}/{subject}_{sequence}_{frame:08d}"
            put(root, f"cohn-kanade-images/{stem}.png")
            points = "\n".join(f"   {x:.7e}   {y:.7e}" for x, y in POINTS_68)
            put(root, f"Landmarks/{stem}_landmarks.txt", points)
        put(root, f"cohn-kanade-images/{subject}/{sequence}/.DS_Store")
        if label is not None:
            put(root, f"{labels}/{stem}_emotion.txt", label)
    put(root, f"{labels}/S011/003/.DS_Store")


def write_ck48(root: Path) -> None:
    put(root, "anger/S010_004_00000017.png")
    put(root, "sadness/S011_002_00000021.png")
    put(root, "happy/S011_006_00000012.png")


def write_rafdb(root: Path) -> None:
    rows = [f"train_{code:05d}.jpg {code}" for code in range(1, 8)] + [
        "test_0001.jpg 4",
        "test_0002.jpg 8",
        "test_0003.jpg 1",
    ]
    put(root, "EmoLabel/list_patition_label.txt", "\n".join(rows))  # no newline at the end
    for row in rows[:-1]:
        stem = row.split(".")[0]
        put(root, f"Image/original/{stem}.jpg")
        put(root, f"Image/aligned/{stem}_aligned.jpg")
        put(root, f"Annotation/boundingbox/{stem}_boundingbox.txt", "10.5 20.25 110.5 140.75 ")
        put(root, f"Annotation/manual/{stem}_manu_attri.txt", "30 40\n70 41\n50 60\n35 80\n65 81\n0\n1\n2\n")


def write_rafdb_folder(root: Path) -> None:
    for code in range(1, 8):
        put(root, f"train/{code}/train_{code:05d}_aligned.jpg")
    put(root, "test/4/test_0001_aligned.jpg")
    put(root, "test/1/test_0002_aligned.jpg")
    rows = [f"train_{code:05d}_aligned.jpg,{code}" for code in range(1, 8)]
    put(root, "train_labels.csv", "\n".join(["image,label", *rows, "train_00009_aligned.jpg,2"]))
    put(root, "test_labels.csv", "image,label\ntest_0001_aligned.jpg,4\ntest_0002_aligned.jpg,7\n")


def write_rafdb_compound(root: Path) -> None:
    rows = [f"train_{code:04d}.jpg {code}" for code in range(1, 12)] + ["test_001.jpg 8"]
    put(root, "EmoLabel/list_patition_label.txt", "\r\n".join(rows))
    for row in rows:
        put(root, f"Image/original/{row.split(' ')[0]}")


def struct(**fields: object) -> np.ndarray:
    made = np.empty((1, 1), dtype=[(name, object) for name in fields])
    for name, value in fields.items():
        made[name][0, 0] = value
    return made


def cell(*values: object) -> np.ndarray:
    made = np.empty((1, len(values)), dtype=object)
    for place, value in enumerate(values):
        made[0, place] = value
    return made


def structs(*items: np.ndarray) -> np.ndarray:
    return np.concatenate(items, axis=1)


def write_emotic(root: Path) -> None:
    vad = {"valence": 10.0, "arousal": 1.0, "dominance": float("nan")}
    many = struct(
        body_bbox=np.array([[-4.5, 2.0, 90.0, 200.5, 1.0]]),  # leaves the picture, and a fifth value
        annotations_categories=struct(categories=cell("Happiness", "Doubt/Confusion", "Disquietement")),
        annotations_continuous=struct(**vad),
        gender="Male",
        age="Adult",
    )
    one = struct(
        body_bbox=np.array([[1.0, 2.0, 3.0, 4.0]]),
        annotations_categories=struct(categories=cell("Anger")),
        annotations_continuous=struct(valence=5.5, arousal=5.5, dominance=5.5),
        gender="Female",
        age="Kid",
    )
    # The fields of val and test stand in another order, and there are more of them.
    combined = struct(
        gender="Male",
        combined_continuous=struct(valence=1.0, arousal=10.0, dominance=5.5),
        annotations_categories=structs(struct(categories=cell("Peace")), struct(categories=cell("Fear", "Pain"))),
        combined_categories=cell("Fear", "Pain", "Peace"),
        annotations_continuous=structs(struct(valence=2.0, arousal=2.0, dominance=2.0), struct(**vad)),
        body_bbox=np.array([[1.0, 2.0, 3.0, 4.0]]),
    )

    def item(name: str, person: np.ndarray) -> np.ndarray:
        size = struct(n_col=640, n_row=480)
        return struct(
            filename=name,
            folder="mscoco/images",
            image_size=size,
            original_database=struct(name="mscoco"),
            person=person,
        )

    content = {
        "train": structs(item("a.jpg", structs(many, one)), item("gone.jpg", one)),
        "val": item("b.jpg", combined),
        "test": item("c d.jpg", combined),
    }
    stream = io.BytesIO()
    scipy.io.savemat(stream, content, do_compression=True)
    put(root, "Annotations/Annotations.mat", stream.getvalue())
    for name in ("a.jpg", "b.jpg", "c d.jpg"):
        put(root, f"emotic/mscoco/images/{name}")


def write_emotic_csv(root: Path) -> None:
    header = ",Index,Folder,Filename,Image Size,BBox,Categorical_Labels,Continuous_Labels,Gender,Age"
    a = 'mscoco/images,a.jpg,"[640, 480]","[86, 58, 564, 628]"'
    for split, rows in {
        "train": [
            f"""0,0,{a},"['Disconnection', 'Doubt/Confusion']","[5.5, 1.0, 10.0]",Male,Adult""",
            f"""1,1,{a},"['Anger']","[nan, 1.0, 10.0]",Male,Adult""",
            f"""2,2,{a},"__import__('os').system('touch pwned')","[1, 1, 1]",Male,Adult""",
        ],
        "test": ["""0,0,mscoco/images,b.jpg,"[640, 480]","[1.5, 2, 3, 4, 9]","['Peace']","[1, 1, 1]",Male,Kid"""],
    }.items():
        put(root, f"annotations/{split}.csv", "\n".join([header, *rows]) + "\n")
    put(root, "emotic/mscoco/images/a.jpg")
    put(root, "emotic/mscoco/images/b.jpg")


def pixels(value: int) -> str:
    return " ".join([str(value)] * 2304)


def write_fer2013(root: Path, *, newline: str = "\n") -> None:
    usages = ["Training"] * 5 + ["PublicTest", "PrivateTest"]
    rows = [f"{code},{pixels(code * 10)},{usage}" for code, usage in enumerate(usages)]
    rows += [f"9,{pixels(0)},Training", "3,1 2 3,Training"]
    put(root, "fer2013.csv", newline.join(["emotion,pixels,Usage", *rows]) + newline)


def write_ckplus_csv(root: Path) -> None:
    usages = ["Training"] * 6 + ["PublicTest", "PrivateTest"]
    rows = [f"{code},{pixels(code * 10)},{usage}" for code, usage in enumerate(usages)]
    put(root, "ckextended.csv", "\n".join(["emotion,pixels,Usage", *rows, f"8,{pixels(0)},Training"]) + "\n")


def write_fer2013_folder(root: Path) -> None:
    for name in (
        "train/angry/Training_123.jpg", "train/happy/Training_7.jpg", "train/happy/Training_7.jpg5.jpg",
        "validation/neutral/PublicTest_9.jpg", "test/sad/PrivateTest_1.jpg", "test/sad/stranger.jpg",
    ):  # fmt: skip
        put(root, name)


def write_ferplus(root: Path) -> None:
    usages = ["Training", "Training", "PublicTest", "PrivateTest"]
    rows = [f"{code},{pixels(code)},{usage}" for code, usage in enumerate(usages)]
    put(root, "fer2013.csv", "\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    votes = [
        "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",
        "Training,,0,0,0,0,0,0,0,0,0,10",  # a blank name: no face
        "PublicTest,fer0000002.png,0,10,0,0,0,0,0,0,0,0",
        "PrivateTest,fer0000003.png,0,0,0,0,0,0,0,0,0,0",  # no votes at all
    ]
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    put(root, "fer2013new.csv", "\r\n".join([header, *votes]))


def write_jaffe(root: Path) -> None:
    for name in ("KA.AN1.39.tiff", "KA.HA2.30.tiff", "YM.SU3.60.tiff", ".DS_Store"):
        put(root, name)


def write_expw(root: Path) -> None:
    rows = [
        "angry_woman_1.jpg 0 10 20 110 120 60.5 3",
        "angry_woman_1.jpg 1 5 -7 50 60 59.1 0",  # another face, and its box leaves the picture
        "gone_9.jpg 0 1 2 3 4 50 6",
        "awe_2.jpg 0 1 2 3 4 50 7",
    ]
    put(root, "label/label.lst", "\n".join(rows))
    for name in ("angry_woman_1.jpg", "awe_2.jpg"):
        put(root, f"Images/{name}")


def write_kdef(root: Path) -> None:
    for name in ("AF01/AF01ANFL.JPG", "BF01/BF01AFS.JPG", "AM02/AM02SUHR.JPG", "AF01/AF01V.JPG"):
        put(root, name)
    for number in range(3, 40):
        put(root, f"AM{number:02d}/AM{number:02d}NES.JPG")


def write_rafd(root: Path) -> None:
    put(root, "Rafd090_01_Caucasian_female_angry_frontal.jpg")
    put(root, "Rafd045_61_Moroccan_male_contemptuous_left.jpg")


def write_sfew(root: Path) -> None:
    put(root, "Train_Aligned_Faces/Angry/Airheads_000519240_00000005.png")
    put(root, "Val_Aligned_Faces/Happy/Hall Pass_001_00000002.png")
    put(root, "Test_Aligned_Faces/Airheads_000519240_00000009.png")


def write_folder(root: Path) -> None:
    for name in ("train/happy/a.jpg", "train/sad/deeper/b.jpg", "test/Furcht/c.PNG", "train/loose.jpg"):
        put(root, name)


def write_csv(root: Path) -> None:
    put(root, "data/legend.csv", "user.id,image,emotion\n1,a.jpg,HAPPINESS\n1,b.jpg,\n2,a.jpg,happiness\n")
    put(root, "images/a.jpg")
    put(root, "images/b.jpg")


NAMES = ("surprise", "fear", "happy", "sad")  # not in the order of any release


def table(columns: dict[str, object], names: object = NAMES, *, label: str = "label", card: bool = False) -> pa.Table:
    """Return a table with pictures as `datasets` stores them, and the names of its classes in the schema."""
    kinds = {"bytes": pa.binary(), "path": pa.string()}
    arrays = {
        name: pa.array(values, pa.struct(list(kinds.items()))) if name in {"image", "mask"} else pa.array(values)
        for name, values in columns.items()
    }
    found = pa.table(arrays)
    if names is None or card:
        return found
    features = {label: {"names": list(names), "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    return found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def picture(name: str | None, path: str | None = None) -> dict[str, object]:
    return {"bytes": name.encode() if name else None, "path": path}


def parquet(found: pa.Table, *, rows: int = 2) -> bytes:
    stream = io.BytesIO()
    pq.write_table(found, stream, row_group_size=rows)
    return stream.getvalue()


def write_hub(root: Path) -> None:
    train = {
        "image": [picture("a"), picture("b"), picture(None), picture(None, "more/c.jpg"), None, picture("f")],
        "label": [0, 2, 3, 1, 1, -1],
        "mask": [picture("no")] * 6,
        "subject": ["p1", "p2", "p2", None, "p3", "p3"],
        "valence": [0.5, None, float("nan"), -1.0, 0.0, 0.0],
    }
    put(root, "data/train-00000-of-00001.parquet", parquet(table(train)))
    # The same classes in another order, and other columns.
    test = {"label": [0, 3], "image": [picture("g", "g.jpg"), picture("h", "h.jpg")]}
    put(root, "data/test-00000-of-00001.parquet", parquet(table(test, NAMES[::-1])))
    put(root, "data/more/c.jpg")
    put(root, "README.md", "---\nlicense: other\n---\n# A mirror\n")


def png(name: str, width: int = 100, height: int = 50) -> bytes:
    """Return a picture of which the size can be read, with other bytes for every name."""
    stream = io.BytesIO()
    Image.new("L", (width, height), sum(name.encode()) % 256).save(stream, "PNG")
    return stream.getvalue() + name.encode()


def write_yolo(root: Path) -> None:
    put(root, "data.yaml", "train: /content/x/train/images\nnc: 4\nnames: {2: happy, 0: surprise, 1: fear, 3: sad}\n")
    texts = {
        "train/a": "2 0.5 0.5 0.2 0.4\n3 0.1 0.1 0.1 0.2 0.3 0.1 0.3 0.3\n",  # a box and a polygon
        "valid/b": "",  # no face
        "valid/c": "0 0.5 0.5 0.1\n",
        "valid/d": "1 0.95 0.5 0.2 0.2\n",  # leaves the picture
    }
    for name, text in texts.items():
        split, _, stem = name.partition("/")
        put(root, f"{split}/labels/{stem}.txt", text)
        put(root, f"{split}/images/{stem}.png", png(name))
    put(root, "valid/labels/gone.txt", "0 0.5 0.5 0.1 0.1\n")


def write_coco(root: Path) -> None:
    said = {
        "images": [
            {"id": 0, "file_name": "a.jpg"},
            {"id": 7, "file_name": "b.jpg"},
            {"id": 2, "file_name": "gone.jpg"},
        ],
        "categories": [{"id": 0, "name": "emotions"}, {"id": 1, "name": "happy"}, {"id": 2, "name": "sad"}],
        "annotations": [
            {"image_id": 0, "category_id": 1, "bbox": [1, 2, 30, 40.5]},
            {"image_id": 0, "category_id": 2, "bbox": [50, 2, 30, 40]},
            {"image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4]},
            {"image_id": 0, "category_id": 9, "bbox": [1, 2, 3, 4]},
        ],
    }
    put(root, "train/_annotations.coco.json", json.dumps(said))
    for name in ("a.jpg", "b.jpg"):
        put(root, f"train/{name}")


def write_voc(root: Path) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40.5</ymax></bndbox>"
    objects = f"<object><name>happy</name>{box}</object><object><name>sad</name></object>"
    for name, inner in {"train/a": objects, "train/b": "", "test/c": "<object><name>fear</name></object>"}.items():
        put(root, f"{name}.xml", f"<annotation><filename>other.jpg</filename>{inner}</annotation>")
    put(root, "train/bomb.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>')
    for name in ("a.jpg", "b.jpg"):
        put(root, f"train/{name}")


def write_class_columns(root: Path) -> None:
    rows = ["a.jpg, 0, 1, 0", "b.jpg, 0, 0, 0", "c.jpg, 1, 1, 0", "d.jpg, x, 0, 0"]
    put(root, "train/_classes.csv", "\n".join(["filename, Anger, Happy, Sad", *rows]))
    put(root, "test/_classes.csv", "filename, Anger, Happy, Sad\ne.jpg, 0, 0, 1\n")
    for name in ("train/a.jpg", "train/b.jpg", "train/c.jpg", "train/d.jpg", "test/e.jpg"):
        put(root, name)


def write_path_list(root: Path) -> None:
    rows = ["train/a.jpg happy", "train/b c.jpg\tSadness", "train/gone.jpg fear", "train/a.jpg 5 0"]
    put(root, "lists/train.txt", "\r\n".join(rows))
    put(root, "lists/test.txt", "test/e.jpg,fear")
    for name in ("train/a.jpg", "train/b c.jpg", "test/e.jpg"):
        put(root, name)


def write_bu3dfe(root: Path) -> None:
    for name in ("F0001/F0001_AN01WH_F2D.bmp", "M0002/M0002_NE00BL_F2D.bmp", "F0003/F0003_SU04AE_F2D.bmp"):
        put(root, name)


def write_faces(root: Path) -> None:
    for name in ("004_o_m_a_b.jpg", "140_y_f_h_a.jpg"):
        put(root, name)


WRITERS = {
    "affectnet": write_affectnet, "affectnet_npy": write_affectnet_npy, "affectnet_folder": write_affectnet_folder,
    "ckplus": write_ckplus, "ckplus_csv": write_ckplus_csv, "ck48": write_ck48,
    "rafdb": write_rafdb, "rafdb_folder": write_rafdb_folder,
    "rafdb_compound": write_rafdb_compound,
    "emotic": write_emotic, "emotic_csv": write_emotic_csv, "fer2013": write_fer2013,
    "fer2013_folder": write_fer2013_folder, "ferplus": write_ferplus, "jaffe": write_jaffe, "expw": write_expw,
    "kdef": write_kdef, "rafd": write_rafd, "sfew": write_sfew, "hub": write_hub,
    "folder": write_folder, "csv": write_csv, "yolo": write_yolo, "coco": write_coco, "voc": write_voc,
    "class_columns": write_class_columns, "path_list": write_path_list, "bu3dfe": write_bu3dfe, "faces": write_faces,
    **CLIP_WRITERS,
}  # fmt: skip
