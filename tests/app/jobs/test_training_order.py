"""Orders of the Train page: their arguments, their data, and what is refused."""

import dataclasses
import sys

import pytest

from app.jobs import training_order, training_runs
from app.jobs.training_order import DataSet, Order
from app.storage import user_folder
from einv2.commands import main as cli
from einv2.config import without_effect
from einv2.datasets import chunking
from einv2.experiments.systems import SYSTEMS
from support.trainings import order

pytestmark = pytest.mark.usefixtures("six_scenes")


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("released", [True, False])
def test_the_arguments_give_the_configurations_of_the_order(system, released):
    for size in training_order.SIZES:
        asked = dataclasses.replace(order(system=system, released=released), size=size)
        options = cli.parser(["train"]).parse_args(["train", *asked.arguments, "--out", "x"])
        model, _, train = asked.configs
        idle = without_effect(model, train)
        assert not options.given & idle.keys()
        for config in asked.configs:
            for f in dataclasses.fields(config):
                if f.name not in ("n_tracks", "n_classes", *idle):
                    assert getattr(options, f.name) == getattr(config, f.name), (size, f.name)


def test_parameters_are_those_of_the_network(tiny_model):
    from einv2.models.build import build

    assert training_order.n_parameters(tiny_model) == sum(p.numel() for p in build(tiny_model).parameters())


def test_data_sets_are_kept_sets_and_those_of_the_data_root(monkeypatch, tmp_path):
    root = tmp_path / "root"
    for place in ("A/foa_dev/dev-train", "A/foa_eval", "deep/B/foa_dev", "loose"):
        (root / place).mkdir(parents=True)
        (root / place / "a.wav").touch()
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--data-root", str(root)])
    found = training_order.data_sets()
    assert [one.title for one in found] == ["six", "root/A (data root)", "root/deep/B (data root)"]
    assert [one.is_kept for one in found] == [True, False, False]
    asked = Order("mine", found[:1] + found[1:2])
    assert asked.arguments[-2:] == ["--cache", str(user_folder.root() / "runs" / training_order.FEATURES)]
    assert "--cache" not in Order("mine", found[:1]).arguments
    assert f" \\\n  --data {found[1].path} \\\n" in asked.command and asked.command.endswith("runs/mine")


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"name": "../up"}, "cannot be a name"),
        ({"data": ()}, "Choose data"),
        ({"data": (DataSet("x", "/nowhere", True),)}, "holds no data set"),
        ({"validation_part": ("fold9",)}, "fold9"),
    ],
)
def test_impossible_orders_are_refused_before_anything_is_created(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        training_runs.start(dataclasses.replace(order(), **changes))
    assert training_runs.runs() == []


def test_missing_features_are_counted_as_needed_space(fake, monkeypatch):
    fake()
    asked = order()
    networks = training_order.COPIES * 4 * training_order.n_parameters(asked.configs[0])
    assert asked.most_bytes - networks == 6 * 8 * 40 * 7 * 64 * 2  # clips, seconds, frames a second, float16
    monkeypatch.setattr(user_folder, "limit_bytes", lambda: user_folder.used_bytes() + networks + 1_000_000)
    with pytest.raises(ValueError, match=r"this may need 3\.4 MiB more: delete what is no longer needed"):
        training_runs.start(asked)
    for clip in [clip for part in asked.clips() for clip in part]:
        chunking.cached_features(clip, asked.configs[1])
    assert asked.most_bytes == networks


def test_a_full_folder_is_refused(monkeypatch):
    monkeypatch.setattr(user_folder, "limit_bytes", lambda: 1000)
    with pytest.raises(ValueError, match="of at most 1 KiB"):
        training_runs.start(order())
