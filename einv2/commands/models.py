"""List the shipped networks."""

import argparse

from ..checkpoints import headers
from ..config import ModelConfig, from_json
from ..messages import counted
from .shared import add_json, fail, write_report

add_arguments = add_json


def run(options: argparse.Namespace) -> int:
    report, status = [], 0
    for name, path in headers.available_models().items():
        try:
            header = headers.read_header(path)
            model = from_json(ModelConfig, header["model"])
        except (ValueError, OSError) as error:
            status = fail(error)
            continue
        kept = {key: header[key] for key in ("model", "classes", "scores", "provenance")}
        report.append({"name": name, "file": str(path), **kept})
        sizes = f"{counted(model.n_tracks, 'track')}, {counted(len(header['classes']), 'class', 'classes')}"
        scores = header["scores"].get("validation", {})
        figures = "  ".join(f"{key} {scores[key]:.3g}" for key in ("ER", "F", "LE", "LR") if key in scores)
        print(f"{name:16s} {path.stat().st_size / 1e6:6.1f} MB  {sizes}  {f'validation: {figures}' if figures else ''}")
    if not report and not status:
        status = fail(f"there is no model in {headers.PRETRAINED}.")
    write_report(options.json, report)
    return status
