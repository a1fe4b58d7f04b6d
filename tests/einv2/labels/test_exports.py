"""Label files for other tools, read back as those tools read them: line by line, column by column."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

from einv2.labels import exports, frame_tables

HOSTILE = ("a\tb", "two\nlines\r\nand more", '"quoted", and, commas', "\x00\x1b[31m\u2028", "=1+1", "tür 門", "")


def frames(*rows):
    columns = ["frame", "class", "track", "azimuth", "elevation"]
    return pd.DataFrame(rows, columns=columns).assign(distance=np.nan)


def scene(classes, confidence=None):
    """An event a class, two frames each, one after the other."""
    rows = [(2 * k + i, k, k % 2, 10.0 * k, -5.0) for k in range(len(classes)) for i in (0, 1)]
    return frame_tables.frames_to_events(frames(*rows), classes, confidence)


@pytest.fixture
def events():
    rows = [(t, 1, 0, 30.0, -10.0) for t in range(3, 8)] + [(t, 0, 1, -0.2, 45.04) for t in range(5, 6)]
    return frame_tables.frames_to_events(frames(*rows), ("crash", "piano"), confidence=[0.9] * 5 + [0.625])


def raven_rows(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


def test_audacity(events):
    assert exports.audacity_labels(events) == "0.300000\t0.800000\tpiano\n0.500000\t0.600000\tcrash\n"
    lines = exports.audacity_labels(events, directions=True).splitlines()
    assert [line.split("\t")[2] for line in lines] == ["piano 30 -10", "crash 0 45"]


def test_raven(events):
    text = exports.raven_table(events, high_hz=8000)
    rows = raven_rows(text)
    assert text.splitlines()[0].split("\t") == list(exports.RAVEN_COLUMNS)
    assert list(rows[0].values()) == [
        "1", "Spectrogram 1", "1", "0.300", "0.800", "0.0", "8000.0", "piano", "0", "30.0", "-10.0", "0.900"
    ]  # fmt: skip
    assert (rows[1]["Selection"], rows[1]["Track"], rows[1]["Azimuth (deg)"]) == ("2", "1", "-0.2")
    assert (rows[1]["Elevation (deg)"], rows[1]["Confidence"]) == ("45.0", "0.625")


def test_json(events):
    assert json.loads(exports.json_events(events))[1] == {
        "class_index": 0, "class": "crash", "track": 1, "onset_s": 0.5, "offset_s": 0.6, "azimuth_deg": -0.2,
        "elevation_deg": 45.04, "distance_cm": None, "spread_deg": 0.0, "confidence": 0.625,
    }  # fmt: skip


def test_what_a_reference_does_not_know_is_empty():
    reference = scene(("crash",))
    assert raven_rows(exports.raven_table(reference))[0]["Confidence"] == ""
    assert json.loads(exports.json_events(reference))[0]["confidence"] is None


def test_hostile_names_break_no_line_and_no_column():
    events = scene(HOSTILE)
    lines = exports.audacity_labels(events).split("\n")[:-1]
    assert [len(line.split("\t")) for line in lines] == [3] * len(HOSTILE)
    assert [line.split("\t")[2] for line in lines][:3] == ["a b", "two lines and more", HOSTILE[2]]
    rows = raven_rows(exports.raven_table(events))
    assert len(rows) == len(HOSTILE) and all(None not in row and None not in row.values() for row in rows)
    assert [row["Annotation"] for row in rows][3:] == ["[31m", "=1+1", "tür 門", ""]
    assert [event["class"] for event in json.loads(exports.json_events(events))] == list(HOSTILE)


def test_no_events():
    empty = frame_tables.frames_to_events(frame_tables.empty_table())
    assert exports.audacity_labels(empty) == ""
    assert exports.raven_table(empty) == "\t".join(exports.RAVEN_COLUMNS) + "\n"
    assert json.loads(exports.json_events(empty)) == []


def test_what_is_no_event_table_is_named():
    with pytest.raises(ValueError, match="no column name, onset, offset, spread"):
        exports.audacity_labels(frames((0, 1, 0, 0, 0)).assign(confidence=1.0))
    with pytest.raises(ValueError, match="low_hz and high_hz must be"):
        exports.raven_table(scene(("crash",)), 500, 100)
