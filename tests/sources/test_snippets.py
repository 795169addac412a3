"""PowerShell inside other files: what is a snippet, what is none, and files made to do harm."""

import itertools
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from psembed.runtime.errors import SourceError
from psembed.sources import snippets


def read(text, ending=".md"):
    return snippets.read(f"folder/FILE{ending.upper()}", text)


def lines(*given):
    return "\n".join(given)


# Markdown


@pytest.mark.parametrize(
    "info",
    [
        "powershell", "PowerShell", "ps1", "pwsh", "posh", "azurepowershell", "powershell-interactive",
        "azurepowershell-interactive", "powershell {.copy}", 'powershell title="a.ps1"', "powershell {1,3-4}",
        "{.powershell}", "{.powershell .numberLines}", "{ .powershell .annotate }", "  pwsh  ", "ps1\t",
        "PWSH:run",
    ],
)  # fmt: skip
@pytest.mark.parametrize("fence", ["```", "~~~", "`````"])
def test_a_fence_marked_as_powershell_is_a_snippet(info, fence):
    assert read(lines("# Use", f"{fence}{info}", "gci |", "  iex", fence, "Prose.")) == ["gci |\n  iex"]


@pytest.mark.parametrize(
    "info",
    ["", "bash", "ps", "psql", "powershellx", "poshy", "text powershell", "c#", "ps1xml", "PS1_output"],
)
def test_a_fence_of_another_language_is_none(info):
    assert read(lines(f"```{info}", "gci", "```")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (["```pwsh", "gci", "iex"], ["gci\niex"]),  # never closed
        (["```pwsh", "gci", "~~~", "iex", "````"], ["gci\n~~~\niex"]),  # closed by a longer fence of its kind
        (["````pwsh", "gci", "```", "iex", "````"], ["gci\n```\niex"]),
        (["~~~pwsh", "```pwsh", "gci", "~~~", "iex"], ["```pwsh\ngci"]),
        (["```pwsh", "```", "```pwsh", " ", "\t", "```", "```pwsh", "gci", "```"], ["gci"]),  # blank ones
        (["```pwsh", "", "", "gci", "", "iex", "", "```"], ["gci\n\niex"]),
        (["Prose", "```pwsh", "gci", "```", "prose", "```pwsh", "iex", "```"], ["gci", "iex"]),
        (["`````", "```pwsh", "gci", "```", "`````"], []),  # a lesson on Markdown
        (["`` ```pwsh gci``` ``", "```pwsh inline```"], []),
        (["- one", "  - two", "", "    ```pwsh", "    gci", "      iex", "    ```"], ["gci\n  iex"]),
        (["1. one", "   ```pwsh", "   gci", "2. two", "   ~~~ps1", "   iex"], ["gci", "iex"]),
        (["> ```pwsh", "> gci", "> ```", "> > ~~~ps1", "> > iex"], ["gci", "iex"]),
        (["> - ```pwsh", ">   gci", "no quote: the fence ends with it"], ["gci"]),
        (["-\t```pwsh", "\tgci", "\t\tiex", "\t```"], ["gci\n\tiex"]),
        (["```pwsh", "\tgci", "```"], ["\tgci"]),
        (["<details>", "```pwsh", "gci", "```", "</details>"], ["gci"]),
        (["[a]: http://example.com 'title", "```pwsh", "gci", "```"], ["gci"]),
        (["Heading", "===", "    gci", "    iex"], []),  # indented code says no language
    ],
)
def test_where_fences_begin_and_end(text, expected):
    assert read(lines(*text)) == expected
    assert read("\r\n".join(text)) == expected
    assert read("\ufeffText\n\n" + lines(*text), ".markdown") == expected


CONSOLE = [
    r"PS C:\Users\me> gci |",
    ">> where x",
    ">>",
    "    Directory: C:\\",
    ">> an answer",
    "PS>iex",
    "PS /home/me> $a > b",
    "PS ~> ls",
    "C:\\> dir",
    "$ ls",
    "PS",
    "PSX> no",
    "PS says > no",
]
TYPED = "gci |\nwhere x\n\niex\n$a > b\nls"


@pytest.mark.parametrize("info", ["", "powershell", "console", "text", "ps"])
def test_what_is_typed_at_a_prompt_is_a_snippet_in_any_block_without_the_answers(info):
    assert read(lines(f"```{info}", *CONSOLE, "```")) == [TYPED]


