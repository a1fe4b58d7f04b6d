"""One scene of the Scenes page: the uploaded sounds, its table and its specification, and rendering it into the session."""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from app.ui import class_menu, session
from app.ui.progress import Progress
from app.ui.session import Source as Clip
from app.ui.session_cache import SessionCache
from app.ui.uploads import as_file
from einv2.simulate import specification as scenes
from einv2.simulate.specification import Noise, Problem, Sound, Source, Specification, SpecifiedRoom

MAX_UPLOADS = 20
MAX_UPLOAD_SECONDS = 600.0  # of all sounds of a session together
BUILT_IN = "built-in"
NEW_SECONDS = 2.0  # of a source that is placed on the map
COLUMNS = (
    "class", "sound", "number", "onset", "length", "azimuth", "elevation", "azimuth to", "elevation to", "distance", "level",
)  # fmt: skip
WRONG = "scenes_wrong"  # the sentence that says why the last order was refused
RENDERED = SessionCache("scenes_rendered", 3)
_SOUNDS = "scenes_sounds"


# Sounds that the user uploaded


@dataclass(frozen=True)
class Upload:
    """A mono sound of the session: samples (S,) float32 at 24 kHz, named by the user's file and the SHA-256 of its bytes."""

    sound: Sound
    samples: np.ndarray

    @property
    def seconds(self) -> float:
        return len(self.samples) / scenes.SAMPLE_RATE


def read_uploads(files: list) -> None:
    """Take uploaded files, each read once, into the session, where they stay when the page is left."""
    kept: dict = st.session_state.setdefault(_SOUNDS, {})
    for file in files:
        if file.file_id not in kept:
            kept[file.file_id] = _read_within_limits(file, [u for u in kept.values() if isinstance(u, Upload)])


def _read_within_limits(file, others: list[Upload]) -> "Upload | str":
    if len(others) >= MAX_UPLOADS:
        return f"{file.name} is not used: a session holds at most {MAX_UPLOADS} sounds."
    if any(other.sound.name == file.name for other in others):
        return f"{file.name} is not used: there is a sound of this name; rename the file, or remove the other."
    read = _read_upload(file.name, file.getvalue())
    if isinstance(read, Upload) and read.seconds + sum(other.seconds for other in others) > MAX_UPLOAD_SECONDS:
        return f"{file.name} is not used: a session holds at most {MAX_UPLOAD_SECONDS / 60:g} minutes of sounds."
    return read


def uploads() -> tuple[dict[str, Upload], list[str]]:
    """Name to sound, of the sounds of the session, and what was wrong with other files, a sentence each."""
    kept = st.session_state.get(_SOUNDS, {}).values()
    return {u.sound.name: u for u in kept if isinstance(u, Upload)}, [u for u in kept if isinstance(u, str)]


def forget_uploads(file_ids: set[str] | None = None) -> None:
    """Sounds that the user removed; None: all, and what was wrong with files."""
    kept: dict = st.session_state.get(_SOUNDS, {})
    for file_id in list(kept):
        if file_ids is None or file_id in file_ids:
            del kept[file_id]


def _read_upload(name: str, data: bytes) -> Upload | str:
    """The sound, or the sentence that says why it cannot be used."""
    try:
        with as_file(data, Path(name).suffix) as path:
            digest, samples = scenes.read_sound(path, name)
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"{name} could not be kept for reading: {error.strerror}."
    return Upload(Sound(name, sha256=digest), samples)


# The table of sources


@dataclass(frozen=True)
class SceneForm:
    """The table of sources on the page; the other settings are in their widgets.

    start: the rows that the table's editor began with; rows: the rows now; editor: its number, a new one begins with ``start``.
    required: name to sound, for the files that an opened specification needs.
    """

    start: pd.DataFrame
    rows: pd.DataFrame
    editor: int = 1
    required: Mapping[str, Sound] = field(default_factory=dict)

    def with_rows(self, rows: pd.DataFrame) -> "SceneForm":
        """The form with other rows, in a new editor."""
        rows = rows.reset_index(drop=True)
        return replace(self, start=rows, rows=rows, editor=self.editor + 1)

    def edited(self, rows: pd.DataFrame) -> "SceneForm":
        """The form with the rows that the user edited, in the same editor."""
        return replace(self, rows=rows.reset_index(drop=True))

    def loaded(self, specification: Specification) -> "SceneForm":
        """The form with the sources of a specification."""
        required = {sound.name: sound for sound in specification.files.values()}
        return replace(self.with_rows(to_rows(specification.sources)), required=required)


def to_rows(sources: tuple[Source, ...]) -> pd.DataFrame:
    """The table of the page, one row per source."""
    return pd.DataFrame([_row(source) for source in sources], columns=list(COLUMNS)).astype(
        {c: (object if c in ("class", "sound") else float) for c in COLUMNS}
    )


def _row(s: Source) -> dict:
    sound = (s.sound.name, 0) if s.sound.is_file else (BUILT_IN, s.sound.seed)
    values = (s.class_name, *sound, s.onset_s, s.length_s, *s.start_deg, *s.end_deg, s.distance_m, s.level_db)
    return dict(zip(COLUMNS, values))


