"""A Jupyter server, and the front ends that show a notebook of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser, Locator, Page

ROOT = Path(__file__).parents[2]
TOKEN = "only-for-this-run"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
SLOW = 60_000  # milliseconds: for what is bound by the machine, not by us
# Kernels read this at their start, so one server serves notebooks that are not changed, for every setting.
STARTUP = """
import json, os, pathlib
os.environ.update(json.loads(pathlib.Path({path!r}).read_text()))
"""
QUIET = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}


class Jupyter:
    """A server on loopback with all its homes in one folder."""

    def __init__(self, home: Path) -> None:
        self.home, self.notebooks = home, home / "notebooks"
        self._environment = home / "environment.json"
        self._log = home / "server.log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Jupyter]:
        self._prepare()
        options = ("--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={self.port}")
        options += ("--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}")
        options += (f"--ServerApp.root_dir={self.notebooks}",)
        command = [sys.executable, "-m", "jupyterlab", *options]
        with self._log.open("wb") as log:
            process = subprocess.Popen(command, env=self._homes(), stdout=log, stderr=log)
            try:
                self._wait_until_ready(process)
                yield self
            finally:
                process.terminate()
                process.wait(30)

    def _prepare(self) -> None:
        self.notebooks.mkdir(parents=True)
        settings = self.home / "config" / "labconfig"
        settings.mkdir(parents=True)
        (settings / "default_setting_overrides.json").write_text(json.dumps(QUIET))
        startup = self.home / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "00-environment.py").write_text(STARTUP.format(path=str(self._environment)))
        self.environment({})

    def _homes(self) -> dict[str, str]:
        names = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "runtime"}
        homes = {f"JUPYTER_{name}": str(self.home / folder) for name, folder in names.items()}
        homes |= {
            "IPYTHONDIR": str(self.home / "ipython"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self.home / "workspaces"),
            "PYTHONPATH": os.pathsep.join(
                filter(None, (str(ROOT / "tests" / "support" / "offline"), os.environ.get("PYTHONPATH")))
            ),
        }
        return {**os.environ, **homes}

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + SLOW / 1000
        while time.monotonic() < deadline:
            assert process.poll() is None, self._log.read_text()
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                self.api("GET", "/api/status")
                return
            time.sleep(0.1)
        raise AssertionError(self._log.read_text())

    def api(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"token {TOKEN}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"null")

    def environment(self, variables: Mapping[str, str]) -> None:
        """Set environment variables for the kernels that start from now on."""
        self._environment.write_text(json.dumps(dict(variables)))

    def configure(self, plugin: str, settings: dict[str, Any]) -> None:
        """Set what JupyterLab remembers for one of its plugins."""
        self.api("PUT", f"/lab/api/settings/{plugin}", {"raw": json.dumps(settings)})

    def start(self, name: str) -> None:
        """Start the kernel of a notebook, as a page would that opens it."""
        self.api(
            "POST",
            "/api/sessions",
            {"path": name, "name": name, "type": "notebook", "kernel": {"name": "python3"}},
        )

    def connected(self) -> bool:
        """Whether the one kernel is idle and heard by a page."""
        kernels = [session["kernel"] for session in self.api("GET", "/api/sessions")]
        return any(kernel["connections"] and kernel["execution_state"] == "idle" for kernel in kernels)

    def fresh(self, source: Path, name: str) -> str:
        """Put a copy of a notebook into the server's folder, and end all kernels."""
        for session in self.api("GET", "/api/sessions"):
            self.api("DELETE", f"/api/sessions/{session['id']}")
        shutil.copy(source, self.notebooks / name)
        return name

    def notebook(self, name: str, *cells: str) -> str:
        """Put a notebook with these cells into the server's folder, and end all kernels."""
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        source = self.home / name
        nbformat.write(
            new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}),
            source,
        )
        return self.fresh(source, name)


