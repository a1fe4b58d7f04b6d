"""Inside a network: class probabilities, attention and cross-stitches, as a part of the Tracks page."""

import numpy as np
import pandas as pd
import streamlit as st

from app.clip import analysis
from app.plots import network
from app.ui import widgets
from app.views.tracks import tracking
from app.views.tracks.shown import Shown
from einv2.analysis import attention
from einv2.config import to_json

ALL = "all"
BRANCHES = {"sed": "SED", "doa": "DoA"}


def show(shown: Shown, comparison: tracking.Comparison) -> None:
    if not shown.networks:
        st.info("Choose a network in the sidebar: a CSV file does not tell how its system arrived at its output.")
        return
    name = shown.networks[0]
    if len(shown.networks) > 1:
        name = st.selectbox("Network", shown.networks, key="tracks_inside")
    parts = {"Class probabilities": show_probabilities, "Attention": show_attention, "Cross-stitch": show_stitches}
    part = st.segmented_control("Look at", list(parts), default="Class probabilities", key="tracks_part", required=True)
    parts[part or "Class probabilities"](shown, name)


def show_probabilities(shown: Shown, name: str) -> None:
    prediction = shown.predictions[name]
    st.markdown(
        "The probability of every class on each output track. Where a track is undecided between two classes, or between two tracks, "
        "it shows here before it shows as a wrong event."
    )
    sed = prediction.sed
    if prediction.class_wise:
        sed = np.einsum("tkk->tk", sed)[:, None]
    percent = np.rint(100 * sed).astype(np.uint8)
    names = ["all classes"] if prediction.class_wise else prediction.track_names
    widgets.plot(network.probabilities(percent, names, prediction.classes, (0, shown.hearing.seconds)), "probabilities")
    if prediction.class_wise:
        st.caption("This network has one activity for each class and no tracks.")


def choose_chunk(shown: Shown, seconds: int) -> int:
    """The index of a chunk of this length: networks process a clip chunk by chunk."""
    last = max(int(np.ceil(shown.hearing.seconds / seconds)) - 1, 0)
    if last == 0:
        return 0
    return st.slider(
        f"Chunk of {seconds} s, from (s)",
        0,
        last * seconds,
        step=seconds,
        key=f"tracks_chunk_{seconds}",
        help=f"The network processes {seconds} s at a time, so attention does not reach further.",
    ) // seconds  # fmt: skip


def internals(shown: Shown, name: str, chunk: int) -> attention.Internals | None:
    try:
        return tracking.internals(shown.source, name, chunk)
    except (ValueError, OSError, StopIteration) as error:
        widgets.error(f"{name} could not analyse this chunk: {error}")
        return None


def show_attention(shown: Shown, name: str) -> None:
    model = analysis.load_model(name)
    chunk = choose_chunk(shown, model.chunk_seconds)
    found = internals(shown, name, chunk)
    if found is None:
        return
    if not found.attention:
        st.info(f"{name} has no self-attention: recurrent layers carry information from frame to frame.")
        return
    place = choose_place(list(found.attention))
    weights = found.attention[place]
    heads = [ALL, *range(1, len(weights) + 1)]
    head = st.segmented_control("Head", heads, default=ALL, key="tracks_head", required=True)
    reach = attention.reach(weights)
    titles = [f"{h + 1} · {r:.1f} s" for h, r in enumerate(reach)]
    start = float(chunk * model.chunk_seconds)
    if head != ALL and head is not None and head <= len(weights):
        weights, titles = weights[head - 1 : head], titles[head - 1 : head]
    widgets.plot(network.attention(weights, titles, start), "attention")
    st.latex(ATTENTION[attention.is_scaled(model.network)])
    even = 1000 / weights.shape[-1]
    st.caption(
        "Equation 5 of the paper, as this network has it; the softmax is what is shown. Row by row: at this time, how much the "
        f"head takes from every other time of the chunk, in per mille (‰). A row adds up to 1000 ‰; a head that attends "
        f"to all frames alike has {even:.0f} ‰ in every cell. A bright diagonal is a head that looks at the frame itself; a bright "
        "column a moment that many frames look at, such as an onset. Above each map: the number of the head, and how far away it "
        "looks on average. Frames of 100 ms."
    )


ATTENTION = {  # by: are scores scaled
    False: r"\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(Q K^\top\right) V",
    True: r"\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V",
}


