"""The networks that ship, and what their model card says of them."""

import pytest

import einv2
from einv2.checkpoints import checkpoint, headers
from einv2.labels import dcase_csv
from einv2.metrics import dcase
from support.places import EXAMPLES

CARD = (headers.PRETRAINED / "README.md").read_text(encoding="utf-8")
SHIPPED = headers.available_models()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_network_carries_its_provenance_and_is_in_the_card(name):
    loaded = checkpoint.load(SHIPPED[name])
    assert f"## {name}\n" in CARD and f"{loaded.n_parameters:,} parameters" in CARD
    assert {"code", "data", "date", "arguments", "train"} <= loaded.provenance.keys()
    assert len(loaded.curve) == loaded.provenance["epochs_done"]


def test_the_card_quotes_the_scores_of_the_default_network():
    scores = checkpoint.read_header(SHIPPED["einv2"])["scores"]
    for part, title in (("unheard_recordings", "unheard recordings"), ("procedural", "procedural sounds")):
        ours = scores[part]
        figures = f"{ours['ER']:.3f} | {ours['F']:.3f} | {ours['LE']:.1f} | {ours['LR']:.3f}"
        assert f"| {title} | {figures} |" in CARD
    assert scores["unheard_recordings"]["F"] >= 0.70 and scores["unheard_recordings"]["LE"] <= 9.5


def test_the_default_network_hears_the_examples():
    """Scores on the examples, which are rendered from sounds that no training scene holds."""
    model = einv2.load("einv2")
    pairs = [
        (model.predict(path).frames(), dcase_csv.read_csv(path.with_suffix(".csv")))
        for path in sorted(EXAMPLES.glob("*.flac"))
    ]
    scores = dcase.evaluate(pairs, len(model.classes))
    assert len(pairs) == 3 and scores["F"] > 0.6 and scores["LE"] < 15
