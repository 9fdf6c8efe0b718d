"""Write results for VTK readers: unstructured grids (VTU) and time series (PVD), without a graphics library.

Arrays are appended as base64 of zlib-compressed blocks. Source of the layout: the VTK file formats page of the VTK
documentation (XML formats, appended data, compressed arrays).
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from spinefix.errors import MeshError
from spinefix.mesh.core import Mesh
from spinefix.mesh.elements import VTK_TYPE

_BLOCK = 1 << 20  # bytes compressed at a time
_NAMES = {"f4": "Float32", "f8": "Float64", "i4": "Int32", "i8": "Int64", "u1": "UInt8"}

Array = NDArray[np.generic]


def write_vtu(
    path: str | Path,
    mesh: Mesh,
    point_data: Mapping[str, Array] | None = None,
    cell_data: Mapping[str, Array] | None = None,
    *,
    level: int = 1,
) -> Path:
    """Write a mesh with results.

    Parameters
    ----------
    path : path
        File to write, usually ``*.vtu``.
    mesh : Mesh
    point_data, cell_data : mapping, name -> (n_points, ...) or (n_cells, ...)
        Floats are stored as float32, integers as int32, booleans as uint8. Trailing axes are flattened to components.
    level : int
        zlib level; 1 is fast and nearly as small as the others for results.

    Raises
    ------
    MeshError
        An array does not have one row per point or cell.
    """
    body = _Appended(level)
    lines = ['<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian" header_type="UInt64"']
    lines[0] += ' compressor="vtkZLibDataCompressor">'
    lines.append(f'<UnstructuredGrid><Piece NumberOfPoints="{mesh.n_points}" NumberOfCells="{mesh.n_cells}">')
    lines += ["<Points>", body.add("Points", mesh.points), "</Points>", "<Cells>"]
    lines.append(body.add("connectivity", np.concatenate([b.conn.ravel() for b in mesh.blocks] or [np.zeros(0, "i4")])))
    sizes = np.concatenate([np.full(len(b), b.conn.shape[1]) for b in mesh.blocks] or [np.zeros(0, int)])
    types = np.concatenate([np.full(len(b), VTK_TYPE[b.kind]) for b in mesh.blocks] or [np.zeros(0, int)])
    lines += [body.add("offsets", np.cumsum(sizes).astype("i4")), body.add("types", types.astype("u1")), "</Cells>"]
    for tag, data, n in (("PointData", point_data, mesh.n_points), ("CellData", cell_data, mesh.n_cells)):
        lines.append(f"<{tag}>")
        for name, array in (data or {}).items():
            if len(array) != n:
                raise MeshError(f"{tag} {name!r} has {len(array)} rows for {n}")
            lines.append(body.add(name, _compact(np.asarray(array))))
        lines.append(f"</{tag}>")
    lines += ["</Piece></UnstructuredGrid>", '<AppendedData encoding="base64">', "_"]
    path = Path(path)
    with path.open("wb") as file:
        file.write("\n".join(lines).encode())
        file.writelines(body.parts)
        file.write(b"\n</AppendedData></VTKFile>\n")
    return path


def write_pvd(path: str | Path, frames: Iterable[tuple[float, str | Path]]) -> Path:
    """Write a time series: (time or load factor, VTU file) pairs; files are named relative to `path`."""
    path = Path(path)
    lines = ['<VTKFile type="Collection" version="1.0" byte_order="LittleEndian"><Collection>']
    for time, file in frames:
        file = Path(file)
        name = file.relative_to(path.parent) if file.is_relative_to(path.parent) else file
        lines.append(f'<DataSet timestep="{time:.9g}" part="0" file={quoteattr(name.as_posix())}/>')
    lines.append("</Collection></VTKFile>")
    path.write_text("\n".join(lines) + "\n")
    return path


def _compact(array: Array) -> Array:
    for source, target in ((np.bool_, "u1"), (np.integer, "i4"), (np.floating, "f4")):
        if np.issubdtype(array.dtype, source):
            return array.astype(target)
    raise MeshError(f"cannot write an array of type {array.dtype}")


class _Appended:
    """Collects encoded arrays and knows the offset of each."""

    def __init__(self, level: int) -> None:
        self.level = level
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, name: str, array: Array) -> str:
        """Encode `array` and return its XML declaration."""
        array = np.ascontiguousarray(array)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        raw = memoryview(array.tobytes())
        blocks = [zlib.compress(raw[i : i + _BLOCK], self.level) for i in range(0, len(raw), _BLOCK)]
        head = [len(blocks), _BLOCK, len(raw) % _BLOCK, *map(len, blocks)]
        encoded = [base64.b64encode(np.array(head, "<u8").tobytes()), base64.b64encode(b"".join(blocks))]
        offset = self.size
        self.parts += encoded
        self.size += sum(map(len, encoded))
        components = int(np.prod(array.shape[1:], dtype=int))
        return (
            f'<DataArray type="{_NAMES[array.dtype.str[1:]]}" Name={quoteattr(name)} '
            f'NumberOfComponents="{components}" format="appended" offset="{offset}"/>'
        )
