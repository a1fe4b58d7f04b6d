import os
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr

from einv2.audio import inputformat, recordings


def noise(frames, channels=4, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal((frames, channels))).astype(np.float32)


def wav(path, samples, rate=24000, **options):
    soundfile.write(path, samples, rate, **options)
    return path


def refused(path, says, **options):
    """The path is refused by one sentence that names the file and holds ``says``."""
    with pytest.raises(recordings.AudioError) as error:
        recordings.load(path, **options)
    message = str(error.value)
    assert message.startswith(f"{path.name}: ") and says in message and "\n" not in message, message


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
def test_formats_and_rates(tmp_path, kind, rate):
    frames = rate + 37
    path = wav(tmp_path / f"clip.{kind}", noise(frames), rate)
    info = recordings.probe(path)
    assert (info.channels, info.sample_rate, info.frames, info.name) == (4, rate, frames, f"clip.{kind}")
    assert info.seconds == pytest.approx(frames / rate)
    decoded = soundfile.read(path, dtype="float32")[0]
    once = soxr.resample(decoded, rate, 24000).T
    loaded = recordings.load(path)
    assert loaded.dtype == np.float32 and loaded.flags.c_contiguous
    assert loaded.shape == (4, recordings.resampled_length(frames, rate)) == once.shape
    np.testing.assert_allclose(loaded, once, atol=1e-5)


@pytest.mark.parametrize("options", [{"format": "RF64"}, {"subtype": "FLOAT"}, {"subtype": "PCM_24"}])
def test_other_wav(tmp_path, options):
    samples = noise(9000)
    path = wav(tmp_path / "clip.wav", samples, **options)
    np.testing.assert_allclose(recordings.load(path), samples.T, atol=1e-4)


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_sixteen_bits_are_read_exactly(tmp_path, kind):
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, (20_000, 4), dtype=np.int16)
    samples[0] = [-(2**15), 2**15 - 1, 0, 1]
    np.testing.assert_array_equal(recordings.load(wav(tmp_path / f"clip.{kind}", samples)), samples.T / 2**15)


@pytest.mark.parametrize("rate, frames", [(24000, 4800), (48000, 9600), (44100, 8820), (8000, 1601), (192000, 38401)])
def test_shortest_and_odd_lengths(tmp_path, rate, frames):
    path = wav(tmp_path / "clip.wav", noise(frames), rate)
    assert recordings.load(path).shape[1] == recordings.resampled_length(frames, rate)


def test_resampled_length_by_hand():
    assert recordings.resampled_length(48000, 48000) == 24000
    assert recordings.resampled_length(3, 48000) == 2  # 1.5
    assert recordings.resampled_length(44100 * 60, 44100) == 60 * 24000
    assert recordings.resampled_length(10**12, 44100) == 544217687075


def test_a_source_keeps_its_channel_and_time(tmp_path):
    samples = np.zeros((44100, 4), np.float32)
    samples[22050, 2] = 1
    loaded = recordings.load(wav(tmp_path / "clip.wav", samples, 44100))
    channel, at = np.unravel_index(np.abs(loaded).argmax(), loaded.shape)
    assert (channel, at) == (2, 12000)


@pytest.mark.parametrize("rate", [24000, 44100])
@pytest.mark.parametrize("block_seconds", [0.1, 0.37, 1, 50])
def test_blocks_are_the_whole_clip_cut(tmp_path, rate, block_seconds):
    path = wav(tmp_path / "clip.wav", noise(2 * rate + 1), rate)
    blocks = list(recordings.stream(path, block_seconds=block_seconds))
    sizes = {b.shape[1] for b in blocks[:-1]}
    assert sizes <= {round(block_seconds * 24000)} and 0 < blocks[-1].shape[1] <= round(block_seconds * 24000)
    assert all(b.dtype == np.float32 and b.shape[0] == 4 for b in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), recordings.load(path))


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("rate", [24000, 44100])
def test_a_start_skips_what_is_before_it(tmp_path, kind, rate):
    path = wav(tmp_path / f"clip.{kind}", noise(5 * rate + 11), rate)
    whole, late = (
        recordings.load(path),
        np.concatenate(list(recordings.stream(path, block_seconds=1, start_seconds=3)), axis=1),
    )
    assert late.shape[1] == recordings.resampled_length(2 * rate + 11, rate)
    edge = 0 if rate == 24000 else 100  # of the resampler
    np.testing.assert_allclose(late[:, edge:40000], whole[:, 72000 + edge : 112000], atol=1e-4)
    with pytest.raises(ValueError, match=r"start_seconds must lie in the 5\.0 s of clip"):
        recordings.stream(path, start_seconds=6)


