"""What the Tracks page compares: systems on one clip, brought to one list of classes, and what is computed of each."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from app.clip import analysis
from app.clip.caches import SYSTEMS
from app.clip.detections import System
from app.networks import registry
from app.plots.ribbons import Ribbons
from app.ui.session import Source
from einv2.analysis import attention
from einv2.labels import frame_tables
from einv2.metrics import track_assignment
from einv2.metrics.agreement import Agreement, agreement, differences
from einv2.metrics.identity import IdentityCounts, identity_counts
from einv2.metrics.track_assignment import Assignment, Following


@dataclass(frozen=True)
class Comparison:
    """Systems, and the reference's frame table or None, all with indices into ``classes``. key: of the reference and the classes."""

    systems: dict[str, System]
    reference: pd.DataFrame | None
    classes: tuple[str, ...]
    key: tuple

    @property
    def events(self) -> pd.DataFrame | None:
        """The reference's events in order of onset, as ``Following.events``; None without a reference."""
        if self.reference is None:
            return None
        return next(iter(tracked(self).values())).following.events


@dataclass(frozen=True)
class Tracked:
    """A system against the reference; without one every segment follows nothing."""

    system: System
    following: Following
    ribbons: Ribbons

    @property
    def assignment(self) -> Assignment:
        return track_assignment.assignment(self.following, self.system.table, len(self.system.lanes))


def compare(systems: Sequence[System], truth: analysis.Truth | None, truth_key: tuple) -> Comparison:
    """All with one list of classes: those of every side, by name."""
    lists = [s.classes for s in systems] + ([truth.classes] if truth else [])
    classes = tuple(dict.fromkeys(name for names in lists for name in names))
    reference = None if truth is None else _renumbered(truth.table, truth.classes, classes)
    same = {
        s.name: dataclasses.replace(s, table=_renumbered(s.table, s.classes, classes), classes=classes) for s in systems
    }
    return Comparison(same, reference, classes, (truth_key, classes))


def _renumbered(table: pd.DataFrame, old: Sequence[str], new: Sequence[str]) -> pd.DataFrame:
    if tuple(old) == tuple(new):
        return table
    number = np.array([new.index(name) for name in old])
    return table.assign(**{"class": number[table["class"].to_numpy()]})


# What is computed


def tracked(comparison: Comparison) -> dict[str, Tracked]:
    """Every system against the reference."""
    return {
        name: SYSTEMS.get(("tracked", system.key, comparison.key), functools.partial(_track, system, comparison))
        for name, system in comparison.systems.items()
    }


def _track(system: System, comparison: Comparison) -> Tracked:
    reference = frame_tables.empty_table() if comparison.reference is None else comparison.reference
    found = track_assignment.follow(reference, system.numbered)
    found = dataclasses.replace(found, marks=system.on_lanes(found.marks))
    return Tracked(system, found, Ribbons(track_assignment.segments(found, system.table), found.marks))


def counts(comparison: Comparison) -> dict[str, IdentityCounts]:
    """The identity of every system's tracks; there must be a reference."""
    assert comparison.reference is not None
    return {
        name: SYSTEMS.get(
            ("counts", system.key, comparison.key),
            functools.partial(identity_counts, comparison.reference, system.numbered),
        )
        for name, system in comparison.systems.items()
    }


def compared(comparison: Comparison, first: str, second: str) -> pd.DataFrame:
    """Where one of two systems is right and the other is not, see ``agreement.differences``; there must be a reference."""
    a, b = comparison.systems[first], comparison.systems[second]
    key = ("differences", a.key, b.key, comparison.key)
    assert comparison.reference is not None
    return SYSTEMS.get(key, functools.partial(differences, comparison.reference, a.table, b.table))


def agreed(comparison: Comparison, first: str, second: str) -> Agreement:
    a, b = comparison.systems[first], comparison.systems[second]
    key = ("agreement", a.key, b.key, comparison.classes)
    return SYSTEMS.get(key, lambda: agreement(a.table, b.table, len(a.lanes), len(b.lanes)))


def internals(source: Source, name: str, chunk: int) -> attention.Internals:
    """What happens inside a network in the chunk-th chunk of the clip as it is shown, as long as those of its training."""
    return SYSTEMS.get(("look", source.key, name, registry.stamp(name), chunk), lambda: _record(source, name, chunk))


def _record(source: Source, name: str, chunk: int) -> attention.Internals:
    model = analysis.load_model(name)
    start = source.start + chunk * model.chunk_seconds
    return attention.record_internals(model, analysis.block(source, start, model.sample_rate, model.chunk_seconds))
