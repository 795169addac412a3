"""The map of the packages is that of the tree, in the README and in the docs."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from docs import architecture

ROOT = Path(__file__).parents[2]


def test_every_package_is_named_once_with_a_sentence():
    there = {path.parent.name for path in (ROOT / "psembed").glob("*/__init__.py")}
    found = architecture.packages(ROOT)
    assert sorted(package.name for package in found) == sorted(there)
    for package in found:
        assert package.sentence.endswith(".") and len(package.sentence) < 110 and package.modules


@pytest.mark.parametrize(
    ("page", "text"),
    [("README.md", architecture.package_map), ("docs/architecture.md", architecture.package_table)],
)
def test_pages_show_the_tree_as_it_is(page, text):
    written = (ROOT / page).read_text(encoding="utf-8")
    assert text(ROOT) in written
    assert architecture.between_marks(written, "packages", text(ROOT)) == written


def test_the_picture_is_the_one_that_the_code_draws(tmp_path):
    for folder in ("docs", "psembed"):
        (tmp_path / folder).mkdir()
    for package in architecture.PACKAGES:
        (tmp_path / "psembed" / package).mkdir()
        (tmp_path / "psembed" / package / "__init__.py").write_text('"""One."""')
    for page in ("README.md", "docs/architecture.md"):
        (tmp_path / page).write_text("<!-- packages: -->\nold\n<!-- /packages -->\nkept")
    architecture.update(tmp_path)
    texts = [ET.parse(path / "docs/architecture.svg").getroot() for path in (tmp_path, ROOT)]
    assert len(set(map(ET.tostring, texts))) == 1
    page = (tmp_path / "README.md").read_text()
    assert "old" not in page and "runtime/     One" in page and page.endswith("kept")


def test_the_steps_of_the_picture_are_packages():
    assert {name for name, *_ in architecture.STEPS} < set(architecture.PACKAGES)


def test_no_module_is_too_long_and_no_package_too_full():
    for package in architecture.packages(ROOT):
        assert len(package.modules) <= 11, package.name
    for path in (ROOT / "psembed").rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
