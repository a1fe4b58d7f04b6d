"""The parts of the PIT lab that are about a clip: the microscope, several networks side by side, homogeneous overlap."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st
import torch

from app.clip import analysis
from app.clip.analysis import Hearing, Truth
from app.player.component import Recording, TraceArrays, player, scene
from app.plots import pit, ribbons
from app.ui import session, texts, widgets
from app.ui.session import Source
from app.views.pit_lab import pit_texts
from einv2 import geometry
from einv2.analysis import pit_costs
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.inference.decoding import decode
from einv2.inference.model import Prediction
from einv2.labels import frame_tables
from einv2.metrics import errors, midpoint, track_assignment
from einv2.metrics.identity import identity_counts
from einv2.metrics.single_task import doa_alone, overlap_recall
from einv2.training import losses

FIGURE_KEY, AUDIO_KEY = "pit_figure", "pit_audio"
THRESHOLD = 0.5
PARTS = {"Sum of both": None, "SED": "sed", "DoA": "doa"}
COST_TITLES = {None: "SED + DoA", "sed": "SED (nats)", "doa": "DoA (sq. error)"}
MARKED = {"no PIT": "none", "cPIT": "cpit"}
SELDNET_LABEL, TRACK_LABEL = "the label in SELDnet format", "the label trackwise"
IDENTITY = ("swaps_per_minute", "fragments_per_event", "purity", "duplicate_share")


@dataclass(frozen=True)
class Lab:
    """A clip with its ground truth, through one network or more. predictions: by the title under which a network is shown.

    reference_sed (T, M, K), reference_doa (T, M, 3): the truth on M tracks as training puts it there; dropped: frames of events
    that found no free track.
    """

    source: Source
    hearing: Hearing
    predictions: dict[str, Prediction]
    truth: Truth
    reference_sed: np.ndarray
    reference_doa: np.ndarray
    dropped: int

    @property
    def classes(self) -> tuple[str, ...]:
        return self.truth.classes

    @property
    def active(self) -> np.ndarray:
        """(T,) bool: does the reference sound."""
        return self.reference_sed.max(axis=(1, 2), initial=0) > 0


def lab(source: Source, hearing: Hearing, predictions: dict[str, Prediction], truth: Truth) -> Lab:
    """The truth in the networks' classes and on their tracks. A caption tells how much does not fit on them."""
    first = next(iter(predictions.values()))
    mapped = in_classes(truth, first.classes)
    n_tracks = next((p.sed.shape[1] for p in predictions.values() if not p.class_wise), 2)
    sed, doa, dropped = frame_tables.to_tracks(mapped.table, len(first.sed), n_tracks, len(first.classes))
    if dropped:
        st.caption(f"{dropped} frames of events found no free track of {n_tracks} and are left out, as in training.")
    return Lab(source, hearing, predictions, mapped, sed, doa, dropped)


def in_classes(truth: Truth, classes: tuple[str, ...]) -> Truth:
    """The truth with its classes as indices into ``classes``; rows of other classes are left out, with a warning on the page."""
    if truth.classes == classes:
        return truth
    index = [classes.index(name) if name in classes else -1 for name in truth.classes]

    def renumbered(table: pd.DataFrame) -> pd.DataFrame:
        table = table.assign(**{"class": [index[c] for c in table["class"]]})
        return table[table["class"] >= 0].reset_index(drop=True)

    unknown = sorted({truth.classes[c] for c in truth.table["class"] if index[c] < 0})
    if unknown:
        widgets.warning(f"The networks do not know these classes, which are left out: {', '.join(unknown)}.")
    return Truth(
        truth.name, renumbered(truth.table), renumbered(truth.lanes), classes, truth.frames_beyond, truth.rows_hidden
    )


# The microscope


