"""The report: what it says are the evaluation's values, it stands on its own, and no name becomes markup."""

import base64
import dataclasses
import json
import re
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest

from app.paths import APP
from app.ui import html_page, texts
from app.views.evaluate import report
from einv2 import evaluation
from einv2.labels import clip_sets
from einv2.metrics import probabilities

SCRIPT = "<script>alert(1)</script>"
HOSTILE = (SCRIPT, "<img src=x onerror=alert(2)>", "</script><a href='https://a.b'>x</a>")


def rows(frames, class_index, track, azimuth):
    return "".join(f"{frame},{class_index},{track},{azimuth},0\n" for frame in frames)


TRUTH = rows(range(10), 0, 0, 10) + rows(range(10), 1, 1, -120)
ESTIMATE = rows(range(8), 0, 0, 15) + rows(range(4), 2, 1, -118) + rows(range(12, 15), 0, 0, 100)
WORSE = rows(range(5), 0, 0, 28) + rows(range(10), 1, 1, -120)


def evaluate(estimates, classes=HOSTILE, truth=TRUTH):
    encoded = {stem: text.encode() for stem, text in estimates.items()}
    return evaluation.evaluate_clips(clip_sets.read_clips(encoded, dict.fromkeys(estimates, truth.encode()), classes))


class Page(HTMLParser):
    """Elements, tables as lists of rows of cell texts, headings, and the scripts of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.tables, self.scripts, self.text = [], [], [], ""
        self.inside = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside = tag
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "small":
            self.tables[-1][-1][-1] += " | "
        elif tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside in ("td", "th", "small"):
            self.tables[-1][-1][-1] += data
        elif self.inside != "style":
            self.text += data

    def handle_endtag(self, tag):
        self.inside = None

    def table(self, *head):
        (found,) = (t for t in self.tables if t[0][: len(head)] == [*head])
        return found[1:]

    def figures(self):
        """Id to the data and the layout that plotly is given."""
        found = {}
        for script in self.scripts:
            if "Plotly.newPlot(" in script:
                rest, parts = script.split("Plotly.newPlot(", 1)[1].lstrip(), []
                for _ in range(3):
                    part, end = json.JSONDecoder().raw_decode(rest)
                    parts.append(part)
                    rest = rest[end:].lstrip(" ,\n")
                found[parts[0]] = parts[1:]
        return found


@pytest.fixture(scope="module")
def one():
    return evaluate({"a": ESTIMATE, "<b>bold</b>": WORSE})


@pytest.fixture(scope="module")
def other():
    return evaluate({"a": WORSE, "<b>bold</b>": WORSE})


@pytest.fixture(scope="module")
def differences(one, other):
    return {"other": evaluation.differences(one, other)}


@pytest.fixture(scope="module")
def text(one, other, differences):
    return report.html({SCRIPT: one, "other": other}, differences)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_the_scores_of_all_years_with_their_intervals(page, one):
    table = page.table("year", "system", "ER", "F (%)", "LE (°)", "LR (%)", "SELD")
    assert [row[:2] for row in table[:2]] == [["2020", SCRIPT], ["2020", "other"]] and len(table) == 12
    for row, found in zip(table[::2], one.scores.values()):
        low, high = found["intervals"]["bootstrap"]["F"]
        expected = f"{texts.number('F', found['F'])} | {texts.number('F', low)} to {texts.number('F', high)}"
        assert row[3] == expected and row[2].startswith(texts.number("ER", found["ER"]))
    assert texts.WHY_THE_YEARS_DIFFER in page.text and texts.METHODS["bootstrap"] in page.text
    assert all(said in page.text for said in [*texts.MEASURES.values(), *texts.KINDS.values(), *texts.SCORES.values()])


def test_differences_have_signs_intervals_and_marks(page, differences):
    table = page.table("year", "ER", "F (%)")
    assert f"other minus {SCRIPT}:" in page.text
    for row, found in zip(table, differences["other"].values()):
        f = found["F"]
        assert row[2].startswith(f"{'+' if f['value'] > 0 else ''}{texts.number('F', f['value'])}")
        assert ("✱" in row[2]) == (not f["low"] <= 0 <= f["high"])
        assert row[2].endswith(f"{texts.number('F', f['high'])}")


def test_what_tells_systems_apart_is_marked(one):
    bounds = {
        "ER": (0.1, 0.05, 0.2),
        "F": (-0.1, -0.2, -0.05),
        "LE": (1, -2, 4),
        "LR": (0.1, None, None),
        "SELD": (None,) * 3,
    }
    found = {k: dict(zip(("value", "low", "high"), v)) for k, v in bounds.items()}
    (row,) = Page(report.html({"A": one}, {"B": {"dcase2020": found}})).table("year", "ER")
    assert row == ["2020", "+0.10 ✱ | +0.05 to +0.20", "−10.0 ✱ | −20.0 to −5.0", "+1.0 | −2.0 to +4.0", "+10.0", "–"]


def test_no_differences_no_table(one):
    for differences in (None, {}):
        assert "Differences" not in Page(report.html({"A": one}, differences)).text


def test_tables_of_classes_identity_and_events(page, one):
    table = page.tables[[t[0][0] for t in page.tables].index("class")][1:]
    counts = one.breakdowns["class"]
    assert [row[0] for row in table] == [*HOSTILE]
    assert [row[3] for row in table] == [str(n) for n in counts["correct"]]
    assert [row[-2] for row in table] == [texts.number("F", v) for v in counts["F"]]
    first, _ = page.table("system", "coverage (%)")
    assert first[1] == texts.number("coverage", one.identity_rates["coverage"])
    events = page.tables[-2][1:]
    assert page.tables[-2][0] == ["clip", "kind", "class", "heard as", "side", *report.EVENT_COLUMNS]
    assert len(events) == len(one.error_events)
    (wrong,) = (row for row in events if row[1] == "wrong class")
    assert wrong == ["a", "wrong class", HOSTILE[1], HOSTILE[2], "reference", "0.0", "0.4", "4", "1", "−120", "0", "2"]


def test_only_the_first_events_are_listed_and_that_is_said():
    blinking = rows(range(0, 2 * (report.MOST_EVENTS + 20), 2), 0, 0, 100)
    page = Page(report.html({"A": evaluate({"a": blinking})}))
    events = page.tables[-1]
    assert len(events) - 1 == report.MOST_EVENTS
    assert f"of which the first {report.MOST_EVENTS} by clip and onset are listed" in page.text


def test_no_name_becomes_markup(page):
    tags = [tag for tag, _ in page.elements]
    assert not {"img", "a", "b", "iframe", "link"} & {*tags}
    assert tags.count("script") == 2 + tags.count("figure") == 2 + len(page.figures())
    assert not any("alert(1)</script>" in script for script in page.scripts)
    assert SCRIPT in page.text and page.text.count("other") > 3
    assert any(row[0] == HOSTILE[1] for table in page.tables for row in table)


def shown(node, key=""):
    """Strings that plotly draws, of the JSON that it is given; data behind the marks are not drawn."""
    if isinstance(node, dict):
        for k, v in node.items():
            if k not in ("customdata", "template"):
                yield from shown(v, k)
    elif isinstance(node, list):
        for v in node:
            yield from shown(v, key)
    elif isinstance(node, str):
        yield node


def test_no_name_becomes_markup_within_a_figure(page):
    escaped = 0
    for parts in page.figures().values():
        for drawn in shown(parts):
            assert not re.search(r"<(?!br>|i>nothing</i>|/i>|/?extra>)", drawn), drawn
            escaped += SCRIPT in unescape(drawn)
    assert escaped > 20


def test_a_bar_leads_back_to_its_clip_by_name(page):
    data, _ = page.figures()["figure-outcomes-clip-0"]
    assert {group for trace in data[:6] for group, _ in trace["customdata"]} == {"a", "<b>bold</b>"}


def test_it_asks_no_other_host_for_anything(page, text):
    for tag, attributes in page.elements:
        assert not {"src", "href", "srcset", "action", "data"} & attributes.keys(), tag
    assert "url(" not in text.split("<script>")[0] and "@import" not in text.split("<script>")[0]
    (policy,) = (a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "http" not in policy
    libraries = [script for script in page.scripts if len(script) > 1_000_000]
    assert len(libraries) == 1 and page.scripts[0] == libraries[0]
    own = "".join(script for script in page.scripts if script not in libraries)
    addresses = {address.encode().decode("unicode_escape") for address in re.findall(r"https?:[^\s\"'<>&]+", own)}
    assert addresses <= {"https://plot.ly", "https://a.b"}, (
        addresses
    )  # plotly's home, a setting not used, and a class name


def test_figures_are_those_of_the_evaluation(page, one, other):
    figures = page.figures()
    assert {"years-F", "outcomes", "outcomes-class-1", "class-F", "motion-recall", "confusion-0", "confusion-1",
            "distances", "azimuth-recall", "identity"} <= {name.removeprefix("figure-") for name in figures}  # fmt: skip
    data, layout = figures["figure-outcomes"]
    correct = [e.breakdowns["all"]["recall"].iloc[0] for e in (one, other)]
    np.testing.assert_allclose(_numbers(data[0]["x"]), 100 * np.array(correct))
    assert (
        layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
        and layout["font"]["color"] == html_page.INK
    )
    assert "figure-reliability" not in figures and "Probabilities" not in page.text


def _numbers(values):
    """A list, or the base64 of an array, as plotly writes it."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.array(values, float)


