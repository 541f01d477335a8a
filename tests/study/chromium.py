"""A real browser without a window, for the tests of the report; skipped by name where there is none."""

import base64
import json
import shutil
import time

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_chromium = pytest.mark.skipif(
    not (PROGRAM and DRIVER), reason="there is no chromium with chromedriver (Debian: chromium chromium-driver)"
)
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # CI is root in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--window-size=1300,1000",
)


class Browser:
    """Chromium, driven through its own protocol; nothing is downloaded to do so."""

    def __init__(self):
        from selenium.webdriver import Chrome, ChromeOptions, ChromeService

        options = ChromeOptions()
        options.binary_location = PROGRAM
        for flag in FLAGS:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = Chrome(options=options, service=ChromeService(DRIVER))

    def quit(self):
        self.driver.quit()

    def open(self, path, theme="light"):
        """Show a page and wait until its figures are drawn; what was logged before is forgotten."""
        self.messages(), self.requests()
        media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get(path.as_uri())
        self.until("document.documentElement.dataset.ready === 'true'")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def value(self, expression):
        return self.run(f"return {expression}")

    def until(self, expression, seconds=30):
        """Wait until something is true."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, f"{expression} did not become true"
            time.sleep(0.02)

    def find(self, selector):
        return self.driver.find_elements("css selector", selector)

    def count(self, selector):
        return len(self.find(selector))

    def text(self, selector="body"):
        return self.find(selector)[0].text

    def choose(self, selector, value):
        """Choose an option of a list, as a person does."""
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))"
        self.run(script, self.find(selector)[0], value)

    def messages(self):
        """What was written to the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses that were asked for since the last call."""
        logged = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in logged if m["method"] == "Network.requestWillBeSent"]

    def pdf(self):
        """The page as it is printed."""
        answer = self.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True, "preferCSSPageSize": True})
        return base64.b64decode(answer["data"])
