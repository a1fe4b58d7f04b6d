"""Every system that the paper compares: its network, its losses, its output as tracks, and a clip through its checkpoint."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from einv2.checkpoints import checkpoint
from einv2.config import FeatureConfig, ModelConfig, TrainConfig, require_compatible, without_effect
from einv2.experiments import systems
from einv2.inference.decoding import as_tracks, decode
from einv2.inference.model import Model, load_model
from einv2.models import einv2
from einv2.models.build import build
from einv2.models.einv2 import Output
from einv2.training.losses import class_wise, masked_mse, masked_root, seld_losses

K, M, FRAMES = 3, 2, 10
CLASSES = ("bell", "knock", "piano")
SIZES = dict(n_classes=K, n_tracks=M, channels=(4, 4, 8, 8), n_heads=2, feedforward=16)
CRNN = ModelConfig.crnn(n_classes=K, n_tracks=M, channels=(4, 4, 8), frequency_pooling=(2, 2, 2), n_layers=1)
BOTH = {f"{f}-{s}": ModelConfig(**SIZES, output_format=f, sharing=s)
        for f in ("trackwise", "seldnet") for s in ("soft", "hard", "none")}  # fmt: skip
BOTH |= {"accdoa": ModelConfig(**SIZES, output_format="accdoa"), "crnn": CRNN}
ONE = {f"{f}-{t}": ModelConfig(**SIZES, output_format=f, task=t)
       for f in ("trackwise", "seldnet") for t in ("sed", "doa")}  # fmt: skip
SYSTEMS = BOTH | ONE
every_system = pytest.mark.parametrize("model", SYSTEMS.values(), ids=SYSTEMS)


def reference(batch=2):
    """Two events of different classes that overlap in frames 3 to 5, and silence from frame 8 on."""
    sed, doa = torch.zeros(batch, FRAMES, M, K), torch.zeros(batch, FRAMES, M, 3)
    sed[:, :6, 0, 2], doa[:, :6, 0] = 1, torch.tensor([0.0, 1, 0])
    sed[:, 3:8, 1, 0], doa[:, 3:8, 1] = 1, torch.tensor([0.6, 0, 0.8])
    return sed, doa


def perfect(model):
    """The output that holds the reference, and for trackwise PIT holds it on the other track in every second frame."""
    sed, doa = reference()
    if model.output_format == "trackwise":
        odd = torch.arange(FRAMES)[:, None, None] % 2 == 1
        sed, doa = torch.where(odd, sed.flip(2), sed), torch.where(odd, doa.flip(2), doa)
    else:
        sed, doa = class_wise(sed, doa)
    has_sed = model.output_format != "accdoa" and model.task != "doa"
    return Output(40 * sed - 20 if has_sed else None, doa if model.task != "sed" else None)


def shapes(output):
    return [None if x is None else tuple(x.shape) for x in output]


@every_system
def test_shapes(model):
    output = build(model).eval()(torch.randn(2, 7, 4 * FRAMES + 1, 16))
    places = M if model.output_format == "trackwise" else K
    sed = (2, FRAMES, M, K) if model.output_format == "trackwise" else (2, FRAMES, K)
    assert shapes(output) == shapes(perfect(model)) == [
        None if model.output_format == "accdoa" or model.task == "doa" else sed,
        None if model.task == "sed" else (2, FRAMES, places, 3),
    ]  # fmt: skip
    assert output.doa is None or output.doa.abs().max() <= 1


@every_system
def test_the_loss_trains_every_parameter(model):
    torch.manual_seed(0)
    network = build(replace(model, dropout=0.0))
    losses = seld_losses(network(torch.randn(2, 7, 4 * FRAMES + 1, 16)), *reference(), model)
    assert all(torch.isfinite(x) and x.ndim == 0 for x in losses[:3])
    losses.total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@every_system
def test_a_perfect_output_costs_nothing_and_a_wrong_one_does(model):
    output = perfect(model)
    losses = seld_losses(output, *reference(), model)
    assert losses.total < 1e-6 and losses.sed < 1e-6 and losses.doa < 1e-6
    assert (losses.permutation is not None) == (model.output_format == "trackwise")
    wrong = Output(*(None if x is None else -x for x in output))
    assert seld_losses(wrong, *reference(), model).total > 0.1
    for part, there in zip(losses[1:3], (output.sed, output.doa)):
        assert there is not None or part == 0


@pytest.mark.parametrize("name", ["trackwise-soft", "trackwise-hard", "seldnet-none", "accdoa", "crnn"])
def test_one_batch_is_learnt(name):
    torch.manual_seed(0)
    model = replace(SYSTEMS[name], dropout=0.0)
    network, x = build(model), torch.randn(2, 7, 4 * FRAMES + 1, 16)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    curve = []
    for _ in range(60):
        losses = seld_losses(network(x), *reference(), model)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        curve.append(losses.total.item())
    assert curve[-1] < 0.3 * curve[0]


@pytest.mark.parametrize("task", ["sed", "doa"])
def test_the_permutation_of_one_branch_is_found_by_its_own_cost(task):
    """The output's activities are in the order of the reference, its directions in the other."""
    model = SYSTEMS[f"trackwise-{task}"]
    sed, doa = reference(1)
    output = Output(40 * sed - 20, None) if task == "sed" else Output(None, doa.flip(2))
    losses = seld_losses(output, sed, doa, model)
    expected = [0, 1] if task == "sed" else [1, 0]
    assert losses.permutation[0, :8].tolist() == [expected] * 8 and losses.total < 1e-6


