"""Class lists: what the class indices of CSV files mean. A known list of a DCASE year, a list of other names, or a number of classes.

``parse`` reads a value as the command line and the pages take it (``--classes NAMES|FILE|N``). A data set may carry its list
in a file beside the data, ``classes.txt``: one name per line in the order of the indices. ``text_names`` lists the
layouts that are read.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..atomic_files import write_text
from ..messages import one_line

DCASE2019_CLASSES = (
    "knock", "drawer", "clear throat", "phone", "keys drop", "speech", "keyboard", "page turn", "cough", "door slam",
    "laughter",
)  # fmt: skip
DCASE2020_CLASSES = (
    "alarm", "crying baby", "crash", "barking dog", "running engine", "female scream", "female speech", "burning fire",
    "footsteps", "knocking on door", "male scream", "male speech", "ringing phone", "piano",
)  # fmt: skip
DCASE2021_CLASSES = (
    "alarm", "crying baby", "crash", "barking dog", "female scream", "female speech", "footsteps", "knocking on door",
    "male scream", "male speech", "ringing phone", "piano",
)  # fmt: skip
DCASE2022_CLASSES = (
    "female speech", "male speech", "clapping", "telephone", "laughter", "domestic sounds", "walk, footsteps",
    "door, open or close", "music", "musical instrument", "water tap, faucet", "bell", "knock",
)  # fmt: skip
CLASS_LISTS = {
    "dcase2019": DCASE2019_CLASSES,
    "dcase2020": DCASE2020_CLASSES,
    "dcase2021": DCASE2021_CLASSES,
    "dcase2022": DCASE2022_CLASSES,
    "dcase2023": DCASE2022_CLASSES,
    "dcase2024": DCASE2022_CLASSES,
    "dcase2025": DCASE2022_CLASSES,
}
MOST_CLASSES = 1000  # of a file whose class list is not known yet
FILE_NAME = "classes.txt"  # as it is written; ``file_in`` says which others are read
SUFFIXES = (".txt", ".csv", ".tsv", ".json")
MAX_BYTES = 1_000_000
HELP_NAMES = (
    f"a known list ({', '.join(sorted(CLASS_LISTS))}); names with commas between them, in the order of their indices; or a "
    "text, CSV or JSON file of names, one a line or index,name"
)
HELP = f"{HELP_NAMES}; or a number N, for N classes without names"
_NAME = r"class(es|names?|list|labels?|labelsindices|map)|vocabulary"  # of a file in a data set, less signs
_NAME_COLUMNS = ("name", "classname", "displayname", "class", "label", "category")
_INDEX_COLUMNS = ("index", "id", "number", "classindex", "classid")
_NUMBER = re.compile(r"[+-]?\d+")
_INDEXED = re.compile(r"(\d+)\s*[,;:=\t ]\s*(.*)")
_LONGEST_NAME = 100


@dataclass(frozen=True)
class ClassList:
    """names: in the order of the indices. source: where the list comes from, as a message says it. year: the first one in
    ``CLASS_LISTS`` that has this list; None for another list."""

    names: tuple[str, ...]
    source: str

    @property
    def year(self) -> str | None:
        return next((year for year, names in CLASS_LISTS.items() if names == self.names), None)

    def __str__(self) -> str:
        which = f"{self.year} with {len(self.names)} classes" if self.year else _shown(self.names)
        return f"class list: {which}, from {self.source}"


def parse(value: str) -> tuple[str, ...]:
    """The class names of a value of ``--classes``: see ``HELP``. ValueError or OSError, one sentence, on anything else."""
    value = value.strip()
    if value.lower() not in CLASS_LISTS and not _NUMBER.fullmatch(value) and _is_file(value):
        return read(value)
    return named(value)


def named(value: str) -> tuple[str, ...]:
    """As ``parse``, but never a file: for values that come from other users. ValueError, one sentence."""
    value = value.strip()
    if value.lower() in CLASS_LISTS:
        return CLASS_LISTS[value.lower()]
    if _NUMBER.fullmatch(value):
        return numbered(int(value))
    if Path(value).suffix.lower() in SUFFIXES and "," not in value:
        raise ValueError(
            f"there is no file of class names {value}: give one that exists, or names with commas between."
        )
    if "," not in value:
        raise ValueError(
            f"{one_line(value)!r} is no class list: give {HELP}. A list of one name ends with a comma: "
            f"{one_line(value) or 'name'},"
        )
    return _checked(_split(value), "the class list")


def _is_file(value: str) -> bool:
    try:
        return Path(value).is_file()
    except OSError:  # too long a name
        return False


def numbered(n: int) -> tuple[str, ...]:
    """Names for ``n`` classes without names: class 0, class 1..."""
    if not 1 <= n <= MOST_CLASSES:
        raise ValueError(f"a class list has 1 to {MOST_CLASSES} classes, not {n}.")
    return tuple(f"class {k}" for k in range(n))


# Files of names


def read(file: str | Path) -> tuple[str, ...]:
    """The class names in a file. OSError, or ValueError, one sentence with the file and the line."""
    with open(file, "rb") as opened:
        return text_names(opened.read(MAX_BYTES + 1), str(file))


def text_names(content: bytes, name: str) -> tuple[str, ...]:
    """The class names in the content of a text, CSV or JSON file. ``name`` is that of the file, for messages.

    A text file has one name per line, or an index and a name, with lines in any order; or all names on one line, separated by commas.
    A CSV may have a header and further columns. JSON is a list of names, {name: index}, {index: name}, or an object that
    has one of these as "classes". Blank lines, and lines that begin with #, are left out.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"{name}: is larger than {MAX_BYTES // 10**6} MB, too large for a list of class names.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{name}: is not a text file in UTF-8; expected one class name a line.") from None
    if text.lstrip()[:1] in ("[", "{"):
        return _json_names(text, name)
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(n, line) for n, line in lines if not line.startswith("#")]
    if not lines:
        raise ValueError(f"{name}: holds no class names; expected one a line.")
    if len(lines) == 1 and "," in lines[0][1] and not _INDEXED.fullmatch(lines[0][1]):
        return _checked(_split(lines[0][1]), f"{name}: line {lines[0][0]}")
    if (rows := _table(lines, name)) is not None:
        indexed = [(index, text, n) for index, text, n in rows if index is not None]
        return _indexed(indexed, name) if indexed else _in_order(rows, name)
    found = [(n, _INDEXED.fullmatch(line)) for n, line in lines]
    without = [n for n, match in found if not match]
    if 2 * len(without) < len(lines):
        _refuse_without_index(without, name)
        return _indexed([(int(match[1]), match[2], n) for n, match in found if match], name)
    return _in_order([(None, line, n) for n, line in lines], name)


