"""Entry point: `streamlit run app/main.py`."""

import sys
from pathlib import Path

import streamlit as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the library and the app are not installed

HERE = Path(__file__).parent

st.set_page_config(page_title="EINV2 Studio", page_icon=str(HERE / "icon.svg"), layout="wide")

st.logo(str(HERE / "logo.svg"), size="large")

PAGES = [
    st.Page("views/inspect.py", title="Inspect", icon=":material/graphic_eq:", url_path="inspect", default=True),
    st.Page("views/evaluate.py", title="Evaluate", icon=":material/analytics:", url_path="evaluate"),
]

st.navigation(PAGES, position="top").run()
