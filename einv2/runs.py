"""Runs: stretches of rows, in consecutive frames, in which something stays the same."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Runs:
    """R runs of N rows, without gaps: run r holds the rows ``order[starts[r]:ends[r]]``.

    order (N,): rows of a table; starts, ends (R,): positions in ``order``.
    """

    order: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @property
    def first(self) -> np.ndarray:
        """The first row of each run, (R,)."""
        return self.order[self.starts]

    @property
    def last(self) -> np.ndarray:
        """The last row of each run, (R,)."""
        return self.order[self.ends - 1]

    @property
    def lengths(self) -> np.ndarray:
        """How many rows each run has, (R,)."""
        return self.ends - self.starts

    @property
    def of_position(self) -> np.ndarray:
        """The run of each position in ``order``, (N,)."""
        return np.repeat(np.arange(len(self.starts)), self.lengths)

    @property
    def of_row(self) -> np.ndarray:
        """The run of each row of the table, (N,)."""
        run = np.empty(len(self.order), np.int64)
        run[self.order] = self.of_position
        return run

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Means (R, ...) of values (N, ...) that are in the order of ``order``."""
        sums = np.add.reduceat(values, self.starts, axis=0) if len(self.starts) else values[:0]
        return sums / self.lengths.reshape(-1, *[1] * (values.ndim - 1))


def find_runs(
    *columns: np.ndarray, frame: np.ndarray | None = None, order: np.ndarray | None = None, repeats: bool = False
) -> Runs:
    """Runs of rows in which all columns (N,) stay the same and, where ``frame`` (N,) is given, the frame goes up by one.

    order (N,): the order in which rows follow one another; without it they are in order already. repeats: several rows of one
    frame belong to one run.
    """
    columns = tuple(column if order is None else column[order] for column in columns)
    order = np.arange(len(columns[0])) if order is None else order
    begins = np.zeros(len(order), bool)
    begins[:1] = True
    for column in columns:
        begins[1:] |= column[1:] != column[:-1]
    if frame is not None:
        step = np.diff(frame[order])
        begins[1:] |= (step > 1) if repeats else (step != 1)
    starts = np.flatnonzero(begins)
    return Runs(order, starts, np.append(starts, len(order))[1:])
