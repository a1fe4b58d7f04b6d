"""What stands around the figure of the Inspect page: the input check above, events, scores and exports below."""

import io
import re
import zipfile

import pandas as pd
import streamlit as st

from app.clip import analysis
from app.clip.analysis import Hearing, Truth
from app.player.component import pictures
from app.ui import session, texts, widgets
from app.ui.session import Source
from app.views.inspect import clip_report
from einv2.audio import inputcheck, inputformat
from einv2.audio.inputformat import InputFormat
from einv2.inference.decoding import Decoding
from einv2.labels import dcase_csv, exports, frame_tables

FIGURE_KEY = "timeline"
EXPORT_LAYOUTS = {
    "DCASE 2020 to 2022: frame, class, track, azimuth, elevation": "dcase2020",
    "DCASE 2020, system output: frame, class, azimuth, elevation": "dcase2020_output",
    "DCASE 2023, 2024: frame, class, track, azimuth, elevation, distance": "dcase2024",
    "DCASE 2025, stereo: frame, class, source, azimuth, distance, onscreen": "dcase2025",
    "Cartesian system output: frame, class, x, y, z": "cartesian",
    "DCASE 2019: class name, start, end, elevation, azimuth, distance": "dcase2019",
}


# The input check


def findings(source: Source, hearing: Hearing, truth: Truth | None) -> list[inputcheck.Finding]:
    """Of the samples alone, and if there is a ground truth against it."""
    against = [] if truth is None else analysis.check_against(source, truth)
    proving = [f for f in against if f.code != "not_compared"]
    return inputcheck.together(hearing.findings, proving)


def show_remedies(source: Source, hearing: Hearing, found: list[inputcheck.Finding]) -> None:
    """What was found in words, a button for each fix, and every channel layout to choose by hand."""
    fixes = {fix.name: fix for f in found for fix in f.fixes}
    for finding in found:
        if finding.remedy:
            st.caption(f"What would help: {finding.remedy}.")
    columns = st.columns(4)
    for column, fix in zip(columns, fixes.values()):
        column.button(
            fix_label(fix),
            help=fix.text,
            on_click=mend,
            args=(source, hearing.info.read_as.then(fix)),  # what was found is of the clip as it is read now
            icon=":material/build:",
            width="stretch",
        )
    if source.fix is not None:
        columns[min(len(fixes), 3)].button(
            f"Undo: {source.fix.name}", on_click=mend, args=(source, None), icon=":material/undo:", width="stretch"
        )


def fix_label(fix: InputFormat) -> str:
    return f"Make it {fix.name}" if fix.name.startswith(("louder", "quieter")) else f"Read as {fix.name}"


def mend(source: Source, fix: InputFormat | None) -> None:
    """The clip is read in another format from now on; None: as its header tells."""
    st.session_state[session.FIX] = (source.name, fix)


def show_check(source: Source, hearing: Hearing, found: list[inputcheck.Finding]) -> None:
    rows = [
        {"result": f.level, "finding": f.message, "evidence": evidence(f), "remedy": f.remedy or "–"} for f in found
    ]
    st.table(pd.DataFrame(rows).map(widgets.plain).set_index("result"))  # its cells wrap: sentences stand there
    st.markdown("**Read the channels another way.** Some layouts cannot be told from the samples.")
    read_as = hearing.info.read_as
    choices = {choice.name: choice for choice in inputformat.CHOICES}
    if read_as.first_four:
        choices = {name: choice.of_first_four() for name, choice in choices.items()}
    known = next((name for name, choice in choices.items() if choice == read_as), None)
    choices = choices if known else {read_as.name: read_as, **choices}
    now = known or read_as.name
    names = list(choices)
    chosen = st.selectbox("The file's channels are", names, names.index(now), key="channels")
    choice = choices[chosen]
    st.caption(f"{choice.text[0].upper()}{choice.text[1:]}. On the command line: `--input={choice.key}`.")
    if chosen != now:
        st.button("Read it so", on_click=mend, args=(source, choice), type="primary")
    st.caption("The same on the command line: `python -m einv2 check CLIP --truth CSV`.")


def evidence(finding: inputcheck.Finding) -> str:
    return ", ".join(
        f"{name.replace('_', ' ').replace('dbfs', 'dBFS')} {value}" for name, value in finding.evidence.items()
    )


# Listening


def ways(shown) -> list[str]:
    """How the clip can be listened to, by what stands in the select box."""
    tracks = [f"Along {name}" for name, _ in beams(shown)]
    lanes = [] if shown.truth is None else [f"Along truth {n + 1}" for n in sorted(shown.truth.lanes["track"].unique())]
    return [*analysis.WAYS.values(), *tracks, *lanes]


