"""A network drawn from its configuration: blocks with the shapes of their outputs and their parameters, for a chunk of audio.

Shapes, as in ``einv2.models``: maps are (channels, frames, mel bands), sequences (frames, channels), what a head says (frames,
numbers), or (frames, classes, 3) for a direction of each class.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

import plotly.graph_objects as go
import torch

from app.ui import theme
from einv2.audio import features as feature_channels
from einv2.config import CRNN_BANDS, FeatureConfig, ModelConfig, require_compatible
from einv2.frames import CHUNK_SECONDS
from einv2.models import crnn
from einv2.models.build import build
from einv2.models.einv2 import INPUT_CHANNELS, branch_names

NAMES = {"sed": "SED", "doa": "DoA", "shared": "Shared"}
COLOURS = {"sed": "#27A9E1", "doa": "#3FA65A", "shared": theme.NEUTRAL, "stitch": "#EE7F2D"}
MAX_TRACKS = 6  # drawn; the heading of the last gives the number of the others

BOX_PIXELS, GAP_PIXELS, STITCH_PIXELS, TRACK_PIXELS = 46, 26, 44, 30
FONT = 12
_SPANS = {"sed": (3.0, 48.0), "doa": (52.0, 97.0), "shared": (22.0, 78.0)}  # of 100, the width of the figure
_EDGE = {"sed": 0.8, "doa": 99.2, "shared": 19.0}  # where the line from the trunk to the tracks runs down


@dataclass(frozen=True)
class Box:
    """A part of the network. branch: "sed", "doa" or "shared"; shape: of the output; detail: the hover text."""

    branch: str
    title: str
    shape: tuple[int, ...]
    n_parameters: int
    detail: str


@dataclass(frozen=True)
class Row:
    """Boxes side by side. stitch: the parameters of the cross-stitch below it, or None. track: a heading above it."""

    boxes: tuple[Box, ...]
    stitch: int | None = None
    track: str | None = None
    takes_trunk: bool = False


@dataclass
class _Place:
    """Where the next row begins, and the bottom of the last box in each branch; pixels from the top."""

    y: float = 8.0
    bottoms: dict[str, float] = field(default_factory=dict)
    trunk: dict[str, float] = field(default_factory=dict)


def count_parameters(model: ModelConfig) -> dict[str, int]:
    """The number of parameters of each tensor of a network, by name; counted on the meta device, without memory."""
    with torch.device("meta"):
        return {name: p.numel() for name, p in build(model).named_parameters()}


def count_text(n: int) -> str:
    """ "972", "10.4 k", "3.54 M"."""
    if n < 1000:
        return str(n)
    return f"{n / 1000:.3g} k" if n < 999_500 else f"{n / 1e6:.3g} M"


def shape_text(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


# Rows of boxes


def rows(
    model: ModelConfig, features: FeatureConfig, parameters: Mapping[str, int], chunk_seconds: int = CHUNK_SECONDS
) -> list[Row]:
    """The parts of a network in the order that a chunk passes them. parameters: see ``count_parameters``."""
    frames = chunk_seconds * features.sample_rate // features.hop
    parts = _Counts(parameters)
    return (
        _crnn_rows(model, features, parts, frames)
        if model.network == "crnn"
        else _einv2_rows(model, features, parts, frames)
    )


class _Counts:
    """Sums of parameters by the beginning of their names."""

    def __init__(self, parameters: Mapping[str, int]):
        self.parameters = parameters

    def of(self, *prefixes: str) -> int:
        return sum(n for name, n in self.parameters.items() if name.startswith(prefixes))


def _input(features: FeatureConfig, frames: int, rows_of: str) -> Row:
    shape = (feature_channels.N_CHANNELS, frames, features.n_mels)
    detail = "log-mel of W, Y, Z, X and the intensity vector along Y, Z, X"
    seconds = frames * features.hop // features.sample_rate
    return Row((Box("shared", f"Features of {seconds} s", shape, 0, f"{detail}; {rows_of}"),))


def _einv2_rows(model: ModelConfig, features: FeatureConfig, parts: _Counts, frames: int) -> list[Row]:
    branches = branch_names(model)
    stacks = ("shared",) if len(branches) == 2 and model.sharing == "hard" else branches
    found = [_input(features, frames, "SED sees the first 4 channels, DoA all 7")]
    size = [frames, features.n_mels]
    for number, pooling in enumerate(zip(model.channels, model.time_pooling, model.frequency_pooling), 1):
        width, over_time, over_mels = pooling
        size = [size[0] // over_time, size[1] // over_mels]
        found.append(_block_row(model, parts, stacks, number, (width, *size), (over_time, over_mels)))
    positions = ", + positions" if model.positional_encoding and model.positions_in == "sequence" else ""
    means = [
        Box(
            _column(stack, branches),
            _titled(model, stack, f"mean over mels{positions}"),
            (size[0], model.channels[-1]),
            0,
            "the mean over what is left of the mel bands",
        )
        for stack in stacks
    ]
    return [*found, Row(tuple(means)), *_track_rows(model, parts, branches, size[0])]


def _column(stack: str, branches: tuple[str, ...]) -> str:
    """The column of a branch: the middle if there is only one branch."""
    return "shared" if len(branches) == 1 else stack


def _titled(model: ModelConfig, stack: str, title: str) -> str:
    """The title with its branch in front, unless one branch does both tasks."""
    return title[0].upper() + title[1:] if model.output_format == "accdoa" else f"{NAMES[stack]} {title}"


def _block_row(model: ModelConfig, parts: _Counts, stacks, number: int, shape: tuple, pooling: tuple) -> Row:
    branches = branch_names(model)
    boxes = tuple(
        Box(
            _column(stack, branches),
            _titled(model, stack, f"block {number}: 2 conv 3×3, pool {pooling[0]}×{pooling[1]}"),
            shape,
            parts.of(f"encoder.blocks.{stack}.{number - 1}."),
            "twice 3×3 convolution, batch norm and ReLU; then average pooling over time × mel bands"
            + (f"; it sees {INPUT_CHANNELS[stack]} channels" if number == 1 else ""),
        )
        for stack in stacks
    )
    stitched = len(stacks) == 2 and model.sharing == "soft" and number in model.stitch_blocks
    return Row(boxes, parts.of(f"encoder.stitches.{number}.") if stitched else None)


def _track_rows(model: ModelConfig, parts: _Counts, branches: tuple[str, ...], frames: int) -> list[Row]:
    trackwise = model.output_format == "trackwise"
    n_tracks = model.n_tracks if trackwise else 1
    found = []
    for track in range(min(n_tracks, MAX_TRACKS)):
        heading = f"Track {track + 1}" if trackwise else "All classes"
        if track == MAX_TRACKS - 1 and n_tracks > MAX_TRACKS:
            heading += f", and {n_tracks - MAX_TRACKS} more like it"
        found += _one_track(model, parts, branches, track, heading, frames)
    return found


def _one_track(model: ModelConfig, parts: _Counts, branches, track: int, heading: str, frames: int) -> list[Row]:
    kind = "MHSA" if model.track_layer == "mhsa" else "transformer"
    what = _attention_text(model)
    what += f"; then feed-forward of width {model.feedforward}, residual, layer norm" if kind == "transformer" else ""
    columns = [_column(branch, branches) for branch in branches]
    layers = [
        Box(
            column,
            _titled(model, branch, f"layers: {model.n_layers} × {kind}, {model.n_heads} heads"),
            (frames, model.channels[-1]),
            parts.of(f"tracks.{track}.layers.{branch}."),
            what,
        )
        for branch, column in zip(branches, columns)
    ]
    heads = [_head(model, parts.of(f"tracks.{track}.{b}_head."), b, c, frames) for b, c in zip(branches, columns)]
    stitched = len(branches) == 2 and model.sharing == "soft" and model.stitch_tracks
    stitch = parts.of(f"tracks.{track}.stitch.") if stitched else None
    return [Row(tuple(layers), stitch, heading, takes_trunk=True), Row(tuple(heads))]


def _attention_text(model: ModelConfig) -> str:
    """The self-attention, and how it differs from equation 5 of the paper."""
    standard = model.track_layer == "transformer"
    parts = ["self-attention over time (equations 5 and 6)"]
    if model.positional_encoding and model.positions_in == "query-key":
        parts.append(f"positions of amplitude {model.positional_scale:g} (equation 4) in queries and keys")
    if standard or model.scaled_attention:
        parts.append("scores divided by √d")
    if standard or model.attention_bias:
        parts.append("biases of queries, keys and values")
    if standard or model.residual_norm:
        parts.append("residual, layer norm")
    return ", ".join(parts)


def _head(model: ModelConfig, n_parameters: int, branch: str, column: str, frames: int) -> Box:
    if branch == "sed":
        return Box(
            column,
            "Activity of each class",
            (frames, model.n_classes),
            n_parameters,
            "linear; a sigmoid makes probabilities",
        )
    if model.output_format == "trackwise":
        return Box(
            column, "Direction x, y, z", (frames, 3), n_parameters, "linear, tanh: a vector to the front, left and up"
        )
    title = "Vector of each class (ACCDOA)" if model.output_format == "accdoa" else "Direction of each class"
    detail = "linear, tanh: a vector to the front, left and up"
    detail += ", as long as its class is active" if model.output_format == "accdoa" else ""
    return Box(column, title, (frames, model.n_classes, 3), n_parameters, detail)


def _crnn_rows(model: ModelConfig, features: FeatureConfig, parts: _Counts, frames: int) -> list[Row]:
    found = [_input(features, frames, "one stack of blocks sees all 7")]
    size = [frames, features.n_mels]
    for n, (width, over_time, over_mels) in enumerate(zip(model.channels, model.time_pooling, model.frequency_pooling)):
        size = [size[0] // over_time, size[1] // over_mels]
        title = f"Block {n + 1}: conv 3×3, pool {over_time}×{over_mels}"
        detail = "3×3 convolution, batch norm, ReLU; then max pooling over time × mel bands"
        found.append(Row((Box("shared", title, (width, *size), parts.of(f"blocks.{n}."), detail),)))
    merged = (size[0], CRNN_BANDS * model.channels[-1])
    found.append(
        Row(
            (
                Box(
                    "shared",
                    f"Mean in {CRNN_BANDS} bands",
                    merged,
                    0,
                    "the mean over each part of the mel bands, side by side",
                ),
            )
        )
    )
    for n in range(model.n_layers):
        detail = "a recurrent layer in both directions, whose outputs are multiplied"
        found.append(Row((Box("shared", f"GRU {n + 1}", (size[0], crnn.WIDTH), parts.of(f"recurrent.{n}."), detail),)))
    heads = (
        Box(
            "sed",
            "Activity of each class",
            (size[0], model.n_classes),
            parts.of("sed_head."),
            "linear twice; a sigmoid makes probabilities",
        ),
        Box(
            "doa",
            "Direction of each class",
            (size[0], model.n_classes, 3),
            parts.of("doa_head."),
            "linear twice, tanh: a vector to the front, left and up",
        ),
    )
    return [*found, Row(heads)]


# The figure


def architecture(
    model: ModelConfig,
    features: FeatureConfig,
    parameters: Mapping[str, int] | None = None,
    chunk_seconds: int = CHUNK_SECONDS,
) -> go.Figure:
    """The network from top to bottom, the SED branch at the left, the DoA branch at the right.

    parameters: by name of the tensor, as a checkpoint has them; counted from the configuration where they are not given.
    ValueError if the configurations do not fit each other.
    """
    require_compatible(model, features)
    figure, place = go.Figure(), _Place()
    counted = count_parameters(model) if parameters is None else parameters
    drawn = rows(model, features, counted, chunk_seconds)
    boxes: list[tuple[Box, float]] = []
    for row in drawn:
        _draw_row(figure, place, row, boxes)
    _finish(figure, boxes, place.y - GAP_PIXELS + 10)
    return figure


def _draw_row(figure: go.Figure, place: _Place, row: Row, boxes: list) -> None:
    if row.takes_trunk:
        _begin_track(figure, place, row.track or "")
    top = place.y
    for box in row.boxes:
        _draw_box(figure, box, top)
        boxes.append((box, top + BOX_PIXELS / 2))
        _connect(figure, place, box.branch, top, row.takes_trunk)
    if len(row.boxes) == 1 and row.boxes[0].branch == "shared":
        place.bottoms = {"shared": top + BOX_PIXELS}
    else:
        place.bottoms = {box.branch: top + BOX_PIXELS for box in row.boxes}
    place.y = top + BOX_PIXELS + (GAP_PIXELS if row.stitch is None else STITCH_PIXELS)
    if row.stitch is not None:
        _draw_stitch(figure, top + BOX_PIXELS, row.stitch)


def _begin_track(figure: go.Figure, place: _Place, heading: str) -> None:
    """Draw a track's heading. The first track also records where the trunk ends."""
    if not place.trunk:
        place.trunk = dict(place.bottoms)
    place.y += TRACK_PIXELS - GAP_PIXELS / 2
    figure.add_annotation(x=50, y=place.y - 12, text=f"<b>{escape(heading)}</b>", showarrow=False, font_size=FONT + 1)


