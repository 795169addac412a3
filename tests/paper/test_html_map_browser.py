"""The interactive map in headless Chromium: what a reader sees after a search, on a phone's width too."""

import json
import shutil
import subprocess
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import polars as pl
import pytest

from psembed.embedding.similarity import nearest
from psembed.embedding.token_vectors import TokenVectors, label
from psembed.paper import html_map
from psembed.powershell.command_position import COMMAND

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)} is installed"
)
HOSTILE = "<img/src=x/onerror=document.title='owned'></script>"
TOKENS = [
    "iex",
    COMMAND + "iex",
    "invoke-expression",
    "gci",
    "get-childitem",
    "$i",
    HOSTILE,
    "b&amp;\"'",
    "x" * 50,
]
TOKENS += [f"word{a}{b}" for a in "abcdefghij" for b in "abcdefghij"]
DRAWN = [token for n, token in enumerate(TOKENS) if n in (1, 2, 4, 6) or (n > 8 and n % 3)]
VECTORS = TokenVectors(
    TOKENS, np.random.default_rng(1).normal(size=(len(TOKENS), 8)), np.arange(len(TOKENS)) + 2
)


class Shown(HTMLParser):
    """The text of every element that has an id."""

    VOID = ("meta", "input", "br", "link")

    def __init__(self, dom: str):
        super().__init__()
        self.open, self.text = [], defaultdict(str)
        self.feed(dom)

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(dict(attrs).get("id"))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            self.open.pop()

    def handle_data(self, data):
        for name in filter(None, self.open):
            self.text[name] += data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("map") / "map.html"
    places = np.random.default_rng(2).normal(size=(len(DRAWN), 2))
    families = ["aliases" if n < 4 else "" for n in range(len(DRAWN))]
    layout = pl.DataFrame({"token": DRAWN, "x": places[:, 0], "y": places[:, 1], "family": families})
    html_map.interactive(layout, VECTORS, path)
    return path


def _dom(page: Path, address: str) -> Shown:
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={page.parent / 'profile'}", "--allow-file-access-from-files",
         "--window-size=1200,740", "--virtual-time-budget=2000", "--dump-dom", address],
        capture_output=True, encoding="utf-8", timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    return Shown(done.stdout)


def _show(page: Path, query: str) -> Shown:
    shown = _dom(page, f"{page.as_uri()}#{urlencode({'q': query})}")
    assert "failed" not in shown.text["found"]
    return shown


def test_the_page_opens_without_an_error(page: Path):
    shown = _show(page, "")
    assert shown.text["vocabulary"] == str(len(TOKENS)) and shown.text["drawn"] == str(len(DRAWN))
    assert not shown.text["card"]


def test_a_drawn_token_is_found_with_its_nearest(page: Path):
    shown = _show(page, "IEX")
    for name, _ in nearest(VECTORS, COMMAND + "iex", 5):
        assert label(VECTORS, name) in shown.text["card"] and label(VECTORS, name) in shown.text["said"]
    assert shown.text["said"].startswith("iex (command), occurs 3 times. Nearest:")


@pytest.mark.parametrize("query", ["gci", "iex (word)", "B&amp;\"'", "x" * 50])
def test_a_token_that_is_not_drawn_names_its_nearest_drawn_ones(page: Path, query: str):
    token = query.removesuffix(" (word)").lower()
    assert token not in DRAWN
    expected = [name for name, _ in nearest(VECTORS, token, len(TOKENS)) if name in DRAWN][:3]
    shown = _show(page, query)
    assert "Not drawn" in shown.text["card"]
    assert [name for name in DRAWN if f" {label(VECTORS, name)} " in shown.text["said"]] == sorted(
        expected, key=DRAWN.index
    )


def test_a_hostile_token_is_shown_as_text(page: Path):
    shown = _show(page, HOSTILE)
    assert HOSTILE in shown.text["card"] and HOSTILE in shown.text["said"]


def test_the_start_of_tokens_lists_them_and_goes_nowhere(page: Path):
    shown = _show(page, "WORDA")
    assert shown.text["found"].startswith("10 found") and not shown.text["card"]
    assert [name for name in TOKENS if name in shown.text["matches"]] == [f"worda{b}" for b in "cdefghij"]
    assert shown.text["matches"].count("not drawn") == sum(name not in DRAWN for name in TOKENS[11:19])


def test_what_no_token_holds_is_said(page: Path):
    shown = _show(page, "no such token")
    assert "No token" in shown.text["found"] and not shown.text["card"]


FRAME = """<!DOCTYPE html><iframe width=360 height=640 style="border: 0" src="map.html#{query}"></iframe>
<p id=said></p><script>
const frame = document.querySelector("iframe"), said = document.getElementById("said");
frame.addEventListener("load", () => setTimeout(() => {
  const root = frame.contentDocument.documentElement;
  const boxes = ["map", "query", "card"].map((name) => frame.contentDocument.getElementById(name))
    .map((element) => element.getBoundingClientRect()).map((box) => [box.left, box.right]);
  said.textContent = JSON.stringify({ wide: root.clientWidth, scroll: root.scrollWidth, boxes });
}, 500));
</script>
"""


@pytest.mark.parametrize("query", ["", "q=iex", "q=" + "x" * 50])
def test_nothing_is_wider_than_a_phone(page: Path, query: str):
    # A browser's window is at least 500 wide, so the phone is a frame.
    phone = page.parent / "phone.html"
    phone.write_text(FRAME.replace("{query}", query), encoding="utf-8")
    said = json.loads(_dom(page, phone.as_uri()).text["said"])
    assert said["scroll"] <= said["wide"] <= 360
    assert all(0 <= left <= right <= 360 for left, right in said["boxes"])
    assert bool(query) == (said["boxes"][2][1] > 0)  # the card
