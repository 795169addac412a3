"""The interactive map: what is embedded is what was given, it is safe to open, and bad input is named."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from gensim.models import KeyedVectors

from psembed.embedding import similarity
from psembed.embedding.token_vectors import label
from psembed.paper import html_map
from psembed.paper.diagrams import PALETTE
from psembed.powershell.command_position import COMMAND
from psembed.powershell.defanging import defang
from psembed.runtime.errors import CorpusError, ParameterError, PsembedError, UnknownTokenError

HOSTILE = [
    "</script>", "<!--<script>", "<b>", '"', "'", "\\", "&amp;", "&lt;", "{data}", "{policy}", "\\udddc",
    "]]>", "\u4e2d",
]  # fmt: skip
COMMANDS = [COMMAND + "iex", COMMAND + "sort"]
PLAIN = ["iex", "invoke-expression", "gci", "get-childitem", "$i", "-eq", "*", "sort", *COMMANDS]
SHOWN = ["iex (word)", "Invoke-Expression", "gci", "Get-ChildItem", "$i", "-eq", "*", "sort (word)",
         "iex (command)", "sort (command)"]  # fmt: skip


def keyed(tokens, *, size=8, seed=0, counts=None):
    vectors = KeyedVectors(size)
    vectors.add_vectors(tokens, np.random.default_rng(seed).normal(size=(len(tokens), size)))
    for number, token in enumerate(tokens):
        vectors.set_vecattr(token, "count", counts[number] if counts else 1000 - number)
    return vectors


def layout_of(tokens, family=""):
    places = np.random.default_rng(3).normal(size=(len(tokens), 2)) * 40
    families = family if isinstance(family, list) else [family] * len(tokens)
    return pl.DataFrame({"token": tokens, "x": places[:, 0], "y": places[:, 1], "family": families})


class Page(HTMLParser):
    """The blocks and attributes of a page, as a browser would see them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.blocks = [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, text):
        if self.cdata_elem:
            tag, attrs = self.tags[-1]
            name = attrs.get("id", tag)
            self.blocks[name] = self.blocks.get(name, "") + text


def written(tmp_path, tokens, drawn=None, **options):
    path = tmp_path / "map.html"
    html_map.interactive(layout_of(drawn or tokens), keyed(tokens), path, **options)
    page = Page(path.read_text(encoding="utf-8"))
    return json.loads(page.blocks["data"]), page


def test_every_token_survives_and_none_ends_the_script(tmp_path):
    data, page = written(tmp_path, HOSTILE + PLAIN)
    assert data["names"] == HOSTILE + SHOWN
    assert [attrs for tag, attrs in page.tags if tag == "script"] == [
        {"type": "application/json", "id": "data"}, {}
    ]  # fmt: skip
    assert "<" not in page.blocks["data"]
    assert not [tag for tag, _ in page.tags if tag == "b"]
    assert page.blocks["script"] in html_map.PAGE.read_text(encoding="utf-8")


def test_line_separators_in_a_family_are_escaped(tmp_path):
    path = tmp_path / "map.html"
    html_map.interactive(layout_of(PLAIN, "a\u2028</script>b"), keyed(PLAIN), path)
    text = path.read_text(encoding="utf-8")
    assert "\u2028" not in text
    assert json.loads(Page(text).blocks["data"])["families"][0]["name"] == "a </script>b"


def test_addresses_and_keys_are_defanged(tmp_path):
    live = ["http://evil.example.com/a", "evil.example.com", "password=hunterhunter", "q" * 62, "\u200b"]
    data, _ = written(tmp_path, live + PLAIN)
    assert data["names"][:4] == [defang(token) for token in live[:4]] and data["names"][4] == "(unprintable)"
    assert not [name for name in data["names"] if "evil.example" in name or "hunterhunter" in name]
    assert "http://" not in (tmp_path / "map.html").read_text(encoding="utf-8")


