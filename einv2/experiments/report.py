"""The results of a comparison as Markdown."""

from collections.abc import Sequence

from ..frames import LABEL_FRAMES_PER_SECOND
from ..inference.runner import OVERLAP_SECONDS
from ..messages import counted
from ..metrics.single_task import OVERLAPS
from ..training.scoring import THRESHOLD
from .deviations import DEVIATIONS
from .scales import AUGMENTED, Scale
from .systems import QUOTED

COLUMNS = {"table2": ("F", "LE"), "table3": ("ER", "F", "LE", "LR"), "fig3": ("LE",)}
UNITS = {"ER": "ER", "F": "F", "LE": "LE (degrees)", "LR": "LR"}


def settings(scale: Scale) -> dict[str, str]:
    """What a reader has to know of a scale beside the table, by what it is about."""
    config, overlap = scale.train, scale.overlap_seconds
    low = f"{config.learning_rate:g}, a tenth of it for the last tenth of the epochs"
    masks = (
        AUGMENTED["time_mask_frames"] * config.chunk_seconds,
        AUGMENTED["frequency_mask_bins"] * scale.features.n_mels,
    )
    joined = "end to end" if overlap == 0 else f"overlap by {overlap or OVERLAP_SECONDS:g} s"
    return {
        "Network": f"{counted(scale.model.n_tracks, 'track')}, {counted(scale.model.n_classes, 'class', 'classes')}, channels "
        f"{', '.join(map(str, scale.model.channels))}, track layers {scale.model.track_layer}, {scale.features.n_mels} mel bands",
        "Training": f"{counted(config.epochs, 'epoch')}, batches of {config.batch_size} chunks of {config.chunk_seconds} s "
        f"{'from a random place on' if config.chunk_offset else 'end to end'}, AdamW at "
        f"{low if config.schedule == 'steps' else f'one cycle to {config.learning_rate:g}'}, weight decay {config.weight_decay:g}, "
        + (f"gradient norm at most {config.clip_norm:g}" if config.clip_norm else "gradients not clipped"),
        "Augmentation": "rows with “augmented”: rotation (16 patterns) and SpecAugment (a mask of up to "
        f"{masks[0]:g} s and one of up to {masks[1]:.0f} bands), nothing else; the others: none",
        "Test": f"last epoch, threshold {THRESHOLD:g}; chunks of networks for both tasks {joined}, of others end to end; "
        + (
            "up to the last event of the ground truth, as `evaluate`"
            if scale.n_frames is None
            else f"{scale.n_frames / LABEL_FRAMES_PER_SECOND:g} s of every clip, as `evaluate --seconds`"
        ),
    }


NOTES = {
    "table2": "F, from 0 to 1: detection alone, micro average over segments of 1 s, directions ignored. LE: directions alone, "
    "activity and class from the ground truth, whose events stand on the tracks in the order that fits best; without PIT on the "
    "tracks that the labels gave them in training.",
    "table3": "DCASE 2020 measure; F and LR from 0 to 1.",
    "fig3": "LE of directions alone, as in Table 2, whose figures stand for the ends of the paper's curves: activity and class from "
    "the ground truth, whose events stand on the tracks in the order that fits best, without PIT on the tracks that the labels "
    "gave them. First table: test set, last epoch.",
}


def markdown(name: str, report: dict) -> str:
    """The results as Markdown: the paper's figures beside ours, overlaps and track swaps, for fig3 the curves; then the settings, and
    the deviations from the paper's."""
    rows, columns, seeds = report["rows"], COLUMNS[name], report["seeds"]
    over = f", mean ± standard deviation over {len(seeds)} seeds" if len(seeds) > 1 else ", one seed"
    sides = (("paper", "paper_spread"), ("ours", "spread"))
    parts = [
        f"# {name}: the paper's figures and ours",
        f"Ours: {counted(report['epochs'], 'epoch')}{over} ({', '.join(map(str, seeds))}). The data are the paper's only if you "
        f"gave them; on others the order of the rows compares, not the figures. {NOTES[name]}",
        _table(
            [f"{UNITS[c]}: {whose}" for c in columns for whose, _ in sides],
            {
                row["title"]: [_figure(c, row[w].get(c), row[s].get(c)) for c in columns for w, s in sides]
                for row in rows
            },
        ),
    ]
    if any(not row["systems"] for row in rows):
        parts.append(QUOTED)
    first = {row["title"]: row["seeds"][0] for row in rows if row["seeds"]}
    if first and all("overlap" in result for result in first.values()):
        parts += [
            "Share of the frames in which every event is found (right class, within 20 degrees), by what overlaps, and of the "
            "steps of 100 ms within an event that change its track. First seed.",
            _table([*OVERLAPS.values(), "swaps"], {title: _shares(result) for title, result in first.items()}),
        ]
    if name == "fig3":
        curves = [row["le_by_epoch"] for row in rows]
        parts += [
            "## LE (degrees) over the epochs",
            "Validation set, after each epoch; mean over the seeds.",
            _table(
                [row["title"] for row in rows],
                {f"epoch {n}": [_figure("LE", le) for le in each] for n, each in enumerate(zip(*curves), 1)},
            ),
        ]
    parts += ["## Settings", "\n".join(f"- {what}: {text}." for what, text in report["settings"].items())]
    parts += ["## Deviations from the paper", "Of `--scale paper`.", deviations()]
    return "\n\n".join(parts) + "\n"


def deviations() -> str:
    """``DEVIATIONS`` as a table in Markdown."""
    lines = [("", "the paper", "here"), ("---",) * 3, *DEVIATIONS]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _table(columns: Sequence[str], rows: dict[str, list[str]]) -> str:
    lines = [["", *columns], ["---"] * (len(columns) + 1), *([title, *cells] for title, cells in rows.items())]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _shares(result: dict) -> list[str]:
    found = [result["overlap"][key]["found"] for key in OVERLAPS]
    return ["" if value is None else f"{value:.1%}" for value in (*found, result["swap_rate"])]


def _figure(column: str, value: float | None, spread: float | None = None) -> str:
    if value is None:
        return ""
    decimals = 1 if column == "LE" else 3
    return f"{value:.{decimals}f}" + ("" if spread is None else f" ± {spread:.{decimals}f}")