def test_blocks_are_not_overwritten(tmp_path):
    path = wav(tmp_path / "clip.wav", noise(24000))
    blocks = recordings.stream(path, block_seconds=0.25)
    first = next(blocks)
    kept = first.copy()
    list(blocks)
    np.testing.assert_array_equal(first, kept)


def test_streaming_checks_the_header_at_once(tmp_path):
    with pytest.raises(recordings.AudioError, match="no such file"):
        recordings.stream(tmp_path / "missing.wav")
    with pytest.raises(ValueError, match="block_seconds"):
        recordings.stream(tmp_path / "missing.wav", block_seconds=0)


def test_streaming_takes_little_memory(tmp_path):
    """20 minutes at 8 kHz are 460 MB at 24 kHz; a block of 10 s has 4 MB."""
    path = tmp_path / "long.flac"
    recordings.write_flac(path, np.zeros((4, 8000 * 1200), np.int8), 8000)
    tracemalloc.start()
    try:
        total = sum(block.shape[1] for block in recordings.stream(path))
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert total == 1200 * 24000


@pytest.mark.parametrize("channels, says", [(1, "has 1 channel;"), (2, "has 2 channels;"), (5, "has 5 channels;")])
def test_channels(tmp_path, channels, says):
    path = wav(tmp_path / "clip.wav", noise(9000, channels))
    refused(path, says + " first-order ambisonics has 4: W, Y, Z, X")


def test_not_audio(tmp_path):
    refused(tmp_path / "missing.wav", "no such file")
    (tmp_path / "folder.wav").mkdir()
    refused(tmp_path / "folder.wav", "is a folder")
    contents = {
        b"": "is empty (0 bytes)",
        b"frame,class\n0,1\n": "is a text file, not audio",
        b"RIFF\x24\0\0\0WAVEfmt ": "its header is damaged or cut off",
        bytes(range(256)) * 9: "is not audio in a known format",
        b"\0\0\0\x20ftypM4A " + bytes(99): "is MP4 (AAC) data",
        b"PK\x03\x04" + bytes(99): "is ZIP data",
    }
    for content, says in contents.items():
        path = tmp_path / "clip.wav"
        path.write_bytes(content)
        refused(path, says)
    raw = tmp_path / "clip.raw"
    raw.write_bytes(bytes(99))
    refused(raw, "is not audio")


def test_the_users_name_is_used(tmp_path):
    (tmp_path / "tmp123").write_text("hello")
    with pytest.raises(recordings.AudioError, match=r"^my clip\.wav: "):
        recordings.probe(tmp_path / "tmp123", name="my clip.wav")


@pytest.mark.parametrize("name, says", [("clip.wav", "is MP3 data with a .wav name"), ("clip.mp3", "is MP3 data;")])
def test_mp3(tmp_path, name, says):
    if "MP3" not in soundfile.available_formats():
        pytest.skip("this libsndfile writes no MP3")
    path = tmp_path / name
    soundfile.write(path, noise(24000, 2), 24000, format="MP3")
    refused(path, says)