def show_microscope(lab: Lab) -> None:
    """One network: what every assignment costs, and what each rule makes of it."""
    prediction = next(iter(lab.predictions.values()))
    if not lab.active.any():
        st.info("Nothing sounds in this ground truth, so there is nothing to permute.")
        return
    left, right = st.columns(2)
    part = PARTS[left.selectbox("Cost", list(PARTS), key="pit_cost", help=pit_texts.MICROSCOPE["part"])]
    rule = MARKED[
        right.selectbox(
            "Draw the pull of", list(MARKED), key="pit_pull", help="Red lines: where training would pull the tracks."
        )
    ]
    chunks = left.toggle("Chunk borders", key="pit_chunks", help=pit_texts.MICROSCOPE["chunks"])
    is_reversed = right.toggle("Reference tracks in reverse", key="pit_reverse", help=pit_texts.MICROSCOPE["reverse"])
    if is_reversed:
        lab = reversed_tracks(lab)
    chunk_frames = prediction.chunk_seconds * LABEL_FRAMES_PER_SECOND
    found = pit_costs.examine(prediction.sed, prediction.doa, lab.reference_sed, lab.reference_doa, chunk_frames)
    st.markdown(in_one_sentence(found, is_reversed))
    play(lab, detections(lab))
    chart(microscope_figure(lab, prediction, found, part, rule, chunks))
    permutation_legend(found)
    widgets.class_chips(sorted({lab.classes[c] for c in lab.truth.lanes["class"]}))
    st.caption("  \n".join(pit_texts.MICROSCOPE[part] for part in ("costs", "rules", "margin", "azimuths")))
    show_summary(found)
    explain_rules()


def chart(figure, key: str = FIGURE_KEY) -> None:
    widgets.plot(figure, key)


def in_one_sentence(found: pit_costs.Microscope, is_reversed: bool) -> str:
    """What the figure shows of this clip: whether the rules differ, and by how much."""
    wrong = {pit.RULE_NAMES[rule]: int(found.pulled(rule).sum()) for rule in found.chosen}
    if any(wrong.values()):
        n = int(found.active.sum())
        shares = (
            f"{name} in {100 * frames / n:.1f} %" if frames else f"{name} in none" for name, frames in wrong.items()
        )
        return f"Pulled the wrong way, of the frames in which something sounds: {', '.join(shares)}."
    hint = "" if is_reversed else " In the other order no PIT would: switch on “Reference tracks in reverse”."
    return (
        f"In this clip no rule pulls the tracks the wrong way: the reference tracks stand in the network's order.{hint}"
    )


def reversed_tracks(lab: Lab) -> Lab:
    """The same with the reference's tracks in the reverse order."""
    return replace(lab, reference_sed=lab.reference_sed[:, ::-1], reference_doa=lab.reference_doa[:, ::-1])


def microscope_figure(lab: Lab, prediction: Prediction, found, part: str | None, rule: str, chunks: bool):
    costs = pit.Costs(
        found.permutations,
        found.costs[part] if part else found.total,
        COST_TITLES[part],
        found.margin,
        found.active,
        {COST_TITLES[name]: found.costs[name] for name in pit_costs.PARTS},
    )
    choices = pit.Choices(found.chosen, {rule: found.pulled(rule) for rule in found.chosen})
    directions = pit.Directions(
        all_tracks(prediction, lab.active), lab.truth.lanes, lab.classes, pulls(lab, prediction, found, rule)
    )
    chunk_seconds = prediction.chunk_seconds if chunks else None
    return pit.microscope(lab.hearing.seconds, costs, choices, directions, chunk_seconds)


def all_tracks(prediction: Prediction, sounding: np.ndarray, threshold: float = THRESHOLD) -> pd.DataFrame:
    """frame, track, class, azimuth and active: every track in the frames in which the reference sounds or it is active.

    Of a class-wise network, only what is active.
    """
    active = prediction.sed.max(-1) > threshold
    frame, track = np.nonzero(active if prediction.class_wise else active | sounding[:, None])
    azimuth, _ = geometry.to_angles(prediction.doa[frame, track])
    return pd.DataFrame(
        {
            "frame": frame,
            "track": track,
            "class": prediction.sed[frame, track].argmax(-1),
            "azimuth": azimuth,
            "active": active[frame, track],
        }
    )


def pulls(lab: Lab, prediction: Prediction, found: pit_costs.Microscope, rule: str) -> pd.DataFrame:
    """frame, azimuth and target, of every track and frame that the rule pulls the wrong way to an event that sounds."""
    frames = np.flatnonzero(found.pulled(rule))
    order = found.permutations[found.chosen[rule][frames]]  # (N, M)
    reference = np.take_along_axis(lab.reference_doa[frames], order[..., None], 1)
    row, track = np.nonzero(np.any(reference != 0, axis=-1))
    azimuth, _ = geometry.to_angles(prediction.doa[frames[row], track])
    target, _ = geometry.to_angles(reference[row, track])
    return pd.DataFrame({"frame": frames[row], "azimuth": azimuth, "target": target})


