import os
import subprocess
import sys
import types
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from git_sources import catalogued
from hypothesis import given
from hypothesis import strategies as st

from psembed.cli import main, similarity
from psembed.embedding import released, token_vectors
from psembed.pipeline import plain, runner
from psembed.pipeline.runner import RunSummary, StageRun
from psembed.powershell.tokens import tokenize
from psembed.project import published, workspace
from psembed.runtime import environment, progress
from psembed.runtime.errors import CorpusError, ParameterError, PsembedError, SourceError, StageError
from psembed.sources import catalogue, fetching

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "score", "baseline", "similar", "analogy", "odd", "vectors", "setup", "reproduce", "run", "fetch",
    "init", "verify", "paper", "lab", "notebooks", "test", "lint", "lock", "site", "bench",
    "dotnet",
)  # fmt: skip


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, **options
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main.main([command, "--help"])
    assert caught.value.code == 0 and len(capsys.readouterr().out.splitlines()) > 4


def test_help_names_every_command_and_loads_no_package(capsys):
    done = python("-X", "importtime", "-m", "psembed", "--help")
    assert done.returncode == 0 and all(f"\n    {command}" in done.stdout for command in COMMANDS)
    assert not {"tensorflow", "polars", "numpy", "papermill"} & {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines()
    }


def test_help_lists_first_what_the_base_install_suffices_for():
    lines = python("-m", "psembed", "--help").stdout.splitlines()
    named = [line.split()[0] for line in lines if line.startswith("    ") and line[4] != " "]
    assert tuple(named) == COMMANDS
    assert any(".[study,dev]" in line for line in lines)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["run", "--only"],
        ["score"],
        ["similar"],
        ["analogy"],
        ["odd", "--word"],
        ["similar", "a", "--unknown"],
        ["similar", "a", "--vectors"],
        ["similar", "a", "-n", "0"],
        ["analogy", "-n", "-3", "a", "+", "b"],
    ],
)
def test_a_wrong_request_exits_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main.main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [(CorpusError("it is empty"), 2), (StageError("01_x failed"), 1), (KeyboardInterrupt(), 130)],
)
def test_errors_are_one_line_and_an_exit_code(error, code, monkeypatch, capsys):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(runner, "run", fail)
    assert main.main(["run"]) == code
    said = capsys.readouterr().err.strip()
    assert said.startswith("psembed: ") and len(said.splitlines()) == 1
    assert str(error) in said


def test_a_full_disk_is_told(monkeypatch, capsys):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runner, "run", fail)
    assert main.main(["run"]) == 1
    assert "the disk is full" in capsys.readouterr().err


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def summary(verdict):
    controls = ({"control": "aliases", "planted": "iex", "recovered": "rank 1", "verdict": verdict},)
    return RunSummary("control", (StageRun("01_corpus", "ran", 12.5, 300.0),), "CPU", controls)


def test_lab_opens_the_start_page_with_the_settings_that_render_it(monkeypatch):
    started = []
    monkeypatch.setattr(main, "_python", lambda *arguments: started.append(arguments) or 0)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "own")
    assert main.main(["lab"]) == 0
    assert started[0][-1] == "--LabApp.default_url=/lab/tree/notebooks/README.md"
    first, second = main.os.environ["JUPYTER_CONFIG_PATH"].split(main.os.pathsep)
    assert Path(first) == ROOT / "notebooks/.lab" and second == "own"


@pytest.mark.parametrize(("failed", "code"), [({}, 0), ({"08_evaluation": "an error"}, 1)])
def test_notebooks_that_fail_are_an_exit_code(failed, code, checkout, monkeypatch):
    asked = []
    monkeypatch.setattr(plain, "run", lambda names, **_: asked.append(names) or failed)
    assert main.main(["notebooks", "08_evaluation"]) == code and asked == [["08_evaluation"]]