class Sheet:
    """A notebook in a front end, and the panel in it."""

    def __init__(self, page: Page, jupyter: Jupyter) -> None:
        self.page, self.jupyter = page, jupyter
        self.outside: list[str] = []
        self.errors: list[str] = []
        page.on("request", self._note_request)
        page.on("pageerror", lambda error: self.errors.append(error.stack or error.message))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def _note_request(self, request: Any) -> None:
        ours = (self.jupyter.url, f"ws://127.0.0.1:{self.jupyter.port}", "data:", "blob:")
        if not request.url.startswith(ours):
            self.outside.append(request.url)

    def open_lab(self, name: str) -> Sheet:
        """Open in JupyterLab and wait for the kernel: a command given before is silently dropped."""
        self.jupyter.start(name)  # while the page is loaded
        self.page.goto(f"{self.jupyter.url}/lab/tree/{name}?reset&token={TOKEN}")
        self.page.wait_for_selector("#jp-main-statusbar >> text=| Idle", timeout=SLOW)
        return self

    def open_notebook(self, name: str) -> Sheet:
        """Open in Notebook 7."""
        self.page.goto(f"{self.jupyter.url}/notebooks/{name}?token={TOKEN}")
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=SLOW)
        # A command given before the page and the kernel are connected asks which kernel to select.
        deadline = time.monotonic() + SLOW / 1000
        while not self.jupyter.connected():
            assert time.monotonic() < deadline, "the kernel does not start"
            self.page.wait_for_timeout(50)
        return self

    def open_voila(self, name: str, theme: str = "light") -> Sheet:
        """Open as a Voila page, which runs all cells itself."""
        address = f"{self.jupyter.url}/voila/render/{name}?token={TOKEN}&theme={theme}"
        self.page.goto(address, timeout=SLOW)
        return self

    def press_run_all(self) -> None:
        """Run all cells from the menu."""
        self.page.click('.lm-MenuBar-itemLabel:text-is("Run")')
        self.page.click('li.lm-Menu-item[data-command="runmenu:run-all"]')

    def run_all(self) -> Sheet:
        """Run all cells from the menu, and wait until the panel is ready."""
        self.press_run_all()
        return self.ready()

    def run_all_again(self) -> Sheet:
        """Run all cells once more, and wait until a new panel stands where the one before was."""
        return self.without_old_panels().ready()

    def without_old_panels(self) -> Sheet:
        """Run all cells once more, and wait until the panels that were there are gone."""
        mark = "document.querySelectorAll('.nbvlm-panel').forEach((one) => (one.dataset.old = ''))"
        self.page.evaluate(mark)
        self.press_run_all()
        self.page.wait_for_function("!document.querySelector('.nbvlm-panel[data-old]')", timeout=SLOW)
        return self

    def run_all_until_it_runs(self) -> Sheet:
        """Run all cells in Notebook 7, which has no sign of a connected kernel but a prompt that changes."""
        first = self.page.locator(".jp-CodeCell .jp-InputArea-prompt").first
        for _ in range(20):
            self.press_run_all()
            with contextlib.suppress(AssertionError):
                from playwright.sync_api import expect

                expect(first).not_to_have_text("[ ]:", timeout=3000)
                return self.ready()
        raise AssertionError("the notebook does not run")

    def ready(self) -> Sheet:
        self.find(".nbvlm-picture").wait_for(timeout=SLOW)
        self.find(".nbvlm-thumb").first.wait_for(timeout=SLOW)
        return self

    def dark(self) -> None:
        """Choose JupyterLab's dark theme, which it then remembers."""
        self.page.click('.lm-MenuBar-itemLabel:text-is("Settings")')
        self.page.hover('li.lm-Menu-item:has-text("Theme")')
        self.page.click('li.lm-Menu-item:has-text("JupyterLab Dark") >> nth=0')
        self.page.wait_for_selector('body[data-jp-theme-light="false"]', state="attached")

    def find(self, selector: str) -> Locator:
        return self.page.locator(f".nbvlm-panel {selector}")

    @property
    def answer(self) -> str:
        return self.find(".nbvlm-answer").text_content() or ""

    def prompt(self, text: str) -> None:
        self.find(".nbvlm-prompt textarea").fill(text)

    def press(self, name: str) -> None:
        self.find(f"button.nbvlm-{name}").click()

    def wait(self, state: str) -> None:
        """Wait for a state of the status line; an error that was not waited for is told."""
        status = self.find(f".nbvlm-status:is([data-state={state}], [data-state=failed])")
        status.wait_for(timeout=SLOW)
        found = status.get_attribute("data-state")
        assert found == state, self.find(".nbvlm-error").text_content()

    def ask(self, prompt: str) -> str:
        self.prompt(prompt)
        self.press("run")
        self.wait("done")
        return self.answer

    def watch(self) -> None:
        """Note from now on, at each change of the page, when it was and what the panel showed."""
        self.page.evaluate(WATCH)

    @property
    def seen(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate("window.nbvlmSeen")
        return found

    @property
    def now(self) -> float:
        """Milliseconds by the page's clock."""
        return float(self.page.evaluate("performance.now()"))


WATCH = """() => {
  const panel = document.querySelector(".nbvlm-panel");
  window.nbvlmSeen = [];
  new MutationObserver(() => window.nbvlmSeen.push({
    time: performance.now(),
    text: panel.querySelector(".nbvlm-answer").textContent,
    boxes: panel.querySelectorAll(".nbvlm-viewer rect").length,
    state: panel.querySelector(".nbvlm-status").dataset.state,
  })).observe(panel, {childList: true, subtree: true, characterData: true, attributes: true});
}"""


@contextlib.contextmanager
def launched(chromium: str) -> Iterator[Browser]:
    """Start the system's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(ARGUMENTS))
        yield browser
        browser.close()
