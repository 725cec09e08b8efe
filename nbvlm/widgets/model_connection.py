"""The connection to the model: its address, its key, and the own client."""

from __future__ import annotations

import math
import os
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nbvlm import endpoints
from nbvlm._background import Task
from nbvlm._files import expanded
from nbvlm.client import AsyncClient, Client, Secret, find_key, login, remembered, resolve
from nbvlm.errors import AuthenticationError
from nbvlm.images import path_inside
from nbvlm.recording import Replayer, replay
from nbvlm.widgets.offers import Offer

if TYPE_CHECKING:
    from pathlib import Path

    from nbvlm.client import Settings
    from nbvlm.endpoints import Endpoint
    from nbvlm.recording import RecordedQuestion

__all__ = ["OWN", "TYPED", "ModelConnection"]

#: Value of the choice for the client that the panel was made with, unless its model is a listed one.
OWN = "own"
#: Value of the choice for a server whose address was typed.
SERVER = "server"
#: Value of the choice for a recording whose path was typed.
RECORDING = "recording"
#: Tokens a second of the embedded model in a panel: about those of a hosted service.
PACE = 30.0
#: Replaces `PACE`: a number, or "off".
PACE_VARIABLE = "NBVLM_PANEL_PACE"
#: Origin of a key that was typed into the panel.
TYPED = "this panel"


