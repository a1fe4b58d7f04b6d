"""Entry point: `streamlit run app/main.py`."""

import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the library and the app are not installed

from app import pages, paths
from app.ui import address, memory, session

NAVIGATION = [
    st.Page(page.file, title=page.title, icon=page.icon, url_path=page.url_path, default=page is pages.INSPECT)
    for page in pages.ALL
]
PATHS_OF_A_CLIP = {"", *(page.url_path for page in pages.OF_A_CLIP)}  # the default page's path is empty

# before the navigation, which would else fetch the page's icon from another host
st.set_page_config(page_title="EINV2 Studio", page_icon=str(paths.ICON), layout="wide")
page = st.navigation(NAVIGATION, position="top")
address.follow(page.url_path)
clip = st.session_state.get(session.CLIP) if page.url_path in PATHS_OF_A_CLIP else None
title = " · ".join(part for part in (clip and clip.name, page.title, "EINV2 Studio") if part)
st.set_page_config(page_title=title)

st.logo(str(paths.LOGO), size="large")

st.html(
    "<style>[data-testid=stMainBlockContainer] {padding-top: 4rem; padding-bottom: 3rem}"
    ".st-key-einv2_history, .plotly-notifier {display: none}"
    # what is chosen stands in the colour of text: white on the dark theme's bright primary colour cannot be read
    "[data-testid=stMultiSelect] [data-tag] {background: rgb(128 140 150 / .25)}"
    "[data-testid=stMultiSelect] [data-tag], [data-testid=stMultiSelect] [data-tag] * {color: inherit}"
    # the light theme's grey of all text in figures has a contrast of 3.7 on white: it takes the page's colour of text
    ".js-plotly-plot text[style*='fill: rgb(128, 132, 149)'] {fill: currentColor !important}"
    # white on the dark theme's primary colour has one of 1.9
    "button[data-testid^=stBaseButton-primary]:not(:disabled) {color: light-dark(#FFFFFF, #0E141A)}"
    # under the mouse a chosen segment has a darker ground, on which the primary colour has one of 4.2
    "[data-testid=stButtonGroup] button:hover {color: light-dark(#0C161E, #E4EBF1) !important}"
    # what deletes for good is red in both themes
    "[class*=st-key-destructive_] button[data-testid] {background: #C8321F; border-color: #C8321F; color: #FFFFFF}"
    "[class*=st-key-destructive_] button[data-testid]:is(:hover, :focus-visible, :active)"
    " {background: #A82718; border-color: #A82718; color: #FFFFFF}</style>"
)

memory.watch()
address.keep_history_short()
page.run()
