"""
Make the pictures of docs/watch.md: the page of `cbackprop watch`, as Chromium shows it.

Usage: python tools/make_watch_pictures.py [FOLDER]

It needs playwright, Pillow, and a Chromium (CBACKPROP_CHROMIUM, or Debian's). The pictures are kept
in docs/images/, the folder by default, since not every builder of the documentation has a browser.
"""

import io
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from cbackprop.watch import PROBLEMS, Server, Session

FOLDER = Path(__file__).parents[1] / "docs" / "images"
WIDE = {"width": 1500, "height": 1020}
SCALE = 1.25
PHONE = {"width": 400, "height": 860}


def xor(page) -> None:
    """Take (0, 1), step to BP2, and look at a neuron's demon."""
    page.get_by_role("button", name="Next example").click()
    page.locator('[data-place="1 2"][aria-label="input 2, a = 1"]').wait_for()
    page.locator(".chip").nth(6).click()
    page.locator(".step").nth(2).click()
    page.locator('[data-place="2 1"]').click()
    page.locator(".demon svg").wait_for()


def digits(page) -> None:
    """Draw a seven."""
    page.get_by_role("button", name="Draw one by hand").click()
    board = page.locator(".board")
    board.wait_for()
    page.get_by_label("What is drawn is a").select_option("7")
    page.wait_for_timeout(1500)
    box = board.bounding_box()
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
          for x, y in ((0.3, 0.22), (0.7, 0.22), (0.42, 0.8))]
    page.mouse.move(*at[0])
    page.mouse.down()
    for spot in at[1:]:
        page.mouse.move(*spot, steps=12)
    page.mouse.up()


# Problem, epochs, what is done on the page, and the sizes and schemes that are kept.
SCENES = {
    "watch": (PROBLEMS[0], 600, xor, [("light", WIDE), ("dark", WIDE)]),
    "watch-digits": (PROBLEMS[-1], 3, digits, [("light", PHONE), ("dark", PHONE)]),
}


def pictures() -> Iterator[tuple[str, bytes]]:
    """Give names and PNGs."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CBACKPROP_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (problem, epochs, act, looks) in SCENES.items():
            session = Session(problem)
            session.net.SGD((session.x, session.y), epochs, session.batch, session.eta)
            session.add_frame(epochs)
            with Server(session) as server:
                for scheme, size in looks:
                    context = browser.new_context(viewport=size, color_scheme=scheme,
                                                  device_scale_factor=SCALE)
                    page = context.new_page()
                    page.goto(server.address)
                    page.locator("#drawing .node").first.wait_for()
                    act(page)
                    page.wait_for_timeout(2500)
                    yield f"{name}-{scheme}", page.screenshot()
                    context.close()
        browser.close()


def main(folder: Path = FOLDER) -> None:
    """Write the pictures, as WebP."""
    from PIL import Image

    folder.mkdir(exist_ok=True)
    for name, png in pictures():
        Image.open(io.BytesIO(png)).save(folder / f"{name}.webp", quality=82, method=6)
        print(folder / f"{name}.webp")


if __name__ == "__main__":
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
