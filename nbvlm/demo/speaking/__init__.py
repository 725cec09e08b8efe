"""The embedded model's answers in the forms of other model families, to test and teach with known boxes.

>>> from nbvlm.demo import speaking
>>> speaking.model_id("qwen3-vl")
'nbvlm/demo-qwen3-vl'
"""

from __future__ import annotations

from nbvlm import _lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nbvlm.demo.speaking.speaking import HABITS as HABITS
    from nbvlm.demo.speaking.speaking import Speaker as Speaker
    from nbvlm.demo.speaking.speaking import model_id as model_id
    from nbvlm.demo.speaking.speaking import speaker as speaker

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__, {"nbvlm.demo.speaking.speaking": "HABITS Speaker model_id speaker"}
)