def from_rows(rows: pd.DataFrame, sounds: Mapping[str, Sound]) -> tuple[tuple[Source, ...], list[Problem]]:
    """The sources of the table's rows, and what is missing in the others. sounds: by the name of the file."""
    found, missing = [], []
    for n, row in enumerate(rows.to_dict("records")):
        if empty := [column for column in COLUMNS if _is_empty(row[column]) and column not in _OPTIONAL]:
            missing.append(Problem(n, f"it has no {', '.join(empty)}"))
        elif row["sound"] != BUILT_IN and row["sound"] not in sounds:
            missing.append(Problem(n, f"the file {row['sound']} is not among the uploaded sounds"))
        else:
            found.append(_source(row, sounds))
    return tuple(found), missing


_OPTIONAL = {"azimuth to": "azimuth", "elevation to": "elevation", "number": None}  # if empty: as this column, or 0


def _is_empty(value) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _source(row: dict, sounds: Mapping[str, Sound]) -> Source:
    for column, other in _OPTIONAL.items():
        if _is_empty(row[column]):
            row[column] = row[other] if other else 0
    sound = Sound(scenes.PROCEDURAL, seed=int(row["number"])) if row["sound"] == BUILT_IN else sounds[row["sound"]]
    return Source(
        class_name=row["class"],
        sound=sound,
        onset_s=float(row["onset"]),
        length_s=float(row["length"]),
        start_deg=(float(row["azimuth"]), float(row["elevation"])),
        end_deg=(float(row["azimuth to"]), float(row["elevation to"])),
        distance_m=float(row["distance"]),
        level_db=float(row["level"]),
    )


def with_source(rows: pd.DataFrame, class_name: str, where: tuple[float, float]) -> pd.DataFrame:
    """The rows and one more: a new built-in sound that stays at ``where``, (azimuth, elevation) in degrees."""
    sound = Sound(scenes.PROCEDURAL, seed=len(rows) + 1)
    row = to_rows((Source(class_name, sound, 0.0, NEW_SECONDS, where, where, 1.0, 0.0),))
    return row if rows.empty else pd.concat([rows, row], ignore_index=True)


def moved(rows: pd.DataFrame, row: int, end: str, where: tuple[float, float]) -> pd.DataFrame:
    """The rows, with the "start" or the "end" of one at ``where``; a source that does not move gets both."""
    rows, start, to = rows.copy(), ["azimuth", "elevation"], ["azimuth to", "elevation to"]
    is_static = bool((rows.loc[row, start].to_numpy() == rows.loc[row, to].to_numpy()).all())
    if end == "end" or is_static:
        rows.loc[row, to] = where
    if end == "start":
        rows.loc[row, start] = where
    return rows


def first_scene() -> Specification:
    """The scene that the page begins with: one source that does not move, and one that passes it."""
    phone = Source("ringing phone", Sound(scenes.PROCEDURAL, 3), 1.0, 5.0, (60.0, 10.0), (60.0, 10.0), 1.0, 0.0)
    speech = Source("male speech", Sound(scenes.PROCEDURAL, 5), 3.0, 6.0, (-110.0, 0.0), (30.0, 0.0), 1.0, 0.0)
    return Specification(1, 10, SpecifiedRoom((7.0, 6.0, 3.0), 0.4), Noise(20.0), -3.0, (phone, speech))


# One scene


@dataclass(frozen=True)
class Rendered:
    """A rendered scene. clip: its FLAC and DCASE 2020 CSV, as the other pages open them; text: the JSON that rebuilds it."""

    specification: Specification
    clip: Clip
    text: str


def render(specification: Specification, uploads: Mapping[str, Upload], progress: Progress) -> Rendered:
    """The scene of a specification, from the session if it was rendered before. ValueError, one sentence, if it is impossible or
    cannot be written; ``progress`` may raise to stop."""
    return RENDERED.get(scenes.to_text(specification), lambda: _render(specification, uploads, progress))


def rendered(specification: Specification) -> Rendered | None:
    """The scene, if it has been rendered in this session and is kept."""
    return RENDERED.peek(scenes.to_text(specification))


def _render(specification: Specification, uploads: Mapping[str, Upload], progress: Progress) -> Rendered:
    n, stem = len(specification.sources), specification.stem
    progress(0.0, f"Rendering {n} sources")
    samples = {upload.sound.sha256: upload.samples for upload in uploads.values()}
    try:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            scenes.write(
                specification,
                samples,
                out,
                stem,
                lambda done: progress(done / (n + 1), f"Source {done} of {n} is done"),
            )
            flac, csv = (
                (out / kind / f"{stem}{suffix}").read_bytes()
                for kind, suffix in (("foa_dev", ".flac"), ("metadata_dev", ".csv"))
            )
    except OSError as error:
        raise ValueError(f"The scene could not be written: {error.strerror}.") from error
    classes = class_menu.LABELS.get(specification.class_list, specification.classes)
    clip = Clip(f"{stem}.flac", flac, f"{stem}.csv", csv, truth_classes=classes)
    return Rendered(specification, clip, scenes.to_text(specification))


# A scene of a kept training set


def open_scene(recording: Path) -> Clip:
    """A scene of a kept set. ValueError, one sentence, if it no longer exists."""
    truth = recording.parent.with_name("metadata_dev") / f"{recording.stem}.csv"
    try:
        return Clip(
            recording.name, recording, truth.name, truth.read_bytes(), truth_classes=class_menu.LABELS["dcase2020"]
        )
    except OSError as error:
        raise ValueError(f"{recording.name} cannot be opened: {error.strerror}.") from None


def open_in(path: str, clip: Clip) -> None:
    st.session_state[session.CLIP] = clip
    for key in (session.MOMENT, session.SEEK, "truth_classes"):
        st.session_state.pop(key, None)
    st.switch_page(path)