WORDS = [f"{a}{b}" for a in "abcdefghijklmnopqrst" for b in "abcdefghijklmnopqrst"]
WORDS += [COMMAND + word for word in WORDS[:50]]


@pytest.mark.parametrize("neighbours", [1, 5])
def test_the_nearest_are_those_of_semantics(tmp_path, neighbours):
    drawn, vectors = WORDS[::-7], keyed(WORDS)
    data, _ = written(tmp_path, WORDS, drawn=drawn, neighbours=neighbours)
    assert data["names"][: len(drawn)] == [label(vectors, token) for token in drawn]
    for token, near, cosines in zip(drawn, data["near"], data["cosine"], strict=False):
        expected = similarity.nearest(vectors, token, neighbours)
        assert [data["names"][place] for place in near] == [label(vectors, name) for name, _ in expected]
        assert cosines == pytest.approx([1000 * cosine for _, cosine in expected], abs=0.6)


def test_every_token_is_there_once_and_one_that_is_not_drawn_has_its_nearest_drawn_ones(tmp_path):
    drawn, vectors = WORDS[::-7], keyed(WORDS)
    data, _ = written(tmp_path, WORDS, drawn=drawn)
    assert sorted(data["names"]) == sorted(label(vectors, token) for token in WORDS)
    assert len(data["near"]) == len(data["count"]) == len(WORDS) and len(data["x"]) == len(drawn)
    names = {label(vectors, token): token for token in WORDS}
    for number in range(len(drawn), len(WORDS)):
        token = names[data["names"][number]]
        expected = [name for name, _ in similarity.nearest(vectors, token, len(WORDS)) if name in drawn][:3]
        assert [names[data["names"][near]] for near in data["near"][number]] == expected
        assert data["count"][number] == vectors.get_vecattr(token, "count")


def test_tied_neighbours_come_in_the_order_of_the_page():
    unit = np.array([[1, 0], [0, 1], [0, 1], [0, 1], [0, 0]], dtype=np.float32)
    nearest = html_map._nearest(unit, np.arange(5), range(2, 4), 5, 2)
    assert nearest == [[(1, 1.0), (3, 1.0)], [(1, 1.0), (2, 1.0)]]
    assert html_map._nearest(unit, np.arange(5), range(4, 5), 2, 9) == [[(0, 0.0), (1, 0.0)]]


def test_a_small_vocabulary_has_fewer_neighbours_and_never_the_other_sense(tmp_path):
    tokens = ["iex", COMMAND + "iex", "gci"]
    data, _ = written(tmp_path, tokens)
    assert data["near"] == [[2], [2], data["near"][2]] and sorted(data["near"][2]) == [0, 1]
    data, _ = written(tmp_path, tokens, drawn=["iex"])
    assert data["near"] == [[2], [], [0]] and data["names"][1] == "iex (command)"


def test_counts_places_and_families_are_those_given(tmp_path):
    layout = pl.DataFrame({
        "token": ["gci", "iex", "sort"], "x": [-1.0, 1.0, 0.0], "y": [-1.0, 0.5, 0.0],
        "family": ["", "late", "new"],
    })  # fmt: skip
    html_map.interactive(layout, keyed(["iex", "gci", "sort"], counts=[7, 0, 12345]), tmp_path / "map.html")
    data = json.loads(Page((tmp_path / "map.html").read_text(encoding="utf-8")).blocks["data"])
    assert (data["count"], data["family"]) == ([0, 7, 12345], [-1, 0, 1])
    assert (data["x"], data["y"]) == ([-5000, 5000, 0], [-3750, 3750, 1250])
    assert [family["name"] for family in data["families"]] == ["late", "new"]
    assert [family["colour"] for family in data["families"]] == list(PALETTE[:2])


