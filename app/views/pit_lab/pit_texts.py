"""What the PIT lab says: equations, and what each measure on the page means."""

TPIT = r"\mathcal{L}^{\mathrm{tPIT}}=\frac1T\sum_{t}\ \min_{\alpha\in P}\ \ell_\alpha(t)"
CPIT = r"\mathcal{L}^{\mathrm{cPIT}}=\frac1T\sum_{c}\ \min_{\alpha\in P}\ \sum_{t\in c}\ell_\alpha(t)"
NONE = r"\mathcal{L}^{\mathrm{none}}=\frac1T\sum_{t}\ \ell_{\mathrm{id}}(t)"
COST = (
    r"\ell_\alpha(t)=\frac1M\sum_{m=1}^{M}\Big[\underbrace{\tfrac1K\textstyle\sum_k\mathrm{BCE}\big(y_{mk},\hat y_{\alpha(m)k}\big)}"
    r"_{\text{SED}}+\underbrace{\tfrac13\lVert d_m-\hat d_{\alpha(m)}\rVert^2}_{\text{DoA}}\Big]"
)
MEAN = r"\arg\min_{d}\ \tfrac12\lVert d-\hat d_1\rVert^2+\tfrac12\lVert d-\hat d_2\rVert^2=\tfrac12\big(\hat d_1+\hat d_2\big)"
SELDNET = r"Y_{\mathrm{SELDnet}}\in\{0,1\}^{T\times K},\quad D_{\mathrm{SELDnet}}\in\mathbb{R}^{T\times K\times 3}"
TRACKWISE = (
    r"Y_{\mathrm{track}}\in\{0,1\}^{T\times M\times K},\quad D_{\mathrm{track}}\in\mathbb{R}^{T\times M\times 3}"
)

WHY = (
    "A trackwise network has M output tracks, and nothing in the sound says which event belongs on which. Without PIT the labels "
    "decide (first free track at onset); permutation-invariant training (PIT) lets the network's own output decide: for each frame "
    "(tPIT), or for each run of events (cPIT)."
)
MICROSCOPE = {
    "costs": "**Top**: what each assignment α of output tracks to reference tracks costs in each frame of 0.1 s, by the function that "
    "trains. Training takes the assignment by the plain sum of both parts, and then weights each by ½.",
    "rules": "**Ribbons**: the assignment that each rule takes, in the colour of its curve. A cross marks a frame in which the rule "
    "compares the tracks with other events than those they are nearest to, so that training would pull them the wrong way. tPIT takes "
    "the cheapest in each frame, and so has none.",
    "margin": "**Margin**: the second cheapest assignment minus the cheapest. Near 0 either would do, and a track may swap.",
    "azimuths": "**Azimuths**: thin lines are the truth, dots the output tracks (circle: track 1, diamond: track 2), hollow below the "
    "threshold of 0.5. Red lines lead from a track in a frame with a cross to the event that the chosen rule pulls it to; where that "
    "is silence, there is none. Click to play from there.",
    "part": "Both parts of the cost, or one of them. The ribbons and the margin stay those of the sum, by which training chooses.",
    "reverse": "The order of the onsets alone decides which event is on which reference track. In reverse, PIT takes the other "
    "assignment and nothing else changes; without PIT every track is pulled elsewhere.",
    "chunks": "cPIT keeps one assignment for as long as an event lasts, so events that overlap share it, and events that only touch "
    "do not. Training cuts chunks (of 4 s as a rule), beginning at random; here they begin at 0, as in validation, and a run ends at "
    "a chunk's border.",
}
SUMMARY = {
    "loss": "training loss of this clip under the rule: ½ SED (nats) + ½ DoA (squared error), means over frames, tracks, and "
    "classes or coordinates",
    "wrong": "frames with a cross / frames in which the reference sounds, in %",
    "changes": "how often the assignment changes from one sounding frame to the next",
}
MIDPOINT = {
    "share": "share of the directions, in %, that are nearer to the midpoint of two simultaneous sources than to either source",
    "to_midpoint": "mean distance from a direction to the midpoint of the two sources, in degrees",
    "to_source": "mean distance from a direction to the nearer of the two sources, in degrees",
    "where": "in frames with exactly two events, more than 40° and less than 170° apart; every output track counts, whatever its "
    "activity (SELDnet format: the classes that sound)",
}
ALONE = {
    "le": "activity and class from the ground truth, tracks put in the order that fits best: mean distance, in degrees",
    "le_overlap": "the same, in frames with two events or more",
}
STEPS = {
    "1 · The scene": "Two events of one class sound at once, from two directions: overlap is homogeneous. Every thin line is an event "
    "of the ground truth.",
    "2 · SELDnet format": "One activity and one direction for each class. The label itself cannot hold two events of a class: the "
    "second has no place, so what is drawn as dots is all that even a perfect network could say.",
    "3 · Trackwise": "M tracks, each with one event of any class and its direction. Two events of one class are two tracks: the label "
    "holds the whole scene. In return, events must be assigned to tracks, which is what PIT is for.",
    "4 · What networks hear": "The same clip through the shipped networks of both formats. Hollow dots are tracks below the threshold "
    "of 0.5 where the reference sounds.",
}
TOY = (
    "Two small EINV2 networks with the same first weights see the same examples in the same order: 0.8 s, two sounds of different "
    "classes, 60 to 150° apart, both begun before the example does. One is trained with tPIT, one without. Nothing tells the second "
    "one which source belongs on which track, so all it can learn is the mean of both directions. Each run begins with other weights "
    "and examples."
)
