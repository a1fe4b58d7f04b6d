"""Alternative texts of the figures, for screen readers: what each shows, and which table holds the same numbers."""

_TEXTS = {  # by the key of the chart, or what its key begins with
    "timeline": "The clip over time: spectrogram, a lane of coloured segments for each output track, azimuth and elevation, with the "
    "ground truth where there is one. The table of events below holds the same as text.",
    "ribbons": "A ribbon over time for each output track of each system, in the colour of the reference event that it follows, with "
    "swaps, fragments and duplicates marked. The tables of the views below hold the same as text.",
    "assignment_": "Matrix of the seconds that each output track follows each reference event.",
    "agreement_all": "Matrix of the share of detections on which each pair of systems agrees.",
    "agreement_tracks": "Matrix of the seconds in which two tracks of two systems report the same.",
    "probabilities": "The probability of each class on each output track over time.",
    "attention": "What each attention head attends to: frames of the chunk against frames.",
    "stitches": "The cross-stitch weights of each place in the network.",
    "pit_figure": "The clip over time in the PIT lab: the azimuths of the output tracks and of the truth, and in the microscope above "
    "them the cost of each assignment of tracks and the assignment that each rule takes.",
    "pit_midpoints": "Each direction's distance to the nearest source against its distance to the midpoint of both sources.",
    "pit_curves": "A measure on the validation scenes after each epoch, one line a network.",
    "pit_table2": "Localisation error of the rows of the table above, the paper's beside ours.",
    "pit_toy_": "What the tiny problem's networks have learnt: their error, their share of directions near the midpoint, or their "
    "directions seen from above.",
    "years_": "A score by the measures of each year, one mark a system, with its interval over clips.",
    "errors_": "Bars of the frames that are correct, in the wrong place, of the wrong class, missed, false alarms and duplicates; the "
    "same numbers stand in the tables of this page.",
    "distances": "How many matched detections lie at each angular distance from the truth, one line a system.",
    "condition_": "A measure of frames in each condition, one bar a system; the table below holds the numbers.",
    "directions": "A measure of frames around the azimuths, one line a system; the table below holds the numbers.",
    "identity": "Track swaps, fragments, duplicates and purity, one bar a system.",
    "reliability": "Share of detections that are right over their probability, one line a system.",
    "f_over_threshold": "F of frames over the threshold, one line a class; the table below holds the best thresholds.",
    "confusion": "Matrix of reference classes against detected classes; the table below holds the numbers.",
    "scene_map_": "Map of all directions with the composed sources as numbered points; the table of sources holds the same as text.",
    "scene_truth": "Activity, azimuth and elevation of the rendered scene's sources over time; its CSV holds the same as text.",
    "train_": "Losses and scores after each epoch; a run's table of epochs holds the same as text.",
    "models_architecture": "The parts of the network from input to outputs, each with the shape of what comes out of it.",
    "models_curves": "Losses or scores after each epoch of the training.",
}  # fmt: skip


def of(key: str) -> str:
    """The text for the key of a chart. KeyError if there is none: every figure has one."""
    return _TEXTS[max((k for k in _TEXTS if key.startswith(k)), key=len, default=key)]
