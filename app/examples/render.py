"""Renders the examples from their scene files: `python -m app.examples.render`. All sounds are procedural."""

import json
from pathlib import Path

from einv2 import audio, labels
from einv2.simulate import SourceBank, render, scene_from_json

HERE = Path(__file__).parent


def main() -> None:
    bank = SourceBank(labels.DCASE2020_CLASSES, folder=None, procedural_share=1.0)
    for entry in json.loads((HERE / "examples.json").read_text()):
        scene = scene_from_json(json.loads((HERE / f"{entry['key']}.json").read_text()))
        signal, table = render(scene, bank)
        audio.write_flac(HERE / f"{entry['key']}.flac", signal, audio.SAMPLE_RATE)
        labels.write_csv(table, HERE / f"{entry['key']}.csv", "dcase2020")


if __name__ == "__main__":
    main()
