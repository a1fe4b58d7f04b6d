"""Figures: arrays in, plotly Figure out. No streamlit, nothing drawn on a page."""
