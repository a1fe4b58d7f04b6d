"""Where ``reproduce --scale paper`` deviates from the paper, or fills in what the paper leaves open.

Rows of (subject, the paper, here). einv2/README.md has the same table, and ``reproduce`` writes it below its results.
"""

DEVIATIONS = (
    (
        "Data",
        "TAU-NIGENS Spatial Sound Events 2020: development set for training, evaluation set for the scores",
        "simulated scenes (500 for training, 100 for validation, 200 for the test), unless `--data`, `--validation` and `--test` "
        "name data sets",
    ),
    ("Tracks and classes", "2 and 14", "as many as the data have, at least 2 tracks"),
    (
        "Layers of a track",
        "Table 1 draws self-attention alone",
        "a residual connection and layer norm around each, which the paper does not mention, and dropout 0.2, as in the authors' "
        "code",
    ),
    (
        "Loss (equation 3)",
        "sum of both losses over the tracks",
        "mean over the tracks, each loss weighted by 1/2: smaller by a constant factor, 4 for two tracks",
    ),
    (
        "cPIT",
        "one assignment from the start to the end of an event",
        "the same within a chunk of 4 s; events that overlap share one, which only matters from three tracks on",
    ),
    (
        "DoA loss, SELDnet format",
        "mean square error",
        "mean square error over the active classes; where a class is silent its direction is free",
    ),
    (
        "AdamW",
        "learning rates only",
        "weight decay 0.01 and batches of 32 chunks, as in the authors' code, without its AMSGrad; gradients are not clipped",
    ),
    ("Rotation", "named, without its parameters", "16 patterns, drawn for each chunk"),
    (
        "SpecAugment",
        "named, without its sizes",
        "one mask over time of at most 1 s (a quarter of a chunk) and one over frequency of at most 27/80 of the bands (86 of 256), "
        "the sizes in the SpecAugment paper",
    ),
    (
        "Features",
        "of chunks of 4 s",
        "in training cut from the features of the whole clip, which differ in the outermost frames of a chunk",
    ),
    ("Network tested", "not specified", "that of the last epoch"),
    (
        "Table 2, DoA, no PIT",
        "the assignment of events to tracks is not specified",
        "each event on its track in the training labels; with PIT in the order that fits best",
    ),
    ("Fig. 3", "the data set is not specified", "validation set"),
    ("±", "over five trials, otherwise not specified", "standard deviation over five seeds"),
    (
        "Baseline",
        "row of Table 3 without further details",
        "architecture and losses of the DCASE 2020 baseline (detection + 1000 × the root of the masked sum of squares over its "
        "number), with the features, chunks, batches, optimiser and epochs of the other rows: the loss of directions falls with the "
        "root of the number of active classes in a batch, so its weight is that of the baseline only for batches as large",
    ),
    (
        "ACCDOA",
        "the network is not specified; the ACCDOA paper has RD3Net",
        "the DoA branch of EINV2 with an ACCDOA output",
    ),
    ("Ensembles", "two are quoted", "quoted only"),
)
