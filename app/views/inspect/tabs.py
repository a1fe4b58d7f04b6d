"""What stands below the figure of the Inspect page: events, scores, the input check and exports."""

import io
import re
import zipfile
from collections.abc import Callable

import pandas as pd
import streamlit as st

from app.clip import analysis
from app.player.component import pictures
from app.ui import session, texts, widgets
from app.views.inspect import clip_report, figure, input_check, listening
from app.views.inspect.shown import Shown
from einv2.inference.decoding import Decoding
from einv2.labels import dcase_csv, exports, frame_tables

EXPORT_LAYOUTS = {
    "DCASE 2020 to 2022: frame, class, track, azimuth, elevation": "dcase2020",
    "DCASE 2020, system output: frame, class, azimuth, elevation": "dcase2020_output",
    "DCASE 2023, 2024: frame, class, track, azimuth, elevation, distance": "dcase2024",
    "DCASE 2025, stereo: frame, class, source, azimuth, distance, onscreen": "dcase2025",
    "Cartesian system output: frame, class, x, y, z": "cartesian",
    "DCASE 2019: class name, start, end, elevation, azimuth, distance": "dcase2019",
}
EVENT_FORMATS: dict[str, tuple[Callable[[pd.DataFrame], str], str, str]] = {  # button: writer, ending, MIME type
    "Events (JSON)": (exports.json_events, ".json", "application/json"),
    "Labels for Audacity": (exports.audacity_labels, "_audacity.txt", "text/plain"),
    "Selections for Raven": (exports.raven_table, "_raven.txt", "text/plain"),
}


def show(shown: Shown, tables: dict[str, pd.DataFrame], decoding: Decoding, mode: str) -> None:
    """tables: the detections of each network, with ``decoding``; mode: how the clip is listened to."""
    name = next(iter(tables))
    tabs = st.tabs(["Events", "Scores against ground truth", "Input check", "Export"])
    if len(tables) > 1:
        name = tabs[0].segmented_control("Network", list(tables), default=name, key="events_of", required=True)
    with tabs[0]:
        show_events(shown, tables[name], name)
    with tabs[1]:
        show_scores(shown, tables)
    with tabs[2]:
        input_check.show_check(shown)
    with tabs[3]:
        show_export(shown, tables, decoding, mode)


def show_events(shown: Shown, table: pd.DataFrame, name: str) -> None:
    prediction = shown.predictions[name]
    events = analysis.event_table(table, prediction.classes, shown.truth)
    if events.empty:
        st.info("No track is above the threshold anywhere. Lower it to see weaker detections.")
        return
    events = events.sort_values(["onset", "track"], ignore_index=True)
    columns = ["onset", "offset", "name", "track", "azimuth", "elevation", "spread", "confidence", "error", "found"]
    if prediction.class_wise:
        columns.remove("track")  # it is the class
    number = st.column_config.NumberColumn

    def play() -> None:
        """A callback, so that it runs before the page and the player gets the request in the same run."""
        selection = st.session_state["events"].selection
        rows = [row for row, _ in selection.cells]
        if rows and rows[0] < len(events):
            event = events.iloc[rows[0]]
            st.session_state[session.SEEK] = session.seek(event["onset"], event["offset"])

    shown_columns = [c for c in columns if c in events]
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


def show_scores(shown: Shown, tables: dict[str, pd.DataFrame]) -> None:
    truth = shown.truth
    if truth is None:
        st.info("Add the clip's metadata CSV in the sidebar to score the detections.")
        return
    if truth.classes != shown.classes:
        st.info("The ground truth has a different class list than the network, so the two can be shown but not scored.")
        return
    for name, table in tables.items():
        if len(tables) > 1:
            st.markdown(f"**{widgets.plain(name)}**")
        scores = analysis.scores(table, truth)
        for column, key in zip(st.columns(4), ("ER", "F", "LE", "LR")):
            column.metric(key, texts.value(key, scores[key]), help=texts.SCORES[key])
    st.caption(
        f"DCASE 2020 measures of this clip against {widgets.plain(truth.name)}, in segments of 1 s within 20°. The Evaluate page has "
        "the measures of all years and shows the errors behind them. The same on the command line: `python -m einv2 predict`, then "
        "`python -m einv2 evaluate`."
    )