@pytest.mark.parametrize(("verdict", "code"), [("recovered", 0), ("missed", 1)])
def test_reproduce_runs_builds_the_papers_and_ends_with_the_controls(
    verdict, code, checkout, monkeypatch, capsys
):
    calls = []

    def run(profile, **options):
        calls.append((profile, options["overrides"]))
        return summary(verdict)

    fake = types.ModuleType("psembed.paper.build")
    fake.PUBLISHED = "public"
    fake.build = lambda root, *, profile: calls.append(profile) or root / f"{profile}.pdf"
    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setitem(sys.modules, "psembed.paper.build", fake)
    monkeypatch.setattr("psembed.paper.build", fake, raising=False)
    assert main.main(["reproduce", "smoke", "--set", "01_corpus.seed=3"]) == code
    assert calls == [("smoke", ["01_corpus.seed=3"]), "public", "control"]
    said = capsys.readouterr().out
    assert "01_corpus  ran" in said and "device: CPU" in said
    last = said.strip().splitlines()[-3:]
    assert last[0].split("  ")[:2] == ["control", "planted truth"] and last[2].endswith(verdict)


def test_the_default_profile_is_control(checkout, monkeypatch):
    asked = []
    monkeypatch.setattr(runner, "run", lambda profile, **_: asked.append(profile) or summary("recovered"))
    assert main.main(["run"]) == 0 and asked == ["control"]


