"""The configuration of a gateway: one TOML file, checked when it is read.

>>> parsed({"quota": {"per_minute": 20}}).quota.per_minute
20
"""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbvlm._files import expanded
from nbvlm._text import count, did_you_mean, shorten
from nbvlm.errors import Error, ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EXAMPLE", "Config", "demo", "load", "parsed"]

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _least(low: float, default: Any) -> Any:
    """Return a field that holds a number of at least `low`."""
    return field(default=default, metadata={"low": low})


@dataclass(frozen=True, slots=True)
class Class:
    """The text about the class that students read."""

    title: str = "Our class"
    notice: str = ""  # shown beside the model's name
    closes: str = ""  # local time, "17:30"; from then on no new question is taken until midnight


@dataclass(frozen=True, slots=True)
class Upstream:
    """The service that the gateway asks; a value that is empty or 0 is left to the service's own facts."""

    endpoint: str = "demo"  # as `nbvlm.Client` takes it
    models: tuple[str, ...] = ()  # the first is asked at the beginning; the teacher may switch
    base_url: str = ""
    assets_url: str = ""
    key_from: str = ""  # the environment variable with the key
    key_file: str = ""
    allow_http: bool = False
    device: str = ""  # this and what follows: where and how precisely a local model runs
    dtype: str = ""
    quantize: str = ""
    requests_per_minute: int = _least(0, 0)
    at_once: int = _least(1, 8)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the gateway listens; a JupyterHub overrides host and port."""

    host: str = "127.0.0.1"
    port: int = _least(0, 8000)
    public_url: str = ""  # how students reach it, where that differs
    hosts: tuple[str, ...] = ()  # further names of this computer
    tls_certificate: str = ""
    tls_key: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of one student; 0 for no limit."""

    per_minute: int = _least(0, 10)
    per_day: int = _least(0, 200)
    tokens_per_day: int = _least(0, 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the gateway."""

    waiting: int = _least(1, 256)  # questions
    waiting_of_student: int = _least(1, 8)
    at_once_of_student: int = _least(1, 2)
    connections: int = _least(8, 1024)
    body_mb: int = _least(1, 25)
    bodies_mb: int = _least(1, 96)  # all that are being received and all that wait
    uploads_mb: int = _least(1, 96)
    students: int = _least(1, 500)
    answer_s: int = _least(1, 600)  # for one answer, its turn included
    shutdown_s: int = _least(0, 30)  # for answers under way when the gateway ends


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which questions are asked once for all who ask them."""

    greedy: bool = True  # those without chance: temperature of at most 0.01
    within_s: float = _least(0, 0.0)  # others too, where they come within this time
    cache_mb: int = _least(0, 32)  # of greedy answers
    cache_minutes: int = _least(0, 120)


@dataclass(frozen=True, slots=True)
class People:
    """Who is who."""

    names: tuple[str, ...] = ()  # with a code each, in place of the code of the class
    teachers: tuple[str, ...] = ()  # names of users of the JupyterHub
    teacher_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wall:
    """The last answers, with small pictures, on the teacher's page; in memory only."""

    on: bool = False
    answers: int = _least(1, 24)
    minutes: int = _least(1, 30)


@dataclass(frozen=True, slots=True)
class Store:
    """Where usage and quotas are kept."""

    file: str = "nbvlm-gateway.sqlite"
    days: int = _least(1, 120)  # usage that is older is deleted


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration; `class_` is the section `[class]`."""

    class_: Class = field(default_factory=Class)
    upstream: Upstream = field(default_factory=Upstream)
    listen: Listen = field(default_factory=Listen)
    quota: Quota = field(default_factory=Quota)
    limits: Limits = field(default_factory=Limits)
    sharing: Sharing = field(default_factory=Sharing)
    people: People = field(default_factory=People)
    wall: Wall = field(default_factory=Wall)
    store: Store = field(default_factory=Store)
    folder: Path = field(default_factory=Path)  # that relative paths begin at

    def local_model(self, name: str) -> str:
        """Return a local model as `nbvlm.Client` takes it: a folder begins at that of the file."""
        folder = self.folder / expanded(name)
        return str(folder) if (folder / "config.json").is_file() else name

    def key(self) -> str | None:
        """Read the key of the upstream from where the configuration says; None for the service's own places.

        Raises
        ------
        Error
            If it is not there.
        """
        upstream = self.upstream
        if upstream.key_file:
            path = self.folder / expanded(upstream.key_file)
            try:
                return path.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not text"
                raise Error(
                    f"[upstream] key_file cannot be read: {reason}.", hint="Write the key into it."
                ) from None
        if upstream.key_from:
            if key := os.environ.get(upstream.key_from):
                return key.strip()
            raise Error(
                f"The environment variable {upstream.key_from}, which [upstream] key_from names, is not set.",
                hint="Set it before the gateway starts.",
            )
        return None


def load(path: Path) -> Config:
    """Read and check a file.

    Raises
    ------
    ParameterError
        If it cannot be read, or holds a value that cannot be used; the message names section and key.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ParameterError(
            f"{path} cannot be read: {error.strerror or error}.",
            hint="nbvlm gateway --example prints a configuration to begin with.",
        ) from None
    try:
        values = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} is not TOML: {error}.", hint="Correct that line.") from None
    return parsed(values, folder=path.absolute().parent)


def demo() -> Config:
    """Return the configuration of `--demo`: the embedded models, and usage in a temporary file."""
    return parsed(
        {"class": {"title": "A class with the demo model"}, "upstream": {"at_once": 2}, "store": {"file": ""}}
    )


