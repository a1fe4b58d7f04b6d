"""The picture of a network has the shapes and parameters of the network, whatever its kind."""

import pytest
import torch

from app.plots import architecture as drawn
from app.plots.curves import curves
from einv2.config import FeatureConfig, ModelConfig
from einv2.models.build import build

FEATURES = FeatureConfig()
SMALL = dict(channels=(4, 4, 8, 8), n_heads=2, feedforward=16)
KINDS = {
    "paper": ModelConfig(**SMALL),
    "released": ModelConfig.released(**SMALL),
    "three tracks": ModelConfig(n_tracks=3, n_classes=5, **SMALL),
    "hard": ModelConfig(sharing="hard", **SMALL),
    "none": ModelConfig(sharing="none", **SMALL),
    "seldnet": ModelConfig(output_format="seldnet", **SMALL),
    "accdoa": ModelConfig(output_format="accdoa", **SMALL),
    "detection": ModelConfig(task="sed", **SMALL),
    "directions": ModelConfig(task="doa", **SMALL),
    "crnn": ModelConfig.crnn(),
}


def rows(model, features=FEATURES):
    return drawn.rows(model, features, drawn.count_parameters(model))


def boxes(model, word):
    return [box for row in rows(model) for box in row.boxes if word in box.title]


@pytest.fixture(params=KINDS, ids=str)
def model(request):
    return KINDS[request.param]


def test_all_parameters_are_drawn_once(model):
    found = sum(b.n_parameters for row in rows(model) for b in row.boxes) + sum(row.stitch or 0 for row in rows(model))
    assert found == sum(p.numel() for p in build(model).parameters())


def test_shapes_are_those_of_the_network(model):
    """What each block and layer gives for a chunk of 4 s, by hooks on the network itself."""
    network, seen = build(model).eval(), []
    blocks = network.blocks if model.network == "crnn" else next(iter(network.encoder.blocks.values()))
    for block in blocks:
        block.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
    with torch.inference_mode():
        output = network(torch.zeros(1, 7, 160, FEATURES.n_mels))
    first = {}
    for box in boxes(model, "lock "):
        first.setdefault(box.title.split("lock ")[1][0], box.shape)
    assert list(first.values()) == seen
    heads = [tuple(t.shape[1:]) for t in output if t is not None]
    if model.output_format == "trackwise":
        heads = [(t[0], *t[2:]) for t in heads]  # (T, M, ...) -> that of one track
    assert [box.shape for box in rows(model)[-1].boxes] == heads


def test_a_track_each_and_the_stitches():
    model = ModelConfig(n_tracks=3, **SMALL)
    assert [row.track for row in rows(model) if row.track] == ["Track 1", "Track 2", "Track 3"]
    assert [row.stitch for row in rows(model) if row.stitch] == [16, 16, 32, 32, 32, 32]  # 4 weights a channel
    assert not any(row.stitch for row in rows(KINDS["hard"]) + rows(KINDS["none"]) + rows(KINDS["accdoa"]))
    assert len(boxes(KINDS["hard"], "block 1")) == 1 and len(boxes(KINDS["none"], "block 1")) == 2
    assert len(boxes(model, "MHSA, 2 heads")) == 6 and len(boxes(KINDS["released"], "transformer, 2 heads")) == 4


def test_attention_is_said_as_the_configuration_has_it():
    def layer(model):
        return boxes(model, "heads")[0].detail

    paper = layer(ModelConfig(**SMALL))
    assert "amplitude 0.1 (equation 4) in queries and keys" in paper and "√d" not in paper and "biases" not in paper
    released = layer(ModelConfig.released(**SMALL))
    assert (
        "amplitude" not in released and "√d, biases of queries, keys and values, residual, layer norm; then" in released
    )
    assert "residual" not in layer(ModelConfig(residual_norm=False, **SMALL))


def test_many_tracks_are_said_and_not_all_drawn():
    model = ModelConfig(n_tracks=40, **SMALL)
    headings = [row.track for row in rows(model) if row.track]
    assert len(headings) == drawn.MAX_TRACKS and headings[-1] == "Track 6, and 34 more like it"


def test_every_box_lies_in_the_figure_and_no_two_touch(model):
    figure = drawn.architecture(model, FEATURES)
    rectangles = [s for s in figure.layout.shapes if s.type == "rect"]
    assert len(rectangles) == sum(len(row.boxes) for row in rows(model)) == len(figure.data[0].x)
    assert all(0 <= r.x0 < r.x1 <= 100 and 0 <= r.y0 < r.y1 <= figure.layout.height for r in rectangles)
    for n, a in enumerate(rectangles):
        for b in rectangles[n + 1 :]:
            assert a.x1 < b.x0 or b.x1 < a.x0 or a.y1 < b.y0 or b.y1 < a.y0
    assert all(0 <= a.y <= figure.layout.height for a in figure.layout.annotations)


def test_counts_of_a_checkpoint_are_taken_as_they_are():
    counted = dict.fromkeys(drawn.count_parameters(KINDS["crnn"]), 1)
    texts = drawn.architecture(KINDS["crnn"], FEATURES, counted).data[0].text
    assert "<b>GRU 1</b><br>(40, 128) · 8 parameters" in texts


def test_configurations_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="time_pooling"):
        drawn.architecture(KINDS["paper"], FeatureConfig(hop=300))


@pytest.mark.parametrize("n, text", [(972, "972"), (10_368, "10.4 k"), (999_600, "1 M"), (3_540_992, "3.54 M")])
def test_counts_are_written_short(n, text):
    assert drawn.count_text(n) == text


def test_curves_have_a_panel_for_each_key_and_gaps_for_what_is_no_number():
    entries = [
        {"epoch": 1, "F": 0.5, "LE": 180.0},
        {"epoch": 2, "F": None, "LE": float("nan")},
        {"epoch": 3, "F": 0.75},
    ]
    figure = curves({"<b>a</b>": entries, "b": [{"F": 0.25}, "odd", {"F": "0.5"}]}, ("F", "LE"))
    first, second = figure.data[0], figure.data[2]
    assert list(first.x) == [1, 2, 3] and list(first.y) == [50, None, 75] and first.name == "&lt;b&gt;a&lt;/b&gt;"
    assert list(figure.data[1].y) == [180, None, None]
    assert list(second.x) == [1, 3] and list(second.y) == [25, None]
    assert [a.text for a in figure.layout.annotations] == ["F (%)", "LE (°)"]
    assert figure.layout.showlegend and not curves({"a": entries}).layout.showlegend
    assert len(curves({}, ("ER",)).data) == 0
