"""A Chromium for tests that look at what a reader sees, driven by playwright.

Where there is none such tests are skipped, unless JACOBIAN_BROWSER_REQUIRED is set: then they fail. JACOBIAN_BROWSER
says which program it is, else one on the PATH is taken, else playwright's own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--force-color-profile=srgb"]


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install 'jacobian[dev]'")
    with sync_playwright() as playwright:
        found = os.environ.get("JACOBIAN_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
        if found is None and not Path(playwright.chromium.executable_path).exists():
            missing("no Chromium: python -m playwright install chromium, or set JACOBIAN_BROWSER")
        running = playwright.chromium.launch(executable_path=found, args=FLAGS)
        try:
            yield running
        finally:
            running.close()


def missing(why: str) -> None:
    """Skip, or fail where a browser must be there."""
    if os.environ.get("JACOBIAN_BROWSER_REQUIRED"):
        pytest.fail(why)
    pytest.skip(why)