def test_what_is_typed_at_a_prompt_in_indented_code_is_a_snippet():
    assert read(lines("Text", "", *(f"    {line}" for line in CONSOLE))) == [TYPED]
    assert read(lines("- item", "", *(f"\t  {line}" for line in CONSOLE))) == [TYPED]


@pytest.mark.parametrize(
    "text",
    [
        "Type PS> gci in prose.",
        "PS> gci",
        "PS C:\\> gci\n>> more",
        "- PS> gci",
        "`PS> gci`",
        "> PS> gci",
        "```pwsh\nPS C:\\>\n```",  # nothing typed
        "```\n>> gci\n```",  # goes on with nothing
    ],
)
def test_a_prompt_in_prose_or_without_a_command_is_none(text):
    assert read(text) == []


# YAML


def test_the_shell_of_a_step_a_job_or_a_workflow_says_what_its_run_is():
    text = """
        defaults: {run: {working-directory: x, shell: pwsh}}
        jobs:
          a:
            steps:
              - run: one
              - {run: no 1, shell: bash}
              - {run: no 2, shell: cmd}
              - shell: powershell -NoProfile -Command ". '{0}'"
                run: |
                  two

                  three
              - uses: x
                with: {shell: bash, run: no 3}
          b:
            defaults: {run: {shell: bash}}
            steps: [{run: no 4}, {run: four, shell: PowerShell}]
          c:
            defaults: {run: [shell, pwsh]}
            steps: [{run: five}]
    """
    assert read(text, ".yml") == ["one", "two\n\nthree", "four", "five"]
    assert read(text.replace("\n", "\r\n"), ".yaml") == read(text, ".yml")
    without = text.replace("pwsh}}", "bash}}")
    assert read(without, ".yml") == ["two\n\nthree", "four"]


@pytest.mark.parametrize(
    "key",
    [
        "win_shell",
        "ansible.windows.win_shell",
        "a.b.win_shell",
        "pwsh",
        "PowerShell",
        "ps",
        "psh",
        '"psh,pwsh"',
    ],
)
def test_a_text_under_a_key_of_powershell_is_a_snippet(key):
    assert read(f"- name: x\n  {key}: |\n    gci\n      iex\n", ".yml") == ["gci\n  iex"]
    assert read(f"{key}: {{command: gci, cleanup: iex, payloads: [x], timeout: 60}}", ".yml") == [
        "gci",
        "iex",
    ]
    assert read(f"{key}: [gci]", ".yml") == read(f"{key}:", ".yml") == []


@pytest.mark.parametrize(
    "key",
    [
        "win_command",
        "shell",
        "run",
        "win_shellx",
        "my-win_shell",
        "cmd",
        "psql",
        "script",
        "ps_version",
        "pwsh.x",
    ],
)
def test_a_text_under_another_key_is_none(key):
    assert read(f"{key}: gci", ".yml") == []


def test_the_commands_of_an_executor_and_its_needs():
    text = """
        name: PowerShell profile
        command: no 1
        atomic_tests:
        - name: PowerShell download
          command: no 2
          dependency_executor_name: powershell
          dependencies:
          - {description: no 3, prereq_command: "if (x) {exit 0}", get_prereq_command: iwr}
          executor: {command: one, cleanup_command: two, name: powershell, elevation_required: true}
        - name: none
          dependencies: [{prereq_command: no 4}]
          executor: {name: command_prompt, command: no 5}
        - name: other
          dependency_executor_name: bash
          dependencies: [{prereq_command: no 6, get_prereq_command: no 7}]
          executor: {name: PowerShell, command: three}
        - platforms:
            windows:
              psh: {command: four, cleanup: five, payloads: [no 8]}
              cmd: {command: no 9}
            linux: {sh: {command: no 10}}
    """
    expected = ["if (x) {exit 0}", "iwr", "one", "two", "three", "four", "five"]
    assert read(text, ".yml") == expected


def test_every_document_is_read():
    assert read("pwsh: a\n--- \npwsh: b\n...\n---\n- {pwsh: c}\n---\n", ".yml") == ["a", "b", "c"]
    assert read("", ".yml") == read("---\n", ".yml") == read("just text", ".yml") == []


