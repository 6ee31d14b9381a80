"""The web app in a process of its own, and a browser without a window to look at it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from helpers import require

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
PATIENCE = 120_000
"""Milliseconds for what takes a moment on an idle machine."""
PLACE_OF_POINT = """(name) => {
  const map = document.querySelector("#lab-map .map");
  const box = map.getBoundingClientRect();
  if (!map.dataset.pointed) {
    map.dataset.pointed = "none";
    map.on("plotly_hover", (event) => (map.dataset.pointed = String([].concat(event.points[0].customdata)[0])));
  }
  for (const trace of map.data) {
    const place = trace.customdata.indexOf(name);
    if (place < 0) continue;
    const layout = map._fullLayout;
    if (trace.type === "scatter") {
      const { xaxis, yaxis } = layout;
      return [
        box.left + xaxis._offset + xaxis.l2p(trace.x[place]),
        box.top + yaxis._offset + yaxis.l2p(trace.y[place]),
      ];
    }
    const scene = layout.scene._scene;
    const camera = scene.glplot.cameraParams;
    const times = (m, v) => [0, 1, 2, 3].map((row) => v.reduce((sum, x, k) => sum + m[4 * k + row] * x, 0));
    const at = ["x", "y", "z"].map((axis, k) => trace[axis][place] * scene.dataScale[k]);
    const [x, y, , w] = [camera.model, camera.view, camera.projection].reduce((v, m) => times(m, v), [...at, 1]);
    const stage = scene.container.getBoundingClientRect();
    return [stage.left + (stage.width * (1 + x / w)) / 2, stage.top + (stage.height * (1 - y / w)) / 2];
  }
  return null;
}"""
"""Where a point of the map is on the screen."""


@contextmanager
def served(library: Path, *arguments: str, kill: bool = False) -> Iterator[str]:
    """``musegen app`` on a library; gives its address."""
    command = [sys.executable, "-m", "musegen.cli", "app", "--port", "0", "--library", str(library), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        assert process.stdout is not None
        printed: list[str] = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith("MUSE is at "):
                break
        else:
            pytest.fail("".join(printed))
        yield printed[-1].split()[-1]
    finally:
        process.send_signal(signal.SIGKILL if kill else signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def opened() -> Iterator[Any]:
    """A Chromium; skipped without one, which is a failure where everything is required."""
    require("playwright")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("MUSEGEN_REQUIRE_ALL") == "1":
            pytest.fail("chromium is missing and MUSEGEN_REQUIRE_ALL is set")
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Window:
    """A page of the app, and what it asked other machines for.

    Args:
        browser: Chromium.
        address: of the app.
        width: pixels.
        dark: whether its user likes it so.
    """

    def __init__(self, browser: Any, address: str, width: int = 1280, dark: bool = False) -> None:
        self.address, self.foreign, self.errors = address, [], []
        self.context = browser.new_context(
            viewport={"width": width, "height": 860}, color_scheme="dark" if dark else "light", accept_downloads=True
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("request", self._asked)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)
        self.page.locator("#studio-make").wait_for()
        self.page.locator("#studio-cards :is(.nothing, .clip)").first.wait_for()

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.foreign.append(request.url)

    def tab(self, name: str) -> None:
        """Open one of the three pages."""
        self.page.get_by_role("tab", name=name).click()

    def quick(self, seconds: str = "1") -> None:
        """Set the Studio to make little, soon."""
        self.page.locator("#studio-fine > button").click()
        for name, value in [("text_steps", "2"), ("steps", "2"), ("seconds", seconds)]:
            self.fill(f"studio-{name}", value)

    def fill(self, slider: str, value: str) -> None:
        """Set a slider by its number."""
        box = self.page.locator(f"#{slider} input[type=number]")
        box.fill(value)
        box.press("Tab")

    def cards(self, page: str) -> Any:
        """The clips that a page shows."""
        return self.page.locator(f"#{page}-cards .clip")

    def said(self) -> str:
        """What the page says above everything."""
        return self.page.locator("#notice .notice").inner_text()

    def wait_said(self, words: str) -> None:
        """Wait until it says something."""
        self.page.locator("#notice .notice", has_text=words).wait_for()

    def fits(self) -> None:
        """Nothing is wider than the window."""
        wide = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"the page is {wide} pixels wider than the window"

    def picture(self, name: str) -> None:
        """A screenshot for the docs, where one is asked for."""
        folder = os.environ.get("MUSEGEN_SCREENSHOTS")
        if folder:
            self.page.wait_for_timeout(400)
            self.page.screenshot(path=Path(folder) / f"{name}.png")

    def drawn(self, points: int, kind: str = "scatter") -> None:
        """Wait for a map of so many points."""
        self.page.wait_for_function(
            """([points, kind]) => {
              const map = document.querySelector("#lab-map .map");
              return map && map.dataset.drawn === String(points) && map.data.every((trace) => trace.type === kind);
            }""",
            arg=[points, kind],
        )

    def click_point(self, name: str) -> None:
        """Click a point of the map, in two or three dimensions, where it is drawn."""
        self.page.locator("#lab-map .map").scroll_into_view_if_needed()
        found = self.page.evaluate(PLACE_OF_POINT, name)
        assert found is not None, f"{name} is not on the map"
        x, y = found
        self.page.mouse.move(x - 3, y - 3)
        self.page.mouse.move(x, y, steps=3)
        self.page.wait_for_function(f"document.querySelector('#lab-map .map').dataset.pointed === {name!r}")
        self.page.mouse.click(x, y, delay=150)
