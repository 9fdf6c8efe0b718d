"""Sparsity of a block matrix from cliques (elements, beams, springs): rows, columns and where each entry goes."""

from __future__ import annotations

from typing import Any

import numpy as np

from spinefix.jit import kernel


@kernel
def cliques_of_rows(offsets: Any, members: Any, out_start: Any, out_cliques: Any) -> None:
    """Transpose cliques -> rows: members[offsets[c]:offsets[c + 1]] are the rows of clique c; out_start (rows + 1,)."""
    out_start[:] = 0
    for x in range(members.shape[0]):
        out_start[members[x] + 1] += 1
    for r in range(out_start.shape[0] - 1):
        out_start[r + 1] += out_start[r]
    fill = out_start.copy()
    for c in range(offsets.shape[0] - 1):
        for x in range(offsets[c], offsets[c + 1]):
            r = members[x]
            out_cliques[fill[r]] = x  # the position in `members`: clique and local row at once
            fill[r] += 1


@kernel
def count_blocks(offsets: Any, owner: Any, members: Any, start: Any, positions: Any, out_indptr: Any) -> None:
    """Number of blocks in each row, diagonal included, as a running sum; owner[x] is the clique of position x."""
    rows = start.shape[0] - 1
    seen = np.full(rows, -1, np.int32)
    out_indptr[0] = 0
    for r in range(rows):
        seen[r] = r
        count = 1
        for y in range(start[r], start[r + 1]):
            c = owner[positions[y]]
            for x in range(offsets[c], offsets[c + 1]):
                col = members[x]
                if seen[col] != r:
                    seen[col] = r
                    count += 1
        out_indptr[r + 1] = out_indptr[r] + count


@kernel
def fill_columns(
    offsets: Any, owner: Any, members: Any, start: Any, positions: Any, indptr: Any, out_indices: Any
) -> None:
    """Sorted columns of each row.

    Rows are met in ascending order, and the pattern is symmetric; so writing each row number into the rows of its
    columns leaves every row sorted, without a sort.
    """
    rows = start.shape[0] - 1
    seen = np.full(rows, -1, np.int32)
    fill = indptr[:-1].copy()
    for r in range(rows):
        seen[r] = r
        out_indices[fill[r]] = r
        fill[r] += 1
        for y in range(start[r], start[r + 1]):
            c = owner[positions[y]]
            for x in range(offsets[c], offsets[c + 1]):
                col = members[x]
                if seen[col] != r:
                    seen[col] = r
                    out_indices[fill[col]] = r
                    fill[col] += 1


@kernel
def map_blocks(
    offsets: Any,
    owner: Any,
    members: Any,
    start: Any,
    positions: Any,
    map_offsets: Any,
    indptr: Any,
    indices: Any,
    out_map: Any,
) -> None:
    """For each pair of members of a clique, the number of its block."""
    where = np.empty(start.shape[0] - 1, np.int32)
    for r in range(start.shape[0] - 1):
        for k in range(indptr[r], indptr[r + 1]):
            where[indices[k]] = k
        for y in range(start[r], start[r + 1]):
            p = positions[y]
            c = owner[p]
            size = offsets[c + 1] - offsets[c]
            base = map_offsets[c] + (p - offsets[c]) * size
            for x in range(size):
                out_map[base + x] = where[members[offsets[c] + x]]


@kernel
def scatter_blocks(blocks: Any, bmap: Any, out_data: Any) -> None:
    """Add clique matrices (c, s, s, 3, 3) to the block matrix through bmap (c, s, s)."""
    for c in range(bmap.shape[0]):
        for a in range(bmap.shape[1]):
            for b in range(bmap.shape[2]):
                target = out_data[bmap[c, a, b]]
                for i in range(3):
                    for k in range(3):
                        target[i, k] += blocks[c, a, b, i, k]
