"""Stages that belong to one family of metrics each. Only the metrics of the family import them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import lazy

if TYPE_CHECKING:
    from . import (
        auditory as auditory,
    )
    from . import (
        haspi as haspi,
    )
    from . import (
        loizou as loizou,
    )
    from . import (
        masking as masking,
    )
    from . import (
        mel_cepstra as mel_cepstra,
    )
    from . import (
        peaq as peaq,
    )
    from . import (
        pesq as pesq,
    )
    from . import (
        siib as siib,
    )
    from . import (
        srmr as srmr,
    )
    from . import (
        stoi as stoi,
    )
    from . import (
        visqol as visqol,
    )
    from . import (
        warp_q as warp_q,
    )
    from . import (
        zimtohrli as zimtohrli,
    )
    from . import (
        zwicker as zwicker,
    )

__getattr__ = lazy.modules(__name__, __file__)
