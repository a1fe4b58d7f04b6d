"""Data sets in folders: the DCASE SELD sets of 2019 to 2024 as they are unpacked, and the sets that ``simulate`` writes.

A set is a folder with audio below foa_dev (or foa_eval, ...) and one CSV per clip below metadata_dev (metadata_eval, ...):

    2019          foa_dev/split1_ir0_ov1_1.wav, 48 kHz; the evaluation set unpacks to ``DEEP_FOLDER``
    2020          foa_dev/fold1_room1_mix001_ov1.wav
    2021          foa_dev/dev-train/fold1_room1_mix001.wav, dev-val, dev-test; foa_eval/eval-test/mix001.wav
    2022 to 2024  foa_dev/dev-train-sony/fold3_room21_mix001.wav, dev-train-tau, dev-test-sony, dev-test-tau
    simulate      foa_dev/fold1_room1_mix0001.flac, and scenes/

A clip and its CSV have the same path below foa_X and metadata_X, or at least the same stem. Without a folder foa_X all recordings
below the set are used, and without metadata_X all CSVs, in whatever folders. L3DAS names are matched too: label_X.csv belongs to
X_A.wav, and the second microphone's X_B.wav is left out. Recordings of a microphone array (mic_dev) or of a stereo microphone
(stereo_dev) are refused.

A *part* of a set is given by a name: it has the clips whose file, or one of whose folders, has that name or begins with it,
followed by a sign that is neither letter nor digit. Parts are "fold1", "split3", "foa_eval", "dev-test" (of 2022: dev-test-sony
and dev-test-tau), "dev-train-sony".
"""

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..atomic_files import below
from ..audio import containers
from ..labels import dcase_csv
from ..labels.class_lists import is_class_file
from ..messages import counted

AUDIO_SUFFIXES = containers.SUFFIXES
DEEP_FOLDER = "proj/asignal/DCASE2019/dataset"
_ANY = ""  # any ending of a folder "metadata..."


@dataclass(frozen=True)
class Clip:
    """A recording and its annotation."""

    root: Path  # of its data set
    audio: Path
    metadata: Path
    features: Path  # folder below which its features are cached

    @property
    def stem(self) -> str:
        return self.audio.stem

    @property
    def place(self) -> Path:
        """The path within the data set, without suffix."""
        return self.audio.relative_to(self.root).with_suffix("")


def find_clips(*roots: str | Path, parts: Sequence[str] = (), cache: str | Path | None = None) -> list[Clip]:
    """The clips of data sets that belong to one of ``parts`` (without parts: all), set by set, sorted by stem.

    cache: folder to cache features in, if not in each data set. ValueError if a folder holds no data set, a clip has no
    annotation, or a part has no clips.
    """
    by_root = {root: _recordings(root) for root in map(Path, roots)}
    _require_parts(parts, by_root)
    return [
        clip
        for root, recordings in by_root.items()
        for clip in _annotated(root, [p for p in recordings if not parts or _in_parts(p, root, parts)], cache)
    ]


@dataclass(frozen=True)
class DataSelection:
    """Which clips to train on, and which to validate on.

    Validation clips are those of ``validation_folders``, or else the ``validation_parts`` of ``folders`` (training then has
    ``parts``, or the rest), or else a random share of the clips. cache: see ``find_clips``.
    """

    folders: tuple[Path, ...]
    validation_folders: tuple[Path, ...] = ()
    parts: tuple[str, ...] = ()
    validation_parts: tuple[str, ...] = ()
    cache: Path | None = None


