"""Stages that belong to one family of metrics each. Only the metrics of the family import them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import lazy

if TYPE_CHECKING:
    from . import (
        auditory as auditory,
        bss_eval as bss_eval,
        cepstra as cepstra,
        colour as colour,
        cover as cover,
        energy_ratio as energy_ratio,
        haspi as haspi,
        loizou as loizou,
        masking as masking,
        mel_cepstra as mel_cepstra,
        modulations as modulations,
        peaq as peaq,
        pemo as pemo,
        pesq as pesq,
        pitch as pitch,
        plp as plp,
        ratings as ratings,
        rhythm as rhythm,
        siib as siib,
        srmr as srmr,
        stft_loss as stft_loss,
        stoi as stoi,
        timbre as timbre,
        unaligned as unaligned,
        visqol as visqol,
        warp_q as warp_q,
        zimtohrli as zimtohrli,
        zwicker as zwicker,
    )

__getattr__ = lazy.modules(__name__, __file__)
