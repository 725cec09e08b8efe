"""Hints of errors name options on the command line, not Python."""

from __future__ import annotations

import pytest

from nbvlm.cli.hints import in_command


@pytest.mark.parametrize(
    ("python", "command"),
    [
        ('Use route="auto" or route="asset".', "Use --route auto or --route asset."),
        ('nbvlm.Client("demo") chooses by the picture.', "--endpoint demo chooses by the picture."),
        (
            "For the likeliest answer use temperature=0.01.",
            "For the likeliest answer use --temperature 0.01.",
        ),
        ("Use https, or insist with allow_http=True.", "Use https, or insist with --allow-http."),
        ("Choose one: model='qwen3-vl:8b'.", "Choose one: --model 'qwen3-vl:8b'."),
        ("Set NVIDIA_API_KEY, or call nbvlm.login(); keys are free.", "Set NVIDIA_API_KEY; keys are free."),
        (
            "If you trust the address: ask(…, allow_private=True).",
            "If you trust the address: --allow-private.",
        ),
        ("Check the network.", "Check the network."),
    ],
)
def test_python_becomes_options(python: str, command: str) -> None:
    assert in_command(python) == command
