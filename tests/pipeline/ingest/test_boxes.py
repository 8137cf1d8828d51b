"""Boxes in a csv, under every name that people give their sides."""

import pytest

from tests.pipeline.ingest.layouts import AFFECTNET_HEADER, POINTS_68, Read, put

CORNERS = "10,20,40,60"
SIZE = "10,20,30,40"
BOX = [10, 20, 40, 60]


@pytest.mark.parametrize(
    ("header", "cells", "box"),
    [
        ("x0,y0,x1,y1", CORNERS, BOX),
        ("x1,y1,x2,y2", CORNERS, BOX),
        ("xmin,ymin,xmax,ymax", CORNERS, BOX),
        ("x_min,y_min,x_max,y_max", CORNERS, BOX),
        ("left,top,right,bottom", CORNERS, BOX),
        ("top,left,bottom,right", "20,10,60,40", BOX),
        ("x,y,w,h", SIZE, BOX),
        ("X,Y,Width,Height", SIZE, BOX),
        ("left,top,width,height", SIZE, BOX),
        ("x1,y1,w,h", SIZE, BOX),
        ("x0,y0,width,height", SIZE, BOX),
        ("bbox_x,bbox_y,bbox_w,bbox_h", SIZE, BOX),
        ("bbox_x1,bbox_y1,bbox_x2,bbox_y2", CORNERS, BOX),
        ("bbox_x0,bbox_y0,bbox_x1,bbox_y1", CORNERS, BOX),
        ("bboxLeft,bboxTop,bboxRight,bboxBottom", CORNERS, BOX),
        ("face_x,face_y,face_width,face_height", SIZE, BOX),
        ("box_xmin,box_ymin,box_xmax,box_ymax", CORNERS, BOX),
        # The picture's own size beside the corners of the box.
        ("width,height,xmin,ymin,xmax,ymax", "640,480," + CORNERS, BOX),
        ("x0,y0,x1,y1,w,h", CORNERS + ",640,480", BOX),
        ("face_x,face_y,face_w,face_h,x,y,w,h", SIZE + ",0,0,640,480", BOX),
        # The points of a list are no box.
        ("x0,y0,x1,y1,x2,y2", "1,2,3,4,5,6", None),
        ("x1,y1,x2,y2,x3,y3", "1,2,3,4,5,6", None),
        ("x0,y0,x1,y1,x2,y2,xmin,ymin,xmax,ymax", "1,2,3,4,5,6," + CORNERS, BOX),
        # Half a box is none, nor is the size of the picture.
        ("x0,y0", "1,2", None),
        ("width,height", "640,480", None),
        ("x1,y1", "5,6", None),
    ],
)
def test_sides_of_a_box_are_told_by_the_names_that_stand_together(header, cells, box, tmp_path):
    put(tmp_path / "raw", "a.jpg")
    put(tmp_path / "raw", "l.csv", f"path,{header},label\na.jpg,{cells},happy\n")
    (row,) = Read(tmp_path / "raw", tmp_path / "out", fmt="csv").rows
    assert row["source_box"] == box
    assert row["source_box_kind"] == (None if box is None else "face")


def test_sides_that_are_named_in_the_parameters_are_the_ones(tmp_path):
    put(tmp_path / "raw", "a.jpg")
    put(tmp_path / "raw", "l.csv", "path,x0,y0,x1,y1,p,q,r,s,label\na.jpg,1,1,2,2,10,20,30,40,happy\n")
    columns = {"x0": "p", "y0": "q", "width": "r", "height": "s"}
    (row,) = Read(tmp_path / "raw", tmp_path / "out", fmt="csv", columns=columns).rows
    assert row["source_box"] == BOX


def write_expw(root, x0, y0, x1, y1):
    put(root, "label.lst", f"a.jpg 0 {y0} {x0} {x1} {y1} 60.5 3")
    put(root, "Images/a.jpg")


def write_affectnet(root, x0, y0, x1, y1):
    points = ";".join(f"{x};{y}" for x, y in POINTS_68)
    row = f"1/a.jpg,{x0},{y0},{x1 - x0},{y1 - y0},{points},1,0.5,0.25"
    put(root, "training.csv", f"{AFFECTNET_HEADER}\n{row}\n")
    put(root, "1/a.jpg")


def write_rafdb(root, x0, y0, x1, y1):
    put(root, "EmoLabel/list_patition_label.txt", "train_00001.jpg 4")
    put(root, "Image/original/train_00001.jpg")
    put(root, "Annotation/boundingbox/train_00001_boundingbox.txt", f"{x0} {y0} {x1} {y1} ")


def write_emotic_csv(root, x0, y0, x1, y1):
    header = "Index,Folder,Filename,Image Size,BBox,Categorical_Labels,Continuous_Labels,Gender,Age"
    row = f'0,mscoco/images,a.jpg,"[640, 480]","[{x0}, {y0}, {x1}, {y1}]",[\'Anger\'],"[5, 5, 5]",Male,Adult'
    put(root, "train.csv", f"{header}\n{row}\n")
    put(root, "emotic/mscoco/images/a.jpg")


def write_csv(root, x0, y0, x1, y1):
    put(root, "l.csv", f"path,xmin,ymin,xmax,ymax,label\na.jpg,{x0},{y0},{x1},{y1},happy\n")
    put(root, "a.jpg")


def write_sizes(root, x0, y0, x1, y1):
    put(root, "l.csv", f"path,x,y,w,h,label\na.jpg,{x0},{y0},{x1 - x0},{y1 - y0},happy\n")
    put(root, "a.jpg")


WRITE = [write_expw, write_affectnet, write_rafdb, write_emotic_csv, write_csv, write_sizes]


@pytest.mark.parametrize("write", WRITE)
@pytest.mark.parametrize(
    ("sides", "whole"),
    [
        ((10, 20, 40, 60), True), ((10, 20, 11, 21), True), ((-5, -6, 40, 60), True),
        ((10, 20, 10, 60), False), ((10, 20, 40, 20), False), ((10, 20, 9, 60), False), ((10, 20, 40, 19), False),
        ((40, 60, 10, 20), False),
    ],
)  # fmt: skip
def test_box_without_an_area_is_left_empty_and_told(write, sides, whole, tmp_path):
    write(tmp_path / "raw", *sides)
    found = Read(tmp_path / "raw", tmp_path / "out")
    (row,) = found.rows
    kind = "body" if write is write_emotic_csv else "face"
    assert (row["source_box"], row["source_box_kind"]) == ((list(sides), kind) if whole else (None, None))
    told = [note for note in found.summary["notes"] if "is left empty, as in 1 rows in all" in note]
    assert len(told) == (not whole)
