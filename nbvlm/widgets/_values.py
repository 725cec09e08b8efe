"""Values that traits of parts take: endpoints, clients and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import traitlets

from nbvlm import endpoints
from nbvlm.client import AsyncClient, Client, resolve
from nbvlm.endpoints import Endpoint

__all__ = ["ClientTrait", "EndpointTrait", "Typed"]

Held = TypeVar("Held")
Given = TypeVar("Given")


class Typed(traitlets.TraitType, Generic[Held, Given]):  # type: ignore[misc] # the base class has no types
    """A trait that type checkers know the values of: those it has, and those it takes."""

    if TYPE_CHECKING:

        def __get__(self, obj: Any, cls: Any = None) -> Held: ...

        def __set__(self, obj: Any, value: Given) -> None: ...


class EndpointTrait(Typed["Endpoint", "Endpoint | str"]):
    """A model that can be asked, by default the embedded one; takes an `Endpoint` or its name."""

    info_text = "an Endpoint or its name"

    def default(self, _obj: Any = None) -> Endpoint:
        """Return the embedded model."""
        return endpoints.get("demo")

    def validate(self, _obj: Any, value: Any) -> Endpoint:
        """Look up a name."""
        if isinstance(value, Endpoint):
            return value
        if isinstance(value, str):
            return endpoints.ENDPOINTS.get(value) or resolve(value).endpoint
        raise traitlets.TraitError(f"endpoint must be an Endpoint or its name, got {type(value).__name__}.")


class ClientTrait(Typed["Client | AsyncClient", "Client | AsyncClient"]):
    """A client of either kind."""

    info_text = "a Client or an AsyncClient"

    def validate(self, _obj: Any, value: Any) -> Client | AsyncClient:
        """Take clients only."""
        if isinstance(value, Client | AsyncClient):
            return value
        raise traitlets.TraitError(f"client must be a Client or an AsyncClient, got {type(value).__name__}.")
