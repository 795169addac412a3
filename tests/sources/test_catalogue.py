"""The catalogue: every entry is pinned and whole, and a wrong one is refused."""

import re

import pytest
from git_sources import catalogued

from psembed.runtime.errors import ParameterError
from psembed.sources import catalogue


def test_the_catalogue_pins_every_source():
    sources = catalogue.load_sources()
    kinds = [source.kind for source in sources.values()]
    assert len(sources) >= 480 and kinds.count("labelled") == 3 and kinds.count("offensive") >= 40
    assert len({source.url for source in sources.values()}) == len(sources)
    for source in sources.values():
        assert re.fullmatch("[0-9a-f]{40}", source.commit) and len(set(source.commit)) > 4
        assert source.licence and source.stratum
        assert bool(source.group) == (source.kind != "labelled")
    assert sources["fa2y"].matches("Triage_Out/X.PS1")
    assert not sources["fa2y"].matches("bazaar_out/bazaar_query_cache")
    assert not sources["mpsd"].matches("mixed_malicious/1.ps1")
    assert not any(source.snippets for source in sources.values() if source.kind == "labelled")


def test_the_catalogue_holds_hundreds_of_clean_repositories():
    benign = [source for source in catalogue.load_sources().values() if source.kind == "benign"]
    assert len({source.repository.lower() for source in benign}) >= 400
    assert len({source.group for source in benign}) >= 400
    assert {source.stratum for source in benign} == {"human", "generated", "packaging"}
    assert all(source.name == source.repository.lower().replace("/", "-") for source in benign)
    assert not any(source.labels for source in benign)


def test_no_clean_source_shares_a_repository_or_a_group_with_another_kind():
    sources = catalogue.load_sources().values()
    clean = {s.repository.lower() for s in sources if s.kind == "benign"}
    assert not clean & {s.repository.lower() for s in sources if s.kind != "benign"}
    groups = {s.group for s in sources if s.kind == "benign"}
    assert not groups & {s.group for s in sources if s.kind == "offensive"}


def test_a_kind_stands_for_all_its_sources():
    known = {**catalogued("a" * 40), **catalogued("b" * 40, name="more")}
    known |= catalogued("c" * 40, name="attack", kind="offensive")
    assert catalogue.find_sources(["benign"], catalogue=known) == [known["scripts"], known["more"]]
    names = catalogue.find_sources(["attack", "benign"], catalogue=known)
    assert [source.name for source in names] == ["attack", "scripts", "more"]
    assert catalogue.find_sources(["labelled"], catalogue=known) == []  # none of that kind here
    every = catalogue.find_sources(catalogue.KINDS)
    assert sorted(source.name for source in every) == sorted(catalogue.load_sources())


def test_files_with_snippets_are_taken_and_told_from_scripts():
    (source,) = catalogued("a" * 40, snippets=("*.md", "bucket/*.json")).values()
    told = {
        path: (source.matches(path), source.holds_snippets(path))
        for path in (
            "a.ps1",
            "x/B.PSM1",
            "README.MD",
            "x/y/a.md",
            "bucket/a.json",
            "a.json",
            "a.md.txt",
            "md",
        )
    }
    assert told == {
        "a.ps1": (True, False), "x/B.PSM1": (True, False), "README.MD": (True, True),
        "x/y/a.md": (True, True), "bucket/a.json": (True, True), "a.json": (False, False),
        "a.md.txt": (False, False), "md": (False, False),
    }  # fmt: skip
    (scripts,) = catalogued("a" * 40, snippets=()).values()
    assert not scripts.matches("README.md") and not scripts.holds_snippets("a.ps1")
    (only,) = catalogued("a" * 40, include=(), snippets=("*",)).values()
    assert only.matches("a.ps1") and only.holds_snippets("a.ps1")


def test_what_is_not_said_is_scripts_documentation_and_history(tmp_path):
    entry = {key: value for key, value in ENTRY.items() if key != "include"}
    (source,) = catalogue.load_sources(toml(tmp_path, entry)).values()
    assert source.history is True and source.matches("a.ps1") and source.holds_snippets("docs/a.yml")
    assert not source.matches("a.json") and not source.matches("a.txt")
    changed = {**entry, "history": "false", "snippets": '["*.txt"]', "include": "[]"}
    (source,) = catalogue.load_sources(toml(tmp_path, changed)).values()
    assert (source.history, source.include, source.snippets) == (False, (), ("*.txt",))


def test_only_scripts_of_sources_with_a_history_have_older_versions():
    known = {**catalogued("a" * 40), **catalogued("b" * 40, name="few", history=False)}
    known |= catalogued("c" * 40, name="documents", include=(), snippets=("*.md",))
    assert catalogue.find_sources(["benign"], history=True, catalogue=known) == [known["scripts"]]
    assert len(catalogue.find_sources(["benign"], catalogue=known)) == 3
    assert catalogue.find_sources(["few"], history=True, catalogue=known) == []


ENTRY = {
    "name": '"x"',
    "url": '"https://example.com/o/x"',
    "commit": f'"{"a" * 40}"',
    "include": '["*.ps1"]',
    "licence": '"MIT"',
    "kind": '"benign"',
    "stratum": '"human"',
    "group": '"x"',
}


def toml(folder, *entries):
    path = folder / "sources.toml"
    blocks = ("[[source]]\n" + "\n".join(f"{k} = {v}" for k, v in entry.items()) for entry in entries)
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"licens": '"MIT"'}, "licens.*licence"),
        ({"commit": '"abc"'}, "40 hexadecimal"),
        ({"commit": "1"}, "text"),
        ({"name": '"../x"'}, "lower-case"),
        ({"url": '"ext::sh -c id"'}, "https"),
        ({"url": '"--upload-pack=x"'}, "https"),
        ({"include": '"*.ps1"'}, "include"),
        ({"include": "[]", "snippets": "[]"}, "include"),
        ({"snippets": '"*.md"'}, "include"),
        ({"snippets": "[1]"}, "text"),
        ({"snippet": '["*.md"]'}, "snippet.*snippets"),
        ({"history": '"false"'}, "history true or false"),
        ({"history": "0"}, "history true or false"),
        ({"kind": '"labelled"', "labels": '{"a/" = 1}'}, r"snippets = \[\], as its kind is labelled"),
        ({"kind": '"bening"'}, "kind"),
        ({"kind": '"labelled"'}, "labels"),
        ({"labels": '{"a/" = 2}'}, "labels"),
        ({"limit": "0"}, "limit"),
        ({"format": '"exe"'}, "format"),
    ],
)
def test_a_wrong_entry_is_refused(tmp_path, change, message):
    with pytest.raises(ParameterError, match=message):
        catalogue.load_sources(toml(tmp_path, {**ENTRY, **change}))


def test_a_missing_key_a_double_name_and_a_broken_file_are_refused(tmp_path):
    assert list(catalogue.load_sources(toml(tmp_path, ENTRY))) == ["x"]
    with pytest.raises(ParameterError, match="lacks commit"):
        catalogue.load_sources(toml(tmp_path, {k: v for k, v in ENTRY.items() if k != "commit"}))
    with pytest.raises(ParameterError, match="twice"):
        catalogue.load_sources(toml(tmp_path, ENTRY, ENTRY))
    (tmp_path / "sources.toml").write_text("[[source")
    with pytest.raises(ParameterError, match="cannot be read"):
        catalogue.load_sources(tmp_path / "sources.toml")
    with pytest.raises(ParameterError, match="cannot be read"):
        catalogue.load_sources(tmp_path / "none.toml")
