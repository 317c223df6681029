"""Draws docs/dashboard.png from the demo's world, with Chromium: .venv/bin/python docs/screenshot.py"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-m", "etl.cli"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        demo = [*COMMAND, "demo", "--folder", folder]
        subprocess.run(demo, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (our own module)
        serve = [*COMMAND, "--config", f"{folder}/bifrost-etl.yaml", "dashboard", "--port", "0"]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
            assert server.stdout is not None
            draw(server.stdout.readline().strip())
            server.terminate()


def draw(address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1360, "height": 1010}, color_scheme="light")
        page.goto(address, wait_until="networkidle")
        page.screenshot(path=HERE / "dashboard.png")
        browser.close()


if __name__ == "__main__":
    main()