def test_verify_shows_the_published_ledger_where_there_is_one(checkout, monkeypatch, capsys):
    from psembed.paper import claims

    monkeypatch.setattr(claims, "verify", lambda folder: f"ledger of {folder.name}")
    for arguments, name in (([], "control"), (["--profile", "smoke"], "smoke")):
        assert main.main(["verify", *arguments]) == 0
        assert capsys.readouterr().out == f"ledger of {name}\n"
    (checkout / "paper/results/public").mkdir(parents=True)
    monkeypatch.setattr(published, "stale_copies", lambda root: ["02_tokens"])
    assert main.main(["verify"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "ledger of public" and said[1].endswith("copies are stale: 02_tokens.")


@pytest.fixture
def three_sources(monkeypatch):
    """A source that is kept, one that is made, and one that is gone."""
    known = {name: catalogued("a" * 40, name=name)[name] for name in ("here", "gone", "new")}
    monkeypatch.setattr(catalogue, "load_sources", lambda path=None: known)

    def fetch(names, *, root, history, catalogue, progress):
        for name, origin in (("here", "kept"), ("gone", "git"), ("new", "git")):
            progress(name, 1, 3)
            report = fetching.FetchReport(name, root, origin, rows=3, bytes=2_000_000)
            report.skipped.update({"too large": 2})
            error = SourceError("gone: set PSEMBED_MIRROR")
            yield fetching.FetchReport(name, root, origin, error=error) if name == "gone" else report

    monkeypatch.setattr(fetching, "fetch", fetch)


def test_fetch_goes_on_after_a_failure_and_sums_up(checkout, three_sources, capsys):
    assert main.main(["fetch"]) == 2
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "[ 1/3] here             3 files, 2.0 MB (kept), 2 too large",
        "[ 2/3] gone             failed",
        "[ 3/3] new              3 files, 2.0 MB (git), 2 too large",
        "6 files, 4.0 MB (1 kept, 1 fetched, 1 failed), 4 too large",
    ]
    assert said.err == "psembed: gone: set PSEMBED_MIRROR\n"
    assert main.main(["fetch", "heer"]) == 2
    assert "no source is called 'heer'" in capsys.readouterr().err


def test_fetch_on_a_terminal_is_one_bar(checkout, three_sources, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(progress, "STEP", 0)
    assert main.main(["fetch"]) == 2
    drawn, last = capsys.readouterr().out.rsplit(progress.ERASE, 1)
    assert "\n" not in drawn and len(last.splitlines()) == 1
    assert [line.split("] ")[-1] for line in drawn.split(progress.ERASE)[1:]] == [
        f"{n}/3 sources, under way: {name} 33%" for n, name in enumerate(("here", "gone", "new"))
    ]


def test_without_packages_a_command_goes_through_the_environment(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(environment, "has_packages", lambda names: not names)
    monkeypatch.setattr(environment, "checkout", lambda: tmp_path)
    monkeypatch.setattr(environment, "enter", lambda root, arguments: asked.append((root, arguments)) or 5)
    assert main.main(["reproduce", "smoke"]) == 5
    assert asked == [(tmp_path, ["reproduce", "smoke"])]
    monkeypatch.setattr(environment, "checkout", lambda: None)
    assert main.main(["reproduce"]) == 2
    assert "pip install" in capsys.readouterr().err


def test_another_python_is_refused(monkeypatch, capsys):
    def refuse():
        raise PsembedError("psembed needs Python 3.11, this is 3.9")

    monkeypatch.setattr(environment, "check_python", refuse)
    assert main.main(["run"]) == 2


def test_outside_a_checkout_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workspace, "project_root", workspace.project_root)
    assert main.main(["run"]) == 1
    assert "run inside a clone" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_a_closed_pipe_is_no_traceback():
    command = f"{sys.executable} -m psembed verify --help"
    done = subprocess.run(
        ["sh", "-c", f"{command} | true"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


TABLE = {
    "-eq": [1, 0, 0], "$false": [0, 1, 0], "$true": [0, 0, 1], "-ne": [1, -1, 1], "iex": [-1, 0, 1],
    "command:iex": [-1, -1, 0], "invoke-expression": [-1, -1, 0.25], "+": [0, -1, 0.1], "-": [0.2, 0.1, -1],
    "command:sort": [-1, 0.5, 0.5], "***": [0.5, 0.5, -0.75],
}  # fmt: skip


@pytest.fixture
def vectors(tmp_path, monkeypatch):
    """Released vectors of three dimensions, TABLE."""
    points, counts = np.array(list(TABLE.values())), 10 * np.arange(len(TABLE))
    table = token_vectors.TokenVectors(list(TABLE), points, counts)
    fields = {"seed": 1, "scripts": 1, "sources": [], "missing": []}
    other = token_vectors.TokenVectors(list(TABLE), points[::-1], counts)
    models = {"joined": (table, {}), "word2vec": (other, {})}
    released.write_vectors(tmp_path / "released", models, fields)
    monkeypatch.setattr(released, "RELEASED", tmp_path / "released")
    return tmp_path / "released" / "joined.npz"


SENSES = "iex: command:iex asks for the command, --word for the word"


def asked(capsys, *arguments, senses=""):
    """Return the title and the rows, split at white space, of an answer with this line of senses."""
    assert main.main(list(arguments)) == 0
    heading, _, answer = capsys.readouterr().out.partition("\n\n")
    title, _, said = heading.partition("\n")
    headers, line, *rows = answer.splitlines()
    assert said == senses and set(line) == {"-", " "}
    assert headers.split() == ["token", "distance" if arguments[0] == "odd" else "cosine", "count"]
    return title, [row.split() for row in rows]


def test_similar_takes_the_command_and_says_so(vectors, capsys):
    title, rows = asked(capsys, "similar", "IEX", senses=SENSES)
    assert title == "nearest to iex (command)" and len(rows) == len(TABLE) - 2
    assert rows[0] == ["Invoke-Expression", "0.9845", "60"]
    assert asked(capsys, "similar", "IEX", "-n", "2", senses=SENSES)[1] == rows[:2]
    title, rows = asked(capsys, "similar", "--word", "iex", "-n", "1", senses=SENSES)
    assert title == "nearest to iex (word)" and rows == [["sort", "(command)", "0.8660", "90"]]
    title, _ = asked(capsys, "similar", "--word", "Command:IEX", senses=SENSES)
    assert title == "nearest to iex (command)"


def test_another_model_is_asked_by_name(vectors, capsys):
    given = ["similar", "-n", "1", "--word", "iex"]
    assert asked(capsys, *given, "--model", "word2vec", senses=SENSES)[1][0][0] != "sort"
    assert asked(capsys, *given, "--model=joined", senses=SENSES)[1][0][0] == "sort"
    assert main.main([*given, "--model", "glove"]) == 2
    assert "no vectors 'glove': give joined or word2vec" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main.main([*given, "--model", "joined", "--vectors", "own.npz"])
    assert "not allowed with argument --model" in capsys.readouterr().err


def test_vectors_are_exported_for_others_whole_or_not_at_all(vectors, tmp_path, capsys):
    path = tmp_path / "new" / "vectors.txt"
    for model in ("joined", "word2vec"):
        assert main.main(["vectors", "export", str(path), "--model", model]) == 0
        assert capsys.readouterr().out == f"{path}: 11 tokens, 3 dimensions\n"
        read = KeyedVectors.load_word2vec_format(path)
        assert read.index_to_key == list(TABLE)
        np.testing.assert_array_equal(read.vectors, released.read(model).vectors)
    folder = tmp_path / "folder.bin"
    (folder / "inside").mkdir(parents=True)
    assert main.main(["vectors", "export", str(folder)]) == 2
    assert "folder.bin cannot be written" in capsys.readouterr().err
    assert not [file for file in tmp_path.iterdir() if file.suffix == ".part"]
    with pytest.raises(SystemExit):
        main.main(["vectors"])


@pytest.mark.parametrize(("word", "name"), [("-EQ", "-eq"), ("-", "-"), ("+", "+"), ("123", "***")])
def test_similar_takes_any_token(vectors, capsys, word, name):
    assert asked(capsys, "similar", word)[0] == f"nearest to {name}"


def test_vectors_of_ones_own_are_read(vectors, tmp_path, capsys):
    own = vectors.rename(tmp_path / "own.npz")
    assert main.main(["similar", "iex"]) == 2
    assert "cannot be read" in capsys.readouterr().err
    for form in (["--vectors", str(own)], [f"--vectors={own}"]):
        assert asked(capsys, "similar", *form, "-eq")[0] == "nearest to -eq"


def test_changed_vectors_are_refused(vectors, capsys):
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"x")
    assert main.main(["odd", "-eq", "-ne", "iex"]) == 2
    assert "was changed or cut short" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "title", "first"),
    [
        (["-eq", "-", "$False", "+", "$TRUE"], "-eq - $false + $true", ["-ne", "1.000", "30"]),
        (["$true", "-", "$false", "+", "-eq"], "$true - $false + -eq", ["-ne", "1.000", "30"]),
        (["-", "-", "-", "+", "-eq"], "- - - + -eq", ["-ne", "0.5774", "30"]),
        (["iex", "+", "+"], "iex (command) + +", ["Invoke-Expression", "0.9183", "60"]),
    ],
)
def test_analogy_adds_and_subtracts(vectors, capsys, words, title, first):
    ask = partial(asked, capsys, "analogy", senses=SENSES if "iex" in words else "")
    shown, rows = ask(*words)
    assert shown == title and rows[0] == first and len(rows) == 5
    assert ask("-n", "3", *words)[1] == ask(*words, "-n", "3")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-eq"], "two or more tokens, not '-eq' alone"),
        (["-eq", "-"], "no token comes after the last -"),
        (["-eq", "$false"], "after '-eq' comes '$false', not + or -"),
        (["-eq", "+", "$false", "+", "$true", "*", "-ne"], "after '$true' comes '*'"),
        (["-eq - $false"], "two or more tokens, not '-eq - $false' alone"),
        (["-eq", "-", ""], "token '' is not in the vocabulary"),
    ],
)
def test_what_is_no_analogy_is_told(vectors, capsys, words, message):
    assert main.main(["analogy", *words]) == 2
    assert message in capsys.readouterr().err