def permutation_legend(found: pit_costs.Microscope) -> None:
    names = [f"track {pit.permutation_name(order)}" for order in found.permutations]
    colours = [pit.permutation_colour(p) for p in range(len(names))]
    chips = "".join(
        f'<span style="white-space:nowrap"><span style="display:inline-block;width:.8em;height:.8em;border-radius:.2em;'
        f'background:{colour};margin-right:.4em"></span>{name}</span>'
        for name, colour in zip(names, colours)
    )
    text = "assignment, output track → reference track:"
    st.html(f'<div style="display:flex;flex-wrap:wrap;gap:.3em 1.2em;font-size:.9rem"><span>{text}</span>{chips}</div>')


def show_summary(found: pit_costs.Microscope) -> None:
    n = max(int(found.active.sum()), 1)
    rows = {
        pit.RULE_NAMES[rule]: {
            "training loss": f"{found.loss(rule)['total']:.4f}",
            "SED": f"{found.loss(rule)['sed']:.4f}",
            "DoA": f"{found.loss(rule)['doa']:.4f}",
            "pulled the wrong way (%)": f"{100 * found.pulled(rule).sum() / n:.1f}",
            "changes of assignment": str(found.changes(rule)),
        }
        for rule in found.chosen
    }
    st.table(pd.DataFrame(rows).T)
    definitions = pit_texts.SUMMARY
    st.caption(
        f"Training loss: {definitions['loss']}. Pulled the wrong way: {definitions['wrong']}. Changes: {definitions['changes']}."
    )


def explain_rules() -> None:
    with st.expander("The losses behind this", icon=":material/function:"):
        st.markdown("The curves at the top, for each assignment α (K classes, hats are the reference):")
        st.latex(pit_texts.COST)
        st.markdown("The ribbons: the least of them in each frame; one for each run of events c; always the first one.")
        st.latex(pit_texts.TPIT + r"\qquad " + pit_texts.CPIT)
        st.latex(pit_texts.NONE)
        st.markdown(
            pit_texts.MICROSCOPE["chunks"] + " The frames between two runs cost the same under every assignment."
        )


# Several networks


def show_networks(lab: Lab) -> None:
    """Tracks, directions, errors and identity of several networks, and whether the directions are pulled to the middle."""
    play(lab, detections(lab))
    frames, _, middle = midpoint.sources_and_midpoints(lab.reference_sed, lab.reference_doa)
    panels = {title: all_tracks(p, lab.active) for title, p in lab.predictions.items()}
    middles = frames, geometry.to_angles(middle)[0]
    lanes = {title: track_ribbons(lab, prediction) for title, prediction in lab.predictions.items()}
    chart(pit.azimuths(panels, lab.truth.lanes, lab.classes, lab.hearing.seconds, middles, lanes))
    widgets.class_chips(sorted({lab.classes[c] for c in lab.truth.lanes["class"]}))
    st.caption(
        "Thin lines are the truth, dots the output tracks (circle: track 1, diamond: track 2), hollow below the threshold of 0.5. "
        "Dotted red: the midpoint of two simultaneous sources. Below, each output track in the colour of the event that it follows, "
        "events of one class in shades of it: a change of colour is a swap or the next event; faded: already reported by "
        "another track; grey: not in the truth. Click to play from there."
    )
    say_midpoints(lab)
    show_comparison(lab)
    show_midpoints(lab)


def track_ribbons(lab: Lab, prediction: Prediction) -> pd.DataFrame:
    """What each output track follows, as ``pit.azimuths`` draws it."""
    table = prediction.frames(THRESHOLD)
    found = track_assignment.follow(lab.truth.table, table)
    segments = track_assignment.segments(found, table)
    names, colours = (f(found.events, lab.classes) for f in (ribbons.event_names, ribbons.event_colours))
    colour, text = [], []
    columns = (segments[name].tolist() for name in ("event", "track", "class", "duplicate"))
    for event, track, heard, duplicate in zip(*columns):
        follows_nothing = event == track_assignment.NOTHING
        own = ribbons.GREY if follows_nothing else colours[event]
        colour.append(ribbons.faded(own) if duplicate else own)
        what = f"{lab.classes[heard]}, where there is none" if follows_nothing else names[event]
        text.append(f"track {track + 1}: {what}{' (duplicate)' if duplicate else ''}")
    return segments.assign(colour=colour, text=text)


def say_midpoints(lab: Lab) -> None:
    """One sentence: how many directions each network pulls to the midpoint."""
    counts = {title: midpoints(lab, prediction).counts for title, prediction in lab.predictions.items()}
    if shares := [f"{title} {100 * c.share:.0f} %" for title, c in counts.items() if c.share is not None]:
        st.markdown(
            f"Directions that point nearer to the midpoint of two sources than to either: **{', '.join(shares)}**."
        )


