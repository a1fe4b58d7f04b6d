"""Thousands of CSVs and scene descriptions that are wrong on purpose."""

import io
import json
import os
import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from einv2 import evaluation
from einv2.frames import MAX_SECONDS
from einv2.labels import class_lists, clip_sets, dcase_csv, frame_tables
from einv2.messages import one_line
from einv2.simulate import specification
from support import fuzzing
from support.places import EXAMPLES

pytestmark = pytest.mark.full("fuzzing")

FILES = sorted(EXAMPLES.glob("*.csv"))
CLASSES = class_lists.DCASE2020_CLASSES
ROWS = 25
CASES = 450  # of each kind of file
MUTATIONS = (*fuzzing.ANY, *4 * (fuzzing.with_field,), fuzzing.with_column)


def written(format):
    """The first rows of an example in another format."""
    buffer = io.BytesIO()
    dcase_csv.write_csv(dcase_csv.read_csv(FILES[0]).head(ROWS), buffer, format, CLASSES)
    return buffer.getvalue()


WHOLE = {path.stem: b"".join(path.read_bytes().splitlines(keepends=True)[:ROWS]) for path in FILES}
WHOLE |= {format: written(format) for format in ("dcase2020_output", "dcase2024", "cartesian", "dcase2019")}
REFERENCE = WHOLE[FILES[0].stem]


def read(path):
    """Alone, with others, and as a frame table that becomes events."""
    table = dcase_csv.read_csv(path, CLASSES)
    clip_sets.read_many({path.stem: path.read_bytes(), "another": REFERENCE}, CLASSES)
    dcase_csv.detect_format(path.read_text())
    assert not table.duplicated(["frame", "class", "track"]).any()
    frame_tables.frames_to_events(table, CLASSES)


def score(path):
    """As a prediction and as a reference, by itself and among clips."""
    clips = clip_sets.read_clips({path.stem: path.read_bytes()}, {path.stem: REFERENCE}, CLASSES)
    evaluation.evaluate_clips(clips)
    evaluation.evaluate(path, dcase_csv.read_csv(io.BytesIO(REFERENCE)))
    evaluation.evaluate(dcase_csv.read_csv(io.BytesIO(REFERENCE)), path)


@pytest.mark.parametrize("kind", WHOLE)
def test_a_mutated_table_is_read_or_refused_in_one_sentence(tmp_path, kind):
    draw = random.Random(f"table {kind}")
    cases = [fuzzing.mutated(WHOLE[kind], draw, MUTATIONS) for _ in range(CASES)]
    assert fuzzing.refusals([WHOLE[kind]], tmp_path / "clip.csv", read) == [None]
    found = fuzzing.refusals(cases, tmp_path / "clip.csv", read)
    assert 0.02 < found.count(None) / CASES < 0.98 and len(set(found)) > 20
    whole = [content for content, message in zip(cases, found) if message is None]
    assert set(fuzzing.refusals(whole[:20], tmp_path / "clip.csv", score)) == {None}


def test_the_same_files_are_refused_alone_and_together(tmp_path):
    """Together they are parsed by another, faster way."""
    draw = random.Random("both")
    path = tmp_path / "clip.csv"

    def together(path):
        clip_sets.read_many({"clip": path.read_bytes(), "another": REFERENCE}, CLASSES)

    for kind in ("dcase2020_output", "dcase2024", FILES[0].stem):
        cases = [fuzzing.with_field(WHOLE[kind], draw) for _ in range(100)]
        alone = fuzzing.refusals(cases, path, lambda path: dcase_csv.read_csv(path, CLASSES))
        assert alone == fuzzing.refusals(cases, path, together)


HEADER = "sound_event_recording,start_time,end_time,ele,azi,dist"
fields = st.one_of(
    st.integers(-1, 400).map(str),
    st.floats().map(repr),
    st.sampled_from([f.decode() for f in fuzzing.FIELDS]),
    st.sampled_from(CLASSES),
    st.text(max_size=8),
)
rows = st.lists(st.lists(fields, min_size=1, max_size=8).map(",".join), max_size=6)
tables = st.one_of(
    st.text(max_size=200),
    rows.map("\n".join),
    rows.map(lambda lines: "\r\n".join([HEADER, *lines])),
    st.lists(st.lists(fields, min_size=6, max_size=6).map(",".join), max_size=3).map(
        lambda lines: "\n".join([HEADER, *lines])
    ),
)


@settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=tables)
def test_any_text_is_a_table_or_refused_in_one_sentence(tmp_path, text):
    path = tmp_path / "clip.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    fuzzing.outcome(lambda: read(path), path.name)


def test_a_time_beyond_what_a_clip_may_last_is_refused():
    row = "{},1,0,10,0\n"
    with pytest.raises(ValueError, match="one week"):
        dcase_csv.read_csv(io.StringIO(row.format(10 * MAX_SECONDS + 1)))
    assert len(dcase_csv.read_csv(io.StringIO(row.format(10 * MAX_SECONDS)))) == 1


LARGE = {
    "columns": "1," * 1_000_000,
    "columns later": "1,1,0,10,5\n" + "1," * 1_000_000,
    "digits": "1,1,1,1," + "9" * 2_000_000,
    "quotes": '"' * 2_000_000,
    "a long name": f"{HEADER}\n{'x' * 200_000},0,1,0,0,1\n",
    "a long quotation": f'{HEADER}\n"{"x" * 200_000}",0,1,0,0,1\n',
    "a late error": "1,1,0,10,5\n" * 100_000 + "1,1,0,north,5\n",
    "late letters": f"{HEADER}\n" + "alarm,0,1,0,0,1\n" * 50_000 + "alarm,0,x,0,0,1\n",
}


@pytest.mark.parametrize("what", LARGE)
def test_large_files_are_refused_soon(tmp_path, what):
    (tmp_path / "clip.csv").write_text(LARGE[what])
    assert fuzzing.outcome(lambda: read(tmp_path / "clip.csv"), "clip.csv")


# Scenes

SCENE = specification.to_text(
    specification.draw(1, 10, 4, 2, specification.SpecifiedRoom((7.0, 6.0, 3.0), 0.4))
).encode()


def read_scene(path):
    """What can be read is possible or not, which is said in a line as well; ends of the range take no time."""
    for problem in specification.problems(specification.from_text(path.read_bytes(), path.name), {}):
        fuzzing.require_sentence(problem.text)


def test_a_mutated_scene_is_read_or_refused_in_one_sentence(tmp_path):
    draw = random.Random("scene")
    ways = (
        lambda: json.dumps(fuzzing.mutated_json(json.loads(SCENE), draw)).encode(),
        lambda: fuzzing.mutated(SCENE, draw),
    )
    cases = (draw.choice(ways)() for _ in range(1500))
    assert fuzzing.refusals([SCENE], tmp_path / "scene.json", read_scene) == [None]
    found = fuzzing.refusals(cases, tmp_path / "scene.json", read_scene)
    assert found.count(None) > 50 and len(set(found)) > 100


# The watch over the cases itself


def fails(error):
    raise error


@pytest.mark.parametrize(
    "read, says",
    [
        (lambda path: fails(KeyError("clip.csv")), "KeyError"),
        (lambda path: fails(MemoryError()), "MemoryError"),
        (lambda path: fails(ValueError("clip.csv: two\nlines")), "no sentence"),
        (lambda path: fails(ValueError("clip.csv: long" + "x" * 300)), "no sentence"),
        (lambda path: fails(ValueError("something is wrong")), "does not name clip"),
        (lambda path: fails(OSError(f"{fuzzing.TEMPORARY}/clip.csv")), "names a path of the machine"),
        (lambda path: time.sleep(1), "takes more than"),
        (lambda path: path.with_name("new").write_text(""), None),
        (lambda path: path.parent.with_name("new").write_text(""), "writes"),
        (lambda path: path.unlink(), "os.remove"),
        (lambda path: os.system("true"), "os.system"),
    ],
)
def test_what_no_case_may_do_is_found(tmp_path, monkeypatch, read, says):
    monkeypatch.setattr(fuzzing, "SECONDS", 0.1)
    with pytest.raises(AssertionError, match=says):
        fuzzing.refusals([b""], tmp_path / "clip.csv", read)


def test_a_sentence_is_one_line_of_limited_length():
    assert one_line("as it is") == "as it is"
    assert one_line("a\nb\x1b[31m\u202e") == r"a\nb\x1b[31m\u202e"
    assert one_line("x" * 300) == "x" * 300 and one_line("x" * 301) == "x" * 297 + "..."
    assert len(one_line("\n" * 300)) == 300