def _table(lines: list[tuple[int, str]], name: str) -> list[tuple[int | None, str, int]] | None:
    """(index or None, name, line) of a table with a header, or with as many columns on each line; None for other text."""
    delimiter = next((d for d in "\t;," if all(d in line for _, line in lines)), ",")
    rows = [(n, next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))) for n, line in lines]
    head, width = [_key(field) for field in rows[0][1]], len(rows[0][1])
    if len(rows) > 1 and any(field in _NAME_COLUMNS for field in head) and not any(f.isdigit() for f in head):
        rows = [(n, row + [""] * (width - len(row))) for n, row in rows[1:]]
        numbers = [c for c in range(width) if all(row[c].strip().isdigit() for _, row in rows)]
        index = next((c for c, field in enumerate(head) if field in _INDEX_COLUMNS or c in numbers), None)
        column = next((head.index(c) for c in _NAME_COLUMNS if c in head and head.index(c) != index), None)
        if column is None:
            return None
        if index is not None:
            _refuse_without_index([n for n, row in rows if not row[index].strip().isdigit()], name)
        return [(None if index is None else int(row[index]), row[column], n) for n, row in rows]
    if width < 2 or {len(row) for _, row in rows} != {width}:
        return None
    if all(row[0].isdigit() for _, row in rows):
        return [(int(row[0]), row[1], n) for n, row in rows]
    if width == 2 and all(row[1].isdigit() for _, row in rows):
        return [(int(row[1]), row[0], n) for n, row in rows]
    return None


def _refuse_without_index(lines: Sequence[int], name: str) -> None:
    if lines:
        raise ValueError(
            f"{name}: line {lines[0]} has no class index, and others have one; expected index,name on each."
        )


def _in_order(rows: Sequence[tuple[int | None, str, int]], name: str) -> tuple[str, ...]:
    return _checked([_unquoted(text) for _, text, _ in rows], name, [n for _, _, n in rows])


def _indexed(found: Sequence[tuple[int, str, int]], name: str) -> tuple[str, ...]:
    """The names of (index, name, line), in the order of the indices, which must be 0, 1.. each once."""
    seen: dict[int, int] = {}
    for index, _, line in found:
        if (other := seen.setdefault(index, line)) != line:
            raise ValueError(
                f"{name}: index {index} stands on line {other} and on line {line}; give each class its own."
            )
    if missing := sorted(set(range(len(found))) - seen.keys()):
        raise ValueError(
            f"{name}: there are {len(found)} classes, so indices 0 to {len(found) - 1} were expected, but {missing[0]} is missing; "
            "mend the indices, or leave them out and write one name a line."
        )
    ordered = sorted(found)
    return _checked([_unquoted(text) for _, text, _ in ordered], name, [line for _, _, line in ordered])