def show_comparison(lab: Lab) -> None:
    """A row a measure, a column a network."""
    columns = {title: measures(lab, prediction) for title, prediction in lab.predictions.items()}
    names = list(next(iter(columns.values())))
    st.table(pd.DataFrame({title: [column[name] for name in names] for title, column in columns.items()}, names))
    with st.popover("What these mean", icon=":material/help:"):
        lines = [f"**{name}**: {text}" for name, text in texts.SCORES.items() if name in ("ER", "F", "LE", "LR")]
        lines += [f"**LE alone**: {pit_texts.ALONE['le']}", f"**LE alone, overlap**: {pit_texts.ALONE['le_overlap']}"]
        lines += [f"**{kind}** (frames of 0.1 s, an event each): {text}" for kind, text in texts.KINDS.items()]
        lines += [f"**{texts.IDENTITY_NAMES[name]}**: {texts.IDENTITY[name]}" for name in IDENTITY]
        lines += [
            f"**nearer the midpoint**: {pit_texts.MIDPOINT['share']}; {pit_texts.MIDPOINT['where']}",
            f"**to the midpoint**: {pit_texts.MIDPOINT['to_midpoint']}",
            f"**to the nearer source**: {pit_texts.MIDPOINT['to_source']}",
        ]
        st.markdown("\n\n".join(lines))


def measures(lab: Lab, prediction: Prediction) -> dict[str, str]:
    """Every measure of one network as it is written, by its name."""
    table = prediction.frames(THRESHOLD)
    scores = analysis.scores(table, lab.truth)
    rates = identity_counts(lab.truth.table, table).rates()
    kind = "seldnet" if prediction.class_wise else "trackwise"
    alone = doa_alone(lab.reference_sed, lab.reference_doa, prediction.doa, kind)
    middle = midpoints(lab, prediction).counts
    return (
        {texts.title(name): texts.number(name, scores[name]) for name in ("ER", "F", "LE", "LR")}
        | {"LE alone (°)": texts.number("LE", alone.le), "LE alone, overlap (°)": texts.number("LE", alone.le_overlap)}
        | {f"{kind} (frames)": str(n) for kind, n in kinds_of_frames(table, lab.truth.table).items()}
        | {_identity_title(name): texts.number(name, rates[name]) for name in IDENTITY}
        | {"nearer the midpoint (%)": "–" if middle.share is None else f"{100 * middle.share:.1f}"}
        | {"to the midpoint (°)": texts.number("LE", middle.to_midpoint)}
        | {"to the nearer source (°)": texts.number("LE", middle.to_source)}
    )


def kinds_of_frames(estimate: pd.DataFrame, truth: pd.DataFrame) -> dict[str, int]:
    """How many (frame, event) pairs of each kind of ``errors.KINDS`` there are."""
    sides = errors.counts(errors.classify(truth, estimate))
    return {kind: (sides["reference"] | sides["system"])[kind] for kind in errors.KINDS}


def _identity_title(name: str) -> str:
    unit = texts.unit(name)
    return texts.IDENTITY_NAMES[name] + (f" ({unit})" if unit else "")


def midpoints(lab: Lab, prediction: Prediction) -> midpoint.Distances:
    return midpoint.distances(lab.reference_sed, lab.reference_doa, prediction.doa, prediction.class_wise)


def show_midpoints(lab: Lab) -> None:
    st.markdown("##### Pulled to the middle?")
    found = {title: midpoints(lab, prediction) for title, prediction in lab.predictions.items()}
    if not any(len(d.frame) for d in found.values()):
        st.info(
            "This clip has no frame with exactly two events more than 40° apart; the example “Two of a kind” has them."
        )
        return
    chart(pit.midpoint_points({title: (d.to_source, d.to_midpoint) for title, d in found.items()}), "pit_midpoints")
    st.caption(
        f"A dot is a direction {pit_texts.MIDPOINT['where']}. Red, below the diagonal: nearer to the midpoint than to either source."
    )
    with st.expander("Why the middle", icon=":material/function:"):
        st.markdown(
            "Where a track is trained against the one source as often as against the other, the squared error is least at the mean "
            "of both directions. Its direction is the midpoint, and its length tells how far apart they are:"
        )
        st.latex(pit_texts.MEAN)


# Homogeneous overlap


