"""Renders the examples from their scene files: `python -m app.examples.render`. All sounds are procedural."""

import json

from app.paths import EXAMPLES
from einv2.audio import recordings
from einv2.labels import class_lists, dcase_csv
from einv2.simulate.render import render
from einv2.simulate.scene import scene_from_json
from einv2.simulate.sources import SourceBank


def main() -> None:
    bank = SourceBank(class_lists.DCASE2020_CLASSES, folder=None, procedural_share=1.0)
    for entry in json.loads((EXAMPLES / "examples.json").read_text()):
        scene = scene_from_json(json.loads((EXAMPLES / f"{entry['key']}.json").read_text()))
        signal, table = render(scene, bank)
        recordings.write_flac(EXAMPLES / f"{entry['key']}.flac", signal, recordings.SAMPLE_RATE)
        dcase_csv.write_csv(table, EXAMPLES / f"{entry['key']}.csv", "dcase2020")


if __name__ == "__main__":
    main()
