"""HTML pages that stand on their own: they open from a file and ask no other host for anything. All text is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

INK = "#6C7985"  # of texts in figures, legible on white and near-black; the style sheet puts the page's own colour in its place
CLEAR = "rgba(0,0,0,0)"


def page(title: str, *parts: str) -> str:
    """A page of sections."""
    head = f"{_META}<title>{escape(title)}</title><style>{_STYLE}</style><script>{get_plotlyjs()}</script>"
    body = f"<main><h1>{escape(title)}</h1>{''.join(parts)}</main><script>{_PRINTING}</script>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'


def section(head: str, *parts: str) -> str:
    return f"<section><h2>{escape(head)}</h2>{''.join(parts)}</section>"


def paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def bullets(items: Iterable[str]) -> str:
    rows = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<ul>{rows}</ul>" if rows else ""


def terms(said: Mapping[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(term)}</dt><dd>{escape(text)}</dd>' for term, text in said.items())}</dl>"


def table(head: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]], words: int = 1) -> str:
    """The first columns, ``words`` of them, are texts, the others numbers; of a cell of two the second is its interval."""
    kinds = ["w"] * words + ["n"] * (len(head) - words)
    top = "".join(f'<th class="{k}">{escape(h)}</th>' for k, h in zip(kinds, head))
    body = "".join(f"<tr>{''.join(map(_cell, kinds, row))}</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(kind: str, content: str | tuple[str, str]) -> str:
    value, interval = (content, "") if isinstance(content, str) else content
    small = f"<small>{escape(interval)}</small>" if interval else ""
    return f'<td class="{kind}">{escape(value)}{small}</td>'


def figure(name: str, figure: go.Figure, caption: str) -> str:
    """``name`` is the figure's id in the page."""
    shown = go.Figure(figure).update_layout(
        template="none",
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font_color=INK,
        font_family="inherit",
    )
    config = {"displaylogo": False, "responsive": True}
    drawn = shown.to_html(config, full_html=False, include_plotlyjs=False, div_id=f"figure-{name}")
    return f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


# Nothing may be fetched from anywhere: the browser itself sees to it.
_META = (
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; media-src data:\">"
)
_INK_RGB = ", ".join(str(int(INK[i : i + 2], 16)) for i in (1, 3, 5))
_STYLE = f"""
:root {{ color-scheme: light dark; --ink: #16232e; --page: #ffffff; --quiet: #5b6873; --line: #d5dde3; --band: #f3f6f8 }}
@media screen and (prefers-color-scheme: dark) {{
  :root {{ --ink: #e4ebf1; --page: #0e141a; --quiet: #93a1ad; --line: #2c3944; --band: #18212a }}
}}
body {{ margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }}
main {{ max-width: 1240px; margin: 0 auto; padding: 24px 28px 64px }}
h1 {{ font-size: 1.7rem; line-height: 1.25; overflow-wrap: anywhere }}
h2 {{ font-size: 1.3rem; margin: 2.4em 0 .5em; border-top: 1px solid var(--line); padding-top: .9em }}
h3 {{ font-size: 1.05rem; margin: 1.6em 0 .4em; overflow-wrap: anywhere }}
p, ul, dd {{ max-width: 78ch; overflow-wrap: anywhere }}
.table {{ overflow: auto; max-height: 85vh; margin: 1em 0 }}
table {{ border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }}
th, td {{ padding: .28em .65em; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }}
th {{ color: var(--quiet); font-weight: 600; vertical-align: bottom; position: sticky; top: 0; background: var(--page) }}
td.w {{ min-width: 6em; max-width: 24em; overflow-wrap: break-word }}
.n {{ text-align: right }}
td.n {{ white-space: nowrap }}
td small {{ display: block; color: var(--quiet) }}
tbody tr:nth-child(even) {{ background: var(--band) }}
dt {{ font-weight: 600; margin-top: .5em }}
dd {{ margin: 0 }}
figure {{ margin: 1.6em 0; min-width: 0; break-inside: avoid }}
figcaption {{ color: var(--quiet); font-size: .9rem; max-width: 78ch; overflow-wrap: anywhere }}
.pairs {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); gap: 0 28px }}
svg text[style*="fill: rgb({_INK_RGB})"] {{ fill: var(--ink) !important }}
@media print {{
  @page {{ margin: 14mm }}
  body {{ font-size: 10pt }}
  main {{ max-width: none; padding: 0 }}
  .table {{ overflow: visible; max-height: none }}
  table {{ font-size: 7.5pt }}
  th, td {{ padding: .15em .4em }}
  tr {{ break-inside: avoid }}
  h2, h3 {{ break-after: avoid }}
  .modebar {{ display: none }}
}}
"""
# Figures have the width of the window; paper is narrower.
_PRINTING = """
const fit = (width) => document.querySelectorAll(".js-plotly-plot").forEach(
  (figure) => Plotly.relayout(figure, { width, autosize: !width }));
addEventListener("beforeprint", () => fit(660));
addEventListener("afterprint", () => fit(null));
"""