@pytest.mark.parametrize("suffix", ["aiff", "caf", "w64"])
def test_other_containers(tmp_path, suffix):
    samples = noise(9000)
    path = wav(tmp_path / f"clip.{suffix}", samples)
    assert recordings.probe(path).format == suffix.upper()
    np.testing.assert_allclose(recordings.load(path), samples.T, atol=1e-4)
    os.truncate(path, path.stat().st_size // 2)
    refused(path, "cut off")


def test_a_format_that_is_not_read(tmp_path):
    refused(wav(tmp_path / "clip.au", noise(9000)), "is AU data; expected a 4-channel WAV, FLAC, OGG")


def riff(samples, magic=b"RIFF", size=None, fmt=None, behind=b"", ds64=b""):
    """A WAV file of 16 bits, with a data size, a format, and what else is asked for."""
    data = np.round(samples * 2**15).astype("<i2").tobytes()
    channels = samples.shape[1]
    fmt = fmt or struct.pack("<HHIIHH", 1, channels, 24000, 48000 * channels, 2 * channels, 16)
    size = len(data) if size is None else size
    body = (
        b"WAVE" + ds64 + b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", size) + data + behind
    )
    return magic + struct.pack("<I", 0xFFFFFFFF if ds64 else len(body)) + body


def b_format(channels, code=1):
    """The format of an .amb file."""
    return struct.pack("<HHIIHHHHI", 0xFFFE, channels, 24000, 48000 * channels, 2 * channels, 16, 22, 16, 0) + (
        struct.pack("<I", code) + bytes.fromhex("2107d3118644c8c1ca000000")
    )


def test_amb_is_fuma(tmp_path):
    path, samples = tmp_path / "clip.AMB", noise(9000)
    path.write_bytes(riff(samples, fmt=b_format(4)))
    info = recordings.probe(path)
    assert info.read_as is inputformat.FUMA and "declared as B-format" in info.notes[0]
    np.testing.assert_allclose(recordings.load(path), inputformat.FUMA.apply(samples.T), atol=1e-4)
    np.testing.assert_allclose(recordings.load(path, read_as=inputformat.AS_IS), samples.T, atol=1e-4)


def test_amb_without_height(tmp_path):
    path, samples = tmp_path / "clip.amb", noise(9000, 3)
    path.write_bytes(riff(samples, fmt=b_format(3)))
    w, x, y = samples.T
    for rate in (24000, 16000):
        loaded = recordings.load(path, rate)
        assert len(loaded) == 4 and not loaded[2].any()
    np.testing.assert_allclose(recordings.load(path), np.stack([2**0.5 * w, y, 0 * w, x]), atol=1e-4)
    plain = wav(tmp_path / "wxy.wav", samples)
    refused(plain, "W, X, Y without height")
    assert recordings.load(plain, read_as=inputformat.FUMA).shape == (4, 9000)


def test_amb_with_more_channels(tmp_path):
    path, samples = tmp_path / "clip.amb", noise(9000, 9)
    path.write_bytes(riff(samples, fmt=b_format(9)))
    with pytest.raises(recordings.AudioError, match="has W, X, Y, Z first") as error:
        recordings.probe(path)
    for asked in (error.value.fix, inputformat.FIRST_FOUR):
        loaded = recordings.load(path, read_as=asked)
        np.testing.assert_allclose(loaded, inputformat.FUMA.apply(samples.T[:4]), atol=1e-4)


@pytest.mark.parametrize(
    "channels, says",
    [
        (6, "head-locked stereo"),
        (8, "if they come first here"),
        (9, "order 2"),
        (16, "order 3"),
        (25, "order 4"),
        (36, "order 5"),
    ],
)
def test_the_first_four_of_many(tmp_path, channels, says):
    samples = noise(9000, channels)
    path = wav(tmp_path / "clip.wav", samples)
    refused(path, says)
    with pytest.raises(recordings.AudioError) as error:
        recordings.probe(path)
    assert error.value.fix is inputformat.FIRST_FOUR
    np.testing.assert_allclose(recordings.load(path, read_as=error.value.fix), samples.T[:4], atol=1e-4)


def test_bw64(tmp_path):
    path, samples = tmp_path / "clip.wav", noise(9000)
    ds64 = struct.pack("<4sIQQQI", b"ds64", 28, 0, 72000, 9000, 0)
    path.write_bytes(riff(samples, b"BW64", 0xFFFFFFFF, ds64=ds64, behind=b"axml\x04\0\0\0<a/>"))
    assert recordings.probe(path).format == "BW64"
    np.testing.assert_allclose(recordings.load(path), samples.T, atol=1e-4)
    os.truncate(path, 40_000)
    refused(path, "is cut off: its header promises 72000 bytes")


def test_a_size_that_wrapped(tmp_path):
    path, samples = tmp_path / "clip.wav", noise(24000)
    path.write_bytes(riff(samples, size=48_000))
    info = recordings.probe(path)
    assert info.frames == 24000 and "holds 4 times as many" in info.notes[0]
    np.testing.assert_allclose(recordings.load(path), samples.T, atol=1e-4)
    path.write_bytes(riff(samples, size=48_000, behind=b"odd"))
    refused(path, "which are no chunk; its size may have wrapped at 4 GiB")


def test_more_than_4_gib(tmp_path):
    """Known by its size alone, with a chunk behind the samples; the file has holes for samples."""
    path, chunk, size = tmp_path / "clip.wav", b"LIST\x04\0\0\0INFO", 2**32 + 96_000
    header = riff(np.zeros((0, 4)), size=96_000)
    with open(path, "wb") as file:
        file.write(header)
        file.seek(len(header) + size)
        file.write(chunk)
    info = recordings.probe(path)
    assert info.frames == size // 8 and "wraps at 4 GiB" in info.notes[0]


def test_chunks_behind_the_samples_are_no_wrap(tmp_path):
    path = tmp_path / "clip.wav"
    for behind in (
        b"id3 \x03\0\0\0abc\0",
        b"bext\x02\0\0\0ab" * 3 + b"cue \x04\0\0\0\0\0\0\0",
        b"LIST\x03\0\0\0abc",
        bytes(99),
    ):
        path.write_bytes(riff(noise(9000), behind=behind))
        assert recordings.probe(path).notes == () and recordings.load(path).shape == (4, 9000)


@pytest.mark.parametrize("behind", [b"TAG" + bytes(125), b"APETAGEX" + b"x" * 50_000, b"some text", bytes(9000)])
def test_tags_and_padding_behind_the_samples_are_left_out(tmp_path, behind):
    path, samples = tmp_path / "clip.wav", noise(9000)
    path.write_bytes(riff(samples, behind=behind))
    notes = (f"{len(behind)} bytes behind its samples are no chunk of a WAV file: left out",) if any(behind) else ()
    assert recordings.probe(path).notes == notes
    np.testing.assert_allclose(recordings.load(path), samples.T, atol=1e-4)


def test_length_and_rate(tmp_path):
    refused(wav(tmp_path / "short.wav", noise(4799)), "lasts 0.200 s; expected at least 0.2 s")
    refused(wav(tmp_path / "none.wav", noise(0)), "holds no samples")
    refused(wav(tmp_path / "low.wav", noise(9000), 4000), "sample rate of 4000 Hz")
    refused(wav(tmp_path / "high.wav", noise(90000), 384000), "sample rate of 384000 Hz")
    refused(wav(tmp_path / "long.wav", noise(48000)), "lasts 2.0 s; expected at most 1 s", max_seconds=1)


def test_three_hours_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "sparse.wav"
    size = 3 * 3600 * 24000 * 4 * 2
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 4, 24000, 192000, 8, 16,
                         b"data", size)  # fmt: skip
    path.write_bytes(header)
    os.truncate(path, len(header) + size)
    assert recordings.probe(path).seconds == 3 * 3600
    refused(path, "lasts 10800.0 s; expected at most 3600 s")