def parsed(values: Mapping[str, Any], *, folder: Path | None = None) -> Config:
    """Check the values of a file.

    Raises
    ------
    ParameterError
        As `load`.
    """
    sections = {one.name.rstrip("_"): one for one in dataclasses.fields(Config) if one.name != "folder"}
    made: dict[str, Any] = {}
    for name, value in values.items():
        if name not in sections:
            near = did_you_mean(name, list(sections))
            raise ParameterError(
                f"The section [{name}] is not known.", hint=f"{near}Known: {', '.join(sections)}."
            )
        if not isinstance(value, dict):
            raise ParameterError(
                f"[{name}] must be a section of the file.", hint=f"Write [{name}] on a line."
            )
        kind = sections[name].default_factory
        made[sections[name].name] = _section(name, typing.cast("type[Any]", kind), value)
    config = Config(**made, folder=folder or Path.cwd())
    _check(config)
    return config


def _section(name: str, kind: type[Any], values: dict[str, Any]) -> Any:
    known = {one.name: one for one in dataclasses.fields(kind)}
    types_ = typing.get_type_hints(kind)
    made = {}
    for key, value in values.items():
        if name == "upstream" and key in ("key", "api_key"):
            raise ParameterError(
                "The key itself does not belong in this file.",
                hint='Write key_from = "NAME_OF_AN_ENVIRONMENT_VARIABLE" or key_file = "PATH" in [upstream].',
            )
        if key not in known:
            near = did_you_mean(key, list(known))
            raise ParameterError(f"[{name}] has no {key!r}.", hint=f"{near}Known: {', '.join(known)}.")
        made[key] = _value(f"[{name}] {key}", value, types_[key], known[key].metadata.get("low"))
    return kind(**made)


def _value(where: str, value: Any, kind: Any, low: float | None) -> Any:
    got = f"got {shorten(repr(value), 60)}"
    if typing.get_origin(kind) is tuple:
        if isinstance(value, list) and all(isinstance(one, str) and one.strip() for one in value):
            return tuple(one.strip() for one in value)
        raise ParameterError(f"{where} must be a list of texts, {got}.", hint='Write it like ["one", "two"].')
    if isinstance(kind, types.UnionType):
        raise TypeError(kind)
    if kind is bool and not isinstance(value, bool):
        raise ParameterError(f"{where} must be true or false, {got}.")
    if kind is str and not isinstance(value, str):
        raise ParameterError(f"{where} must be a text, {got}.", hint='Write it in quotes: "…".')
    if kind in (int, float):
        good = isinstance(value, (int, float) if kind is float else int) and not isinstance(value, bool)
        if not good or (low is not None and not value >= low):
            least = "" if low is None else f" of at least {low:g}"
            what = "a whole number" if kind is int else "a number"
            raise ParameterError(f"{where} must be {what}{least}, {got}.")
        return kind(value)
    return value


def _check(config: Config) -> None:
    if config.class_.closes and not _TIME.fullmatch(config.class_.closes):
        raise ParameterError(
            f"[class] closes must be a time of day, got {config.class_.closes!r}.",
            hint='Write it like "17:30".',
        )
    upstream, listen = config.upstream, config.listen
    if upstream.key_from and upstream.key_file:
        raise ParameterError("[upstream] has both key_from and key_file.", hint="Remove one of them.")
    if upstream.key_from and not _NAME.fullmatch(upstream.key_from):
        # The value is not repeated: it may be the key itself, written there by mistake.
        raise ParameterError(
            "[upstream] key_from must be the name of an environment variable.",
            hint='Write it like "NVIDIA_API_KEY"; the key itself does not belong in this file.',
        )
    if upstream.endpoint == "gateway":
        raise ParameterError(
            "[upstream] endpoint cannot be another gateway.", hint="Name the service itself."
        )
    if upstream.endpoint == "local" and not upstream.models:
        raise ParameterError(
            '[upstream] endpoint = "local" needs models.',
            hint='Write models = ["google/paligemma2-3b-mix-448"], another id of Hugging Face, or a folder.',
        )
    if listen.port > 65_535:
        raise ParameterError(f"[listen] port must be 0 to 65535, got {listen.port}.")
    if bool(listen.tls_certificate) != bool(listen.tls_key):
        raise ParameterError("[listen] needs both tls_certificate and tls_key, or neither.")
    names = [name.casefold() for name in config.people.names]
    if len(set(names)) < len(names):
        raise ParameterError("[people] names contains a name twice.", hint="Add an initial to one of them.")
    if len(names) > config.limits.students:
        raise ParameterError(
            f"[people] names holds {count(len(names), 'name')}, more than [limits] students = "
            f"{config.limits.students}.",
            hint="Raise students.",
        )


EXAMPLE = """\
# The gateway of a class. Every line may be left out.
[class]
title = "Physics 10b"
# closes = "17:30"                  # local time

[upstream]
endpoint = "nvidia"                 # as nbvlm.Client takes it; "demo" needs no key
models = ["google/gemma-4-31b-it"]  # the teacher may switch between several
key_from = "NVIDIA_API_KEY"         # the environment variable with the key
requests_per_minute = 40            # of the whole class
at_once = 8

[listen]
host = "0.0.0.0"                    # all computers of the network; "127.0.0.1" for this one
port = 8000

[quota]                             # of one student; 0 for no limit
per_minute = 10
per_day = 200
tokens_per_day = 0

[people]
# names = ["Ada", "Emil"]           # with a code each, in place of one code for the class
# teachers = ["ms-lovelace"]        # users of the JupyterHub

[wall]
on = false                          # the last answers, with small pictures, on the teacher's page

[store]
file = "nbvlm-gateway.sqlite"
"""
