"""An equaliser found again: `python -m tests.benchmarks.equaliser` fits gains to a recording under three losses."""

import torch

from audiosim import Loss, load

speech = load("samples/speech.flac")
x, rate = torch.tensor(speech.samples[:, 3200:19200]), speech.rate  # 1 s
octaves = (torch.fft.rfftfreq(x.shape[1], 1 / rate).clamp(min=1) / 1000).log2()
peaks = torch.exp(-4 * (octaves - torch.tensor([-3.0, -1.5, 0.0, 1.2, 2.5])[:, None]) ** 2)  # 125 Hz to 5.7 kHz


def equalised(gains):
    """x through a gain and five peaks, dB."""
    response = 10 ** ((gains[0] + gains[1:] @ peaks) / 20)
    return torch.fft.irfft(torch.fft.rfft(x) * response, x.shape[1])


wanted = torch.tensor([-3.0, 6.0, -4.0, 3.0, -6.0, 5.0])
hiss = 0.003 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
for delay in (0, 16):  # samples: in time, and 1 ms late
    target = equalised(wanted).roll(delay, 1) + hiss
    for spec in ("mse", "mr-stft", "tversky:form=log + 0.1*mr-stft"):
        gains, loss = torch.zeros(6, requires_grad=True), Loss(spec, rate)
        optimizer = torch.optim.Adam([gains], lr=0.5)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 80)
        for _ in range(80):
            optimizer.zero_grad()
            loss(equalised(gains), target).backward()
            optimizer.step(), decay.step()
        error = (gains - wanted).detach().abs()
        print(f"{delay / rate * 1000:.0f} ms  {spec:32} mean error {error.mean():.1f} dB, largest {error.max():.1f} dB")