@pytest.mark.parametrize("options", [{}, {"format": "RF64"}])
def test_cut_off_wav(tmp_path, options):
    path = wav(tmp_path / "clip.wav", noise(24000), **options)
    os.truncate(path, path.stat().st_size // 2)
    refused(path, "is cut off: its header promises")


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF - 36, 0x80000000, 0xFFFFFFFF - 36, 0xFFFFFFFF])
def test_wav_of_a_streaming_writer(tmp_path, size):
    path = wav(tmp_path / "clip.wav", noise(9000))
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    assert recordings.load(path).shape == (4, 9000)
    assert "does not say how long it is" in recordings.probe(path).notes[0]


def test_chunks_after_the_samples_are_not_samples(tmp_path):
    path = wav(tmp_path / "clip.wav", noise(9000))
    with open(path, "ab") as file:
        file.write(b"LIST\x04\0\0\0INFO")
    assert recordings.load(path).shape == (4, 9000)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.999])
def test_cut_off_flac(tmp_path, share):
    path = wav(tmp_path / "clip.flac", noise(48000))
    os.truncate(path, int(path.stat().st_size * share))
    assert recordings.probe(path).frames == 48000  # the header alone does not show it
    refused(path, "damaged or cut off; expected the 2.0 s of its header")


def test_flac_of_unknown_length(tmp_path):
    path = wav(tmp_path / "clip.flac", noise(24000))
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that count the samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    refused(path, "does not say how long it is")