def _json_names(text: str, name: str) -> tuple[str, ...]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: is not valid JSON ({error}); expected a list of class names.") from None
    if isinstance(value, dict):
        value = next(
            (value[k] for k in ("classes", "names", "class_names") if isinstance(value.get(k), (list, dict))), value
        )
    if isinstance(value, dict) and all(isinstance(v, str) and k.isdigit() for k, v in value.items()):
        return _indexed([(int(k), v, n) for n, (k, v) in enumerate(value.items(), 1)], name)
    if isinstance(value, dict) and all(isinstance(v, int) for v in value.values()):
        return _indexed([(v, k, n) for n, (k, v) in enumerate(value.items(), 1)], name)
    if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
        return _checked(value, name)
    raise ValueError(f"{name}: expected a JSON list of class names, or an object of names and indices.")


def _split(text: str) -> list[str]:
    """Names separated by commas; a name with a comma is in double quotes. The last may end with a comma."""
    names = next(csv.reader(io.StringIO(text), skipinitialspace=True))
    return names[:-1] if len(names) > 1 and not names[-1].strip() else names


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _checked(names: Iterable[str], where: str, lines: Sequence[int] = ()) -> tuple[str, ...]:
    """The names without surrounding spaces. ValueError, with the place, if a name is empty, too long, or repeated."""
    seen: dict[str, int] = {}
    for k, name in enumerate(names):
        place = f"{where}: line {lines[k]}" if lines else f"{where}: class {k}"
        text = " ".join(name.split())
        if not text:
            raise ValueError(f"{place} has no name; give every class one.")
        if len(text) > _LONGEST_NAME or any(unicodedata.category(c) == "Cc" for c in text):
            raise ValueError(
                f"{place} is no class name: {one_line(text, 60)!r}; expected at most {_LONGEST_NAME} signs."
            )
        if text in seen:
            first = f"line {lines[seen[text]]}" if lines else f"class {seen[text]}"
            raise ValueError(f"{place}: {text!r} is the name of {first} already; give every class a name of its own.")
        seen[text] = k
    if len(seen) > MOST_CLASSES:
        raise ValueError(f"{where}: has {len(seen)} classes, but at most {MOST_CLASSES} are read.")
    return tuple(seen)


def written(names: Sequence[str]) -> str:
    """Names as ``parse`` reads them: separated by commas, in quotes where a name has a comma."""
    quoted = (f'"{name}"' if "," in name else name for name in names)
    return ", ".join(quoted) + ("," if len(names) == 1 else "")


def write(folder: str | Path, names: Sequence[str]) -> None:
    """Write the class list of a data set beside its data."""
    write_text(Path(folder) / FILE_NAME, "".join(f"{name}\n" for name in names))


# The file of a data set


def is_class_file(path: Path) -> bool:
    """Whether the file name is that of a list of class names: classes.txt, class_names.csv, classes.json.."""
    return path.suffix.lower() in SUFFIXES and re.fullmatch(_NAME, _key(path.stem)) is not None


def file_in(*folders: str | Path) -> Path | None:
    """The file of class names in the first of these folders that holds one. ValueError if it holds two that differ."""
    for folder in map(Path, folders):
        found = [p for p in sorted(folder.iterdir()) if is_class_file(p) and p.is_file()] if folder.is_dir() else []
        others = [p for p in found[1:] if read(p) != read(found[0])]
        if others:
            raise ValueError(f"{found[0]} and {others[0]} hold different class names: remove one, or give --classes.")
        if found:
            return found[0]
    return None


def of_folders(*folders: str | Path) -> ClassList | None:
    """The class list of the file in the first of these folders that holds one."""
    file = file_in(*folders)
    return None if file is None else ClassList(read(file), f"the file {file.parent.name}/{file.name}")


# Lists beside each other


def mapping(names: Sequence[str], others: Sequence[str], of: str = "the class list") -> list[int]:
    """For each of ``names`` the place in ``others`` of the class with the same name, in any case and with any signs between words.

    ValueError, one sentence, names those that have no partner in ``others``, which is called ``of``.
    """
    exact = {name: k for k, name in enumerate(others)}
    alike: dict[str, list[int]] = {}
    for k, name in enumerate(others):
        alike.setdefault(_key(name), []).append(k)
    places = [exact.get(name, alike[_key(name)][0] if len(alike.get(_key(name), ())) == 1 else -1) for name in names]
    if missing := [name for name, place in zip(names, places) if place < 0]:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ValueError(
            f"{of} has no {' and no '.join(map(repr, missing[:3]))}{more}: give one with all of the {_shown(names)}."
        )
    return places


def has(known: Sequence[str], names: Iterable[str]) -> bool:
    """Whether a class list has all of these names, in any case and with any signs between words."""
    return {_key(name) for name in names} <= {_key(name) for name in known}


def _key(name: str) -> str:
    """A name in lower case, without spaces and signs."""
    return "".join(c for c in name.casefold() if c.isalnum())


def _shown(names: Sequence[str]) -> str:
    few = ", ".join(map(one_line, names[:4])) + (", .." if len(names) > 4 else "")
    return f"{len(names)} classes ({few})"
