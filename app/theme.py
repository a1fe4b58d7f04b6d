"""Colours and symbols: one colour a class on every page, tracks told apart by lane and marker.

Classes get their colour by name, so that the same class of two class lists looks the same. Names stand beside the colours
wherever they are used; colour alone never carries the meaning.
"""

import colorsys
import zlib

# Mid-tone colours, legible on white and on near-black, spread in hue and lightness for colour-blind readers.
CLASS_COLOURS = {
    "alarm": "#E0525F",
    "crying baby": "#B79F00",
    "crash": "#B5479B",
    "barking dog": "#A06A2C",
    "running engine": "#7A8793",
    "female scream": "#F0569A",
    "female speech": "#27A9E1",
    "burning fire": "#EE7F2D",
    "footsteps": "#8C9A3B",
    "knocking on door": "#0E9F8E",
    "male scream": "#8E4162",
    "male speech": "#3B6FD4",
    "ringing phone": "#3FA65A",
    "piano": "#8C6FE0",
}
_SYNONYMS = {  # of other class lists, for the same sound
    "knock": "knocking on door",
    "telephone": "ringing phone",
    "phone": "ringing phone",
    "walk, footsteps": "footsteps",
}
TRACK_SYMBOLS = ("circle", "diamond", "square", "triangle-up")
NEUTRAL = "#76838F"  # text that is legible on the light and on the dark page
SPECTROGRAM_COLOURS = "Viridis"


def class_colour(name: str) -> str:
    """The colour of a class, #RRGGBB; a name not in the table gets one from its letters, the same every time."""
    name = _SYNONYMS.get(name, name)
    if name in CLASS_COLOURS:
        return CLASS_COLOURS[name]
    code = zlib.crc32(name.encode())
    rgb = colorsys.hls_to_rgb(code % 360 / 360, 0.45 + (code >> 9) % 3 * 0.07, 0.6)
    return "#" + "".join(f"{round(255 * c):02X}" for c in rgb)


def text_on(colour: str) -> str:
    """Black or white, whichever contrasts more with a background (WCAG relative luminance)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#FFFFFF"


def track_symbol(track: int) -> str:
    return TRACK_SYMBOLS[track % len(TRACK_SYMBOLS)]
