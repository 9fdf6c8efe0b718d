"""Work side by side: in threads that share memory, or in processes that do not wait for one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from joblib import Parallel, delayed
from threadpoolctl import ThreadpoolController

from spinefix.errors import SpinefixError

A = TypeVar("A")
B = TypeVar("B")


def in_threads(one: Callable[[A], B], items: Sequence[A], workers: int) -> Iterator[B]:
    """Yield `one` of each item in order, as soon as it and all before it are done.

    The dense algebra of NumPy keeps to one thread: its matrices are small, and threads that wait for the next one spin.
    """
    dense = ThreadpoolController().select(internal_api="openblas")
    with dense.limit(limits=1), ThreadPoolExecutor(workers) as pool:
        yield from pool.map(one, items)


def in_processes(one: Callable[[A], B], items: Sequence[A], workers: int) -> Iterator[B]:
    """As `in_threads` in processes of their own; what goes in and comes out is copied.

    Python threads that call many short kernels wait for each other: two nonlinear arms took 1.4 times the processor
    time they take apart. A process costs a few seconds to start. Scripts need no guard of their ``__main__``.

    Raises
    ------
    SpinefixError
        A process died.
    """
    pool = Parallel(n_jobs=workers, backend="loky", inner_max_num_threads=1, return_as="generator", max_nbytes=None)
    try:
        yield from pool(delayed(one)(item) for item in items)
    except BrokenProcessPool as error:  # joblib's own is one
        raise SpinefixError(
            "a process that solved an arm was ended from outside, mostly because memory ran out; what was finished "
            f"before is kept. A coarser mesh (segment.resolution) needs less. ({error})"
        ) from error