def show_overlap(lab: Lab) -> None:
    """A walk in steps: the scene, what each format's label holds of it, what networks hear."""
    steps = list(pit_texts.STEPS)
    step = st.segmented_control("Step", steps, default=steps[0], required=True, key="pit_step")
    st.markdown(pit_texts.STEPS[step])
    panels = overlap_panels(lab)
    show = {
        steps[0]: [],
        steps[1]: [SELDNET_LABEL],
        steps[2]: [SELDNET_LABEL, TRACK_LABEL],
        steps[3]: list(lab.predictions),
    }[step]
    if step == steps[1]:
        st.latex(pit_texts.SELDNET)
    elif step == steps[2]:
        st.latex(pit_texts.TRACKWISE)
    chosen = {title: panels[title] for title in show} or {"the ground truth": empty_estimate()}
    tables = {title: table for title, table in found_tables(lab).items() if title in show}
    play(lab, tables)
    chart(pit.azimuths(chosen, lab.truth.lanes, lab.classes, lab.hearing.seconds))
    widgets.class_chips(sorted({lab.classes[c] for c in lab.truth.lanes["class"]}))
    if show:
        show_found(lab, tables)


def empty_estimate() -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in ("frame", "track", "class", "azimuth", "active")})


def label_tables(lab: Lab) -> dict[str, pd.DataFrame]:
    """What the label of each format holds of the truth, as a frame table."""
    sed, doa = (torch.from_numpy(a)[None] for a in (lab.reference_sed, lab.reference_doa))
    activity, direction = (a[0].numpy() for a in losses.class_wise(sed, doa))
    diagonal = np.einsum("tk,kj->tkj", activity, np.eye(activity.shape[1], dtype=activity.dtype))
    return {
        SELDNET_LABEL: decode(diagonal, direction),
        TRACK_LABEL: decode(lab.reference_sed, lab.reference_doa),
    }


def found_tables(lab: Lab) -> dict[str, pd.DataFrame]:
    return label_tables(lab) | detections(lab)


def overlap_panels(lab: Lab) -> dict[str, pd.DataFrame]:
    shown = {title: table.assign(active=True) for title, table in label_tables(lab).items()}
    shown[SELDNET_LABEL]["track"] = 0  # one sort of dot: its "tracks" are classes
    for title, prediction in lab.predictions.items():
        table = all_tracks(prediction, lab.active)
        shown[title] = table.assign(track=0) if prediction.class_wise else table
    return shown


def show_found(lab: Lab, tables: Mapping[str, pd.DataFrame]) -> None:
    rows = {}
    for title, table in tables.items():
        recall = overlap_recall(lab.truth.table, table).recall()
        rows[title] = {
            f"{name} ({recall[key]['frames']} frames)": "–"
            if recall[key]["found"] is None
            else f"{100 * recall[key]['found']:.1f} %"
            for key, name in (
                ("single", "one event"),
                ("different", "two, each of another class"),
                ("same", "two of one class"),
            )
        }
    st.table(pd.DataFrame(rows).T)
    st.caption("Share of the frames in which every event is found: the right class, within 20°, a direction each.")


# The player


def detections(lab: Lab) -> dict[str, pd.DataFrame]:
    """The frame table of each network."""
    return {title: prediction.frames(THRESHOLD) for title, prediction in lab.predictions.items()}


def play(lab: Lab, tables: Mapping[str, pd.DataFrame]) -> None:
    """The clip to listen to, with a cursor over the figure below, and the frame tables on the map of directions."""
    with st.container(key=AUDIO_KEY):
        st.audio(analysis.listen(lab.source, "stereo"), format="audio/flac")
    player(
        "pit_player",
        FIGURE_KEY,
        AUDIO_KEY,
        Recording(f"{lab.source.key}", lab.hearing.seconds),
        player_scene(lab, tables),
        TraceArrays([], ""),
        st.session_state.get(session.SEEK),
    )


def player_scene(lab: Lab, tables: Mapping[str, pd.DataFrame]) -> dict:
    """The tables' tracks one after the other, named after their table where there are several."""
    parts, systems = [], []
    names: list[str] = []
    for title, table in tables.items():
        class_wise = title == SELDNET_LABEL or (title in lab.predictions and lab.predictions[title].class_wise)
        tracks = [""] if class_wise else [f"track {m + 1}" for m in range(lab.reference_sed.shape[1])]
        systems.append((title, tracks))
        parts.append(table.assign(track=len(names) + (0 if class_wise else table["track"])))
        names += [f"{title} {track}".strip() if len(tables) > 1 or class_wise else track for track in tracks]
    joined = pd.concat(parts) if parts else frame_tables.empty_table().assign(confidence=0.0)
    return scene(joined, lab.truth.lanes, lab.classes, lab.classes, names, systems)