def test_cut_off_ogg(tmp_path):
    path = wav(tmp_path / "clip.ogg", noise(48000))
    os.truncate(path, path.stat().st_size // 2)
    refused(path, "is cut off before its last OGG page")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path, value):
    samples = noise(48000)
    samples[36000, 3] = value
    refused(wav(tmp_path / "clip.wav", samples, subtype="FLOAT"), "(NaN or infinite) at 1.500 s")


def test_damage_at_the_end_is_found_when_blocks_fit_exactly(tmp_path):
    samples = noise(48000)
    samples[-1, 0] = np.nan
    path = wav(tmp_path / "clip.wav", samples, subtype="FLOAT")
    with pytest.raises(recordings.AudioError, match="NaN"):
        list(recordings.stream(path, block_seconds=0.5))


def test_write_flac(tmp_path):
    samples = noise(70001).T
    samples[0, :3] = [2, -2, 1]
    path = tmp_path / "out.flac"
    recordings.write_flac(path, samples, 24000)
    assert soundfile.info(path).subtype == "PCM_16"
    np.testing.assert_allclose(recordings.load(path), np.clip(samples, -1, 1), atol=1 / 32768)
    assert recordings.load(path)[0, 1] == -1
    with pytest.raises(ValueError, match="NaN"):
        recordings.write_flac(path, np.full((4, 9), np.nan), 24000)
    with pytest.raises(ValueError, match="shape"):
        recordings.write_flac(path, np.zeros(9), 24000)
    assert [p.name for p in tmp_path.iterdir()] == ["out.flac"] and recordings.probe(path).frames == 70001


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "out.flac"
    recordings.write_flac(path, noise(9000).T, 24000)

    def broken(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(recordings.os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        recordings.write_flac(path, noise(5000).T, 24000)
    assert recordings.probe(path).frames == 9000 and len(list(tmp_path.iterdir())) == 1


def test_label_frames():
    assert [recordings.label_frames(n) for n in (0, 1, 2400, 2401, 24000 * 60)] == [0, 1, 1, 2, 600]
    assert [recordings.label_frames(4410 * n, 44100) for n in range(700)] == list(range(700))
    assert recordings.label_frames(8001, 8000) == 11


def test_ogg_cut_between_pages(tmp_path):
    path = wav(tmp_path / "clip.ogg", noise(480000))
    content = path.read_bytes()
    path.write_bytes(content[: content.rfind(b"OggS\0")])
    refused(path, "is cut off before its last OGG page")


def test_a_name_that_ends_in_amb_declares_b_format(tmp_path):
    samples = noise(9000)
    path = wav(tmp_path / "written.wav", samples).rename(tmp_path / "clip.AMB")
    assert (
        recordings.probe(path).read_as is inputformat.FUMA and "(.amb): read as FuMa" in recordings.probe(path).notes[0]
    )
    np.testing.assert_allclose(recordings.load(path), inputformat.FUMA.apply(samples.T), atol=1e-4)
