"""The list of the models that can be asked, and the button for the key."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import traitlets

from nbvlm.widgets._base import OfferingWidget
from nbvlm.widgets.esm import script
from nbvlm.widgets.messages import Message, fields, optional, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ModelList"]


class ModelList(OfferingWidget):
    """Lists models by group.

    Parameters
    ----------
    on_message
        Called with each message: `type` is "model", with the value of a `choice`, and the values of the
        `fields` around the list or None.

    Attributes
    ----------
    choices, choice
        The models that can be asked, and the value of the one in use.
    key
        Where the key comes from, never the key.
    opens
        Whether the list has entries that open a form, and a button that opens the field for a key.
    """

    _esm = script("model_list", "model_list")
    kind = "model_list"
    css_class = "nbvlm-models"
    messages = MappingProxyType({"model": Message(choice=text, fields=optional(fields))})
    needs = MappingProxyType({"model": "models"})

    choices = traitlets.List(traitlets.Dict()).tag(sync=True)
    choice = traitlets.Unicode("").tag(sync=True)
    key = traitlets.Dict().tag(sync=True)
    opens = traitlets.Bool(False).tag(sync=True)

    def show(self, choices: Sequence[Mapping[str, str]], choice: str, key: Mapping[str, str]) -> None:
        """Show the models that can be asked, the one in use, and where its key comes from."""
        with self.hold_sync():
            self.choices, self.choice, self.key = list(choices), choice, dict(key)

    def _summary(self) -> str:
        return str(self.choice)