def show_export(shown: Shown, tables: dict[str, pd.DataFrame], decoding: Decoding, mode: str) -> None:
    all_tables = tables
    if len(tables) > 1:
        tables = choose_exported(tables)
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    layout = left.selectbox("Columns of the CSV", list(EXPORT_LAYOUTS), key="layout")

    def csv(name: str) -> str:
        buffer = io.StringIO()
        dcase_csv.write_csv(tables[name], buffer, EXPORT_LAYOUTS[layout], classes=shown.classes)
        return buffer.getvalue()

    def of_events(write: Callable[[pd.DataFrame], str]) -> Callable[[str], str]:
        return lambda name: write(frame_tables.frames_to_events(tables[name], shown.classes))

    def report() -> str:
        sound = listening.sound(shown, mode, all_tables)
        return clip_report.html(shown, figure.with_detections(shown, tables), tables, decoding, sound, mode)

    with right:
        download_tables(shown, tables, "Download detections (CSV)", csv, ".csv", "text/csv")
    columns = st.columns(len(EVENT_FORMATS) + 1)
    for column, (label, (write, ending, mime)) in zip(columns, EVENT_FORMATS.items()):
        with column:
            download_tables(shown, tables, label, of_events(write), ending, mime)
    with columns[-1]:
        label = "Report with sound (HTML)"
        widgets.download(label, report, f"{export_stem(shown, tables)}.html", "text/html", f"download_{label}")
    pictures(figure.KEY, shown.source.stem, "pictures")
    st.caption(export_text(shown, tables, mode))


def choose_exported(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The networks whose detections are exported; all of them if none is chosen."""
    chosen = st.multiselect(
        "Networks to export",
        list(tables),
        list(tables),
        key="exported",
        help="One file for each; several files are downloaded as a ZIP.",
    )
    return {name: table for name, table in tables.items() if name in chosen} or tables


def download_tables(
    shown: Shown,
    tables: dict[str, pd.DataFrame],
    label: str,
    write: Callable[[str], str],
    ending: str,
    mime: str,
) -> None:
    """A download button: a file, or a ZIP with a file for each of several networks. write: the text of a network's file."""
    stem = shown.source.stem
    if len(tables) == 1:
        (name,) = tables
        widgets.download(label, lambda: write(name), f"{export_stem(shown, tables)}{ending}", mime, f"download_{label}")
        return

    def as_zip() -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in tables:
                archive.writestr(f"{stem}.{file_name_part(name)}{ending}", write(name))
        return buffer.getvalue()

    file = f"{stem}{ending.replace('.', '_')}.zip"
    widgets.download(label, as_zip, file, "application/zip", f"download_{label}")


def export_stem(shown: Shown, tables: dict[str, pd.DataFrame]) -> str:
    """The stem of an exported file: CLIP.NETWORK if it holds one of several networks, else CLIP."""
    one_of_several = len(tables) == 1 and len(shown.predictions) > 1
    return f"{shown.source.stem}.{file_name_part(next(iter(tables)))}" if one_of_several else shown.source.stem


def file_name_part(name: str) -> str:
    """The name of a network or an ensemble with characters that file names may have."""
    return re.sub(r"[^\w.()-]+", "+", name.replace(" + ", "+"))


def export_text(shown: Shown, tables: dict[str, pd.DataFrame], mode: str) -> str:
    of = "" if len(shown.predictions) == 1 else f" of {', '.join(map(widgets.plain, tables))}"
    numbers = ", ".join(f"{i} {name}" for i, name in enumerate(shown.classes))
    pictured = "" if len(tables) == len(shown.predictions) else " The pictures hold all networks that are shown."
    return (
        f"The detections{of} as shown above, with the threshold, filters and post-processing of this page.{pictured} The report holds "
        f"the sound chosen in “Listen to”: {widgets.plain(mode)}. Frames are 100 ms, from 0; angles are whole degrees; tracks count "
        "from 0; distance is not estimated and written as 0. In every layout the classes are numbered as in the network: "
        f"{widgets.plain(numbers)}."
    )
