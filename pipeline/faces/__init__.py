"""Faces: found, aligned and accounted for.

`detector` is the protocol, one file a detector; `cascade` tries them in turn; `choice` takes the right face of a
picture; `geometry` and `warp` bring it to the template; `crop` measures how good it is; `part` does all of that for one
part of a table, and `align` for the whole of it.
"""