def test_odd_names_the_farthest_first(vectors, capsys):
    title, rows = asked(capsys, "odd", "-eq", "-ne", "IEX", "$true", "--word", senses=SENSES)
    assert title == "odd one out: iex (word)"
    centre = np.mean([TABLE[name] for name in ("-eq", "-ne", "iex", "$true")], axis=0)
    assert rows[-1] == ["$true", f"{np.sqrt(3) / 4:#.4g}", "20"] and len(rows) == 4
    assert rows[0][1:] == ["(word)", f"{np.linalg.norm(TABLE['iex'] - centre):#.4g}", "40"]


@pytest.mark.parametrize("words", [["-eq", "-ne"], ["-eq", "-ne", "-EQ"], ["-eq", "-ne", "iex", "IEX"]])
def test_odd_needs_three_different_tokens(vectors, capsys, words):
    assert main.main(["odd", *words]) == 2
    assert f"three or more different tokens, not: {' '.join(words)}" in capsys.readouterr().err


def test_an_unknown_token_is_told_with_its_nearest_spellings(vectors, capsys):
    for words in (["similar", "Sor"], ["odd", "-eq", "Sor", "-ne"], ["analogy", "-eq", "-", "Sor"]):
        assert main.main(words) == 2
        said = capsys.readouterr()
        assert not said.out and "token 'Sor' is not in the vocabulary of 9 tokens" in said.err
    assert main.main(["similar", "--word", "invoke-expresion"]) == 2
    assert "nearest: invoke-expression\n" in capsys.readouterr().err
    assert main.main(["similar", "Command:IEXX"]) == 2  # a name of a command, so commands are near
    assert "nearest: command:iex" in capsys.readouterr().err
    assert main.main(["similar", "\udcff"]) == 2  # what Python makes of a byte that is no UTF-8
    assert "token '\\udcff' is not in the vocabulary" in capsys.readouterr().err
    assert main.main(["similar", "iex", "iex"]) == 2
    assert "similar takes one token, not 2: iex iex" in capsys.readouterr().err


