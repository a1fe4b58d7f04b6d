"""Sounds to place in a scene: drawn from a folder of recordings, or synthesised.

    SoundFolder    recordings in one sub-folder per class, split by original recording
    SourceBank     recordings and procedural sounds at once: what a scene renderer draws from

All variation comes from the random generator that is passed in: the same state gives the same samples. Signals are
float32 (S,) with a peak of 0.9 and faded edges.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
from scipy import fft
from scipy.signal import resample_poly

from ..frames import SAMPLE_RATE
from .synthesis import PROCEDURAL_CLASSES, finish, log_uniform, require_length, synthesise, tilt

PROCEDURAL = "procedural"  # the name of a sound that comes from no file
AUDIO_SUFFIXES = (".aif", ".aiff", ".flac", ".mp3", ".ogg", ".wav")

_PART = re.compile(r"_p\d+$", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_READER_CHAPTER_UTTERANCE = re.compile(r"(\d+)-\d+-\d{4}")
_FOLD_CLIP_TAKE = re.compile(r"(\d+-\d+)-[A-Z](?:-\d+)?")
_SERIES_NUMBER = re.compile(r"(?<=.)[-.]\d{1,2}$")


@functools.lru_cache(maxsize=10_000)  # asked of every file of a class at each draw
def recording_key(path: Path | str) -> str:
    """What two files of one original recording, or of one voice or session, have in common.

    The key is the stem of the file, ``SOURCE__NAME`` or ``NAME``, after the first of these rules that fits NAME; a
    trailing part mark ``_p2``, ``_p3``... is taken off before.

    - It holds a UUID: the UUID, which names the device or the speaker (the Donate-a-Cry corpus).
    - ``READER-CHAPTER-UTTERANCE``, with an utterance of four digits (LibriSpeech): the reader.
    - ``FOLD-CLIP-TAKE`` or ``FOLD-CLIP-TAKE-TARGET``, with a letter as the take (ESC-10, ESC-50): fold and clip.
    - A trailing ``-N`` or ``.N`` of one or two digits, which numbers a series ("scream-1", "step.2"): without it. Such
      takes are of one session more often than not. A number that is joined to a word or to a note ("A4", "dog2") or
      that follows an underscore ("bark_01") is a name and stays.
    """
    source, mark, name = Path(path).stem.rpartition("__")
    name = _PART.sub("", name)
    if uuid := _UUID.search(name):
        name = uuid.group().lower()
    elif match := _READER_CHAPTER_UTTERANCE.fullmatch(name) or _FOLD_CLIP_TAKE.fullmatch(name):
        name = match.group(1)
    else:
        name = _SERIES_NUMBER.sub("", name)
    return source + mark + name


# Short recordings of these are single strikes, heard in life as a rhythm: (strikes in a group, seconds between two).
_RHYTHMS = {"footsteps": ((200, 201), (0.4, 0.67)), "knocking on door": ((2, 7), (0.14, 0.33))}
_STRIKE_SECONDS = 0.9
_REPEATABLE = ("alarm", "barking dog", "ringing phone")
_REPEATABLE_SECONDS = 1.5
# At another pitch these would be another class.
_SEXED = ("female scream", "female speech", "male scream", "male speech")
_MILD_SPEED, _STRONG_SPEED = (0.85, 1.18), (0.7, 1.4)
_EQUALISER_HZ = np.geomspace(60, 12000, 9)
_EQUALISER_DB = 4.0
_FEW_RECORDINGS = 8
_LONGEST_SECONDS = 8.0
_LONGEST_READ_SECONDS = 60.0


@dataclass(frozen=True)
class SoundFolder:
    """Recordings by class: ``path/<class name>/<file>``.

    path: the folder.
    files: class name -> files, sorted; only classes that have files. Any rate and number of channels.
    """

    path: Path
    files: dict[str, tuple[Path, ...]] = field(default_factory=dict)

    @classmethod
    def scan(cls, path: Path | str, classes: Sequence[str]) -> "SoundFolder":
        """The sub-folders named like one of ``classes``, in any case, with spaces or underscores between the words.

        ValueError if the folder does not exist or holds no sound of these classes.
        """
        path = Path(path)
        if not path.is_dir():
            raise ValueError(f"{path} is not a folder; a folder with one sub-folder of sounds per class was expected")
        names = {_plain(name): name for name in classes}
        files: dict[str, list[Path]] = {}
        for folder in sorted(path.iterdir()):
            if folder.is_dir() and _plain(folder.name) in names:
                sounds = (file for file in folder.iterdir() if file.suffix.lower() in AUDIO_SUFFIXES)
                files.setdefault(names[_plain(folder.name)], []).extend(
                    sorted(s for s in sounds if not s.name.startswith("."))
                )
        found = {name: tuple(files[name]) for name in classes if files.get(name)}
        if not found:
            example = classes[0].replace(" ", "_") if classes else "alarm"
            raise ValueError(f"{path} holds no sounds of a known class; sub-folders like {example}/*.wav were expected")
        return cls(path, found)

    @staticmethod
    def class_names(path: Path | str) -> tuple[str, ...]:
        """The names of the sub-folders that hold sounds, sorted, with spaces for underscores. OSError if there is no such folder."""
        folders = (f for f in sorted(Path(path).iterdir()) if f.is_dir() and not f.name.startswith((".", "__")))
        holding = (f for f in folders if any(file.suffix.lower() in AUDIO_SUFFIXES for file in f.iterdir()))
        return tuple(dict.fromkeys(" ".join(f.name.replace("_", " ").split()) for f in holding))

    def split(self, held_out_share: float, seed: int) -> tuple["SoundFolder", "SoundFolder"]:
        """(train, held out): no recording of a class, in the sense of ``recording_key``, is on both sides.

        held_out_share: share of the recordings of each class, in (0, 1). A class of two or more recordings has at least
            one on each side; a class of one has it in train.
        """
        if not 0 < held_out_share < 1:
            raise ValueError(f"held_out_share is {held_out_share}; a number between 0 and 1 was expected")
        rng = np.random.default_rng(seed)
        train, held_out = {}, {}
        for name in sorted(self.files):
            keys = sorted({recording_key(file) for file in self.files[name]})
            n_held_out = min(max(round(held_out_share * len(keys)), 1), len(keys) - 1)
            chosen = {keys[i] for i in rng.permutation(len(keys))[:n_held_out]}
            train[name] = tuple(file for file in self.files[name] if recording_key(file) not in chosen)
            held_out[name] = tuple(file for file in self.files[name] if recording_key(file) in chosen)
        present = {name: files for name, files in held_out.items() if files}
        return SoundFolder(self.path, train), SoundFolder(self.path, present)

    def draw(
        self,
        class_name: str,
        rng: np.random.Generator,
        seconds: float | None = None,
        sample_rate: int = SAMPLE_RATE,
        strong: bool = False,
    ) -> tuple[np.ndarray, str]:
        """A varied recording of a class and its name: (float32 (S,) with a peak of 0.9, path below the folder).

        Speed and pitch are changed together by 0.85 to 1.18 and the treble by up to 6 dB. Single steps and knocks
        become a rhythm, out of all takes of the recording; a short alarm, bark or ring may be repeated. A longer sound
        is cut to an excerpt that is not its silent part.

        strong: for training. Every original recording is as likely as any other, however many files it has; speed and
            pitch go from 0.7 to 1.4 (of speech and screams as above, since the class names the speaker's sex), and a
            random equaliser (9 bands, standard deviation 4 dB) stands for another microphone, room or make of source.

        seconds: the most that is wanted, at least 0.1. A sound that is not repeated may be shorter. None: 8.
        ValueError if the class has no files, or names the file that cannot be read.
        """
        if class_name not in self.files:
            raise ValueError(f"{self.path} has no sounds of class {class_name!r}; it has {', '.join(self.files)}")
        require_length(seconds, sample_rate)
        files = self.files[class_name]
        if strong:
            keys = sorted({recording_key(file) for file in files})
            key = keys[rng.integers(len(keys))]
            candidates = [file for file in files if recording_key(file) == key]
        else:
            candidates = files
        file = candidates[rng.integers(len(candidates))]
        speed = log_uniform(rng, *(_STRONG_SPEED if strong and class_name not in _SEXED else _MILD_SPEED))
        sound = _read(file, rng, speed, sample_rate)
        if class_name in _RHYTHMS and len(sound) < _STRIKE_SECONDS * sample_rate:
            takes = [other for other in files if recording_key(other) == recording_key(file) and other != file]
            strikes = [sound, *(_read(take, rng, speed, sample_rate) for take in takes[:5])]
            strikes = [strike for strike in strikes if len(strike) < _STRIKE_SECONDS * sample_rate]
            sound = _rhythm(rng, strikes, *_RHYTHMS[class_name], seconds or rng.uniform(1.5, 6.0), sample_rate)
        elif class_name in _REPEATABLE and len(sound) < _REPEATABLE_SECONDS * sample_rate:
            sound = _repeat(rng, sound, seconds or rng.uniform(1.0, 6.0), sample_rate)
        sound = _excerpt(rng, sound, round((seconds or _LONGEST_SECONDS) * sample_rate), sample_rate)
        sound = _equalise(rng, sound, sample_rate) if strong else sound
        samples = finish(rng, tilt(rng, sound, sample_rate, 6.0), sample_rate)
        return samples, file.relative_to(self.path).as_posix()


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().lower()


def _read(file: Path, rng, speed: float, sample_rate: int) -> np.ndarray:
    """A file as mono (S,) with a peak of 1, played ``speed`` times as fast; of a very long file, a minute."""
    try:
        with soundfile.SoundFile(file) as sound:
            most = int(_LONGEST_READ_SECONDS * sound.samplerate)
            if sound.frames > most:
                sound.seek(int(rng.integers(sound.frames - most)))
            samples, file_rate = sound.read(most, always_2d=True).mean(axis=1), sound.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        raise ValueError(f"{file} cannot be read as a sound: {error}") from error
    if not len(samples) or not np.all(np.isfinite(samples)):
        raise ValueError(f"{file} holds {'no samples' if not len(samples) else 'samples that are not finite'}")
    if not np.any(samples):
        raise ValueError(f"{file} is silent; a sound was expected")
    ratio = Fraction(sample_rate / (file_rate * speed)).limit_denominator(200)
    samples = resample_poly(samples, ratio.numerator, ratio.denominator)
    return samples / np.max(np.abs(samples))


def _rhythm(rng, strikes: list[np.ndarray], group, interval, seconds: float, sample_rate: int) -> np.ndarray:
    """Strikes (S,) at regular intervals, in groups with rests, taken at random and at varied loudness."""
    length, step = round(seconds * sample_rate), rng.uniform(*interval)
    out, start, left_in_group = np.zeros(length), 0, int(rng.integers(*group))
    while start == 0 or start < length - 0.1 * sample_rate:
        strike = strikes[rng.integers(len(strikes))][: length - start]
        out[start : start + len(strike)] += rng.uniform(0.6, 1.0) * strike
        left_in_group -= 1
        rest = 0.0 if left_in_group else rng.uniform(0.4, 1.2)
        left_in_group = left_in_group or int(rng.integers(*group))
        start += round((step * rng.uniform(0.94, 1.06) + rest) * sample_rate)
    return out


def _repeat(rng, sound: np.ndarray, seconds: float, sample_rate: int) -> np.ndarray:
    """The sound and as many whole repetitions of it as the length allows, with pauses between them."""
    pause = np.zeros(round(log_uniform(rng, 0.08, 0.6) * sample_rate))
    n = max(1, int((seconds * sample_rate + len(pause)) // (len(sound) + len(pause))))
    return np.concatenate([part for _ in range(n) for part in (sound, pause)][:-1])


def _equalise(rng, sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """The sound (S,) through a smooth random response: gains in dB at nine frequencies, straight lines between them."""
    n = fft.next_fast_len(len(sound), real=True)
    octaves = np.log(np.maximum(fft.rfftfreq(n, 1 / sample_rate), 1.0))
    gains_db = np.interp(octaves, np.log(_EQUALISER_HZ), rng.normal(0, _EQUALISER_DB, len(_EQUALISER_HZ)))
    return fft.irfft(fft.rfft(sound, n) * 10 ** (gains_db / 20), n)[: len(sound)]


def _excerpt(rng, sound: np.ndarray, length: int, sample_rate: int) -> np.ndarray:
    """At most ``length`` samples in a row that hold at least half the mean power, if any do, or else the most."""
    if len(sound) <= length:
        return sound
    starts = np.arange(0, len(sound) - length + 1, max(1, sample_rate // 20))
    energy = np.concatenate([[0.0], np.cumsum(sound**2)])
    power = (energy[starts + length] - energy[starts]) / length
    loud = starts[power >= min(0.5 * energy[-1] / len(sound), power.max())]
    start = loud[rng.integers(len(loud))]
    return sound[start : start + length]


@dataclass(frozen=True)
class SourceBank:
    """What a renderer draws sounds from: recordings where there are some, procedural sounds otherwise.

    classes: the class names that may be asked for.
    folder: recordings, or None.
    procedural_share: probability of a procedural sound for a class that has recordings, in [0, 1].
    strong: recordings are varied strongly, see ``SoundFolder.draw``, and a class of few recordings is filled up: of one
        with n the procedural share is at least 8 / n, up to a half. With a share of 0 there are none in any case.

    ValueError if a class has neither recordings nor a synthesiser. A class without a synthesiser is always drawn from
    the folder.
    """

    classes: Sequence[str]
    folder: SoundFolder | None
    procedural_share: float
    strong: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.procedural_share <= 1:
            raise ValueError(f"procedural_share is {self.procedural_share}; a number from 0 to 1 was expected")
        for name in self.classes:
            if name not in PROCEDURAL_CLASSES and not self._has_recordings(name):
                raise ValueError(f"class {name!r} has neither recordings nor a procedural sound; give a folder of them")

    def _has_recordings(self, class_name: str) -> bool:
        return self.folder is not None and class_name in self.folder.files

    def draw(
        self, class_name: str, rng: np.random.Generator, seconds: float | None = None, sample_rate: int = SAMPLE_RATE
    ) -> tuple[np.ndarray, str]:
        """(samples float32 (S,) with a peak of 0.9, "procedural" or the path of the file below the folder).

        seconds: as for ``synthesise`` (exact) and ``SoundFolder.draw`` (the most). ValueError for an unknown class.
        """
        if class_name not in self.classes:
            raise ValueError(f"class {class_name!r} is not in this bank, which has {', '.join(self.classes)}")
        # Drawn in any case: the state of the generator afterwards does not depend on what the folder holds.
        wants_procedural = rng.uniform() < self._procedural_share(class_name)
        procedural = not self._has_recordings(class_name) or (wants_procedural and class_name in PROCEDURAL_CLASSES)
        if self.folder is None or procedural:
            return synthesise(class_name, rng, seconds, sample_rate), PROCEDURAL
        return self.folder.draw(class_name, rng, seconds, sample_rate, self.strong)

    def _procedural_share(self, class_name: str) -> float:
        files = self.folder.files.get(class_name) if self.folder else None
        if not (self.strong and self.procedural_share and files):
            return self.procedural_share
        n = len({recording_key(file) for file in files})
        return max(self.procedural_share, min(_FEW_RECORDINGS / n, 0.5))
