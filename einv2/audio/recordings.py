"""First-order-ambisonics clips of any length and rate, from WAV, FLAC, OGG, AIFF, CAF and W64 files, streamed in
constant memory.

Audio is float32, channels first (4, S), in the order W, Y, Z, X, nominally in [-1, 1]; files in another order are converted, see
``inputformat``. A clip of ``frames`` samples per channel at ``rate`` Hz becomes ``resampled_length(frames, rate,
sample_rate)`` samples.
"""

import io
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ..atomic_files import write_bytes
from ..config import MAX_RATE, MIN_RATE
from ..frames import LABEL_FRAMES_PER_SECOND, MAX_SECONDS, SAMPLE_RATE
from . import containers, inputformat
from .inputformat import InputFormat

MIN_SECONDS = 0.2
BLOCK_SECONDS = 10
FORMATS = (
    "WAV",
    "WAVEX",
    "RF64",
    "BW64",
    "W64",
    "CAF",
    "AIFF",
    "FLAC",
    "OGG",
)  # of which all but BW64 are libsndfile's names
SUFFIXES = containers.SUFFIXES

LOUDEST = 1e10  # 200 dB beyond full scale: no recording, and energies of more would not be finite
LONG_SECONDS = 3600  # beyond it a file must hold this many
MIN_BYTES_PER_SECOND = 200  # hours of silence take 9 as FLAC, speech at the lowest rate of OGG 700

_READ_FRAMES = 16384
_EXPECTED = "a 4-channel WAV, FLAC, OGG, AIFF, CAF, W64 or BW64 file"
_UNKNOWN_FRAMES = 1 << 62  # libsndfile gives the largest integer for a FLAC of unknown length
_MAGIC = ((0, b"ID3", "MP3"), (4, b"ftyp", "MP4 (AAC)"), (0, b"\x1aE\xdf\xa3", "Matroska"), (0, b"PK\x03\x04", "ZIP"))


class AudioError(ValueError):
    """The clip cannot be used: one sentence that names the file, the fault and the remedy.

    fix: the format that it could be read as, if the user asks for it.
    """

    def __init__(self, message: str, fix: InputFormat | None = None):
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True)
class ClipInfo:
    """The header of a usable clip."""

    name: str  # of the file, for messages
    path: str
    channels: int
    sample_rate: int  # Hz
    frames: int  # samples a channel
    seconds: float
    format: str  # one of FORMATS
    subtype: str  # of the samples: "PCM_16", "FLOAT", "VORBIS", ...
    read_as: InputFormat = inputformat.AS_IS  # what its channels are taken to be
    notes: tuple[str, ...] = ()  # what was decided about the file, sentences without their ends


def probe(
    path,
    name: str | None = None,
    max_seconds: float | None = None,
    channels: int = 4,
    read_as: InputFormat | None = None,
) -> ClipInfo:
    """The header of a clip. name: the file name used in messages, if not that of ``path``; read_as: the format of its channels,
    None for the one that its header declares (.amb: FuMa), else ACN/SN3D.

    AudioError unless it is a readable file of ``FORMATS`` with 4 channels (1: a mono sound), or as many as ``read_as`` takes, a rate
    from 8 to 192 kHz, a length from 0.2 s to ``max_seconds`` (a week if not given), and not visibly cut off; beyond an hour it must
    have 200 bytes per second. Damage inside the samples is found only by ``stream``.
    """
    path = Path(path)
    name = name or path.name
    _require_file(path, name)
    found = _samples_of(path, name)
    chosen = _format_of(found, read_as)
    with _opened(path, name, found) as file:
        info = ClipInfo(
            name=name,
            path=str(path),
            channels=file.channels,
            sample_rate=file.samplerate,
            frames=file.frames,
            seconds=file.frames / max(file.samplerate, 1),
            format=_kind(file, found),
            subtype=file.subtype,
            read_as=chosen if channels == 4 else inputformat.AS_IS,
            notes=_notes(found, read_as, channels),
        )
    _require_channels(info, channels, found)
    _require_complete(path, info, found)
    _require_length(info, MAX_SECONDS if max_seconds is None else max_seconds)
    _require_content(path, info)
    return info