def test_what_aliases_repeat_is_read_once():
    text = """
        base: &base {shell: pwsh, run: &text one}
        steps:
        - *base
        - *base
        - {shell: pwsh, run: *text}
        - pwsh: *text
        - pwsh: &two {command: two}
        - pwsh: *two
        - <<: *base
        - {<<: *base, run: not known to be PowerShell}
        - {<<: *base, pwsh: three}
        - &self [*self, {pwsh: four, again: *self}]
    """
    assert read(text, ".yml") == ["one", "two", "three", "four"]
    # An alias may be the first that is read as PowerShell.
    assert read("a: &a gci\nb: {run: *a}\nc: {pwsh: *a}", ".yml") == ["gci"]
    assert read("a: &a {command: gci}\nb: {pwsh: *a}", ".yml") == ["gci"]


def laughs(levels):
    """Return a bomb: each level is nine aliases of the one before."""
    bomb = ["a0: &a0 {shell: pwsh, run: ha, pwsh: {command: hi}}"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return lines(*bomb)


LONG_MAPPING = f"long: &long {{run: &run {{{', '.join(f'k{n}: v' for n in range(1_000))}}}}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (laughs(30), ["ha", "hi"]),
        (lines("big: &big " + "x" * 10**6, *["- pwsh: *big"]).replace("- pwsh", "pwsh"), ["x" * 10**6]),
        (lines("b:", "- pwsh: &big " + "x" * 10**6, *["- pwsh: *big"] * 30_000), ["x" * 10**6]),
        (
            lines("b:", "- {pwsh: &big {command: " + "x" * 10**6 + "}}", *["- pwsh: *big"] * 30_000),
            ["x" * 10**6],
        ),
    ],
)
def test_a_bomb_of_aliases_gives_each_snippet_once_and_visits_each_node_once(text, expected, monkeypatch):
    visited, steps = [], snippets._steps
    monkeypatch.setattr(
        snippets, "_steps", lambda *given, **named: visited.append(0) or steps(*given, **named)
    )
    assert read(text, ".yml") == expected
    assert len(visited) <= len(list(yaml.parse(text)))  # of what is written, not of what it unfolds to


@pytest.mark.parametrize("use", ["defaults: *long", "pwsh: *run", "win_shell: *long", "x: *run"])
def test_a_long_mapping_that_aliases_repeat_is_not_read_each_time(use, monkeypatch):
    looked = []

    class Counted(yaml.ScalarNode):
        def __getattribute__(self, name):
            if name == "value":
                looked.append(0)
            return super().__getattribute__(name)

    monkeypatch.setattr(yaml.composer, "ScalarNode", Counted)
    monkeypatch.setattr(yaml, "CSafeLoader", yaml.SafeLoader)
    counts = []
    for aliases in (10, 60):
        looked.clear()
        assert read(lines(LONG_MAPPING, "uses:", *[f"- {{{use}}}"] * aliases), ".yml") == []
        counts.append(len(looked))
    assert counts[0] > 1_000 and counts[1] - counts[0] < 50 * 40


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- {shell: pwsh, run: one, run: two}", ["two"]),  # the last one counts, as parsers have it
        ("- {[a]: b, {c: d}: {pwsh: x}, ? [1] : 2, pwsh: y, 3: z, true: z}", ["y"]),
        ("? {pwsh: in a key}\n: {pwsh: x}", []),
        ("? [pwsh]\n: gci", []),
        ("shell: [pwsh]\nrun: gci", []),
        ("shell: {pwsh: x}\nrun: gci", ["x"]),
        ("name: [powershell]\ncommand: gci", []),
        ("defaults: pwsh\nrun: gci", []),
        ("defaults: {run: pwsh}\nrun: gci", []),
        ("defaults: []\nshell: pwsh\nrun: gci", ["gci"]),
        ("pwsh: !!binary aGk=", ["aGk="]),
        ("pwsh: 1\nps: ''\npowershell: '  '", ["1"]),
        ("run: !reference [.a, b]\nshell: pwsh", []),
        ("pwsh: !!python/object/apply:os.system ['exit 1']", []),
        ("- !!python/object/new:os._exit [1]\n- pwsh: !!python/name:os.system gci", ["gci"]),
        ("pwsh: |\n" + "    gci\n" * 100_000, ["gci\n" * 99_999 + "gci"]),
    ],
)
def test_odd_yaml(text, expected):
    assert read(text, ".yml") == expected


