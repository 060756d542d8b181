"""Debian's Chromium without a screen, driven by Selenium."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.remote.webelement import WebElement
from servers import Process, free_port, program, wait_for


class Browser(webdriver.Remote):
    """One with a profile of its own. What is named by a CSS selector is waited for."""

    def __init__(self, folder: Path, words: Sequence[str] = ()) -> None:
        """:param words: further options."""
        folder.mkdir()
        chromium, driver = program("chromium"), program("chromedriver")
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for word in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync", *words):
            options.add_argument(f"--{word}")
        for word in ("disable-background-networking", "disable-component-update", "disable-dev-shm-usage"):
            options.add_argument(f"--{word}")
        options.add_argument(f"--user-data-dir={folder / 'profile'}")
        options.add_argument("--window-size=1400,1000")
        port = free_port()
        self._process = Process([driver, f"--port={port}"], cwd=folder, env={**os.environ, "HOME": str(folder)})
        try:
            self._process.wait_ready("started successfully")
            super().__init__(f"http://127.0.0.1:{port}", options=options)
        except BaseException:
            self._process.stop()
            raise

    def quit(self) -> None:
        """End the browser and what drives it."""
        super().quit()
        self._process.stop()

    def all(self, selector: str) -> list[WebElement]:
        """Return what is shown by a selector now."""
        return [one for one in self.find_elements("css selector", selector) if one.is_displayed()]

    def one(self, selector: str) -> WebElement:
        """Return the first that a selector shows, once there is one."""
        return wait_for(lambda: next(iter(self.all(selector)), None), f"{selector} on the page")
