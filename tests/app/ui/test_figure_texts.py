"""Each figure says what it is to who does not see it."""

import ast

import pytest

from app.ui import figure_texts
from support.places import ROOT

APP = ROOT / "app"


def test_no_figure_is_drawn_without_a_text():
    drawn = 0
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "plotly_chart":
                drawn += 1
                assert "alt" in {keyword.arg for keyword in node.keywords}, f"{path.name}, line {node.lineno}"
    assert drawn > 5


def test_the_text_is_that_of_the_longest_beginning_of_a_key():
    assert "around the azimuths" in figure_texts.of("directions")
    assert figure_texts.of("assignment_0") == figure_texts.of("assignment_12")
    with pytest.raises(KeyError):
        figure_texts.of("unheard_of")