def _draw_box(figure: go.Figure, box: Box, top: float) -> None:
    left, right = _SPANS[box.branch]
    colour = COLOURS[box.branch]
    figure.add_shape(
        type="rect",
        x0=left,
        x1=right,
        y0=top,
        y1=top + BOX_PIXELS,
        line=dict(color=colour, width=1.5),
        fillcolor=theme.translucent(colour, 0.13),
    )


def _connect(figure: go.Figure, place: _Place, branch: str, top: float, from_trunk: bool) -> None:
    if from_trunk:
        _from_trunk(figure, place, branch, top)
        return
    for before, bottom in place.bottoms.items():
        if before == branch or "shared" in (before, branch):
            _arrow(figure, _middle(before, branch), bottom, _middle(branch, before), top)


def _middle(branch: str, other: str) -> float:
    """Where an arrow between two branches meets the first of them: at its middle, or, of a wide one, above the other."""
    left, right = _SPANS[branch]
    if branch == "shared" and other != "shared":
        return left + (right - left) * (0.25 if other == "sed" else 0.75)
    if other == "shared" and branch != "shared":
        return _middle(other, branch)
    return (left + right) / 2


def _from_trunk(figure: go.Figure, place: _Place, branch: str, top: float) -> None:
    """A line from the output of the trunk down the edge of the figure and into a track."""
    source = branch if branch in place.trunk else "shared"
    edge, (left, right), middle = _EDGE[branch], _SPANS[branch], top + BOX_PIXELS / 2
    out_left, out_right = _SPANS[source]
    start = place.trunk[source] - BOX_PIXELS / 2
    leave, enter = (out_right, right) if branch == "doa" else (out_left, left)
    _line(figure, leave, start, edge, start)
    _line(figure, edge, start, edge, middle)
    _arrow(figure, edge, middle, enter, middle)