def split_clips(data: DataSelection, share: float = 0.05, seed: int = 0) -> tuple[list[Clip], list[Clip]]:
    """Clips for training and for validation.

    share, seed: of the random share, if neither validation folders nor parts are named. ValueError as ``find_clips``, and if either
    list would be empty or the parts overlap.
    """
    if data.validation_folders:
        held_out = find_clips(*data.validation_folders, parts=data.validation_parts, cache=data.cache)
        return find_clips(*data.folders, parts=data.parts, cache=data.cache), held_out
    clips = find_clips(*data.folders, parts=data.parts, cache=data.cache)
    if not data.validation_parts:
        return _drawn(clips, share, seed)
    held_out = find_clips(*data.folders, parts=data.validation_parts, cache=data.cache)
    both = set(held_out).intersection(clips)
    if data.parts and both:
        raise ValueError(
            f"{counted(len(both), 'clip')} would be trained on and validated on, first {min(c.audio.name for c in both)}: "
            "choose parts for training and for validation that have no clip in common."
        )
    clips = [c for c in clips if c not in both]
    if not clips:
        raise ValueError(f"no clip is left for training: all {len(held_out)} are held out for validation.")
    return clips, held_out


def _drawn(clips: list[Clip], share: float, seed: int) -> tuple[list[Clip], list[Clip]]:
    order = np.random.default_rng(seed).permutation(len(clips))
    n = max(round(share * len(clips)), 1)
    if n >= len(clips):
        raise ValueError("one clip is not enough: one is held out for validation, so give at least two.")
    return [clips[i] for i in sorted(order[n:])], [clips[i] for i in sorted(order[:n])]


# Folders


def folders_named(root: Path, kind: str) -> list[Path]:
    """The folders foa* or metadata* of a data set."""
    matches = [*root.glob(f"{kind}*"), *root.glob(f"{DEEP_FOLDER}/{kind}*")]
    return sorted(folder for folder in matches if folder.is_dir())


def _recordings(root: Path) -> list[Path]:
    folders = folders_named(root, "foa")
    if not folders:
        _refuse_other_microphones(root)
    recordings = [p for folder in folders or [root] for p in below(folder, *AUDIO_SUFFIXES)]
    stems = {p.stem for p in recordings}
    recordings = [p for p in recordings if not (p.stem.endswith("_B") and f"{p.stem[:-2]}_A" in stems)]  # L3DAS
    if not recordings:
        raise ValueError(
            f"{root} holds no data set: audio is expected in {root / 'foa_dev'}, annotations in {root / 'metadata_dev'}."
        )
    return sorted(recordings, key=lambda p: (p.stem, p))


def _refuse_other_microphones(root: Path) -> None:
    """ValueError if the folder holds recordings of another format than FOA, or holds data sets in its sub-folders."""
    kinds = {
        "mic": "the signals of a microphone array, which are not first-order ambisonics; use the FOA format of the set (foa_dev)",
        "stereo": "stereo recordings, which have no elevation and no back; networks here need 4 channels of first-order ambisonics "
        "(foa_dev)",
    }
    for kind, what in kinds.items():
        if folders := [
            f for f in sorted(root.glob(f"{kind}*")) if re.fullmatch(rf"{kind}(_\w+)?", f.name) and f.is_dir()
        ]:
            raise ValueError(f"{root} holds {what}: {folders[0].name} cannot be used.")
    if sets := sorted({folder.parent for folder in root.glob("*/foa*") if folder.is_dir()}):
        raise ValueError(f"{root} is not a data set itself, but {sets[0]} is one: give each set with a separate flag.")


def _annotated(root: Path, recordings: list[Path], cache: str | Path | None) -> list[Clip]:
    """Recordings with their CSVs. ValueError if a recording has none, or two have the same."""
    tables = _tables(root)
    if not tables:
        raise ValueError(f"{root} holds no annotations: a CSV for each clip is expected in {root / 'metadata_dev'}.")
    clips, lacking = [], []
    taken: dict[Path, Path] = {}
    for audio in recordings:
        metadata = _table_of(audio, root, tables)
        if metadata is None:
            lacking.append(audio)
            continue
        if (other := taken.setdefault(metadata, audio)) != audio:
            raise ValueError(
                f"{other} and {audio} would have the same annotation, {metadata}: rename one of the clips."
            )
        clips.append(Clip(root, audio, metadata, _features_folder(root, cache)))
    if lacking:
        ending, _ = _below_foa(lacking[0], root)
        where = f"metadata{ending}" if folders_named(root, "metadata") else "it"
        raise ValueError(
            f"{len(lacking)} of {len(recordings)} clips of {root} have no CSV of the same name below "
            f"{where}, first {lacking[0].name}: add them, or choose other parts."
        )
    return clips