def test_an_output_that_cannot_show_a_token_escapes_it(vectors):
    table = token_vectors.TokenVectors(["a", "ζ"], np.eye(2), np.ones(2, dtype=int))
    token_vectors.save(vectors, table, {})
    done = python(
        "-m", "psembed", "similar", "a", "--vectors", str(vectors),
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.splitlines()[-1].split() == ["\\u03b6", "0.000", "1"]


SOME_TOKENS = st.lists(
    st.text(alphabet="-+n$hx1*:=é ").map(tokenize).filter(bool).map(lambda tokens: tokens[0])
    | st.sampled_from(["-n", "-h", "--", "-", "+", "-word", "-v", "-vectors", "-e", "=="]),
    min_size=1,
).filter(lambda tokens: tokens != ["-h"])


@given(st.sampled_from(similarity.COMMANDS), SOME_TOKENS, st.data())
def test_no_token_is_taken_for_an_option_and_no_option_for_a_token(command, tokens, data):
    plain = main.parser().parse_args(similarity.tokens_last([command, *tokens]))
    assert plain.tokens == tokens and not plain.word and plain.vectors is None
    mixed = list(tokens)
    which = data.draw(st.sampled_from(["--vectors", "--model"]))
    chosen = [["--word"], [which, "-own.npz"]] + [["-n", "7"]] * (command != "odd")
    for option in chosen:
        place = data.draw(
            st.sampled_from([n for n in range(len(mixed) + 1) if "-own.npz" not in mixed[n : n + 1]])
        )
        mixed = mixed[:place] + option + mixed[place:]
    parsed = main.parser().parse_args(similarity.tokens_last([command, *mixed]))
    assert parsed.tokens == tokens and parsed.word and getattr(parsed, which[2:]) == "-own.npz"
    assert command == "odd" or parsed.n == 7


@given(st.lists(st.tuples(st.sampled_from("+-"), st.sampled_from(["+", "-", "--", "-n", "x"])), min_size=2))
def test_signed_terms_reads_what_is_written(terms):
    terms = [("+", terms[0][1]), *terms[1:]]
    words = [word for term in terms for word in term][1:]
    assert similarity.signed_terms(words) == terms
    with pytest.raises(ParameterError):
        similarity.signed_terms(words[:-1])


def test_help_and_the_arguments_of_other_commands_stay_as_they_are(capsys):
    for arguments in ([], ["run", "--only", "similar"], ["score", "-"], ["similar", "-h"]):
        assert similarity.tokens_last(list(arguments)) == arguments
    for arguments in (["odd", "-h"], ["analogy", "-eq", "--help", "x"]):
        with pytest.raises(SystemExit) as caught:
            main.main(arguments)
        said = " ".join(capsys.readouterr().out.split())
        assert caught.value.code == 0 and "single quotes" in said and "but those written command:iex" in said
