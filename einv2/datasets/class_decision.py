"""Which class list the CSVs of a data set are written with: the user's choice, or what files and paths give evidence of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..labels import class_lists, clip_sets
from ..labels.class_lists import ClassList
from ..labels.csv_layout import USUAL, Reading
from .discovery import Clip, folders_named

# How the path of a clip within its set, without suffix, ends
_LAYOUTS = {
    "dcase2019": r"split\d+_ir\d+_ov\d+_\d+$|split0_\d+$",
    "dcase2020": r"fold\d+_room\d+_mix\d+_ov\d+$",
    "dcase2021": r"/dev-(train|val|test)/fold\d+_room\d+_mix\d+$|/eval-test/mix\d+$",
    "dcase2022": r"/dev-(train|test)-\w+/fold\d+_room\d+_mix\d+$",
}
_HEADER_2019 = b"sound_event_recording"

Names = tuple[str, ...]


def class_list(clips: Sequence[Clip], asked: str | Sequence[str] = "auto") -> ClassList:
    """The class list that clips are annotated with, and its source.

    asked: a value of --classes, or the names themselves. "auto": the list of a file of class names in the data set
    (``class_lists.of_folders``), or else what the CSVs (see ``class_list_of_metadata``) and the names of folders and clips show.
    ValueError that lists the choices, if these do not agree on one list.
    """
    if asked != "auto":
        return _asked(asked)
    sources: dict[Names, str] = {}
    files: dict[str, tuple[Path, bytes]] = {}
    for root in dict.fromkeys(clip.root for clip in clips):
        of_root = [clip for clip in clips if clip.root == root]
        if stored := class_lists.of_folders(
            root, *folders_named(root, "metadata"), *{c.metadata.parent for c in of_root}
        ):
            sources.setdefault(stored.names, stored.source)
        elif (root / "scenes").is_dir():  # ``simulate`` did not always write a class file
            sources.setdefault(class_lists.DCASE2020_CLASSES, "the scenes that simulate wrote")
        else:
            files |= {str(clip.metadata): (clip.place, clip.metadata.read_bytes()) for clip in of_root}
    decision = _decide(sources, files)
    if isinstance(decision, ClassList):
        return decision
    raise _error(", ".join(map(str, dict.fromkeys(clip.root for clip in clips))), decision)


def class_list_of_metadata(
    files: Mapping[str, Path | bytes],
    asked: str | Sequence[str] = "auto",
    measure: str | None = None,
    folder: str | Path | None = None,
    reading: Reading = USUAL,
) -> tuple[ClassList, bool]:
    """The class list of CSVs without audio, by stem, and its source; False beside it if nothing shows it: then it is that of DCASE
    2020.

    asked: as for ``class_list``. "auto": the list of a file of class names in ``folder`` or the folder above it; or else what the
    files show by their class names, by the names that each year gives to folders and clips, by the header of 2019, the distances of
    2023 to 2025, or the largest class index if only one known list is that long; or else the list of the ``measure``. ValueError
    that lists the choices, if no known list fits.
    """
    if asked != "auto":
        return _asked(asked), True
    if folder is not None and (stored := class_lists.of_folders(*_folders_of_list(Path(folder)))):
        return stored, True
    contents = {
        stem: (Path(stem), file) if isinstance(file, bytes) else (file.with_suffix(""), file.read_bytes())
        for stem, file in files.items()
    }
    decision = _decide({}, contents, measure, reading)
    if isinstance(decision, ClassList):
        return decision, True
    if decision.conflict or class_lists.DCASE2020_CLASSES not in decision.fitting:
        raise _error(str(folder or "the files"), decision)
    return ClassList(class_lists.DCASE2020_CLASSES, "DCASE 2020 by default, since nothing in the files names it"), False


def _asked(asked: str | Sequence[str]) -> ClassList:
    if isinstance(asked, str):
        return ClassList(class_lists.parse(asked), f"--classes {asked}")
    return ClassList(tuple(asked), "your choice")


def _folders_of_list(folder: Path) -> list[Path]:
    """Where the class file of a folder of CSVs may be: in it, above it, and beside metadata_dev."""
    folder = folder.resolve()
    above = [folder, folder.parent]
    return [*above, folder.parent.parent] if folder.parent.name.startswith("metadata") else above


@dataclass(frozen=True)
class _Unclear:
    """No class list could be decided on: the known lists that would fit, the evidence in the files, and the class names in them.

    conflict: the evidence is for more than one list, or for one that does not fit.
    """

    fitting: tuple[Names, ...]
    evidence: clip_sets.ClassEvidence
    names: Names
    conflict: bool = False


def _decide(
    known_sources: Mapping[Names, str],
    files: Mapping[str, tuple[Path, bytes]],
    measure: str | None = None,
    reading: Reading = USUAL,
) -> ClassList | _Unclear:
    """The one list that all evidence is for. known_sources: lists to their sources, found before; files: (path, content) by name."""
    sources = dict(known_sources)
    evidence = clip_sets.class_evidence({name: content for name, (_, content) in files.items()}, reading)
    names = tuple(sorted({name for of_file in evidence.names.values() for name in of_file}))
    of_2019 = {name for name, (_, content) in files.items() if _HEADER_2019 in content.partition(b"\n")[0].lower()}
    if of_2019 and _has(class_lists.DCASE2019_CLASSES, names):
        sources.setdefault(class_lists.DCASE2019_CLASSES, "the header and the class names of 2019")
    years = {name: year_of_path(path) for name, (path, _) in files.items() if name not in of_2019}
    for year in filter(None, years.values()):
        sources.setdefault(class_lists.CLASS_LISTS[year], "the names of folders and files")
    if any(name in years and years[name] is None for name in evidence.ranged):
        sources.setdefault(class_lists.DCASE2022_CLASSES, "the distances in the files")
    largest = evidence.largest
    fitting = [k for k in dict.fromkeys(class_lists.CLASS_LISTS.values()) if len(k) > largest and _has(k, names)]
    if len(sources) == 1 and (only := next(iter(sources))) and len(only) > largest and _has(only, names):
        return ClassList(only, sources[only])
    if sources:
        return _Unclear(tuple(k for k in fitting if k in sources or len(sources) == 1), evidence, names, True)
    if len(fitting) == 1:
        source = "the class names in the files" if names else f"the largest class index, {largest}"
        return ClassList(fitting[0], source)
    if (of_measure := class_lists.CLASS_LISTS.get(measure or "")) in fitting and of_measure is not None:
        return ClassList(of_measure, f"the measure {measure}")
    return _Unclear(tuple(fitting), evidence, names)


def _has(known: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a class list has all of these names."""
    return not names or class_lists.has(known, names)


def year_of_path(path: Path) -> str | None:
    """The DCASE year whose naming scheme a path (without suffix) follows, or None."""
    return next((year for year, pattern in _LAYOUTS.items() if re.search(pattern, path.as_posix())), None)


def _error(what: str, unclear: _Unclear) -> ValueError:
    """The error that lists the choices that fit."""
    known = ", ".join(f"{y} ({len(k)})" for y, k in class_lists.CLASS_LISTS.items() if k in unclear.fitting)
    largest, place = unclear.evidence.largest, unclear.evidence.place
    n = max(largest + 1, len(unclear.names), 1)
    named = f'"{",".join(unclear.names)}"' if unclear.names else f"{n} for {n} classes without names"
    where = f" ({place})" if place else ""
    seen = (
        f"the class names {', '.join(unclear.names[:4])}" if unclear.names else f"class indices up to {largest}{where}"
    )
    return ValueError(
        f"the class list of {what} is not clear from the files, with {seen}: "
        + (f"choose it with --classes, one of {known}; or, for classes of your own, " if known else "give ")
        + f"--classes {named}, or --classes FILE with one name a line, or put that file into the data folder as "
        f"{class_lists.FILE_NAME}."
    )
