"""Measures. Each counts over one clip; counts of clips are added, and the rates are taken of the sums.

dcase      ER, F, LE and LR of the DCASE 2020 challenge, from frame tables
intervals  confidence intervals of these over clips
tracks     detection alone, directions alone, and what is found of overlapping events
identity   how often an event moves from one output track to another
"""
