"""PIT lab: why permutation-invariant training matters, seen on a clip, in the paper's comparisons, and while it happens."""

import functools

import streamlit as st

from app.clip import analysis, opening, prepared
from app.networks import registry
from app.ui import session, widgets
from app.ui.session import Source
from app.views.pit_lab import clip_parts, pit_texts, study

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
        SECTIONS[3]: study.show_results,
        SECTIONS[4]: study.show_toy,
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
        format_func=titles.__getitem__,
        key="pit_network",
        bind=widgets.LINK,
        help="Whose outputs are compared with the reference; each was trained with the rule of its name.",
    )
    if (found := analysed(source, {name: titles[name]})) is not None:
        clip_parts.show_microscope(found)


def show_networks(source: Source | None) -> None:
    if source is None:
        welcome("Open a clip to hear it through the same network trained with tPIT, with cPIT and without PIT.")
        return
    titles = usable(NETWORKS)
    if titles and (found := analysed(source, titles)) is not None:
        clip_parts.show_networks(found)


def show_overlap(source: Source | None, place) -> None:
    """On the clip that is open, or on the example that was made for it; the page, and ``place`` in the sidebar, say on which."""
    titles = usable({name: (NETWORKS | SELDNET)[name] for name in ("seldnet", "einv2-tpit")})
    if not titles:
        return
    own = source is not None and st.toggle(
        "Walk through the open clip", key="pit_own_clip", help=f"{widgets.plain(source.name)}. Off: the example."
    )
    if source is None or not own:
        title = f"the example “{overlap_example().title}”"
        if source is not None:
            place.caption(f"This part shows {title} instead.")
        st.markdown(f"Shown is {title}.")
        source = example_source()
    else:
        st.markdown(f"Shown is the open clip, {widgets.plain(source.name)}.")
    if (found := analysed(source, titles, own)) is not None:
        clip_parts.show_overlap(found)


@functools.cache
def example_source() -> Source:
    return overlap_example().open()


def overlap_example() -> session.Example:
    return next(e for e in session.examples() if e.key == OVERLAP_EXAMPLE)


def welcome(what: str) -> None:
    st.markdown(f"{what} {pit_texts.WHY}")
    widgets.choose_example(session.examples())
    st.caption(
        "“A dog on the move” shows the microscope best, “Two of a kind” the three networks. A clip of your own needs its DCASE "
        "metadata CSV beside it. The other parts of this page, above, need no clip."
    )


# Computation


def usable(wanted: dict[str, str]) -> dict[str, str]:
    """Name and title of the networks that are there; says which are not."""
    available = registry.names()
    if absent := [name for name in wanted if name not in available]:
        st.info(f"Not in the folder pretrained/, and so left out: {', '.join(absent)}.")
    found: dict[str, str] = {}
    for name, title in wanted.items():
        if name in available:
            try:
                model = analysis.load_model(name)
            except (ValueError, OSError) as error:
                widgets.error(error)
                continue
            if not found or model.classes == analysis.load_model(next(iter(found))).classes:
                found[name] = title
            else:
                widgets.warning(f"Left out, because the class list differs from that of {next(iter(found))}: {name}.")
    if not found:
        st.info("Without these networks there is nothing to show here; the parts that need none still work.")
    return found


def analysed(source: Source, titles: dict[str, str], own: bool = True) -> clip_parts.Lab | None:
    """The clip through the networks, with its truth; one sentence on the page where something is missing."""
    if own:
        prepared.forget_other_window(source)
        source = prepared.as_chosen(source)
    classes = truth_classes(source, next(iter(titles))) if own else None
    found = prepared.analyse(source, tuple((name,) for name in titles))
    if found is None:
        return None
    hearing, predictions = found
    if hearing.info.seconds > analysis.WINDOW_SECONDS:
        st.caption(
            f"Of a long clip, {analysis.WINDOW_SECONDS // 60} minutes from minute {source.start / 60:.0f} are used."
        )
    predictions = {titles[name]: prediction for name, prediction in predictions.items()}
    first = next(iter(predictions.values()))
    truth = prepared.read_truth(source, classes or first.classes, len(first.sed))
    if truth is None:
        st.info(
            f"PIT compares outputs with a reference: add the ground truth of {widgets.plain(source.name)} in the sidebar, a DCASE "
            "metadata CSV."
        )
        return None
    return clip_parts.lab(source, hearing, predictions, truth)


def truth_classes(source: Source, name: str) -> tuple[str, ...] | None:
    if source.truth is None:
        return None
    with st.sidebar:
        return prepared.choose_truth_classes(analysis.load_model(name).classes)


page()
