"""Colours and symbols: one colour a class on every page, tracks told apart by lane and marker.

Classes get their colour by name, so that the same class of two class lists looks the same. Names stand beside the colours
wherever they are used; colour alone never carries the meaning.
"""

import colorsys
import zlib

# Mid-tone colours: a contrast of 3 or more on the dark page, of 2 or more on white. Within each class list of DCASE they were spread
# as far apart as they go for the eye that sees least of each pair: without red, green or blue cones, or with all.
CLASS_COLOURS = {
    "alarm": "#D9541B",
    "crying baby": "#D9A0D9",
    "crash": "#8D678D",
    "barking dog": "#8D542E",
    "running engine": "#B38D67",
    "female scream": "#C62EC6",
    "female speech": "#D97AEC",
    "burning fire": "#ECA01B",
    "footsteps": "#A0B354",
    "knocking on door": "#7AC6A0",
    "male scream": "#1B67B3",
    "male speech": "#087AFF",
    "ringing phone": "#41A08D",
    "piano": "#6741FF",
    "clapping": "#B36767",
    "laughter": "#D9A02E",
    "domestic sounds": "#FF7AC6",
    "door, open or close": "#C60841",
    "music": "#6767A0",
    "musical instrument": "#C6542E",
    "water tap, faucet": "#8D547A",
    "bell": "#5454C6",
    "drawer": "#FF8D67",
    "clear throat": "#4154D9",
    "keys drop": "#B32EB3",
    "speech": "#EC1B67",
    "keyboard": "#B3411B",
    "page turn": "#C6A0EC",
    "cough": "#1B8DFF",
    "door slam": "#A0548D",
}
_SYNONYMS = {  # of other class lists, for the same sound
    "knock": "knocking on door",
    "telephone": "ringing phone",
    "phone": "ringing phone",
    "walk, footsteps": "footsteps",
}
TRACK_SYMBOLS = ("circle", "diamond", "square", "triangle-up")
LANE_SYMBOLS = (  # of the tracks of several systems, one after the other
    *TRACK_SYMBOLS, "cross", "x", "triangle-down", "star", "pentagon", "hourglass", "bowtie", "diamond-tall",
)  # fmt: skip
NEUTRAL = "#76838F"  # lines and marks on the light and on the dark page; its contrast is too low for text
PAGE_TEXT = "var(--page-text)"  # no colour that Plotly knows, so that it takes that of the page's text
SPECTROGRAM_COLOURS = "Viridis"


def class_colour(name: str) -> str:
    """The colour of a class, #RRGGBB; a name not in the table gets one from its letters, the same every time."""
    name = _SYNONYMS.get(name, name)
    if name in CLASS_COLOURS:
        return CLASS_COLOURS[name]
    code = zlib.crc32(name.encode())
    rgb = colorsys.hls_to_rgb(code % 360 / 360, 0.45 + (code >> 9) % 3 * 0.07, 0.6)
    return "#" + "".join(f"{round(255 * c):02X}" for c in rgb)


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of #RRGGBB, 0 to 255."""
    red, green, blue = bytes.fromhex(colour[1:7])
    return red, green, blue


def translucent(colour: str, opacity: float) -> str:
    """#RRGGBB with an opacity from 0 to 1, as rgba(...)."""
    return f"rgba({','.join(map(str, channels(colour)))},{opacity:g})"


def text_on(colour: str) -> str:
    """Black or white, whichever contrasts more with a background (WCAG relative luminance)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in channels(colour))
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#FFFFFF"


def track_symbol(track: int) -> str:
    return LANE_SYMBOLS[track % len(LANE_SYMBOLS)]