def stream(
    path,
    sample_rate: int = SAMPLE_RATE,
    block_seconds: float = BLOCK_SECONDS,
    name: str | None = None,
    start_seconds: int = 0,
    read_as: InputFormat | None = None,
) -> Iterator[np.ndarray]:
    """The clip in float32 blocks (4, S) at ``sample_rate``: S is the same for all blocks but the last, which may be shorter.

    Resampled by soxr without seams: the joined blocks equal the whole clip resampled at once. The header is
    checked at once, as by ``probe``, which explains ``read_as``; while iterating, AudioError on samples that are NaN,
    infinite or beyond ``LOUDEST`` and on a file that cannot be decoded to the end that its header promises; never more than that
    is decoded. Samples before ``start_seconds`` are skipped, not read; ValueError if there are no others.
    """
    block = round(block_seconds * sample_rate)
    if block < 1:
        raise ValueError(f"block_seconds {block_seconds} is shorter than a sample at {sample_rate} Hz")
    info = probe(path, name, read_as=read_as)
    start = start_seconds * info.sample_rate
    if not 0 <= start < info.frames:
        raise ValueError(f"start_seconds must lie in the {info.seconds:.1f} s of {info.name}, not be {start_seconds}")
    chunks = _resampled(_decoded(info, start), info, sample_rate)
    return _recut(chunks, block, resampled_length(info.frames - start, info.sample_rate, sample_rate))


def load(
    path,
    sample_rate: int = SAMPLE_RATE,
    max_seconds: float | None = 3600,
    name: str | None = None,
    read_as: InputFormat | None = None,
) -> np.ndarray:
    """The whole clip, float32 (4, S), at ``sample_rate``. AudioError as ``probe`` and ``stream``.

    An hour at 24 kHz takes 1.4 GB; longer clips than ``max_seconds`` are for ``stream``.
    """
    info = probe(path, name, max_seconds, read_as=read_as)
    audio = np.empty((4, resampled_length(info.frames, info.sample_rate, sample_rate)), np.float32)
    start = 0
    for block in stream(path, sample_rate, name=name, read_as=read_as):
        audio[:, start : start + block.shape[1]] = block
        start += block.shape[1]
    return audio


def load_mono(path, max_seconds: float, sample_rate: int = SAMPLE_RATE, name: str | None = None) -> np.ndarray:
    """A mono sound, float32 (S,), at ``sample_rate``. AudioError as ``probe`` of one channel, and ``stream``."""
    info = probe(path, name, max_seconds, channels=1)
    samples = np.concatenate(list(_resampled(_decoded(info), info, sample_rate)))[:, 0]
    length = resampled_length(info.frames, info.sample_rate, sample_rate)
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def write_flac(path, audio: np.ndarray, sample_rate: int) -> None:
    """Write audio (C, S), 1 to 8 channels, as 16-bit FLAC, clipped to [-1, 1]. ``path`` only ever holds a complete file."""
    audio = np.asarray(audio)
    if audio.ndim != 2 or not 1 <= audio.shape[0] <= 8:
        raise ValueError(f"audio must have the shape (channels, samples) with 1 to 8 channels, not {audio.shape}")
    if not np.isfinite(audio).all():
        raise ValueError("audio must be finite, but holds NaN or infinite samples")
    content = io.BytesIO()
    with soundfile.SoundFile(content, "w", sample_rate, audio.shape[0], "PCM_16", format="FLAC") as file:
        for start in range(0, audio.shape[1], _READ_FRAMES):
            part = np.rint(audio[:, start : start + _READ_FRAMES].T * 32768.0)
            file.write(np.clip(part, -32768, 32767).astype(np.int16))
    write_bytes(path, content.getbuffer())


def resampled_length(frames: int, rate: int, sample_rate: int = SAMPLE_RATE) -> int:
    """Samples after resampling from ``rate`` to ``sample_rate`` Hz: frames * sample_rate / rate, halves up."""
    return (2 * frames * sample_rate + rate) // (2 * rate)


