"""A result as Python code that asks the same again.

The code runs as it is. It reads the key from the environment, and it brings the picture along unless a file
with exactly this picture lies in the working directory. Prompts and names are quoted, so that none of them
can become code.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nbvlm.images import picture as images

if TYPE_CHECKING:
    from nbvlm.images.picture import Picture
    from nbvlm.result import Result

__all__ = ["key_variables", "picture_file", "to_python"]

_WIDEST = 70


def to_python(result: Result, *, image: str | None = None) -> str:
    """Write Python code; see `Result.to_python`."""
    options = [f"{name}={value!r}" for name, value in result.parameters.items()]
    if (route := _route(result)) is not None:
        options.append(f'route="{route}"')
    arguments = "".join(f"        {part},\n" for part in ("picture", _literal(result.prompt), *options))
    client = _client(result)
    imports = "import os\n\nimport nbvlm" if "os.environ" in client else "import nbvlm"
    return (
        f"{imports}\n\n"
        f"picture = {_picture(result, image)}\n"
        f"with {client} as client:\n"
        f"    result = client.ask(\n{arguments}    )\n\n"
        "print(result.text)\n"
        "for found in result.detections:\n"
        "    print(found.label, found.box)\n"
    )


def _literal(text: str) -> str:
    """Write a string literal, in double quotes where it holds none.

    A lone surrogate could not stand in a file as it is.
    """
    written = ascii(text) if any("\ud800" <= char <= "\udfff" for char in text) else repr(text)
    return written if '"' in written else f'"{written[1:-1]}"'


def _client(result: Result) -> str:
    """Write the call that opens the same client."""
    parts = [_literal(result.endpoint)]
    if result.endpoint.startswith(("http://", "https://")):
        key = " or ".join(f'os.environ.get("{name}")' for name in key_variables(result.endpoint))
        parts += [f"model={_literal(result.model)}", f"api_key={key}"]
    elif result.base_url is not None:
        parts += [f"base_url={_literal(result.base_url)}"]
        parts += [f"assets_url={_literal(result.assets_url or result.base_url)}"]
        parts += ['api_key=os.environ.get("NVIDIA_API_KEY", "none")']
    elif result.endpoint != "demo":
        parts += ['api_key=os.environ["NVIDIA_API_KEY"]']
    line = f"nbvlm.Client({', '.join(parts)})"
    if len(line) <= _WIDEST:
        return line
    return "nbvlm.Client(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def key_variables(url: str) -> tuple[str, ...]:
    """Name the environment variables that may hold the key of an OpenAI-compatible server.

    >>> key_variables("https://example.org/v1")
    ('OPENAI_API_KEY',)
    """
    host = urlsplit(url).hostname or ""
    if host.endswith(".nvidia.com"):
        return ("NVIDIA_API_KEY",)
    local = host in {"127.0.0.1", "localhost", "::1"}
    return ("OPENAI_API_KEY", "NVIDIA_API_KEY") if local else ("OPENAI_API_KEY",)


def _route(result: Result) -> str | None:
    """Name the route if the client would not take it by itself."""
    if result.route == "asset":
        return "asset"
    whole = (result.sent.width, result.sent.height) == (result.picture.width, result.picture.height)
    return None if whole else "inline"


def _picture(result: Result, image: str | None) -> str:
    name = picture_file(result, image)
    if name is not None:
        return _literal(name)
    picture = result.picture
    named = f", name={_literal(picture.name)}" if picture.name else ""
    return f'nbvlm.Picture.load("{picture.data_uri()}"{named})'


def picture_file(result: Result, image: str | None) -> str | None:
    """Choose a file to read the picture from, or None to bring the picture along.

    Parameters
    ----------
    result
        Whose picture.
    image
        What the caller wants, which is taken as it is.
    """
    picture = result.picture
    if image is not None:
        return image
    if picture.data is None:
        return picture.name or ("picture.png" if picture.mime == "image/png" else "picture.jpg")
    name = picture.name
    return name if name and Path(name).name == name and _is_file(name, picture) else None


def _is_file(name: str, picture: Picture) -> bool:
    try:
        return Path(name).is_file() and images.Picture.load(Path(name)).sha256 == picture.sha256
    except (OSError, ValueError):
        return False