def choose_place(places: list[attention.Place]) -> attention.Place:
    left, middle, right = st.columns(3)
    tracks = sorted({p.track for p in places})
    branches = list(dict.fromkeys(p.branch for p in places))
    layers = sorted({p.layer for p in places})
    track, branch, layer = 0, branches[0], 0
    if len(tracks) > 1:
        track = left.segmented_control(
            "Track", tracks, format_func=lambda m: f"track {m + 1}", default=0, key="tracks_track", required=True
        )
    if len(branches) > 1:
        branch = middle.segmented_control(
            "Branch",
            branches,
            format_func=lambda name: BRANCHES[name],
            default=branches[0],
            key="tracks_branch",
            required=True,
        )
    if len(layers) > 1:
        layer = right.segmented_control(
            "Layer", layers, format_func=lambda n: f"layer {n + 1}", default=0, key="tracks_layer", required=True
        )
    chosen = attention.Place(track or 0, branch or branches[0], layer or 0)
    return chosen if chosen in places else places[0]


EQUATION = {
    "simultaneous": r"\begin{bmatrix} x'_\mathrm{SED} \\ x'_\mathrm{DoA} \end{bmatrix} = "
    r"\begin{bmatrix} w_{00} & w_{01} \\ w_{10} & w_{11} \end{bmatrix} "
    r"\begin{bmatrix} x_\mathrm{SED} \\ x_\mathrm{DoA} \end{bmatrix}",
    "sequential": r"\begin{aligned} x'_\mathrm{SED} &= w_{00}\, x_\mathrm{SED} + w_{01}\, x_\mathrm{DoA} \\ "
    r"x'_\mathrm{DoA} &= w_{10}\, x'_\mathrm{SED} + w_{11}\, x_\mathrm{DoA} \end{aligned}",
}
NOT_SHARING = {
    "hard": "Its branches share all convolution blocks, so there is nothing to stitch.",
    "none": "Its branches share nothing.",
    "soft": "It has no cross-stitch in these places.",
}


def show_stitches(shown: Shown, name: str) -> None:
    model = analysis.load_model(name)
    found = attention.stitches(model.network)
    if not found:
        config = to_json(model.checkpoint.model)
        one_branch = config["network"] == "crnn" or config["output_format"] == "accdoa"
        why = (
            "It has no two branches that could take from each other." if one_branch else NOT_SHARING[config["sharing"]]
        )
        st.info(f"{name} has no cross-stitch. {why}")
        return
    st.markdown(
        "The SED branch (what sounds) and the DoA branch (from where) are two networks that take from each other where they are "
        "stitched, with four weights per channel: equation 7 of the paper"
        + (", in the order of the authors' released code." if found[0].order == "sequential" else ".")
    )
    st.latex(EQUATION[found[0].order])
    widgets.plot(network.stitches([s.name for s in found], [s.spread() for s in found]), "stitches")
    chunk = choose_chunk(shown, model.chunk_seconds)
    seen = internals(shown, name, chunk)
    if seen is not None:
        start = chunk * model.chunk_seconds
        show_taken(found, seen, start, start + model.chunk_seconds)


def show_taken(found: list[attention.Stitch], seen: attention.Internals, start: int, stop: int) -> None:
    """How much each branch takes from the other in a chunk (s), in a sentence and a table."""
    number = st.column_config.NumberColumn
    rows = [
        {
            "cross-stitch": s.name,
            "channels": len(s.weight),
            **{w: f"{m:.2f} ± {d:.2f}" for w, m, d in zip(attention.WEIGHTS, *s.moments())},
            "sed": 100 * seen.taken[s.name][0],
            "doa": 100 * seen.taken[s.name][1],
        }
        for s in found
    ]
    top = max(found, key=lambda s: max(seen.taken[s.name]))
    sed, doa = seen.taken[top.name]
    more = "SED from DoA" if sed >= doa else "DoA from SED"
    st.markdown(
        f"Between {start} and {stop} s the most is taken at the stitch **{top.name}**: {100 * sed:.0f} % of "
        f"what SED receives comes from DoA, and {100 * doa:.0f} % of what DoA receives comes from SED; {more} is the "
        "stronger direction."
    )
    config = {
        "sed": number("SED takes from DoA (%)", format="%.0f", help=TAKEN),
        "doa": number("DoA takes from SED (%)", format="%.0f", help=TAKEN),
    }
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=config)
    st.caption(
        "Weights are mean ± standard deviation over the channels. A weight of 0 takes nothing; the boxes hold the middle half of "
        "the channels."
    )


TAKEN = (
    "In this chunk: the mean magnitude of what comes from the other branch, divided by that plus the mean magnitude of what "
    "comes from the branch itself."
)