class ModelConnection:
    """Holds the settings and the choice in use, and opens a client with them when one is needed."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self._lock = threading.RLock()
        self._shown = client
        self._given = self.settings = client.settings
        self._client: AsyncClient | None = None
        self._server: Settings | None = None
        self._recording: tuple[str, Settings] | None = None
        self._typed: dict[str, Secret] = {}  # by the name of the service
        self.pace = _usual_pace() if client.settings.pace is None else client.settings.pace
        self._opened_pace: float | None = None
        self.choice = self._own = _choice_of(self.settings)

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint in use."""
        return self.settings.endpoint

    @property
    def shown(self) -> Client | AsyncClient:
        """The client that the panel was given, or one with the settings of a model that was chosen since."""
        with self._lock:
            if self._shown.settings is not self.settings:
                self._shown = Client.from_settings(self.settings)
            return self._shown

    @property
    def has_pace(self) -> bool:
        """Whether the embedded model answers in this process, which can be slowed down."""
        return self.settings.in_process and self.endpoint.name == "demo"

    def use(self, client: Client | AsyncClient) -> None:
        """Ask with the settings of another client from now on."""
        settings = client.settings
        with self._lock:
            self._given, self._shown = settings, client
            self.pace = self.pace if settings.pace is None else settings.pace
            self._own = _choice_of(settings)
            self._switch(self._own, settings)

    def ask_endpoint(self, endpoint: Endpoint) -> None:
        """Ask another model from now on, with the key that belongs to it."""
        if endpoint == self.endpoint:
            return
        if endpoint == self._given.endpoint:
            self.choose(self._own)
        elif endpoints.ENDPOINTS.get(endpoint.name) == endpoint:
            self.choose(endpoint.name)
        else:
            self.use(Client.from_settings(resolve(endpoint)))

    def client(self) -> AsyncClient:
        """Return the client in use; call this on the package's loop."""
        with self._lock:
            if self._client is not None and self._opened_pace != self.pace:
                self.close()
            if self._client is None:
                # The settings of the panel's client stay as they are: only the panel itself slows down.
                self._opened_pace = self.pace
                settings = self.settings
                paced = replace(settings, pace=self.pace) if self.has_pace else settings
                self._client = AsyncClient.from_settings(paced)
            return self._client

    def choices(self, offer: Offer | None = None) -> list[dict[str, str]]:
        """Return the models that can be asked: `value`, `label`, `group` and a `note` for each.

        Of those that `offer` leaves out, the one in use and the panel's own stay.
        """
        offer = Offer() if offer is None else offer
        if "models" not in offer:
            kept: tuple[str, ...] = (self.choice,)
        else:
            models = endpoints.ENDPOINTS if offer.models is None else offer.models
            kept = (self.choice, self._own, SERVER, RECORDING, *models)
        found = [one for one in self._all_choices() if one["value"] in kept]
        if offer.public:
            found = [{**one, "label": one["label"].partition(" at ")[0]} for one in found]
        return found

    def _all_choices(self) -> list[dict[str, str]]:
        found = [_entry(self._own, self._given, "This panel's client")] if self._own == OWN else []
        found += [
            {"value": name, "label": entry.model, "group": _group(entry), "note": entry.note}
            for name, entry in sorted(endpoints.ENDPOINTS.items(), key=lambda item: item[0] != "demo")
        ]
        if self._server:
            found.append(_entry(SERVER, self._server, "Your server"))
        if self._recording:
            name, settings = self._recording
            label = f"{settings.endpoint.model} in {name}"
            found.append({"value": RECORDING, "label": label, "group": "A recording", "note": ""})
        return found

    def choose(self, value: str) -> None:
        """Ask another of the choices from now on; "gateway" asks the class gateway for its model again."""
        if value == endpoints.GATEWAY.name:
            given = self._given
            new = resolve(value, allow_http=given.allow_http, timeout=given.timeouts, retry=given.retry)
            self._given, value = new, self._own
        self._switch(value, self._settings_of(value))

    def connect(self, url: str, model: str, key: Secret | None = None) -> None:
        """Ask a server, by its address or the name of a service, from now on.

        Without a key, one that was typed for the same server stays with it.
        """
        before, self._server = self._server, resolve(url.strip(), model=model.strip())
        if key is None and before is not None and before.base_url == self._server.base_url:
            key = before.api_key if before.key_source == TYPED else None
        self._switch(SERVER, self._server)
        if key is not None:
            self.take_key(key)

    def about_key(self) -> str:
        """Say which key the model in use takes, and where it comes from."""
        endpoint = self.endpoint
        if endpoint.name == endpoints.GATEWAY.name:
            return "The token from the page of your class, or the code of the class and your name: code:name."
        if self.settings.local is not None:
            return (
                "A token of huggingface.co, from huggingface.co/settings/tokens; no other site receives it."
            )
        service = endpoints.service_of(endpoint) if self.settings.origin is None else None
        if endpoint.name == "demo" or endpoint.service == "nvidia":
            return "Keys for the hosted models are free at build.nvidia.com."
        if service is not None and service.page:
            return f"Keys come from {service.page}."
        return f"The key of {urlsplit(self.settings.base_url).netloc}; no other server receives it."

    def play(self, path: str, within: Path | None = None) -> dict[str, float | int]:
        """Take the answers from a recording on the kernel's machine, in a folder if given, from now on.

        Returns the parameters of its first question: with others the recording may hold no answer.
        """
        name = path.strip()
        recorded = replay(name if within is None else path_inside(within, name))
        settings = resolve(recorded.endpoint or self.endpoint, transport=recorded)
        self._recording = expanded(name).name, settings
        self._switch(RECORDING, settings)
        return recorded.parameters

    def questions(self) -> tuple[RecordedQuestion, ...]:
        """Return the questions of the recording in use; none where a model answers."""
        transport = self.settings.transport
        return transport.questions if isinstance(transport, Replayer) else ()

    def take_key(self, key: Secret) -> None:
        """Use a key: one for a known service is kept as by `nbvlm.login()`, others for this panel."""
        if (service := endpoints.service_of(self.endpoint)) is not None:
            login(key.reveal(), service.name)
            key = remembered(service.name) or key  # a code and a name have become a token
            self._typed[service.name] = key
        settings = replace(self.settings, api_key=key, key_source=TYPED)
        if self.choice == SERVER:
            self._server = settings
        elif settings.local is not None:
            self._given = settings
        self._switch(self.choice, settings)

    def key(self) -> dict[str, str]:
        """Return where the key in use comes from, never the key: `state` and `text`.

        `state` is "none" (the model needs none), "there", or "missing".
        """
        if self.settings.in_process or self.choice == RECORDING:
            return {"state": "none", "text": ""}
        if self.settings.api_key is not None:
            return {"state": "there", "text": f"Key from {self.settings.key_source}"}
        try:
            self.settings.key()
        except AuthenticationError:
            return {"state": "missing", "text": "No key yet"}
        service = endpoints.service_of(self.endpoint) if self.settings.origin is None else None
        found = find_key(service.name) if service is not None else None
        return (
            {"state": "there", "text": f"Key from {found[1]}"}
            if found
            else {"state": "none", "text": "No key"}
        )

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            client, self._client = self._client, None
        # At the end of the process no thread can be started, and its connections end by themselves.
        if client is not None and not sys.is_finalizing():
            Task(client.aclose())

    def _switch(self, value: str, settings: Settings) -> None:
        with self._lock:
            self.close()
            self.choice, self.settings = value, settings

    def _settings_of(self, value: str) -> Settings:
        if value == self._own:
            return self._keyed(self._given)
        if value == SERVER and self._server is not None:
            return self._server
        if value == RECORDING and self._recording is not None:
            return self._recording[1]
        entry = endpoints.get(value)
        # A panel with another origin asks the other hosted models there too.
        given = self._given
        if entry.service is not None and entry.service == given.endpoint.service:
            limits = replace(
                given.timeouts, between_tokens=max(entry.silence or 0, given.timeouts.between_tokens)
            )
            own = replace(given, endpoint=entry, transport=None, chosen=True, timeouts=limits)
            return self._keyed(own)
        return self._keyed(resolve(value))

    def _keyed(self, settings: Settings) -> Settings:
        typed = self._typed.get(settings.endpoint.service or "")
        if typed is None or endpoints.service_of(settings.endpoint) is None:
            return settings
        return replace(settings, api_key=typed, key_source=TYPED)


def _usual_pace() -> float | None:
    """Return the tokens a second of a panel whose client names none; None does not slow it down."""
    given = os.environ.get(PACE_VARIABLE, "")
    try:
        pace = float(given)
    except ValueError:
        return None if given.strip().lower() == "off" else PACE
    return pace if 0 < pace < math.inf else None


def _choice_of(settings: Settings) -> str:
    listed = endpoints.ENDPOINTS.get(settings.endpoint.name) == settings.endpoint
    return settings.endpoint.name if listed else OWN


def _entry(value: str, settings: Settings, group: str) -> dict[str, Any]:
    host = urlsplit(settings.base_url).netloc
    if settings.endpoint.name == endpoints.GATEWAY.name:
        group = "Your class"
    label, note = f"{settings.endpoint.model} at {host}", settings.endpoint.note
    if settings.local is not None:
        label, group = settings.endpoint.model, "On this computer"
    return {"value": value, "label": label, "group": group, "note": note}


def _group(entry: Endpoint) -> str:
    return "On this computer" if entry.name == "demo" else "Hosted by NVIDIA"
