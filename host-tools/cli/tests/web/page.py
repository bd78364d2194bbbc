"""Uses the page as people do, in Chromium: page.py CHROMIUM SITE FOLDER RTF MICROPHONE SECONDS RECORDING IMAGE... CASES.

SITE holds the page's files, which Python's own server of static files serves. Chromium's microphone hears MICROPHONE (WAV)
over and over, for SECONDS. RTF is the real-time factor that is low enough. RECORDING (WAV) is dropped on the page, then opened after each IMAGE. CASES is the module with
the cases of the kernels. Into FOLDER come pictures of the page. Prints one JSON object of what was seen.
"""

import base64
import functools
import json
import re
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import sync_playwright

chromium, site, folder, rtf, microphone, seconds, recording, *images, cases = sys.argv[1:]

# The lowest contrast (WCAG 2) that a text of the page has with what is behind it, and that text.
CONTRAST = """() => {
  const channel = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const numbers = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const luminance = ([r, g, b]) =>
    0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  let lowest = [21, ""];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    const text = walk.currentNode.textContent.trim();
    if (!text || !element.checkVisibility()) continue;
    const both = [numbers(getComputedStyle(element).color), behind(element)].map(luminance);
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    if (contrast < lowest[0]) lowest = [contrast, text];
  }
  return lowest;
}"""

DROP = """([name, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""

TRIED = """async (bytes) => {
  let said = "";
  const module = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
  const text = (at, count) =>
    (said += new TextDecoder().decode(new Uint8Array(exports.memory.buffer, at, count)));
  const { exports } = (await WebAssembly.instantiate(module, { page: { text } })).instance;
  return [exports.zerda_cases(), said];
}"""

RESAMPLED = """async () => {
  const { Resampler } = await import("./resampler.js");
  const power = (hertz) => {
    const resampler = new Resampler(44100, 16000);
    const made = [];
    for (let at = 0; at < 44100; at += 1024) {
      const piece = Float32Array.from({ length: 1024 }, (_, n) => Math.sin((2 * Math.PI * hertz * (at + n)) / 44100));
      made.push(...resampler.push(piece));
    }
    const steady = made.slice(1000, -1000);
    return [made.length, steady.reduce((sum, x) => sum + x * x, 0) / steady.length];
  };
  return [power(1000), power(12000)];
}"""


class Handler(SimpleHTTPRequestHandler):
    """Serves files, and notes what it was asked for and how much it sent."""

    asked = []
    sent = 0

    def log_message(self, *_):
        Handler.asked.append(self.path)

    def send_header(self, keyword, value):
        if keyword == "Content-Length":
            Handler.sent += int(value)
        super().send_header(keyword, value)


def encoded(path):
    return base64.b64encode(Path(path).read_bytes()).decode()


def shown(page):
    """What the page shows once it has heard all."""
    page.locator("body[data-state=idle] #logits", has_text=re.compile("^[0-9a-f]{8}$")).wait_for()
    return page.evaluate(
        """() => ({
          detections: [...document.getElementById("detections").rows].map((row) => ({ ...row.dataset })),
          said: [...document.getElementById("said").children].map((line) => line.textContent),
          logits: document.getElementById("logits").innerText,
          steps: document.getElementById("steps").innerText,
          rtf: Number(document.getElementById("rtf").innerText),
          state: document.getElementById("state").innerText,
          note: document.getElementById("note").innerText,
          facts: document.getElementById("facts").innerText,
          labels: [...document.querySelectorAll("#labels tbody tr")].map((row) => row.innerText),
        })"""
    )


def quickest(page, most):
    """The lowest real-time factor of the sample, heard until it is low enough, or ten times: other programs run, too."""
    lowest = float("inf")
    for _ in range(10):
        page.evaluate("document.getElementById('logits').textContent = ''")
        page.get_by_role("button", name="Hear the sample").click()
        lowest = min(lowest, shown(page)["rtf"])
        if lowest <= most:
            break
    return lowest


def problem(page):
    page.locator("#problem:not(:empty)").wait_for()
    return page.locator("#problem").inner_text()


def focus_order(page):
    """The names of what the tabulator reaches, in order, from the start of the page."""
    page.evaluate("document.activeElement.blur()")
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id"))
    return order


def listen(page):
    page.get_by_role("button", name="Listen to the microphone").press("Enter")
    stop = page.get_by_role("button", name="Stop listening")
    stop.wait_for()
    time.sleep(float(seconds))
    stop.press("Space")
    return shown(page)


def pictures(browser, address):
    """The lowest contrast in light and dark, each with a picture."""
    contrasts = {}
    for scheme in ["light", "dark"]:
        page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 1250})
        page.goto(address)
        page.get_by_role("combobox", name="Model").select_option(index=1)
        page.locator("#state", has_text="Asleep").wait_for()
        page.get_by_role("button", name="Hear the sample").click()
        shown(page)
        contrasts[scheme] = page.evaluate(CONTRAST)
        page.screenshot(path=f"{folder}/{scheme}.png")
        page.set_viewport_size({"width": 390, "height": 844})
        page.screenshot(path=f"{folder}/{scheme}-narrow.png", full_page=True)
        contrasts[f"{scheme} is as wide as a telephone"] = page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
        page.close()
    return contrasts


def use(browser):
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    context = browser.new_context()
    page = context.new_page()
    seen, errors = {}, []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(address)
    page.get_by_text("It works offline.").wait_for()
    page.locator("#microphone:enabled").wait_for()
    page.wait_for_load_state("networkidle")
    seen["download"] = Handler.sent
    seen["tree"] = page.locator("body").aria_snapshot()
    seen["focus"] = focus_order(page)
    asked = len(Handler.asked)

    name = Path(recording).name
    page.evaluate(DROP, [name, encoded(recording)])
    seen["dropped"] = shown(page)
    seen["images"] = {}
    for image in images:
        page.evaluate(DROP, [Path(image).name, encoded(image)])
        if Path(image).name.startswith("bad"):
            seen["images"][Path(image).name] = problem(page)
        else:
            page.locator("#facts", has_text=Path(image).name).wait_for()
            seen["images"][Path(image).name] = shown(page)
    page.locator("#files").set_input_files({"name": "noise.ogg", "mimeType": "audio/ogg", "buffer": b"no recording"})
    seen["undecodable"] = problem(page)
    page.get_by_role("combobox", name="Model").select_option(index=0)
    page.locator("#facts", has_text="shrunk.zerda").wait_for()
    seen["microphone"] = listen(page)
    seen["resampled"] = page.evaluate(RESAMPLED)
    seen["cases"] = page.evaluate(TRIED, encoded(cases))
    seen["asked later"] = Handler.asked[asked:]

    contrasts = pictures(browser, address)
    server.shutdown()
    server.server_close()
    page.reload()
    page.locator("#microphone:enabled").wait_for()
    page.get_by_role("button", name="Hear the sample").click()
    seen["offline"] = shown(page)
    seen["rtf"] = quickest(page, float(rtf))
    seen["errors"] = errors
    return {**seen, "contrast": contrasts}


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path=chromium,
        args=[
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-audio-capture={microphone}",
        ],
    )
    print(json.dumps(use(browser)))
    browser.close()
