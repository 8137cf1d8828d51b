"""Boxes in a csv, under every name that people give their sides."""

import pytest

from tests.pipeline.sources.trees import Read, put

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
