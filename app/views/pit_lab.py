"""PIT lab: why permutation-invariant training matters, seen on a clip, in the paper's comparisons, and while it happens."""

import streamlit as st

from app import clip, compute, opening, pit_study, pit_tabs, pit_texts, shelf, state, widgets
from app.compute import Truth
from app.state import Source

NETWORKS = {
    "einv2-tpit": "EINV2, tPIT",
    "einv2-cpit": "EINV2, cPIT",
    "einv2-nopit": "EINV2, no PIT",
}
SELDNET = {"seldnet": "SELDnet format"}
OVERLAP_EXAMPLE = "two_of_a_kind"
SECTIONS = (
    "Microscope",
    "Three networks",
    "Homogeneous overlap",
    "Learning curves and tables",
    "Train it in front of me",
)


def page() -> None:
    st.title("PIT lab")
    with st.sidebar:
        st.subheader("Clip")
        source = opening.choose()
        place = st.empty()
    section = st.segmented_control(
        "Part",
        SECTIONS,
        default=SECTIONS[0],
        required=True,
        key="pit_part",
        label_visibility="collapsed",
        bind=widgets.LINK,
    )
    show = {
        SECTIONS[0]: lambda: show_microscope(source),
        SECTIONS[1]: lambda: show_networks(source),
        SECTIONS[2]: lambda: show_overlap(source, place),
        SECTIONS[3]: pit_study.show_results,
        SECTIONS[4]: pit_study.show_toy,
    }
    if source is not None and section in SECTIONS[3:]:
        place.caption("This part is not about a clip.")
    show[section]()


def show_microscope(source: Source | None) -> None:
    if source is None:
        welcome("Open a clip to see what every assignment of tracks costs, and which one each rule takes.")
        return
    titles = usable(NETWORKS)
    if not titles:
        return
    name = st.segmented_control(
        "Network",
        list(titles),
        default=next(iter(titles)),
        required=True,
        format_func=titles.get,
        key="pit_network",
        bind=widgets.LINK,
        help="Whose outputs are compared with the reference; each was trained with the rule of its name.",
    )
    if (found := analysed(source, {name: titles[name]})) is not None:
        pit_tabs.show_microscope(found)


def show_networks(source: Source | None) -> None:
    if source is None:
        welcome("Open a clip to hear it through the same network trained with tPIT, with cPIT and without PIT.")
        return
    titles = usable(NETWORKS)
    if titles and (found := analysed(source, titles)) is not None:
        pit_tabs.show_networks(found)


def show_overlap(source: Source | None, place) -> None:
    """On the clip that is open, or on the example that was made for it; the page, and ``place`` in the sidebar, say on which."""
    titles = usable({name: (NETWORKS | SELDNET)[name] for name in ("seldnet", "einv2-tpit")})
    if not titles:
        return
    own = source is not None and st.toggle(
        f"Walk through {widgets.plain(source.name)}, the open clip", key="pit_own_clip", help="Off: the example."
    )
    if not own:
        title = f"the example “{overlap_example().title}”"
        if source is not None:
            place.caption(f"This part shows {title} instead.")
        st.markdown(f"Shown is {title}.")
        source = example_source()
    else:
        st.markdown(f"Shown is the open clip, {widgets.plain(source.name)}.")
    if (found := analysed(source, titles, own)) is not None:
        pit_tabs.show_overlap(found)


def example_source() -> Source:
    """The same object every time, for what is kept of it."""
    kept = st.session_state.get(state.PIT_EXAMPLE)
    if kept is None:
        kept = st.session_state[state.PIT_EXAMPLE] = overlap_example().open()
    return kept


def overlap_example() -> state.Example:
    return next(e for e in state.examples() if e.key == OVERLAP_EXAMPLE)


def welcome(what: str) -> None:
    st.markdown(f"{what} {pit_texts.WHY}")
    widgets.choose_example(state.examples())
    st.caption(
        "“A dog on the move” shows the microscope best, “Two of a kind” the three networks. A clip of your own needs its DCASE "
        "metadata CSV beside it. The other parts of this page, above, need no clip."
    )


# Computation


def usable(wanted: dict[str, str]) -> dict[str, str]:
    """Name and title of the networks that are there; says which are not."""
    available = shelf.names()
    if absent := [name for name in wanted if name not in available]:
        st.info(f"Not in the folder pretrained/, and so left out: {', '.join(absent)}.")
    found = {}
    for name, title in wanted.items():
        if name in available:
            try:
                model = compute.load_model(name)
            except (ValueError, OSError) as error:
                widgets.error(error)
                continue
            if not found or model.classes == compute.load_model(next(iter(found))).classes:
                found[name] = title
            else:
                widgets.warning(f"Left out, for its class list is not that of {next(iter(found))}: {name}.")
    if not found:
        st.info("Without these networks there is nothing to show here; the parts above that need none go on.")
    return found


def analysed(source: Source, titles: dict[str, str], own: bool = True) -> pit_tabs.Lab | None:
    """The clip through the networks, with its truth; one sentence on the page where something is missing."""
    source = clip.prepared(source) if own else source
    classes = truth_classes(source, next(iter(titles))) if own else None
    found = clip.analyse(source, tuple((name,) for name in titles))
    if found is None:
        return None
    hearing, predictions = found
    if hearing.info.seconds > compute.WINDOW_SECONDS:
        st.caption(
            f"Of a long clip, {compute.WINDOW_SECONDS // 60} minutes from minute {source.start / 60:.0f} are looked at."
        )
    predictions = {titles[name]: prediction for name, prediction in predictions.items()}
    truth: Truth | None = clip.read_truth(source, predictions, hearing, classes)
    if truth is None:
        st.info(
            f"PIT compares outputs with a reference: add the ground truth of {widgets.plain(source.name)} in the sidebar, a DCASE "
            "metadata CSV."
        )
        return None
    return pit_tabs.lab(source, hearing, predictions, truth)


def truth_classes(source: Source, name: str) -> tuple[str, ...] | None:
    if source.truth is None:
        return None
    with st.sidebar:
        return clip.choose_truth_classes(compute.load_model(name).classes)


page()
