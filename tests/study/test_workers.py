"""Work in processes: order, errors that travel, and an end that is told."""

import os
import pickle
from dataclasses import dataclass

import pytest

from spinefix.errors import ScenarioError, SpinefixError, UsageError
from spinefix.fem.linsolve import NotPositiveDefinite
from spinefix.fem.newton import NotConverged, Path
from spinefix.study.workers import in_processes, in_threads


@dataclass
class Task:
    """A number, or minus one for a process that dies."""

    number: int


def square(task):
    if task.number < 0:
        os._exit(1)
    return task.number**2


@pytest.mark.parametrize("spread", [in_threads, in_processes])
def test_answers_come_in_order(spread):
    assert list(spread(square, [Task(3), Task(1), Task(2)], 2)) == [9, 1, 4]


def test_a_process_that_dies_is_told():
    with pytest.raises(SpinefixError, match="memory"):
        list(in_processes(square, [Task(-1), Task(1)], 2))


@pytest.mark.parametrize(
    "error",
    [
        UsageError("too long", key=("screws", 0)),
        ScenarioError(["a.yaml:1: x", "a.yaml:2: y"]),
        NotPositiveDefinite("breakdown", 7),
        NotConverged("gave up", Path((), ()), ["L3", "L4"]),
    ],
)
def test_errors_travel(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error)
    kept = {k: v for k, v in vars(error).items() if k not in ("partial", "history")}
    assert {k: vars(again)[k] for k in kept} == kept