def label_frames(n_samples: int, sample_rate: int = SAMPLE_RATE) -> int:
    """The number of 100 ms label frames that cover ``n_samples`` samples, the last one perhaps in part."""
    return -(-n_samples * LABEL_FRAMES_PER_SECOND // sample_rate)


def frame_levels(audio: np.ndarray, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """The root mean square of W in each label frame, (T,) dB re full scale, of audio (4, S); -inf where all is 0."""
    size = sample_rate // LABEL_FRAMES_PER_SECOND
    starts = np.arange(0, audio.shape[1], size)
    power = np.add.reduceat(np.square(audio[0], dtype=float), starts) / np.diff(starts, append=audio.shape[1])
    with np.errstate(divide="ignore"):
        return 10 * np.log10(power)


# The header


def _require_file(path: Path, name: str) -> None:
    if path.is_dir():
        raise AudioError(f"{name}: is a folder; expected {_EXPECTED}")
    if not path.exists():
        raise AudioError(f"{name}: no such file; expected {_EXPECTED}")
    if not path.stat().st_size:
        raise AudioError(f"{name}: is empty (0 bytes); expected {_EXPECTED}")


def _samples_of(path: Path, name: str) -> containers.Samples | None:
    """What the container declares; a name that ends in .amb declares B-format, as the header of such files does."""
    try:
        found = containers.samples_of(path)
        return replace(found, is_b_format=True) if found and Path(name).suffix.lower() == ".amb" else found
    except containers.ContainerError as error:
        raise AudioError(f"{name}: {error}") from None
    except PermissionError:
        raise AudioError(f"{name}: may not be read; its permissions must allow it") from None


def _format_of(found: containers.Samples | None, asked: InputFormat | None) -> InputFormat:
    """The format of the channels: the one asked for, else the one that the header declares."""
    declared = inputformat.FUMA if found and found.is_b_format else inputformat.AS_IS
    if asked is None:
        return declared
    return declared.of_first_four() if asked == inputformat.FIRST_FOUR else asked


def _notes(found: containers.Samples | None, asked: InputFormat | None, channels: int) -> tuple[str, ...]:
    if found is None:
        return ()
    is_believed = channels == 4 and found.is_b_format and asked in (None, inputformat.FIRST_FOUR)
    believed = "it is declared as B-format (.amb): read as FuMa" if is_believed else ""
    return tuple(note for note in (believed, found.note) if note)


def _kind(file: soundfile.SoundFile, found: containers.Samples | None) -> str:
    return "BW64" if found and found.kind == "BW64" else file.format


def _opened(path: Path, name: str, found: containers.Samples | None) -> soundfile.SoundFile:
    """The open file. AudioError if it holds no audio, or audio of an unsupported format."""
    try:
        file = soundfile.SoundFile(containers.View(path, found) if found and found.needs_view else path)
    except PermissionError:
        raise AudioError(f"{name}: may not be read; its permissions must allow it") from None
    except (
        soundfile.LibsndfileError,
        TypeError,
        ValueError,
    ):  # TypeError: headerless formats, taken from the file name
        raise AudioError(f"{name}: {_what_is(path)}; expected {_EXPECTED}") from None
    kind = "MP3" if "MPEG" in file.format + file.subtype or file.format == "MP3" else file.format
    if kind in FORMATS:
        return file
    file.close()
    suffix = path.suffix.lower() if Path(name).suffix == "" else Path(name).suffix.lower()
    disguise = f" with a {suffix} name" if suffix and suffix != f".{kind.lower()}" else ""
    raise AudioError(f"{name}: is {kind} data{disguise}; expected {_EXPECTED}")


def _what_is(path: Path) -> str:
    """What a file that libsndfile cannot open seems to be."""
    with open(path, "rb") as file:
        start = file.read(4096)
    kind = next((kind for at, magic, kind in _MAGIC if start[at : at + len(magic)] == magic), None)
    if kind:
        return f"is {kind} data"
    if start[:4] in (b"RIFF", b"RF64", b"BW64", b"FORM", b"caff", b"riff", b"fLaC", b"OggS"):
        return "starts like an audio file, but its header is damaged or cut off"
    if all(byte >= 32 or byte in b"\t\r\n" for byte in start):
        return "is a text file, not audio"
    return "is not audio in a known format"


def _require_channels(info: ClipInfo, channels: int, found: containers.Samples | None) -> None:
    if channels == 4:
        _require_four(info, bool(found and found.is_b_format))
    elif info.channels != channels:
        raise AudioError(f"{info.name}: has {_counted(info)}; expected a mono sound, of 1")
    if not MIN_RATE <= info.sample_rate <= MAX_RATE:
        raise AudioError(
            f"{info.name}: has a sample rate of {info.sample_rate} Hz; expected from {MIN_RATE} to {MAX_RATE} Hz"
        )


def _counted(info: ClipInfo) -> str:
    return "1 channel" if info.channels == 1 else f"{info.channels} channels"


def _require_four(info: ClipInfo, is_b_format: bool) -> None:
    """AudioError unless the channels are as many as ``info.read_as`` takes; with a fix if they may be some other format."""
    if info.channels == 4 or (info.channels > 4 and info.read_as.first_four):
        return
    if info.channels == 3 and info.read_as.may_lack_height:
        return
    said = f"{info.name}: has {_counted(info)}; first-order ambisonics has 4: W, Y, Z, X"
    if info.channels < 3:
        raise AudioError(said)
    if info.channels == 3:
        raise AudioError(f"{said}; W, X, Y without height, as FuMa has them, can be read on request", inputformat.FUMA)
    raise AudioError(
        f"{said}; {_more_channels(info.channels, is_b_format)} the first four can be read alone on request",
        info.read_as.of_first_four(),
    )


def _more_channels(n: int, is_b_format: bool) -> str:
    """What a number of channels above four may be: the start of a clause."""
    if is_b_format:
        return "B-format with more channels has W, X, Y, Z first, so"
    order, stereo = math.isqrt(n) - 1, math.isqrt(n - 2) - 1
    if (order + 1) ** 2 == n:
        return f"ambisonics of order {order} has {n}, with these first, so"
    if (stereo + 1) ** 2 == n - 2:
        what = "these" if stereo == 1 else f"ambisonics of order {stereo}"
        return f"{n} can be {what} and two of head-locked stereo, so"
    return "if they come first here,"


def _require_length(info: ClipInfo, max_seconds: float) -> None:
    if not info.frames:
        raise AudioError(f"{info.name}: holds no samples by its header; expected at least {MIN_SECONDS} s of audio")
    if info.frames >= _UNKNOWN_FRAMES:  # libsndfile cannot read such a stream to its end
        raise AudioError(
            f"{info.name}: does not say how long it is (streamed {info.format}); expected it re-encoded to a file"
        )
    if info.seconds < MIN_SECONDS:
        raise AudioError(f"{info.name}: lasts {info.seconds:.3f} s; expected at least {MIN_SECONDS} s")
    if info.seconds > max_seconds:
        raise AudioError(f"{info.name}: lasts {info.seconds:.1f} s; expected at most {max_seconds:g} s")


def _require_content(path: Path, info: ClipInfo) -> None:
    """AudioError if a small file would decode to hours: it can only hold silence."""
    n_bytes = path.stat().st_size
    if info.seconds > LONG_SECONDS and n_bytes < MIN_BYTES_PER_SECOND * info.seconds:
        raise AudioError(
            f"{info.name}: would unfold to {info.seconds / 3600:.1f} hours from {n_bytes} bytes; expected at least "
            f"{MIN_BYTES_PER_SECOND} bytes a second of a clip longer than {LONG_SECONDS // 3600} hour"
        )


def _require_complete(path: Path, info: ClipInfo, found: containers.Samples | None) -> None:
    """AudioError if a file ends before its header says; libsndfile would shorten it silently."""
    if found and (found.promised or 0) > found.held:
        share = found.held / (found.promised or 1)
        raise AudioError(
            f"{info.name}: is cut off: its header promises {found.promised} bytes of samples, but the file holds {found.held} "
            f"({share:.0%}); expected a complete file"
        )
    if info.format == "OGG" and _lacks_ogg_end(path):
        raise AudioError(f"{info.name}: is cut off before its last OGG page; expected a complete file")


def _lacks_ogg_end(path: Path) -> bool:
    """Whether the last page of an OGG file is not marked as the end, or is longer than the rest of the file."""
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 2 * 65536))  # a page has at most 65307 bytes
        tail = file.read()
    at = tail.rfind(b"OggS\0")
    if at < 0:
        return False
    table = tail[at + 27 : at + 27 + tail[at + 26]] if at + 26 < len(tail) else b""
    complete = at + 26 < len(tail) and len(table) == tail[at + 26]
    ends_stream = at + 5 < len(tail) and bool(tail[at + 5] & 0x04)
    return not ends_stream or not complete or at + 27 + len(table) + sum(table) > len(tail)