@pytest.mark.parametrize(
    "text",
    [
        "a:\n\t- b",  # a tab
        "a: [",
        "- *unknown",
        'pwsh: "\0"',
        "pwsh: \ud800",
        "%YAML 9.9\n--- a",
        "a: b: c",
        "{" * 50,
        "a" * 2_000 + ": key too long",
    ],
)
def test_damaged_yaml_is_told(text):
    with pytest.raises(SourceError, match="damaged YAML"):
        read(text, ".yml")


# Installer manifests


def test_the_scripts_of_a_manifest_in_order():
    manifest = {
        "version": "1.0",
        "pre_install": "a",
        "architecture": {
            "64bit": {
                "installer": {"script": ["b", "c"], "file": "no"},
                "post_install": ["d", 1, None, "", "e"],
            },
            "32bit": {"pre_uninstall": "f"},
        },
        "uninstaller": {"script": "g"},
        "installer": {"script": {"no": 1}, "args": ["no"]},
        "post_uninstall": ["h"],
        "script": "no",
        "notes": ["no"],
        "checkver": {"script": ["no"]},
    }
    expected = ["a", "b\nc", "d\n\ne", "f", "g", "h"]
    assert read(json.dumps(manifest), ".json") == read(json.dumps(manifest, indent=4), ".json") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", []), ("null", []), ('"pre_install"', []), ("1e999", []), ("NaN", []),
        ('[{"pre_install": "x"}]', []),
        ('{"pre_install": "a", "pre_install": "b"}', ["b"]),
        ('{"pre_install": ["a\\r\\nb", "c"]}', ["a\r\nb\nc"]),
        ('{"pre_install": {"pre_install": "a"}, "post_install": [["x"], {"script": "x"}, true]}', ["a"]),
        ('{"installer": [{"script": "x"}], "uninstaller": "x"}', []),
        ('{"installer": {"script": null}, "pre_install": " ", "post_install": []}', []),
        ('{"pre_install": "' + "x" * 10**6 + '"}', ["x" * 10**6]),
        ('{"pre_install": "a", "b": [' + "1," * 300_000 + "1]}", ["a"]),
        ('{"x": ' * 58 + '{"pre_install": "a"}' + "}" * 58, ["a"]),
    ],
)  # fmt: skip
def test_odd_json(text, expected):
    assert read(text, ".json") == expected


@pytest.mark.parametrize(
    "text", ["", "{", "{'a': 1}", '{"a": 1} x', "\ufeff{}", '{"a": ' + "1" * 5_000 + "}", '{"a": "\n"}']
)
def test_damaged_json_is_told(text):
    with pytest.raises(SourceError, match="damaged JSON"):
        read(text, ".json")


# Typed payloads


def test_what_a_payload_types_is_one_snippet():
    payload = [
        "REM downloads nothing",
        "DELAY 500",
        "GUI r",
        "STRING powers",
        "DELAY 100",
        "REM still the same line",
        "",
        "Q DELAY 100",
        "STRING hell -c ",
        "QUACK STRING gci",
        "ENTER",
        "ENTER",
        "STRINGLN iex",
        "  STRINGLN   indented",
        "Q STRING a",
        "ALT F4",
        "STRING b ",
    ]
    expected = ["powershell -c gci\niex\n  indented\na\nb "]
    assert read(lines(*payload), ".txt") == read("\r\n".join(payload), ".txt") == expected


@pytest.mark.parametrize(
    "text",
    [
        "STRING notepad\nENTER\nSTRINGLN gci",  # PowerShell is not named
        "REM powershell\nSTRING gci",
        "STRING power\nENTER\nSTRING shell",
        "STRING\nSTRINGX powershell\nstring powershell\npowershell",
        "XSTRING powershell",
        "",
    ],
)
def test_a_payload_that_types_no_powershell_is_none(text):
    assert read(text, ".txt") == []


# Limits, and any text at all


def test_other_files_are_refused_with_what_is_known():
    for path in ("a.ps1", "md", ".md", "a.md/b", "a.md.bak", ""):
        with pytest.raises(SourceError, match=r"\.md, .*\.txt are known"):
            snippets.read(path, "```pwsh\ngci\n```")


