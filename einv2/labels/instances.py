"""Linking the rows of a frame table into instances, where track numbers do not identify them: DCASE formats without numbers, and
systems that write the same number for all.

Units: frames of 100 ms, degrees (great-circle). N rows.
"""

import numpy as np
import pandas as pd

from .. import geometry
from ..frames import LABEL_FRAMES_PER_SECOND
from ..matching import MATCH_DEGREES, assign

GAP_FRAMES = LABEL_FRAMES_PER_SECOND  # an instance that was silent for longer may take another event
LINK_DEGREES = 2 * MATCH_DEGREES  # largest distance of two directions that are both right for one event


def linked(table: pd.DataFrame) -> np.ndarray:
    """The instance of its class, from 0, that each row of a frame table (see ``einv2.labels.frame_tables``) belongs to, (N,).

    In each frame the rows of a class are matched with its instances at least total distance, where an instance was at most
    ``LINK_DEGREES`` away and at most ``GAP_FRAMES`` before. A row that is left over takes the nearest of the
    instances that were silent for longer, or else is a new instance. Only the table is used, so a jump of a system stays a jump.
    """
    instance = np.zeros(len(table), np.int64)
    frame = table["frame"].to_numpy()
    vectors = geometry.to_vector(table["azimuth"].to_numpy(), table["elevation"].to_numpy())
    for rows in table.groupby("class").indices.values():
        rows = rows[np.argsort(frame[rows], kind="stable")]
        instance[rows] = _link(frame[rows], vectors[rows])
    return instance


def _link(frame: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The instances (N,) of the rows of one class, in order of frame; vectors (N, 3)."""
    instance = np.zeros(len(frame), np.int64)
    # the last frame of each instance, and its direction there
    seen, where = np.zeros(0, np.int64), np.zeros((0, 3))
    _, starts = np.unique(frame, return_index=True)
    for rows in np.split(np.arange(len(frame)), starts[1:]):
        now, here = frame[rows[0]], vectors[rows]
        taken = _taken(geometry.distance(here[:, None], where[None]), now - seen <= GAP_FRAMES)
        more = max(int(taken.max()) + 1 - len(seen), 0)
        seen, where = np.append(seen, np.zeros(more, np.int64)), np.concatenate([where, np.zeros((more, 3))])
        instance[rows], seen[taken], where[taken] = taken, now, here
    return instance


def _taken(distance: np.ndarray, going_on: np.ndarray) -> np.ndarray:
    """The instance of each row of a frame, (n,): distance (n, instances), going_on (instances,) bool."""
    taken = assign(np.where(going_on & (distance <= LINK_DEGREES), distance, np.inf)[None])[0]
    new = len(going_on)
    for row in np.flatnonzero(taken < 0):
        free = np.setdiff1d(np.flatnonzero(~going_on), taken)
        taken[row] = free[distance[row, free].argmin()] if len(free) else new
        new += not len(free)
    return taken