def test_the_class_wise_reference_by_hand():
    """Two events of class 1: the first track's direction; class 0 on the second track; class 2 silent."""
    sed, doa = torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 2, 3)
    sed[0, 0, 0, 1] = sed[0, 0, 1, 1] = sed[0, 1, 1, 0] = 1
    doa[0, 0, 0], doa[0, 0, 1], doa[0, 1, 1] = (torch.tensor(v) for v in ([1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]))
    activity, direction = class_wise(sed, doa)
    assert activity[0].tolist() == [[0, 1, 0], [1, 0, 0]]
    assert direction[0].tolist() == [[[0, 0, 0], [1, 0, 0], [0, 0, 0]], [[0, 0, 1], [0, 0, 0], [0, 0, 0]]]


def test_masked_mse_by_hand():
    activity, direction = torch.tensor([[[1.0, 0, 1]]]), torch.zeros(1, 1, 3, 3)
    doa = torch.tensor([[[[0.3, 0, 0], [9, 9, 9], [0, 0.6, 0]]]])
    torch.testing.assert_close(masked_mse(doa, direction, activity), torch.tensor((0.09 + 0.36) / 6))
    assert masked_mse(doa, direction, torch.zeros(1, 1, 3)) == 0


def test_masked_root_is_the_loss_of_the_baseline_s_code():
    activity, direction = torch.tensor([[[1.0, 0, 1]]]), torch.zeros(1, 1, 3, 3)
    doa = torch.tensor([[[[0.3, 0, 0], [9, 9, 9], [0, 0.4, 0]]]], requires_grad=True)
    loss = masked_root(doa, direction, activity)
    torch.testing.assert_close(loss, torch.tensor((0.09 + 0.16) ** 0.5 / 6))
    for mask, found in ((torch.zeros(1, 1, 3), doa), (activity, torch.zeros(1, 1, 3, 3, requires_grad=True))):
        loss = masked_root(found, direction, mask)
        (gradient,) = torch.autograd.grad(loss, found)
        assert loss == 0 and torch.isfinite(gradient).all()


def test_the_crnn_weighs_its_losses_as_the_baseline():
    model, config = systems.SYSTEMS["crnn"].apply(ModelConfig(), TrainConfig())
    assert (1 - config.sed_weight) / config.sed_weight == pytest.approx(1000) and config.masked_loss == "root"
    output = Output(torch.randn(1, 2, K), torch.randn(1, 2, K, 3))
    sed = torch.zeros(1, 2, M, K)
    sed[0, :, 0, 1] = 1
    reference = sed, torch.randn(1, 2, M, 3)
    losses = seld_losses(output, *reference, model, config)
    activity, direction = class_wise(*reference)
    torch.testing.assert_close(losses.doa, masked_root(output.doa, direction, activity))
    torch.testing.assert_close(losses.total * 1001, losses.sed + 1000 * losses.doa)


