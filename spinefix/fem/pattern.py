"""Sparsity of the global matrix in 3 x 3 blocks, built once per model, with the place of every element entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from spinefix.fem import kernels_pattern as kernels

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True)
class Share:
    """The rows that one thread owns and the elements that touch them.

    Parameters
    ----------
    first, last : int
        Half-open range of block rows.
    elements : tuple of (t,) int32
        For each clique table, the cliques with a node among these rows, ascending.
    """

    first: int
    last: int
    elements: tuple[I32, ...]


@dataclass(frozen=True)
class BlockPattern:
    """Block rows and columns, and for each element the number of each of its blocks.

    Parameters
    ----------
    indptr : (n_blocks + 1,) int32
    indices : (nb,) int32
        Sorted block columns of each row; the diagonal block is always there.
    maps : tuple of (c, s, s) int32
        For each clique table given to `build`, where block (a, b) of clique c lies in the data array (nb, 3, 3).
    shares : tuple of Share
        Rows split among threads. Entries are summed in element order by the one owner of a row, so the result does
        not depend on the number of threads.
    """

    indptr: I32
    indices: I32
    maps: tuple[I32, ...]
    shares: tuple[Share, ...]

    @property
    def n_blocks(self) -> int:
        """Number of block rows."""
        return len(self.indptr) - 1

    @classmethod
    def build(cls, n_blocks: int, cliques: Sequence[I32], *, threads: int | None = None) -> BlockPattern:
        """Build the pattern in which all members of a clique are coupled.

        Parameters
        ----------
        n_blocks : int
        cliques : sequence of (c, s) int32
            Tables of block numbers: connectivities of elements, (c, 2) pairs of springs, ...
        threads : int, optional
            Number of shares; Numba's thread number by default.

        Raises
        ------
        ValueError
            A clique refers to a block out of range.
        """
        tables = [np.ascontiguousarray(c, np.int32) for c in cliques]
        for t in tables:
            if t.size and (t.min() < 0 or t.max() >= n_blocks):
                raise ValueError(f"a clique refers to block {int(t.max())} of {n_blocks}")
        sizes = np.concatenate([np.full(len(t), t.shape[1], np.int64) for t in tables] or [np.zeros(0, np.int64)])
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        map_offsets = np.concatenate([[0], np.cumsum(sizes**2)])
        members = np.concatenate([t.ravel() for t in tables] or [np.zeros(0, np.int32)])
        owner = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        start = np.zeros(n_blocks + 1, np.int64)
        positions = np.empty(len(members), np.int64)
        kernels.cliques_of_rows(offsets, members, start, positions)
        indptr = np.zeros(n_blocks + 1, np.int32)
        kernels.count_blocks(offsets, owner, members, start, positions, indptr)
        indices = np.empty(indptr[-1], np.int32)
        flat = np.empty(map_offsets[-1], np.int32)
        kernels.fill_columns(offsets, owner, members, start, positions, indptr, indices)
        kernels.map_blocks(offsets, owner, members, start, positions, map_offsets, indptr, indices, flat)
        maps = []
        done = 0
        for t in tables:
            size = len(t) * t.shape[1] ** 2
            maps.append(flat[done : done + size].reshape(len(t), t.shape[1], t.shape[1]))
            done += size
        shares = _split_rows(indptr, tables, threads or numba.get_num_threads())
        return cls(indptr, indices, tuple(maps), shares)


def _split_rows(indptr: I32, tables: Sequence[I32], parts: int) -> tuple[Share, ...]:
    """Split rows into ranges of about equal numbers of blocks."""
    n = len(indptr) - 1
    cuts = np.searchsorted(indptr, np.linspace(0, indptr[-1], parts + 1)[1:-1]).tolist()
    edges = [0, *cuts, n]
    out = []
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        touching = [np.flatnonzero(((t >= first) & (t < last)).any(axis=1)).astype(np.int32) for t in tables]
        out.append(Share(int(first), int(last), tuple(touching)))
    return tuple(out)
