"""Samples without a header, in a format that the user names: RATE:CHANNELS:FORMAT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTHS = {"u8": 1, "s8": 1, "ulaw": 1, "alaw": 1, "s16": 2, "s24": 3, "s32": 4, "f32": 4, "f64": 8}
_WIDE = ("s16", "s24", "s32", "f32", "f64")
FORMATS = ("u8", "s8", "ulaw", "alaw", *(f"{form}{end}" for form in _WIDE for end in ("le", "be")))
MOST_CHANNELS = 1024


@dataclass(frozen=True, slots=True)
class Raw:
    """rate: Hz. format: one of FORMATS, of which all but the first four end in the order of their bytes."""

    rate: int
    channels: int
    format: str

    @property
    def width(self) -> int:
        """Bytes of a sample."""
        return _WIDTHS[self.format if self.format in _WIDTHS else self.format[:-2]]

    def samples(self, data: bytes) -> NDArray[Any]:
        """[channel, sample] of whole samples; full scale is 1.0."""
        import numpy as np

        flat: NDArray[Any]
        if self.format in ("ulaw", "alaw"):
            flat = _law(self.format)[np.frombuffer(data, np.uint8)]
        elif self.format[:3] == "s24":
            three = np.frombuffer(data, np.uint8).reshape(-1, 3)
            wide = np.zeros((len(three), 4), np.uint8)
            wide[:, 1:] = three if self.format.endswith("le") else three[:, ::-1]
            flat = (wide.view("<i4")[:, 0] / np.float64(1 << 31)).astype(np.float32)
        elif self.format[0] == "f":
            flat = np.frombuffer(data, f"{'<' if self.format.endswith('le') else '>'}f{self.width}")
            flat = flat.astype(np.float32 if self.width == 4 else np.float64)
        elif self.format == "u8":
            flat = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)
        else:
            order = ">" if self.format.endswith("be") else "<"
            steps = np.frombuffer(data, f"{order}i{self.width}").astype(np.float64) / (1 << (8 * self.width - 1))
            flat = steps if self.width == 4 else steps.astype(np.float32)
        return np.ascontiguousarray(flat.reshape(-1, self.channels).T)


def parse(text: str) -> Raw:
    """UsageError for what is no such format."""
    rate, _, rest = text.partition(":")
    channels, _, form = rest.partition(":")
    form = form.lower()
    if f"{form}le" in FORMATS:
        form += "le"
    if not (rate.isdecimal() and channels.isdecimal() and 1 <= int(rate) < 1 << 31):
        raise UsageError(f"raw is RATE:CHANNELS:FORMAT, such as 48000:2:s16le, not {text!r}")
    if not 1 <= int(channels) <= MOST_CHANNELS:
        raise UsageError(f"raw has 1 to {MOST_CHANNELS} channels, not {channels}")
    if form not in FORMATS:
        raise UsageError(f"raw has one of the formats {', '.join(FORMATS)}, not {form!r}")
    return Raw(int(rate), int(channels), form)


def _law(name: str) -> NDArray[Any]:
    """The 256 values of G.711."""
    import numpy as np

    codes = np.arange(256)
    if name == "ulaw":
        codes = ~codes & 0xFF
        steps = (((codes & 15) << 3) + 132) << (codes >> 4 & 7)
        steps = np.where(codes & 0x80, 132 - steps, steps - 132)
    else:
        codes = codes ^ 0x55
        exponent = codes >> 4 & 7
        steps = ((codes & 15) << 4) + 8
        steps = np.where(exponent > 0, (steps + 256) << np.maximum(exponent - 1, 0), steps)
        steps = np.where(codes & 0x80, steps, -steps)
    return (steps / 32768).astype(np.float32)