@pytest.mark.parametrize("name", systems.SYSTEMS)
def test_fields_without_effect_change_neither_the_network_nor_its_loss(name):
    """What is idle may have any value; what is not, is not said to be."""
    model, config = systems.SYSTEMS[name].apply(ModelConfig(), TrainConfig())
    idle = without_effect(model, config)
    other = {"sharing": "none", "stitch_blocks": (1,), "stitch_order": "sequential", "stitch_tracks": False}
    other |= {"feedforward": 77, "positions_in": "sequence"}
    changed = replace(model, **{name: value for name, value in other.items() if name in idle})
    shapes = [
        {k: v.shape for k, v in build(replace(m, channels=tuple(8 for _ in m.channels))).state_dict().items()}
        for m in (model, changed)
    ]
    assert shapes[0] == shapes[1]
    assert ("pit" in idle) == (model.output_format != "trackwise")
    assert ("sed_weight" in idle) == (model.task != "seld" or model.output_format == "accdoa")
    assert ("stitch_order" in idle) == (name not in ("einv2-tpit", "einv2-cpit", "einv2-nopit", "seldnet"))
    assert not idle.keys() & {"channels", "n_layers", "dropout", "task", "output_format", "epochs", "weight_decay"}
    assert "warmup_share" in idle and "warmup_share" not in without_effect(model, replace(config, schedule="one-cycle"))


def test_accdoa_is_punished_for_length_where_a_class_is_silent():
    sed, doa = torch.zeros(1, 1, M, K), torch.zeros(1, 1, M, 3)
    vectors = torch.full((1, 1, K, 3), 0.5)
    losses = seld_losses(Output(None, vectors), sed, doa, SYSTEMS["accdoa"])
    assert losses.total == losses.doa == 0.25 and losses.sed == 0
    assert seld_losses(Output(torch.full((1, 1, K), -20.0), vectors), sed, doa, SYSTEMS["seldnet-soft"]).doa == 0


def test_what_sharing_shares():
    parts = {}
    for sharing in ("soft", "hard", "none"):
        network = build(SYSTEMS[f"trackwise-{sharing}"])
        keys = network.state_dict().keys()
        parts[sharing] = list(network.encoder.blocks), sum("stitch" in key for key in keys)
        assert list(network.tracks[0].layers) == ["sed", "doa"]
    assert parts == {"soft": (["sed", "doa"], 5), "hard": (["shared"], 0), "none": (["sed", "doa"], 0)}
    assert list(build(SYSTEMS["accdoa"]).encoder.blocks) == ["doa"]


@pytest.mark.parametrize("name, sees", [("trackwise-none", False), ("trackwise-hard", True), ("trackwise-sed", False)])
def test_the_sed_branch_sees_intensity_only_through_a_shared_encoder(name, sees):
    network, x = build(SYSTEMS[name]).eval(), torch.randn(1, 7, 41, 16)
    y = x.clone()
    y[:, 4:] += 1
    assert torch.equal(network(x).sed, network(y).sed) is not sees


def test_stitched_maps_stay_in_half_precision():
    stitch = einv2.CrossStitch(4)
    assert {x.dtype for x in stitch(*torch.randn(2, 1, 4, 5, 6).bfloat16())} == {torch.bfloat16}


def test_the_crnn_is_the_baseline_of_dcase_2020():
    """3 convolutions, 2 bidirectional layers of 128 on 2 x 64 numbers, 2 dense layers a head; biases as PyTorch has them."""
    convolutions = 9 * 64 * (7 + 64 + 64) + 3 * 3 * 64
    recurrent = 2 * 2 * 3 * (128 * 128 + 128 * 128 + 2 * 128)
    heads = 2 * (128 * 128 + 128) + (128 + 1) * 4 * 14
    network = build(ModelConfig.crnn())
    assert sum(p.numel() for p in network.parameters()) == convolutions + recurrent + heads
    assert shapes(network.eval()(torch.randn(1, 7, 161, 64))) == [(1, 40, 14), (1, 40, 14, 3)]


@pytest.mark.parametrize(
    "changes, says",
    [
        (dict(network="crnn"), "network crnn has output_format seldnet and task seld only, not trackwise and seld"),
        (dict(network="crnn", output_format="seldnet", task="doa"), "not seldnet and doa"),
        (dict(output_format="accdoa", task="sed"), "the task must be seld, not sed"),
    ],
)
def test_systems_that_are_none(changes, says):
    with pytest.raises(ValueError, match=says):
        ModelConfig(**changes)


