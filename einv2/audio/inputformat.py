"""Input formats: how the channels of a recording are ordered and scaled, and their conversion to ACN/SN3D: W, Y, Z, X.

Each format has one name, on the command line (``--input``) and on the pages. ``CHOICES`` lists the named ones; ``parse`` also
takes orders and signs of the channels, "w-xyz" for W, -X, Y, Z, and several names joined by commas.
"""

import re
from dataclasses import dataclass, replace

import numpy as np

CHANNELS = ("W", "Y", "Z", "X")  # of ACN/SN3D


@dataclass(frozen=True)
class InputFormat:
    """Channel c of ACN/SN3D (W, Y, Z, X) is gains[c] times channel order[c] of the file. The default changes nothing.

    name: short, for a button. text: the format that it assumes. key: the name on the command line. first_four: the file may have
    more channels, of which the first four are taken.
    """

    order: tuple[int, ...] = (0, 1, 2, 3)
    gains: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    name: str = "ACN/SN3D (AmbiX)"
    text: str = "channels W, Y, Z, X in SN3D, as they are"
    key: str = "acn-sn3d"
    first_four: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the samples stay as they are."""
        return self.order == (0, 1, 2, 3) and self.gains == (1.0, 1.0, 1.0, 1.0)

    @property
    def may_lack_height(self) -> bool:
        """Whether three channels, W, X, Y, can be a recording without Z."""
        return self.order == _WXYZ

    def apply(self, block: np.ndarray) -> np.ndarray:
        """A block (C, S) of the file as ACN/SN3D (4, S), float32. ValueError if the number of channels C does not fit."""
        block = np.asarray(block, np.float32)
        if block.ndim == 2 and len(block) == 3 and self.may_lack_height:
            block = np.concatenate([block, np.zeros_like(block[:1])])
        if block.ndim != 2 or len(block) < 4 or (len(block) > 4 and not self.first_four):
            raise ValueError(f"block must have the shape (4, samples), not {block.shape}")
        return block[list(self.order)] * np.array(self.gains, np.float32)[:, None]

    def of_first_four(self) -> "InputFormat":
        """The same format for a file that may have more channels."""
        if self.first_four:
            return self
        if self.is_plain:
            return FIRST_FOUR
        name, text = f"{self.name}, first four channels", f"{self.text}; the first four of all channels"
        return replace(self, key=f"first-four,{self.key}", first_four=True, name=name, text=text)

    def then(self, other: "InputFormat") -> "InputFormat":
        """This format followed by ``other``, which applies to the converted clip. One of ``CHOICES`` if it is equal."""
        if self.order != AS_IS.order and other is FUMA:
            other = FUMA_GAIN  # the order is correct already
        order = tuple(self.order[c] for c in other.order)
        gains = tuple(gain * self.gains[c] for gain, c in zip(other.gains, other.order))
        more = self.first_four or other.first_four
        for choice in CHOICES:
            if choice.order == order and np.allclose(choice.gains, gains):
                return choice.of_first_four() if more else choice
        if self.is_plain and not more:
            return other
        key = ",".join(one.key for one in (self, other) if one.key != AS_IS.key)
        return InputFormat(
            order, gains, f"{self.name}, then {other.name}", f"{self.text}; then {other.text}", key, more
        )


_WXYZ = (0, 2, 3, 1)  # the places of W, Y, Z, X in a file with W, X, Y, Z
_FUMA_W = 2**0.5  # FuMa carries W at -3 dB: Malham, "Higher order Ambisonic systems", 2003
_N3D = 3**-0.5  # N3D carries the first order sqrt(3) higher than SN3D: Daniel, thesis, Paris 6, 2000

AS_IS = InputFormat()
FIRST_FOUR = InputFormat(
    name="the first four channels",
    text="the first four of all channels: W, Y, Z, X in SN3D",
    key="first-four",
    first_four=True,
)
WXYZ = InputFormat(_WXYZ, name="W, X, Y, Z in SN3D", text="channels W, X, Y, Z in SN3D", key="wxyz-sn3d")
FUMA = InputFormat(
    _WXYZ, (_FUMA_W, 1.0, 1.0, 1.0), "FuMa", "channels W, X, Y, Z with W at -3 dB, as FuMa has them", "fuma"
)
FUMA_GAIN = InputFormat(
    gains=(_FUMA_W, 1.0, 1.0, 1.0), name="W louder by 3 dB", text="W at -3 dB, as FuMa has it", key="fuma-w"
)
N3D = InputFormat(
    gains=(1.0, _N3D, _N3D, _N3D),
    name="N3D (ACN)",
    text="channels W, Y, Z, X in N3D, with Y, Z, X 4.8 dB higher",
    key="acn-n3d",
)
LEFT_RIGHT = InputFormat(
    gains=(1.0, -1.0, 1.0, 1.0), name="left and right flipped", text="channels W, -Y, Z, X", key="flip-y"
)
FRONT_BACK = InputFormat(
    gains=(1.0, 1.0, 1.0, -1.0), name="front and back flipped", text="channels W, Y, Z, -X", key="flip-x"
)
UP_DOWN = InputFormat(
    gains=(1.0, 1.0, -1.0, 1.0), name="up and down flipped", text="channels W, Y, -Z, X", key="flip-z"
)
CHOICES = (AS_IS, WXYZ, FUMA, N3D, LEFT_RIGHT, FRONT_BACK, UP_DOWN)

_NAMES = {choice.key: choice for choice in (*CHOICES, FIRST_FOUR, FUMA_GAIN)} | {
    "ambix": AS_IS,
    "sn3d": AS_IS,
    "n3d": N3D,
    "wxyz": WXYZ,
    "wyzx": AS_IS,
}
HELP = (
    f"{', '.join(choice.key for choice in CHOICES)}; first-four: of a file with more channels; the file's order and signs, as "
    "w-yzx for W, -Y, Z, X; several joined by commas are applied in turn"
)


def parse(text: str) -> InputFormat:
    """The format of a name, or of several names joined by commas. ValueError if a name is unknown."""
    found = AS_IS
    for part in text.lower().split(","):
        found = found.then(_one(part.strip()))
    return found


def _one(name: str) -> InputFormat:
    if name in _NAMES:
        return _NAMES[name]
    signed = re.fullmatch(r"((?:-?[wxyz]){4})(?:-sn3d)?", name)
    if signed and sorted(letters := re.findall("[wxyz]", signed[1])) == ["w", "x", "y", "z"]:
        signs = [-1.0 if sign else 1.0 for sign, _ in re.findall("(-?)([wxyz])", signed[1])]
        order = tuple(letters.index(channel.lower()) for channel in CHANNELS)
        return of_channels(order, tuple(signs[c] for c in order))
    if decibels := re.fullmatch(r"([+-]?\d{1,3})db", name):
        return louder(int(decibels[1]))
    raise ValueError(f"input format {name!r} is unknown: give {HELP}.")


def of_channels(order: tuple[int, ...], gains: tuple[float, ...]) -> InputFormat:
    """A format of another order and other signs of the channels, by its name if it has one."""
    known = [c for c in CHOICES if (c.order, c.gains) == (tuple(order), tuple(gains))]
    signed = [("-" if gain < 0 else "") + name for name, gain in zip(CHANNELS, gains)]
    channels = [signed[order.index(c)] for c in range(4)]
    listed, key = ", ".join(channels), "".join(channels).lower()
    return known[0] if known else InputFormat(tuple(order), tuple(gains), listed, f"channels {listed}", key)


def louder(db: int) -> InputFormat:
    """A gain on all channels in whole decibels."""
    what = "louder" if db > 0 else "quieter"
    name = f"{what} by {abs(db)} dB"
    return InputFormat(gains=(10 ** (db / 20),) * 4, name=name, text=f"all channels {name}", key=f"{db:+d}db")