@pytest.mark.parametrize("ending", snippets.READERS)
def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(ending, monkeypatch):
    monkeypatch.setattr(snippets, "LIMIT", 100)
    monkeypatch.setitem(snippets.READERS, ending, lambda text: iter(["a", " ", "\n", "b\n"]))
    assert read("x" * 100, ending) == ["a", "b"]
    with pytest.raises(SourceError, match="too large"):
        read("x" * 101, ending)


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("[" * 61 + "]" * 61, ".yml"),
        (lines(*(" " * n + "a:" for n in range(62))), ".yml"),
        ("[" * 100_000, ".json"),
        ('{"a": ' * 61 + "1" + "}" * 61, ".json"),
        ('{"pre_install": "' + "{" * 61 + '"}', ".json"),  # refused for nothing
        ("--- {pwsh: a}\n" * 40_000, ".yml"),
        ("{" + "a," * 100_000 + "}", ".yml"),
    ],
)
def test_what_is_too_deep_or_too_long_is_refused(text, ending):
    with pytest.raises(SourceError, match="too deep or too long"):
        read(text, ending)


def test_depth_up_to_the_limit_is_read():
    assert read("[" * 59 + "{pwsh: gci}" + "]" * 59, ".yml") == ["gci"]
    assert read("> " * 20 + "```pwsh\n" + "> " * 20 + "gci") == ["gci"]


@pytest.mark.parametrize("mark", [">", "> ", "- ", "1. ", "\t", "`", "[", "<div>", "* - > "])
def test_markdown_that_nests_without_end_is_read_to_its_end(mark):
    assert read(mark * 20_000) == []
    assert read(mark * 20_000 + "\n\n```pwsh\ngci") in (["gci"], [])  # in a fence of backticks it is none


PIECES = {
    ".md": "```|~~~|powershell|{.|\n|\n\n|    |\t|> |- |PS C:\\> |PS>|>>|`|gci|\r\n|<!--|[a]: b|\x85",
    ".yml": "run: |shell: |pwsh|powershell: |- |\n|\n  |{|}|[|]|, |: |&a |*a|<<: |defaults: |name: |"
    "executor: |command: |!!python/object:a |---\n|'|\"|#|%|\t",
    ".json": '{|}|[|]|:|,|"installer"|"script"|"pre_install"|"a"|1|null|"|\\ud800|{"pre_install":',
    ".txt": "STRING |STRINGLN |powershell|Q |DELAY 5|\n|\r\n|REM|ENTER|\x0b",
}
ANY = st.text(st.characters(exclude_categories=()), max_size=40)


def made_of(ending):
    pieces = [*PIECES[{".markdown": ".md", ".yaml": ".yml"}.get(ending, ending)].split("|"), "|"]
    return st.lists(st.sampled_from(pieces) | ANY.map(lambda text: text[:3]), max_size=40).map("".join)


@given(
    st.sampled_from(list(snippets.READERS)).flatmap(
        lambda ending: st.tuples(st.just(ending), made_of(ending) | ANY)
    )
)
def test_any_text_gives_snippets_that_are_not_blank_or_says_why_not(given_text):
    ending, text = given_text
    try:
        found = read(text, ending)
    except SourceError as error:
        assert str(error)
        return
    assert all(isinstance(one, str) and one.strip() and one == one.strip("\n") for one in found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["installer", "script", "pre_install", "a"]) | ANY, inner, max_size=4
        )
    ),
)


@given(JSON)
def test_any_json_is_read_and_as_yaml_too(content):
    for ending, text in itertools.product(
        (".json", ".yml"), (json.dumps(content), json.dumps(content, indent=2))
    ):
        try:
            assert all(one.strip() for one in read(text, ending))
        except SourceError as error:
            assert ending == ".yml" or "damaged" not in str(error)


SCRIPT = st.text(st.sampled_from("abc $|{}'\"#:-\t") | st.sampled_from("é\u4e2d"), min_size=1).filter(
    lambda text: text.strip() and not text.startswith(" ")
)


@given(st.lists(SCRIPT, min_size=1, max_size=4))
def test_snippets_come_back_as_they_were_written(scripts):
    text = lines(*scripts)
    fenced = lines("~~~~~~pwsh", text, "~~~~~~")
    assert read(fenced) == [text]
    assert read(lines("> text", *(f"> {line}" for line in fenced.split("\n")))) == [text]
    assert read(json.dumps({"pre_install": scripts}), ".json") == [text]
    assert read(json.dumps({"a": [{"shell": "pwsh", "run": text}]}), ".yml") == [text]
    assert read(lines(*(f"STRINGLN {line}" for line in ["powershell", *scripts])), ".txt") == [
        "powershell\n" + text
    ]
