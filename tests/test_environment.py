"""Settings of the environment for connections."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from nbvlm import _environment
from nbvlm.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROXIES = [f"{kind}_proxy" for kind in ("http", "https", "all", "no")]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*PROXIES, *map(str.upper, PROXIES), "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)
    _environment.tls.cache_clear()
    yield
    _environment.tls.cache_clear()


@pytest.mark.parametrize(
    "value",
    [
        "http://:::",
        "http://user:secret-word@",
        "http://proxy:99999",
        "http://proxy:port",
        "http://[::1",
        "http://a..b",
        "http://1.2.3.999:3128",
        "http://[v1.x]:3128",
        "http://pro xy:1",
        "http://proxy\x7f:1",
        "socks://proxy:1080",
        "ftp://proxy",
        "://",
    ],
)
@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(TransportError, match=rf"^The proxy in {name} is not an address.* unset it") as caught:
        _environment.proxy_for("https", "example.org", None)
    assert "secret-word" not in str(caught.value)


def test_a_socks_proxy_names_the_package_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:secret-word@proxy:1080")
    with pytest.raises(TransportError, match=r"SOCKS proxy.*pip install \"nbvlm\[socks\]\"") as caught:
        _environment.proxy_for("https", "example.org", None)
    assert "secret-word" not in str(caught.value)


def test_a_package_for_socks_that_is_broken_is_not_called_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "socksio.py").write_text("raise ImportError('half of it is gone')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "socksio", raising=False)
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy:1080")
    with pytest.raises(TransportError, match="installed but cannot be imported: half of it is gone"):
        _environment.proxy_for("https", "example.org", None)


@pytest.mark.parametrize(
    ("exceptions", "host", "port", "direct"),
    [
        ("10.0.0.0/8,fe80::/10", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("example.org, 10.0.0.1/8", "10.1.2.3", 80, True),
        ("2001:db8::/32", "2001:db8::5", 443, True),
        ("[2001:db8::5]", "2001:db8::5", 443, True),
        ("[2001:db8::5]:443", "2001:db8::5", 443, True),
        ("[2001:db8::5]:8080", "2001:db8::5", 443, False),
        ("2001:db8::5", "2001:db8::6", 443, False),
        ("10.1.2.3:8080", "10.1.2.3", 8080, True),
        ("10.1.2.3:8080", "10.1.2.3", 80, False),
        ("example.org:443", "example.org", 443, True),
        ("example.org:444", "example.org", 443, False),
        (".example.org", "a.example.org", 443, True),
        ("*", "a.example.org", 443, True),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_exceptions_are_names_addresses_networks_and_ports(
    monkeypatch: pytest.MonkeyPatch, name: str, exceptions: str, host: str, port: int, direct: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setenv(name, exceptions)
    assert (_environment.proxy_for("https", host, port) is None) == direct


@pytest.mark.parametrize("value", ["proxy:3128", " http://proxy:3128 ", "http://proxy:3128"])
def test_a_proxy_is_used_however_it_is_written(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("https_proxy", value)
    assert _environment.proxy_for("https", "example.org", None) == "http://proxy:3128"
    assert _environment.proxy_for("http", "example.org", None) is None


@pytest.mark.parametrize(
    "exceptions", ["[::1]", "localhost,127.0.0.1,[::1]", "10.0.0.0/8,fe80::/10", "::1", "(", ","]
)
def test_exceptions_from_the_proxy_in_any_writing_raise_nothing(
    monkeypatch: pytest.MonkeyPatch, exceptions: str
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", exceptions)
    assert _environment.proxy_for("https", "example.org", None) == "http://proxy:3128"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "demo.nbvlm.localhost"])
def test_this_machine_needs_no_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("all_proxy", "http://proxy:3128")
    assert _environment.proxy_for("http", host, 8000) is None


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"])
def test_a_variable_for_certificates_that_leads_nowhere_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    place = tmp_path / "gone" / "file"
    monkeypatch.setenv(name, str(place))
    with pytest.raises(TransportError, match=f"^{name} .*gone/file.* Correct {name}, or unset it"):
        _environment.tls()
    monkeypatch.delenv(name)
    _environment.tls()


def test_a_file_that_holds_no_certificate_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", __file__)
    with pytest.raises(TransportError, match=r"^SSL_CERT_FILE is not a readable file of certificates"):
        _environment.tls()
