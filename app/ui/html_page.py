"""HTML pages that stand on their own: they open from a file and ask no other host for anything.

A page is a template beside its module, ``*.html.j2``, that extends ``ui/html/page.html.j2``. The template engine escapes every value
except those marked ``safe`` in the templates: what the three functions below return.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jinja2
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from app.paths import APP

INK = (
    "#6C7985"  # of texts in figures, legible on white and near-black; page.css puts the page's text colour in its place
)
CLEAR = "rgba(0,0,0,0)"
Cell = str | tuple[str, str]  # a value; or a value and its interval


@dataclass(frozen=True)
class Table:
    """The first ``words`` columns are texts, the others numbers."""

    head: Sequence[str]
    rows: Iterable[Sequence[Cell]]
    words: int = 1


@dataclass(frozen=True)
class Figure:
    """name: unique in the page."""

    name: str
    figure: go.Figure
    caption: str


def render(template: str, title: str, **values: object) -> str:
    """The page. template: its file, relative to app/; values: what it names."""
    return _TEMPLATES.get_template(template).render(title=title, **values)


def _file(name: str) -> str:
    """A style sheet or a script of the app. name: relative to app/."""
    return (APP / name).read_text()


def _plotly_div(figure: Figure) -> str:
    """Plotly escapes the texts in it."""
    drawn = go.Figure(figure.figure).update_layout(
        template="none",
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font_color=INK,
        font_family="inherit",
    )
    config = {"displaylogo": False, "responsive": True}
    return drawn.to_html(config, full_html=False, include_plotlyjs=False, div_id=f"figure-{figure.name}")


_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(APP),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals.update(file=_file, plotly_js=get_plotlyjs, plotly_div=_plotly_div)
