"""Differentiable modules that are no metric: what a vocoder or a synthesiser is trained through."""

from __future__ import annotations

from typing import Any

from .errors import MissingExtra, UsageError

try:
    import torch
except ModuleNotFoundError:
    raise MissingExtra("audiosim.nn needs torch: pip install torch, or pip install 'audiosim[torch]'") from None

from torch.nn import functional

from .dsp.mel_cepstrum import check, waves
from .engine.fft import fast_length
from .engine.tensors import Constant


class MLSA(torch.nn.Module):  # type: ignore[misc]
    """The mel log spectrum approximation filter: mel-cepstra shape an excitation, and gradients reach both.

    H(z) = exp(sum_{m=0}^{order} c_m z~^-m), with gamma below 0 (1 + gamma sum c_m z~^-m)^(1 / gamma), z~ warped by
    alpha: SPTK's convention, c as dsp.mel_cepstrum and pysptk.mcep give it. Imai 1983; as a module to train through
    Yoshimura et al. 2022 (arXiv 2211.11222). Theirs is a cascade of FIR filters, the Taylor series of exp. Here exp is
    taken of the spectrum, where it is exact however deep the filter: every `period` samples there is a filter, its
    coefficients interpolated between frames, and pieces of the excitation that fade into each other go through them.

    order, alpha: of the mel-cepstra; see dsp.mel_cepstrum.alpha_of. hop: samples between frames.
    gamma: 0, or -1 / n with a whole n. Below 0 a filter between two stable ones may be unstable; at 0 all are stable.
    period: samples between filters (default: half of hop).
    n_fft: samples of an impulse response and two periods; what is longer wraps around (default: 12 times the longest
        delay of z~^-order, four times that with gamma below 0, where responses ring longer).

    forward(excitation [batch, sample], mel_cepstra [batch, frame, order + 1]) -> waveform [batch, sample]. Frame i is
    in force at sample i * hop, as with SPTK's mlsadf and with frames centred there; from there to the next the
    coefficients change linearly, and the last frame holds. (pysptk's Synthesizer comes to frame i a hop later.) There
    are ceil(sample / hop) frames, or sample // hop + 1. float32 and float64 are kept, all else is computed in float32.
    There are no parameters, and constants follow the excitation to its device.

    Raises UsageError for parameters out of range, or shapes that do not fit.
    """

    def __init__(
        self,
        order: int,
        alpha: float,
        hop: int,
        gamma: float = 0.0,
        *,
        period: int | None = None,
        n_fft: int | None = None,
    ) -> None:
        super().__init__()
        check(order, alpha, gamma)
        self.stages = 0 if gamma == 0 else round(-1 / gamma)
        if gamma and abs(self.stages * gamma + 1) > 1e-6:
            raise UsageError(f"MLSA takes a gamma of 0 or -1 / n with a whole n, not {gamma:g}")
        if hop < 1:
            raise UsageError(f"hop must be at least 1 sample, not {hop}")
        self.order, self.alpha, self.hop, self.gamma = order, alpha, hop, gamma
        self.period = max(1, hop // 2) if period is None else period
        if not 1 <= self.period <= hop:
            raise UsageError(f"period must be 1 to hop={hop} samples, not {period}")
        delay = order * (1 + abs(alpha)) / (1 - abs(alpha))
        room = int((48 if gamma else 12) * delay) + 2 * self.period
        self.n_fft = fast_length(room) if n_fft is None else n_fft
        if self.n_fft < 2 * self.period:
            raise UsageError(f"n_fft must be at least two periods, {2 * self.period} samples, not {n_fft}")
        self._cos, self._sin = (Constant(table) for table in waves(self.n_fft, order, alpha))
        ramp = torch.arange(self.period, dtype=torch.float64) / self.period
        self._fade = Constant(torch.cat([ramp, 1 - ramp]).numpy())

    def forward(self, excitation: Any, mel_cepstra: Any) -> Any:
        self._check_shapes(excitation, mel_cepstra)
        dtype = torch.promote_types(excitation.dtype, mel_cepstra.dtype)
        if dtype not in (torch.float32, torch.float64):
            dtype = torch.float32
        device = excitation.device.type if torch.amp.is_autocast_available(excitation.device.type) else "cpu"
        with torch.autocast(device, enabled=False):
            return self._filter(excitation.to(dtype), mel_cepstra.to(dtype))

    def _filter(self, x: Any, mc: Any) -> Any:
        samples, period, n = x.shape[1], self.period, self.n_fft
        last = -(-samples // period)
        response = self._response(self._interpolated(mc, last + 1))
        pieces = functional.pad(x, (period, (last + 1) * period - samples)).unfold(1, 2 * period, period)
        y = torch.fft.irfft(torch.fft.rfft(pieces * self._fade(x), n) * response, n)
        y = functional.fold(y.transpose(1, 2), (1, last * period + n), (1, n), stride=(1, period))
        return y[:, 0, 0, period : period + samples]

    def _interpolated(self, mc: Any, count: int) -> Any:
        """[batch, frame, order + 1] -> [batch, count, order + 1], a period apart."""
        at = self.period * torch.arange(count, device=mc.device)
        frame = at // self.hop
        part = ((at % self.hop).to(mc.dtype) / self.hop)[:, None]
        before, after = (mc.index_select(1, i.clamp(max=mc.shape[1] - 1)) for i in (frame, frame + 1))
        return before + part * (after - before)

    def _response(self, c: Any) -> Any:
        """H at the bins of n_fft, complex."""
        real, imag = c @ self._cos(c), -(c @ self._sin(c))
        if not self.stages:
            return torch.polar(real.exp(), imag)
        real, imag = 1 + self.gamma * real, self.gamma * imag
        square = real.square() + imag.square()
        return torch.complex(real / square, -imag / square) ** self.stages

    def _check_shapes(self, x: Any, mc: Any) -> None:
        if x.ndim != 2 or mc.ndim != 3 or len(x) != len(mc) or mc.shape[2] != self.order + 1 or not x.numel():
            raise UsageError(
                f"MLSA of order {self.order} takes an excitation [batch, sample] and mel-cepstra "
                f"[batch, frame, {self.order + 1}], not {list(x.shape)} and {list(mc.shape)}"
            )
        frames, samples = mc.shape[1], x.shape[1]
        if not (frames - 1) * self.hop <= samples <= frames * self.hop:
            raise UsageError(
                f"an excitation of {samples} samples takes {-(-samples // self.hop)} frames of mel-cepstra, "
                f"one every {self.hop} samples, not {frames}"
            )
        if not (x.is_floating_point() and mc.is_floating_point()):
            raise UsageError(f"excitation and mel-cepstra are floating point, not {x.dtype} and {mc.dtype}")

    def extra_repr(self) -> str:
        """What print(module) shows."""
        gamma = f", gamma={self.gamma:g}" if self.gamma else ""
        return f"order={self.order}, alpha={self.alpha:g}, hop={self.hop}{gamma}, n_fft={self.n_fft}"
