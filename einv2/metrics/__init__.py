"""Measures. Each counts over clips; counts of clips are added, and the rates are taken of the sums.

dcase          ER, F, LE and LR of the DCASE challenges of 2020 to 2024, from frame tables
intervals      confidence intervals of these over clips, and of the difference of two systems
errors         the kind of every row (correct, wrong place, ...), and error events
breakdown      measures of frames by class, clip, overlap, motion, direction and level; confusion; distances
identity       how often an event moves from one output track to another; fragments, purity, duplicates
probabilities  reliability, and F over the threshold
tracks         detection alone, directions alone, and what is found of overlapping events
matching       which estimate is which reference
"""