def test_pooling_must_leave_bands():
    require_compatible(ModelConfig.crnn(), FeatureConfig(n_mels=64))
    require_compatible(ModelConfig(frequency_pooling=(2, 2, 4, 4)), FeatureConfig(n_mels=64))
    with pytest.raises(ValueError, match="leaves 1 of n_mels 32; crnn needs at least 2"):
        require_compatible(ModelConfig.crnn(), FeatureConfig(n_mels=32))
    with pytest.raises(ValueError, match="time_pooling"):
        require_compatible(ModelConfig.crnn(time_pooling=(5, 1, 1)), FeatureConfig())


@every_system
def test_the_output_as_tracks(model):
    """Every system's perfect output decodes to the events that the reference holds."""
    sed, doa = as_tracks(perfect(model), model)
    places = M if model.output_format == "trackwise" else K
    assert doa.shape == (2, FRAMES, places, 3)
    if model.task == "doa":
        assert sed is None
        return
    assert sed.shape == (2, FRAMES, places, K) and sed.min() >= 0 and sed.max() <= 1
    expected = decode(*(x[0].numpy() for x in reference()))
    decoded = decode(sed[0].numpy(), doa[0].numpy())
    keys = ["frame", "class"] if model.task == "sed" else ["frame", "class", "azimuth", "elevation"]
    np.testing.assert_allclose(decoded[keys], expected[keys], atol=1e-4)
    if places == K:
        assert (decoded["track"] == decoded["class"]).all()


def test_the_probability_of_accdoa_is_the_length_of_its_vector():
    doa = torch.tensor([[0.3, 0.4, 0], [1, 1, 1], [0, 0, 0]]).reshape(1, 1, K, 3)
    sed, same = as_tracks(Output(None, doa), SYSTEMS["accdoa"])
    torch.testing.assert_close(sed[0, 0], torch.diag(torch.tensor([0.5, 1, 0])))
    assert same is doa


def saved(model, path):
    torch.manual_seed(0)
    ones = torch.ones(1, 7, 1, 16)
    network = build(model).eval()
    checkpoint.save(
        checkpoint.Checkpoint(network, model, FeatureConfig(n_mels=16), CLASSES, -40 * ones, 10 * ones), path
    )


@pytest.mark.parametrize("model", BOTH.values(), ids=BOTH)
def test_a_clip_through_a_checkpoint(model, tmp_path, scene_audio):
    """The file holds the whole system; its prediction is that of the network, as tracks, cut to the clip."""
    saved(model, tmp_path / "system.safetensors")
    loaded = load_model(tmp_path / "system.safetensors")
    assert loaded.checkpoint.model == model
    prediction = loaded.predict_audio(np.tile(scene_audio, (1, 3)))
    places = M if model.output_format == "trackwise" else K
    assert prediction.sed.shape == (60, places, K) and prediction.doa.shape == (60, places, 3)
    assert ((prediction.sed >= 0) & (prediction.sed <= 1)).all() and np.ptp(prediction.sed, axis=0).max() > 0
    assert set(prediction.frames(0.0)["class"]) <= set(range(K)) and len(prediction.events(0.0))


@pytest.mark.parametrize("task, what, other", [("sed", "activities", "doa"), ("doa", "directions", "sed")])
def test_a_network_of_one_branch_is_no_model_of_both(task, what, other, tmp_path):
    path = tmp_path / "half.safetensors"
    saved(SYSTEMS[f"trackwise-{task}"], path)
    with pytest.raises(ValueError, match=rf"^half\.safetensors estimates {what} only: .* of the task {other}, as in"):
        Model(checkpoint.load(path), name=path.name)


@pytest.mark.parametrize("model", [SYSTEMS["seldnet-soft"], CRNN], ids=["seldnet", "crnn"])
def test_reference_tracks_do_not_count_as_stacks_of_a_class_wise_checkpoint(model, tmp_path):
    saved(replace(model, n_tracks=40), tmp_path / "many.safetensors")
    assert checkpoint.load(tmp_path / "many.safetensors").model.n_tracks == 40