# The samples


def _decoded(info: ClipInfo, start: int = 0) -> Iterator[np.ndarray]:
    """The samples from ``start`` on as float32 blocks (S, C) at the file's rate: finite, as many as the header says, and where C is
    4 in ACN/SN3D. C is 1 for a mono sound."""
    done, path = start, Path(info.path)
    with _opened(path, info.name, _samples_of(path, info.name)) as file:
        _go_to(file, start, info)
        while done < info.frames:
            try:
                block = _read(file, min(_READ_FRAMES, info.frames - done))
            except soundfile.LibsndfileError:
                raise AudioError(_cut_off(info, done, "cannot be decoded")) from None
            if not len(block):
                break
            _require_usable(block, done, info)
            done += len(block)
            yield block if info.channels in (1, 4) and info.read_as.is_plain else info.read_as.apply(block.T).T
    if done < info.frames:
        raise AudioError(_cut_off(info, done, "ends"))


def _read(file: soundfile.SoundFile, n: int) -> np.ndarray:
    """The next ``n`` samples (S, C), float32 where full scale is 1; 16-bit samples take half the time this way."""
    if file.subtype != "PCM_16":
        return file.read(n, dtype="float32", always_2d=True)
    return np.multiply(file.read(n, dtype="int16", always_2d=True), np.float32(1 / 2**15), dtype=np.float32)