def beams(shown) -> list[tuple[str, tuple[str, int]]]:
    """The output tracks along which a beam can be heard: by what they are called, (name of the network, track)."""
    several = len(shown.predictions) > 1
    return [
        (f"{name} {track}" if several else track, (name, m))
        for name, prediction in shown.predictions.items()
        if not prediction.class_wise
        for m, track in enumerate(prediction.track_names)
    ]


def sound(shown, way: str, tables: dict[str, pd.DataFrame]) -> bytes:
    """The clip as it is listened to."""
    names = {text: name for name, text in analysis.WAYS.items()}
    if way in names:
        return analysis.listen(shown.source, names[way])
    network, track = dict(beams(shown)).get(way.removeprefix("Along "), (None, 0))
    if network is None:
        rows = shown.truth.lanes[shown.truth.lanes["track"] == int(way.rsplit(" ", 1)[1]) - 1]
    else:
        rows = tables[network][tables[network]["track"] == track]
    return analysis.listen_along(shown.source, way, rows, len(shown.first.sed))


# Below the figure


def show(shown, tables: dict[str, pd.DataFrame], decoding: Decoding, way: str) -> None:
    name = next(iter(tables))
    tabs = st.tabs(["Events", "Scores against ground truth", "Input check", "Export"])
    if len(tables) > 1:
        name = tabs[0].segmented_control("Network", list(tables), default=name, key="events_of", required=True)
    with tabs[0]:
        show_events(shown, tables[name], name)
    with tabs[1]:
        show_scores(shown, tables)
    with tabs[2]:
        show_check(shown.source, shown.hearing, findings(shown.source, shown.hearing, shown.truth))
    with tabs[3]:
        show_export(shown, tables, decoding, way)


def show_events(shown, table: pd.DataFrame, name: str) -> None:
    prediction = shown.predictions[name]
    events = analysis.event_table(table, prediction.classes, shown.truth)
    if events.empty:
        st.info("No track is above the threshold anywhere. Lower it to see weaker detections.")
        return
    events = events.sort_values(["onset", "track"], ignore_index=True)
    columns = ["onset", "offset", "name", "track", "azimuth", "elevation", "spread", "confidence", "error", "found"]
    unwanted = {"track"} if prediction.class_wise else set()  # it says the class again
    number = st.column_config.NumberColumn

    def play() -> None:
        """Runs before the page: the player gets its order in the same run."""
        selection = st.session_state["events"].selection
        rows = [row for row, _ in selection.cells]
        if rows and rows[0] < len(events):
            event = events.iloc[rows[0]]
            st.session_state[session.SEEK] = session.seek(event["onset"], event["offset"])

    shown_columns = [c for c in columns if c in events and c not in unwanted]
    written = {"track": events["track"] + 1, **{c: events[c].round() + 0.0 for c in ("azimuth", "elevation")}}
    if "found" in events:
        written["found"] = 100 * events["found"].astype(float)
    st.dataframe(
        events.assign(**written)[shown_columns],
        hide_index=True,
        key="events",
        on_select=play,
        selection_mode="single-cell",  # a click anywhere in a row
        placeholder="–",
        column_config={
            "onset": number("onset (s)", format="%.1f"),
            "offset": number("offset (s)", format="%.1f"),
            "name": "class",
            "azimuth": number("azimuth (°)", format="%.0f", help="Of the mean direction; 90° is left."),
            "elevation": number("elevation (°)", format="%.0f"),
            "spread": number("spread (°)", format="%.0f", help="Mean distance of the frames from the mean direction."),
            "confidence": number("confidence", format="%.2f", help="Mean class probability over the event's frames."),
            "error": number(
                "off by (°)", format="%.0f", help="Mean distance from the ground truth's event of its class."
            ),
            "found": number(
                "within 20° (%)", format="%.1f", help="Of its frames: right class, within 20° of the ground truth."
            ),
        },
    )
    st.caption("Click an event to play it.")


def show_scores(shown, tables: dict[str, pd.DataFrame]) -> None:
    truth = shown.truth
    if truth is None:
        st.info("Add the clip's metadata CSV in the sidebar to score the detections.")
        return
    if truth.classes != shown.classes:
        st.info(
            "The ground truth uses another class list than the network, so the two can be looked at but not scored."
        )
        return
    for name, table in tables.items():
        if len(tables) > 1:
            st.markdown(f"**{widgets.plain(name)}**")
        scores = analysis.scores(table, truth)
        for column, key in zip(st.columns(4), ("ER", "F", "LE", "LR")):
            column.metric(key, texts.value(key, scores[key]), help=texts.SCORES[key])
    st.caption(
        f"DCASE 2020 measures of this clip against {widgets.plain(truth.name)}, in segments of 1 s within 20°. The Evaluate page has "
        "those of all years and what is behind them. The same from the command line: `python -m einv2 predict`, then "
        "`python -m einv2 evaluate`."
    )