def test_more_families_than_colours_still_have_one_each(tmp_path):
    families = [f"family {letter}" for letter in "abcdefghij"]
    html_map.interactive(layout_of(PLAIN, families), keyed(PLAIN), tmp_path / "map.html")
    found = json.loads(Page((tmp_path / "map.html").read_text(encoding="utf-8")).blocks["data"])["families"]
    assert [family["name"] for family in found] == families
    script = html_map.PAGE.read_text(encoding="utf-8")
    for family in found:
        assert re.fullmatch(r"#[0-9A-F]{6}", family["colour"])
        assert family["marker"] == "o" or re.search(rf'[\s"]{re.escape(family["marker"])}"?: \[\[', script)


def test_a_place_where_all_tokens_are_is_the_middle(tmp_path):
    layout = layout_of(PLAIN).with_columns(x=pl.lit(3.0), y=pl.lit(-2.0))
    html_map.interactive(layout, keyed(PLAIN), tmp_path / "map.html")
    data = json.loads(Page((tmp_path / "map.html").read_text(encoding="utf-8")).blocks["data"])
    assert set(data["x"] + data["y"]) == {0}


def test_the_same_input_gives_the_same_bytes_and_other_input_others(tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        html_map.interactive(layout_of(PLAIN), keyed(PLAIN, seed=seed), tmp_path / f"{name}.html")
    one, two, three = ((tmp_path / f"{name}.html").read_bytes() for name in ("one", "two", "three"))
    assert one == two != three
    assert len(list(tmp_path.iterdir())) == 3


def test_nothing_is_loaded_and_only_this_script_may_run(tmp_path):
    _, page = written(tmp_path, PLAIN)
    text = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|innerHTML|eval\(", text)
    assert not [
        attrs for _, attrs in page.tags if attrs.keys() & {"src", "href", "srcset", "style", "onclick"}
    ]
    (policy,) = [attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'" and rules["form-action"] == "'none'"
    for name in ("script", "style"):
        digest = hashlib.sha256(page.blocks[name].encode()).digest()
        assert rules[f"{name}-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"


def test_what_needs_a_name_for_a_reader_of_the_screen_has_one(tmp_path):
    _, page = written(tmp_path, PLAIN)
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    named = [value for _, attrs in page.tags for key in ("aria-labelledby", "aria-describedby", "for")
             for value in attrs.get(key, "").split()]  # fmt: skip
    assert named and set(named) <= ids
    canvas = next(attrs for tag, attrs in page.tags if tag == "canvas")
    assert canvas["tabindex"] == "0" and canvas["aria-label"]
    asked = re.findall(r'\bat\("(\w+)"\)', page.blocks["script"])
    assert set(asked) <= ids


def test_a_vocabulary_of_ten_thousand_stays_below_one_megabyte(tmp_path):
    letters = np.random.default_rng(5).integers(97, 123, size=(10_000, 14)).astype(np.uint8)
    tokens = list(dict.fromkeys("$" + row.tobytes().decode() for row in letters))
    written(tmp_path, tokens, drawn=tokens[:2000])
    assert 300_000 < (tmp_path / "map.html").stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("layout", "options", "error", "named"),
    [
        (layout_of([*PLAIN, "absent"]), {}, UnknownTokenError, "absent"),
        (layout_of([*PLAIN, "iex"]), {}, CorpusError, "'iex' twice"),
        (layout_of(PLAIN).clear(), {}, CorpusError, "no token"),
        (layout_of(PLAIN).drop("y"), {}, CorpusError, "y"),
        (layout_of(PLAIN).with_columns(x=pl.lit(float("nan"))), {}, CorpusError, "finite"),
        (layout_of(PLAIN).with_columns(x=pl.lit(None, pl.Float64)), {}, CorpusError, "finite"),
        (layout_of(PLAIN), {"neighbours": 0}, ParameterError, "0"),
    ],
    ids=["unknown token", "token twice", "empty", "no column", "not a number", "no number", "no neighbour"],
)
def test_bad_input_is_named_and_leaves_no_file(tmp_path, layout, options, error, named):
    with pytest.raises(PsembedError, match=named) as caught:
        html_map.interactive(layout, keyed(PLAIN), tmp_path / "map.html", **options)
    assert caught.type is error
    assert not list(tmp_path.iterdir())