def test_ink_is_legible_on_both_pages_and_replaced_by_the_pages_own():
    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    for background in ("#FFFFFF", "#0E141A"):
        low, high = sorted((luminance(html_page.INK), luminance(background)))
        assert (high + 0.05) / (low + 0.05) >= 3.9
    red, green, blue = (int(html_page.INK[i : i + 2], 16) for i in (1, 3, 5))
    assert f'[style*="fill: rgb({red}, {green}, {blue})"]' in (APP / "ui" / "html" / "page.css").read_text()


def test_probabilities_of_the_systems_that_have_them(one, other):
    sed, doa = np.zeros((10, 2, 3)), np.zeros((10, 2, 3))
    sed[:, 0, 0], doa[:, 0, 0] = 0.8, 1
    truth = one.clips.reference[one.clips.reference["clip"] == 0]
    known = dataclasses.replace(
        one,
        reliability=probabilities.reliability(truth, sed, doa),
        thresholds=probabilities.by_threshold(truth, sed, doa),
    )
    figures = Page(report.html({"A": other, "B": known})).figures()
    names = [trace["name"] for trace in figures["figure-reliability"][0]]
    assert len(names) == 2 and names[1].startswith("B: ECE 0.2")
    assert "figure-thresholds-0" in figures and "figure-thresholds-1" not in figures