def show_export(shown, tables: dict[str, pd.DataFrame], decoding: Decoding, way: str) -> None:
    all_tables = tables
    if len(tables) > 1:
        tables = choose_exported(tables)
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    layout = left.selectbox("Columns of the CSV", list(EXPORT_LAYOUTS), key="layout")

    def as_csv(name: str) -> str:
        buffer = io.StringIO()
        dcase_csv.write_csv(tables[name], buffer, EXPORT_LAYOUTS[layout], classes=shown.classes)
        return buffer.getvalue()

    def events(name: str) -> pd.DataFrame:
        return frame_tables.frames_to_events(tables[name], shown.classes)

    texts_of = {
        "Download detections (CSV)": (as_csv, ".csv", "text/csv"),
        "Events (JSON)": (lambda name: exports.json_events(events(name)), ".json", "application/json"),
        "Labels for Audacity": (lambda name: exports.audacity_labels(events(name)), "_audacity.txt", "text/plain"),
        "Selections for Raven": (lambda name: exports.raven_table(events(name)), "_raven.txt", "text/plain"),
    }
    first, *others = [
        (label, *exported(shown, tables, text, ending, mime)) for label, (text, ending, mime) in texts_of.items()
    ]
    download(right, *first)
    stem = export_stem(shown, tables)
    others.append(
        (
            "Report with sound (HTML)",
            lambda: report(shown, tables, decoding, way, sound(shown, way, all_tables)),
            f"{stem}.html",
            "text/html",
        )
    )
    for column, parts in zip(st.columns(len(others)), others):
        download(column, *parts)
    pictures(FIGURE_KEY, shown.source.stem, "pictures")
    st.caption(export_text(shown, tables, way))


def choose_exported(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Those of the networks whose detections are taken; all where none is chosen."""
    chosen = st.multiselect(
        "Networks to export",
        list(tables),
        list(tables),
        key="exported",
        help="One file for each; of several, a ZIP of them.",
    )
    return {name: table for name, table in tables.items() if name in chosen} or tables


def export_stem(shown, tables: dict[str, pd.DataFrame]) -> str:
    """What a file of these networks is called: clip.network, or of all that are shown clip."""
    one = len(tables) == 1 and len(shown.predictions) > 1
    return f"{shown.source.stem}.{safe(next(iter(tables)))}" if one else shown.source.stem


def safe(name: str) -> str:
    """The name of a network or of an ensemble as part of a file name."""
    return re.sub(r"[^\w.()-]+", "+", name.replace(" + ", "+"))


def exported(shown, tables: dict[str, pd.DataFrame], text, ending: str, mime: str) -> tuple:
    """(data, file name, type) of a download: a file, or of several networks a ZIP with a file for each."""
    stem = shown.source.stem
    if len(tables) == 1:
        return lambda: text(next(iter(tables))).encode(), f"{export_stem(shown, tables)}{ending}", mime

    def as_zip() -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in tables:
                archive.writestr(f"{stem}.{safe(name)}{ending}", text(name))
        return buffer.getvalue()

    return as_zip, f"{stem}{ending.replace('.', '_')}.zip", "application/zip"


def export_text(shown, tables: dict[str, pd.DataFrame], way: str) -> str:
    of = "" if len(shown.predictions) == 1 else f" of {', '.join(map(widgets.plain, tables))}"
    numbers = ", ".join(f"{i} {name}" for i, name in enumerate(shown.classes))
    pictured = "" if len(tables) == len(shown.predictions) else " The pictures hold all networks that are shown."
    return (
        f"The detections{of} as they are shown above, with the threshold, filters and post-processing of this page.{pictured} The "
        f"report holds the sound that is chosen in “Listen to”: {widgets.plain(way)}. Frames are 100 ms, from 0; angles whole degrees; "
        "tracks from 0; distance is not estimated and written as 0. Classes are numbered as the network's, in every layout: "
        f"{widgets.plain(numbers)}."
    )


def report(shown, tables: dict[str, pd.DataFrame], decoding: Decoding, way: str, heard: bytes) -> bytes:
    """The clip as one HTML page, with the sound as it is listened to."""
    return clip_report.html(shown, shown.figure(tables), tables, decoding, heard, way).encode()


def download(place, label: str, data, file: str, mime: str) -> None:
    place.download_button(
        label, data, file, mime, on_click="ignore", icon=":material/download:", width="stretch", key=f"download_{label}"
    )
