"""Which estimate is which reference: pairs of rows of two frame tables, and the one-to-one matching among them.

Frame tables (see ``einv2.labels.frame_tables``) of one clip, or of many with a column ``clip`` (int). Units: degrees, great-circle.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import geometry, matching
from ..labels import frame_tables


@dataclass(frozen=True)
class Pairs:
    """P pairs: a row of the reference and one of the estimate that have the same key, and the degrees between them; each (P,)."""

    reference: np.ndarray
    estimate: np.ndarray
    key: np.ndarray
    degrees: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> "Pairs":
        return Pairs(self.reference[chosen], self.estimate[chosen], self.key[chosen], self.degrees[chosen])

    def matched(self, max_degrees: float = np.inf) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of the reference and of the estimate that are matched one to one within each key, and the degrees between them.

        As many pairs of at most ``max_degrees`` as can be, and of those matchings the one of least total distance.
        """
        cost = matching.within(self.degrees, max_degrees)
        return matching.least_cost(self.reference, self.estimate, self.key, cost)


def find_pairs(
    reference: pd.DataFrame,
    estimate: pd.DataFrame,
    columns: tuple[str, ...] = ("frame", "class"),
    rows: tuple[np.ndarray, np.ndarray] | None = None,
) -> Pairs:
    """All pairs of rows that are equal in clip and ``columns``.

    rows: which rows of reference and estimate to look at, and in which order: it decides between matchings at equal distance.
    """
    keys = frame_tables.keys(columns, reference, estimate)
    rows = rows or (np.arange(len(reference)), np.arange(len(estimate)))
    i, j = matching.pairs_within(keys[0][rows[0]], keys[1][rows[1]])
    i, j = rows[0][i], rows[1][j]
    return Pairs(i, j, keys[0][i], geometry.distance(vectors(reference)[i], vectors(estimate)[j]))


def vectors(table: pd.DataFrame) -> np.ndarray:
    """The directions of the rows as unit vectors (N, 3)."""
    return geometry.to_vector(table["azimuth"].to_numpy(float), table["elevation"].to_numpy(float))
