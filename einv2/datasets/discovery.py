"""Data sets in folders: the DCASE SELD sets of 2019 to 2024 as they are unpacked, and what ``simulate`` writes.

A set is a folder with audio below foa_dev (or foa_eval, ...) and one CSV a clip below metadata_dev (metadata_eval, ...):

    2019          foa_dev/split1_ir0_ov1_1.wav, 48 kHz; the evaluation set unpacks to ``DEEP_FOLDER``
    2020          foa_dev/fold1_room1_mix001_ov1.wav
    2021          foa_dev/dev-train/fold1_room1_mix001.wav, dev-val, dev-test; foa_eval/eval-test/mix001.wav
    2022 to 2024  foa_dev/dev-train-sony/fold3_room21_mix001.wav, dev-train-tau, dev-test-sony, dev-test-tau
    simulate      foa_dev/fold1_room1_mix0001.flac, and scenes/

A clip and its CSV have the same path below foa_X and metadata_X, or at least the same stem. Without a folder foa_X all recordings
below the set are taken, and without metadata_X all CSVs, wherever they lie: together in one folder, or in two of any names. Those of
L3DAS (label_X.csv for X_A.wav, beside the second microphone's X_B.wav) belong together, too. Recordings of a microphone array
(mic_dev) or of a stereo microphone (stereo_dev) are refused.

A *part* of a set is the clips of which a folder or the file begins with a name, up to a sign that is neither letter nor
digit: "fold1", "split3", "foa_eval", "dev-test" (of 2022: dev-test-sony and dev-test-tau), "dev-train-sony".
"""

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from ..atomic_files import below
from ..audio import containers
from ..labels import class_lists, clip_sets, dcase_csv
from ..labels.class_lists import ClassList, is_class_file
from ..labels.csv_layout import USUAL, Reading
from ..messages import counted

AUDIO_SUFFIXES = containers.SUFFIXES
DEEP_FOLDER = "proj/asignal/DCASE2019/dataset"

_LAYOUTS = {
    "dcase2019": r"split\d+_ir\d+_ov\d+_\d+$|split0_\d+$",
    "dcase2020": r"fold\d+_room\d+_mix\d+_ov\d+$",
    "dcase2021": r"/dev-(train|val|test)/fold\d+_room\d+_mix\d+$|/eval-test/mix\d+$",
    "dcase2022": r"/dev-(train|test)-\w+/fold\d+_room\d+_mix\d+$",
}  # what the path of a clip within its set, without suffix, ends with
_HEADER_2019 = b"sound_event_recording"
_ANY = ""  # stands for whatever follows "metadata" in a folder's name


@dataclass(frozen=True)
class Clip:
    """A recording and its annotation."""

    root: Path  # of its data set
    audio: Path
    metadata: Path
    features: Path  # folder below which its features are kept

    @property
    def stem(self) -> str:
        return self.audio.stem

    @property
    def place(self) -> Path:
        """The path within the data set, without suffix."""
        return self.audio.relative_to(self.root).with_suffix("")