def _go_to(file: soundfile.SoundFile, start: int, info: ClipInfo) -> None:
    try:
        if start:
            file.seek(start)
    except soundfile.LibsndfileError:
        raise AudioError(f"{info.name}: cannot be read from {start / info.sample_rate:.1f} s on") from None


def _cut_off(info: ClipInfo, done: int, what: str) -> str:
    return (
        f"{info.name}: {what} after {done / info.sample_rate:.1f} s, so it is damaged or cut off; expected the "
        f"{info.seconds:.1f} s of its header"
    )


def _require_usable(block: np.ndarray, done: int, info: ClipInfo) -> None:
    if not (block.min() >= -LOUDEST and block.max() <= LOUDEST):  # so it is with NaN, too
        row = int(np.argmin((np.abs(block) <= LOUDEST).all(axis=1)))
        finite = np.isfinite(block[row]).all()
        what = f"is beyond {LOUDEST:g}" if finite else "is not a number (NaN or infinite)"
        raise AudioError(
            f"{info.name}: holds a sample that {what} at {(done + row) / info.sample_rate:.3f} s; expected finite samples"
            f"{' around full scale, 1' if finite else ''}"
        )


def _resampled(blocks: Iterator[np.ndarray], info: ClipInfo, sample_rate: int) -> Iterator[np.ndarray]:
    if info.sample_rate == sample_rate:
        yield from blocks
        return
    channels = min(info.channels, 4) if info.channels != 3 else 4
    resampler = soxr.ResampleStream(info.sample_rate, sample_rate, channels, dtype="float32")
    for block in blocks:
        yield resampler.resample_chunk(np.ascontiguousarray(block))
    yield resampler.resample_chunk(np.zeros((0, channels), np.float32), last=True)


def _recut(chunks: Iterator[np.ndarray], block: int, total: int) -> Iterator[np.ndarray]:
    """Chunks (s, 4) of any length as contiguous blocks (4, block), ``total`` samples in all."""
    buffer, filled, sent = np.zeros((4, min(block, total)), np.float32), 0, 0
    for chunk in chunks:
        while len(chunk):
            size = min(len(chunk), buffer.shape[1] - filled)
            buffer[:, filled : filled + size] = chunk[:size].T
            chunk, filled = chunk[size:], filled + size
            if filled == buffer.shape[1]:
                yield buffer
                sent += filled
                if sent >= total:
                    return
                buffer, filled = np.zeros((4, min(block, total - sent)), np.float32), 0
    if sent < total:  # the resampler may end a sample early; the buffer holds zeros there
        yield buffer
