"""The input check on the Inspect page: findings, their remedies, and the layout of the channels."""

import pandas as pd
import streamlit as st

from app.clip import analysis, prepared
from app.clip.analysis import Hearing, Truth
from app.ui import texts, widgets
from app.ui.session import Source
from app.views.inspect.shown import Shown
from einv2.audio import inputcheck, inputformat
from einv2.audio.inputcheck import Finding
from einv2.audio.inputformat import InputFormat


def findings(source: Source, hearing: Hearing, truth: Truth | None) -> list[Finding]:
    """From the samples alone and, if there is a ground truth, from its directions."""
    against_truth = [] if truth is None else analysis.check_against(source, truth)
    return inputcheck.together(hearing.findings, [f for f in against_truth if f.code != "not_compared"])


def show_remedies(shown: Shown) -> None:
    """What would help, and a button for each fix."""
    source, read_as = shown.source, shown.hearing.info.read_as
    for finding in shown.findings:
        if finding.remedy:
            st.caption(f"What would help: {finding.remedy}.")
    fixes = {fix.name: fix for finding in shown.findings for fix in finding.fixes}
    columns = st.columns(4)
    for column, fix in zip(columns, fixes.values()):
        column.button(
            f"Make it {fix.name}" if fix.name.startswith(("louder", "quieter")) else f"Read as {fix.name}",
            help=fix.text,
            on_click=prepared.read_as,
            args=(source, read_as.then(fix)),  # the findings are about the clip as it is read now
            icon=":material/build:",
            width="stretch",
        )
    if source.fix is not None:
        columns[min(len(fixes), 3)].button(
            f"Undo: {source.fix.name}",
            on_click=prepared.read_as,
            args=(source, None),
            icon=":material/undo:",
            width="stretch",
        )


def show_check(shown: Shown) -> None:
    """All findings, and a menu of every channel layout."""
    rows = [
        {"result": f.level, "finding": f.message, "evidence": evidence(f), "remedy": f.remedy or "–"}
        for f in shown.findings
    ]
    st.table(pd.DataFrame(rows).map(widgets.plain).set_index("result"))  # not a data frame: its cells would not wrap
    st.markdown("**Read the channels in a different layout.** Some layouts cannot be recognised from the samples.")
    current, layouts = channel_layouts(shown.hearing.info.read_as)
    names = list(layouts)
    chosen = st.selectbox("The file's channels are", names, names.index(current), key="channels")
    layout = layouts[chosen]
    st.caption(f"{texts.capitalised(layout.text)}. On the command line: `--input={layout.key}`.")
    if chosen != current:
        st.button("Apply this layout", on_click=prepared.read_as, args=(shown.source, layout), type="primary")
    st.caption("The same on the command line: `python -m einv2 check CLIP --truth CSV`.")


def channel_layouts(read_as: InputFormat) -> tuple[str, dict[str, InputFormat]]:
    """The layout that a clip is read in, and all that can be chosen, by name."""
    layouts = {layout.name: layout for layout in inputformat.CHOICES}
    if read_as.first_four:
        layouts = {name: layout.of_first_four() for name, layout in layouts.items()}
    for name, layout in layouts.items():
        if layout == read_as:
            return name, layouts
    return read_as.name, {read_as.name: read_as, **layouts}


def evidence(finding: Finding) -> str:
    return ", ".join(
        f"{name.replace('_', ' ').replace('dbfs', 'dBFS')} {value}" for name, value in finding.evidence.items()
    )
