"""Signal mathematics that knows nothing of ears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import lazy

if TYPE_CHECKING:
    from . import (
        alignment as alignment,
    )
    from . import (
        cepstrum as cepstrum,
    )
    from . import (
        correlation as correlation,
    )
    from . import (
        linear_prediction as linear_prediction,
    )
    from . import (
        mel_cepstrum as mel_cepstrum,
    )
    from . import (
        polyphase as polyphase,
    )
    from . import (
        recursive as recursive,
    )
    from . import (
        resampling as resampling,
    )
    from . import (
        transport as transport,
    )
    from . import (
        warping as warping,
    )

__getattr__ = lazy.modules(__name__, __file__)