def test_one_clip_has_no_intervals():
    page = Page(report.html({"A": evaluate({"a": ESTIMATE})}))
    assert texts.ONE_CLIP in page.text and texts.INTERVALS not in page.text and "on 1 clip," in page.text
    assert "|" not in "".join(cell for row in page.table("year", "system") for cell in row)


@pytest.mark.parametrize(
    ("estimate", "truth"), [("", TRUTH), (ESTIMATE, ""), ("", "")], ids=["silent", "no_truth", "nothing"]
)
def test_empty_tables(estimate, truth):
    page = Page(report.html({"A": evaluate({"a": estimate, "b": ""}, truth=truth)}))
    assert len(page.table("year", "system")) == 6 and "What the words mean" in page.text
    if not estimate and not truth:
        assert "A: 0 error events." in page.text


def test_notes_are_said():
    found = evaluate({"a": ESTIMATE})
    notes = found.clips.notes
    assert notes and all(note in Page(report.html({"A": found, "B": found})).text for note in notes)


def test_the_same_evaluation_gives_the_same_page(text, one, other, differences):
    assert report.html({SCRIPT: one, "other": other}, differences) == text


def test_systems_must_be_few_and_of_one_class_list(one):
    with pytest.raises(ValueError, match="systems must be 1 to 4, not 0"):
        report.html({})
    with pytest.raises(ValueError, match="systems must be 1 to 4, not 5"):
        report.html(dict.fromkeys("ABCDE", one))
    with pytest.raises(ValueError, match="the same classes"):
        report.html({"A": one, "B": evaluate({"a": ESTIMATE}, ("x", "y", "z"))})


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_from_a_file(text, page, browser, tmp_path, scheme):
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    problems = []
    context = browser.new_context(viewport={"width": 800, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    tab.on("console", lambda message: problems.append(message.text))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    tab.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else problems.append(r.url))
    tab.goto((tmp_path / "report.html").as_uri())
    n = len(page.figures())
    tab.wait_for_function("n => document.querySelectorAll('.js-plotly-plot .main-svg:first-child').length === n", arg=n)
    seen = tab.evaluate(
        """() => ({
            ink: getComputedStyle(document.querySelector('.xtick text')).fill,
            text: getComputedStyle(document.body).color,
            overflow: document.documentElement.scrollWidth - innerWidth,
            cut: [...document.querySelectorAll('.js-plotly-plot')].flatMap(plot => {
                const box = plot.getBoundingClientRect();
                return [...plot.querySelectorAll('.xtick text, .ytick text, .legendtext, .xtitle, .ytitle, .annotation-text')]
                    .filter(t => t.textContent.trim() && t.style.opacity !== '0')
                    .filter(t => { const b = t.getBoundingClientRect();
                        return b.left < box.left - 1 || b.right > box.right + 1 || b.bottom > box.bottom + 1; })
                    .map(t => plot.id + ': ' + t.textContent);
            }),
        })"""
    )
    context.close()
    assert problems == [] and seen["cut"] == []
    assert seen["ink"] == seen["text"] and seen["overflow"] <= 0