def _draw_stitch(figure: go.Figure, bottom: float, n_parameters: int) -> None:
    """Arrows between the branches, in both directions."""
    y = bottom + STITCH_PIXELS * 0.62
    left, right = ((a + b) / 2 for a, b in (_SPANS["sed"], _SPANS["doa"]))
    for tail, tip in ((50, left), (50, right)):
        _arrow(figure, tail, y, tip, y, COLOURS["stitch"], 2)
    text = f"cross-stitch · {count_text(n_parameters)} parameters"
    figure.add_annotation(x=50, y=y - 10, text=text, showarrow=False, font_size=FONT - 1)


def _line(figure: go.Figure, x0: float, y0: float, x1: float, y1: float) -> None:
    figure.add_shape(type="line", x0=x0, y0=y0, x1=x1, y1=y1, line=dict(color=theme.NEUTRAL, width=1.5))


def _arrow(
    figure: go.Figure, x0: float, y0: float, x1: float, y1: float, colour: str = theme.NEUTRAL, width=1.5
) -> None:
    figure.add_annotation(
        x=x1, y=y1, ax=x0, ay=y0, xref="x", yref="y", axref="x", ayref="y",
        text="", showarrow=True, arrowhead=2, arrowwidth=width, arrowcolor=colour, arrowsize=0.9,
    )  # fmt: skip