def _tables(root: Path) -> dict[str, dict[Path | str, list[Path]]]:
    """The CSVs of a data set by the ending X of their folder metadata_X (``_ANY``: of all folders), and there by the path below it
    (a Path) and by stem (a str)."""
    tables: dict[str, dict[Path | str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for folder in folders_named(root, "metadata") or [root]:
        ending = folder.name.removeprefix("metadata") if folder != root else _ANY
        for path in [p for p in below(folder, ".csv") if not is_class_file(p)]:
            place = path.relative_to(folder).with_suffix("")
            stem = path.stem.removeprefix("label_")  # of L3DAS
            keys: set[tuple[str, Path | str]] = {(ending, place), (_ANY, path.stem), (_ANY, stem)}
            keys |= {(ending, path.stem), (ending, stem)}
            for where, key in keys:
                tables[where][key].append(path)
    return tables


def _table_of(audio: Path, root: Path, tables: dict[str, dict[Path | str, list[Path]]]) -> Path | None:
    """The CSV of a recording: with the same path, or else the same stem. ValueError if there are several."""
    ending, place = _below_foa(audio, root)
    near = tables[ending if ending in tables else _ANY]
    matches = near.get(place) or near.get(audio.stem) or near.get(audio.stem.removesuffix("_A")) or []
    if len(matches) > 1:
        raise ValueError(
            f"{audio} may be annotated by {matches[0]} or {matches[1]}: move the right CSV to the same path as the clip."
        )
    return matches[0] if matches else None


def _below_foa(audio: Path, root: Path) -> tuple[str, Path]:
    """("_dev", the path below foa_dev without suffix) of a recording."""
    folder, *below = _from_foa(audio, root)
    return folder.removeprefix("foa"), Path(*below)


def _from_foa(audio: Path, root: Path) -> list[str]:
    """foa_dev, the folders below it, and the stem of a recording; "" in place of foa_dev in a set without it."""
    parts = audio.relative_to(root).with_suffix("").parts
    from_foa = list(itertools.dropwhile(lambda part: not part.startswith("foa"), parts[:-1]))
    return [*from_foa, parts[-1]] if from_foa else ["", *parts]


def _features_folder(root: Path, cache: str | Path | None) -> Path:
    if cache is None:
        return root
    return Path(cache) / f"{root.name}-{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8]}"


# Parts


def _in_parts(audio: Path, root: Path, parts: Sequence[str]) -> bool:
    names = _from_foa(audio, root)
    return any(re.match(rf"{re.escape(part)}(?![0-9A-Za-z])", name) for part in parts for name in names)


def _require_parts(parts: Sequence[str], by_root: dict[Path, list[Path]]) -> None:
    """ValueError that lists the existing parts, if one of ``parts`` has no clips."""
    for part in parts:
        if not any(_in_parts(path, root, [part]) for root, recordings in by_root.items() for path in recordings):
            names = {n for root, recordings in by_root.items() for p in recordings for n in _part_names(p, root)}
            raise ValueError(
                f"no clip of {', '.join(map(str, by_root))} belongs to the part {part!r}; there are {', '.join(sorted(names))}."
            )


def _part_names(audio: Path, root: Path) -> list[str]:
    """The folders of a clip, and the fold or split that its name begins with."""
    *folders, stem = _from_foa(audio, root)
    return [*filter(None, folders), *re.findall(r"^(?:fold|split)\d+(?=_)", stem)]


def largest_overlap(clips: Sequence[Clip], classes: Sequence[str]) -> int:
    """The largest number of simultaneous events in the annotations of clips."""
    tables = (dcase_csv.read_csv(clip.metadata, classes) for clip in clips)
    return max((int(np.bincount(table["frame"]).max(initial=0)) for table in tables), default=0)