def find_clips(*roots: str | Path, parts: Sequence[str] = (), cache: str | Path | None = None) -> list[Clip]:
    """The clips of data sets that belong to any of ``parts`` (all clips without), set by set, sorted by stem.

    cache: folder to keep features in, if not beside each data set. ValueError in one sentence if a folder holds no data set,
    a clip lacks its annotation, or a part has no clips.
    """
    found = {root: _recordings(root) for root in map(Path, roots)}
    _require_parts(parts, found)
    return [
        clip
        for root, recordings in found.items()
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


def _folders(root: Path, kind: str) -> list[Path]:
    """The folders foa* or metadata* of a data set."""
    found = [*root.glob(f"{kind}*"), *root.glob(f"{DEEP_FOLDER}/{kind}*")]
    return sorted(folder for folder in found if folder.is_dir())


def _recordings(root: Path) -> list[Path]:
    folders = _folders(root, "foa")
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
    """ValueError if the recordings are those of another format than FOA, or in data sets further below."""
    kinds = {
        "mic": "the signals of a microphone array, which are not first-order ambisonics; give the set in its FOA format (foa_dev)",
        "stereo": "stereo recordings, which have no elevation and no back; networks here need 4 channels of first-order ambisonics "
        "(foa_dev)",
    }
    for kind, what in kinds.items():
        if found := [
            f for f in sorted(root.glob(f"{kind}*")) if re.fullmatch(rf"{kind}(_\w+)?", f.name) and f.is_dir()
        ]:
            raise ValueError(f"{root} holds {what}: {found[0].name} cannot be used.")
    if sets := sorted({folder.parent for folder in root.glob("*/foa*") if folder.is_dir()}):
        raise ValueError(
            f"{root} holds no data set itself, but {sets[0]} is one: give that, each with a flag of its own."
        )


def _annotated(root: Path, recordings: list[Path], cache: str | Path | None) -> list[Clip]:
    """Recordings with their CSVs. ValueError where one has none, or two have the same."""
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
        where = f"metadata{ending}" if _folders(root, "metadata") else "it"
        raise ValueError(
            f"{len(lacking)} of {len(recordings)} clips of {root} have no CSV of the same name below "
            f"{where}, first {lacking[0].name}: add them, or choose other parts."
        )
    return clips


def _tables(root: Path) -> dict[str, dict[Path | str, list[Path]]]:
    """The CSVs of a data set: for X of each metadata_X, and for ``_ANY`` of them, by the path below it (a Path) and by stem."""
    tables: dict[str, dict[Path | str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for folder in _folders(root, "metadata") or [root]:
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
    """The CSV of a recording: at the same place, else of the same stem. ValueError if several would do."""
    ending, place = _below_foa(audio, root)
    there = tables[ending if ending in tables else _ANY]
    found = there.get(place) or there.get(audio.stem) or there.get(audio.stem.removesuffix("_A")) or []
    if len(found) > 1:
        raise ValueError(
            f"{audio} may be annotated by {found[0]} or {found[1]}: give the CSV the same path as the clip."
        )
    return found[0] if found else None


def _below_foa(audio: Path, root: Path) -> tuple[str, Path]:
    """("_dev", path below foa_dev without suffix) of a recording."""
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


def _require_parts(parts: Sequence[str], found: dict[Path, list[Path]]) -> None:
    """ValueError that lists the parts there are, if one of ``parts`` has no clips."""
    for part in parts:
        if not any(_in_parts(path, root, [part]) for root, recordings in found.items() for path in recordings):
            there = {n for root, recordings in found.items() for p in recordings for n in _part_names(p, root)}
            raise ValueError(
                f"no clip of {_listed(found)} belongs to the part {part!r}; there are {', '.join(sorted(there))}."
            )


def _part_names(audio: Path, root: Path) -> list[str]:
    """The folders of a clip, and the fold or split that its name begins with."""
    *folders, stem = _from_foa(audio, root)
    return [*filter(None, folders), *re.findall(r"^(?:fold|split)\d+(?=_)", stem)]


def _listed(roots) -> str:
    return ", ".join(map(str, roots))


# Classes and tracks


def class_list(clips: Sequence[Clip], asked: str | Sequence[str] = "auto") -> ClassList:
    """The class list that clips are annotated with, and what told it.

    asked: a value of --classes or the names themselves; "auto": told by a file of class names in a data set
    (``class_lists.file_in``), else by the files, as ``class_list_of_metadata`` says, and by the names of folders and clips.
    ValueError, one sentence with the choices, where these do not agree on one list.
    """
    if asked != "auto":
        return _asked(asked)
    told: dict[tuple[str, ...], str] = {}
    files: dict[str, tuple[Path, bytes]] = {}
    for root in dict.fromkeys(clip.root for clip in clips):
        of_root = [clip for clip in clips if clip.root == root]
        if found := class_lists.of_folders(root, *_folders(root, "metadata"), *{c.metadata.parent for c in of_root}):
            told.setdefault(found.names, found.source)
        elif (root / "scenes").is_dir():  # what ``simulate`` wrote before it wrote a class file
            told.setdefault(class_lists.DCASE2020_CLASSES, "the scenes that simulate wrote")
        else:
            files |= {str(clip.metadata): (clip.place, clip.metadata.read_bytes()) for clip in of_root}
    found, what = _decided(told, files), _listed(dict.fromkeys(clip.root for clip in clips))
    return found if isinstance(found, ClassList) else _refuse_unclear(what, found)


def class_list_of_metadata(
    files: Mapping[str, Path | bytes],
    asked: str | Sequence[str] = "auto",
    measure: str | None = None,
    folder: str | Path | None = None,
    reading: Reading = USUAL,
) -> tuple[ClassList, bool]:
    """The class list of metadata without audio, by stem, and what told it; False beside it where nothing did: then it is that of
    DCASE 2020.

    asked: as for ``class_list``; "auto": told by a file of class names in ``folder`` or the folder above it; by the class names
    in the files; by the names that each year gives to folders and clips, the header of 2019, the distances of 2023 to 2025; by
    the largest class index, where only one known list has so many; by the ``measure`` that was asked for. ValueError, one
    sentence, where no known list fits.
    """
    if asked != "auto":
        return _asked(asked), True
    told: dict[tuple[str, ...], str] = {}
    if folder is not None and (kept := class_lists.of_folders(*_folders_of_list(Path(folder)))):
        return kept, True
    read = {stem: file if isinstance(file, bytes) else file.read_bytes() for stem, file in files.items()}
    places = {stem: Path(stem) if isinstance(file, bytes) else file.with_suffix("") for stem, file in files.items()}
    found = _decided(told, {stem: (places[stem], content) for stem, content in read.items()}, measure, reading)
    if isinstance(found, ClassList):
        return found, True
    if found.conflict or class_lists.DCASE2020_CLASSES not in found.fitting:
        _refuse_unclear(str(folder or "the files"), found)
    return ClassList(class_lists.DCASE2020_CLASSES, "DCASE 2020 by default, since nothing in the files names it"), False


@dataclass(frozen=True)
class _Unclear:
    """What is known where no class list was told: the known lists that would fit, and the evidence of the files, with the class names
    in them. conflict: files tell more than one list, or one that does not fit."""

    fitting: tuple[tuple[str, ...], ...]
    evidence: clip_sets.ClassEvidence
    names: tuple[str, ...]
    conflict: bool = False


def _asked(asked: str | Sequence[str]) -> ClassList:
    if isinstance(asked, str):
        return ClassList(class_lists.parse(asked), f"--classes {asked}")
    return ClassList(tuple(asked), "your choice")


def _folders_of_list(folder: Path) -> list[Path]:
    """Where the class file of a folder of CSVs may lie: there, above it, and beside metadata_dev."""
    folder = folder.resolve()
    above = [folder, folder.parent]
    return [*above, folder.parent.parent] if folder.parent.name.startswith("metadata") else above


def _decided(
    told: Mapping[tuple[str, ...], str],
    files: Mapping[str, tuple[Path, bytes]],
    measure: str | None = None,
    reading: Reading = USUAL,
) -> ClassList | _Unclear:
    """The one list of what was told already and of what files, (place, content) by name, tell."""
    told = dict(told)
    evidence = clip_sets.class_evidence({name: content for name, (_, content) in files.items()}, reading)
    names = tuple(sorted({name for found in evidence.names.values() for name in found}))
    of_2019 = {name for name, (_, content) in files.items() if _HEADER_2019 in content.partition(b"\n")[0].lower()}
    if of_2019 and _has(class_lists.DCASE2019_CLASSES, names):
        told.setdefault(class_lists.DCASE2019_CLASSES, "the header and the class names of 2019")
    years = {name: _year_of_path(place) for name, (place, _) in files.items() if name not in of_2019}
    for year in filter(None, years.values()):
        told.setdefault(class_lists.CLASS_LISTS[year], "the names of folders and files")
    if any(name in years and years[name] is None for name in evidence.ranged):
        told.setdefault(class_lists.DCASE2022_CLASSES, "the distances in the files")
    largest = evidence.largest
    known = [k for k in dict.fromkeys(class_lists.CLASS_LISTS.values()) if len(k) > largest and _has(k, names)]
    if len(told) == 1 and (only := next(iter(told))) and len(only) > largest and _has(only, names):
        return ClassList(only, told[only])
    if told:
        return _Unclear(tuple(k for k in known if k in told or len(told) == 1), evidence, names, True)
    if len(known) == 1:
        by = "the class names in the files" if names else f"the largest class index, {largest}"
        return ClassList(known[0], by)
    if (of_measure := class_lists.CLASS_LISTS.get(measure or "")) in known and of_measure is not None:
        return ClassList(of_measure, f"the measure {measure}")
    return _Unclear(tuple(known), evidence, names)


def _has(known: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a class list has all of these names."""
    return not names or class_lists.has(known, names)


def _refuse_unclear(what: str, unclear: _Unclear) -> NoReturn:
    """ValueError with the choices that would do."""
    known = ", ".join(f"{y} ({len(k)})" for y, k in class_lists.CLASS_LISTS.items() if k in unclear.fitting)
    largest, place = unclear.evidence.largest, unclear.evidence.place
    n = max(largest + 1, len(unclear.names), 1)
    named = f'"{",".join(unclear.names)}"' if unclear.names else f"{n} for {n} classes without names"
    where = f" ({place})" if place else ""
    seen = (
        f"the class names {', '.join(unclear.names[:4])}" if unclear.names else f"class indices up to {largest}{where}"
    )
    raise ValueError(
        f"the class list of {what} is not clear from the files, with {seen}: "
        + (f"choose it with --classes, one of {known}; or, for classes of your own, " if known else "give ")
        + f"--classes {named}, or --classes FILE with one name a line, or put that file into the data folder as "
        f"{class_lists.FILE_NAME}."
    )


def _year_of_path(path: Path) -> str | None:
    """Told by a path without suffix."""
    return next((year for year, pattern in _LAYOUTS.items() if re.search(pattern, path.as_posix())), None)


def largest_overlap(clips: Sequence[Clip], classes) -> int:
    """The largest number of simultaneous events in the annotations of clips."""
    tables = (dcase_csv.read_csv(clip.metadata, classes) for clip in clips)
    return max((int(np.bincount(table["frame"]).max(initial=0)) for table in tables), default=0)


# Public sets