def _finish(figure: go.Figure, boxes: list[tuple[Box, float]], height: float) -> None:
    """The texts of the boxes, their hover texts, and the axes; y counts pixels from the top."""
    figure.add_scatter(
        x=[sum(_SPANS[box.branch]) / 2 for box, _ in boxes],
        y=[y for _, y in boxes],
        mode="markers+text",
        marker=dict(size=34, opacity=0),
        text=[_words(box) for box, _ in boxes],
        textfont_size=FONT,
        hovertext=[_hover(box) for box, _ in boxes],
        hovertemplate="%{hovertext}<extra></extra>",
        cliponaxis=False,
        showlegend=False,
    )
    hidden = dict(visible=False, fixedrange=True)
    figure.update_layout(
        height=math.ceil(height),
        margin=dict(l=0, r=0, t=0, b=0),
        xaxis=dict(range=[0, 100], **hidden),
        yaxis=dict(range=[height, 0], **hidden),
        hovermode="closest",
        dragmode=False,
        font_size=FONT,
    )


def _words(box: Box) -> str:
    counted = f" · {count_text(box.n_parameters)} parameters" if box.n_parameters else ""
    return f"<b>{escape(box.title)}</b><br>{shape_text(box.shape)}{counted}"


def _hover(box: Box) -> str:
    counted = f"<br>{box.n_parameters:,} parameters" if box.n_parameters else "<br>no parameters"
    words = box.detail.split("; ")
    return f"<b>{escape(box.title)}</b><br>{'<br>'.join(map(escape, words))}<br>out: {shape_text(box.shape)}{counted}"
