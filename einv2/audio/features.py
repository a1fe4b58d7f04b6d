"""Network input: log-mel spectrograms of the four FOA channels and intensity vectors, (B, 4, S) -> (B, 7, T, F).

Channels 0 to 3 are 10 log10 of the mel power of W, Y, Z, X (dB, at least -100); channels 4 to 6 the normalised active
intensity in the order of the audio channels, Y, Z, X, summed over each mel band. The same numbers as the features of the
authors' released code (its settings stand in ``FeatureConfig``).
"""

import torch
from torch import nn

from ..config import FeatureConfig

N_CHANNELS = 7
LOGMEL = slice(0, 4)
INTENSITY = slice(4, 7)
POWER_FLOOR = 1e-10  # -100 dB
INTENSITY_FLOOR = 1.19e-7  # single-precision epsilon, as in the released code


class LogMelIntensity(nn.Module):
    """Features of a batch of FOA signals. Frames are centred; the ends are padded by reflection."""

    window: torch.Tensor
    mel: torch.Tensor

    def __init__(self, config: FeatureConfig):
        super().__init__()
        self.config = config
        self.register_buffer("window", torch.hann_window(config.n_fft, periodic=True), persistent=False)
        self.register_buffer("mel", mel_filters(config), persistent=False)  # (bins, F)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """audio (B, 4, S) float, S > n_fft / 2 -> (B, 7, S // hop + 1, F)."""
        if audio.ndim != 3 or audio.shape[1] != 4:
            raise ValueError(f"audio must have the shape (batch, 4, samples), not {tuple(audio.shape)}")
        spectrum = self.spectrum(audio)
        # split first: arithmetic on interleaved complex memory takes twice as long
        real, imaginary = spectrum.real.contiguous(), spectrum.imag.contiguous()
        power = torch.addcmul(real.square(), imaginary, imaginary)
        logmel = 10 * torch.log10((power @ self.mel).clamp(min=POWER_FLOOR))
        return torch.cat([logmel, intensity(real, imaginary) @ self.mel], dim=1)

    def spectrum(self, audio: torch.Tensor) -> torch.Tensor:
        """Complex short-time spectrum (B, 4, T, n_fft / 2 + 1)."""
        batch, channels, samples = audio.shape
        spectrum = torch.stft(
            audio.reshape(batch * channels, samples),
            self.config.n_fft,
            self.config.hop,
            window=self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        return spectrum.unflatten(0, (batch, channels)).transpose(2, 3)


def intensity(real: torch.Tensor, imaginary: torch.Tensor) -> torch.Tensor:
    """Active intensity Re(conj(W) (Y, Z, X)) per bin as a vector of length at most 1, from both parts of a spectrum:
    (B, 4, T, bins) -> (B, 3, T, bins)."""
    vector = torch.addcmul(real[:, :1] * real[:, 1:], imaginary[:, :1], imaginary[:, 1:])
    y, z, x = vector.unbind(1)
    length = torch.addcmul(
        torch.addcmul(y.square(), z, z), x, x
    ).sqrt_()  # over so few, vector.norm() takes ten times as long
    return vector / (length + INTENSITY_FLOOR).unsqueeze(1)


def mel_filters(config: FeatureConfig) -> torch.Tensor:
    """Slaney-normalised triangular mel filters (n_fft / 2 + 1, n_mels), from librosa."""
    from librosa.filters import mel  # imported late: it takes longer than the rest of the library together

    filters = mel(sr=config.sample_rate, n_fft=config.n_fft, n_mels=config.n_mels, fmin=config.f_min, fmax=config.f_max)
    return torch.from_numpy(filters.T.copy()).float()


def mel_centres(config: FeatureConfig):
    """Centre frequencies (n_mels,) in Hz of the mel bands."""
    from librosa import mel_frequencies

    return mel_frequencies(config.n_mels + 2, fmin=config.f_min, fmax=config.f_max)[1:-1]
