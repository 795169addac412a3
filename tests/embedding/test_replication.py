"""The published questions have one right answer each; a token without a vector leaves one unanswered."""

import numpy as np
import pytest
from gensim.models import KeyedVectors

from psembed.embedding import replication
from psembed.embedding.benchmark import (
    PUBLISHED_ALIASES,
    PUBLISHED_ANALOGIES,
    PUBLISHED_GROUPS,
    PUBLISHED_ODD,
)
from psembed.powershell.command_position import COMMAND


def place(tokens: dict[str, np.ndarray]) -> KeyedVectors:
    vectors = KeyedVectors(12)
    vectors.add_vectors(list(tokens), np.array(list(tokens.values()), dtype=np.float32))
    return vectors


def ideal() -> dict[str, np.ndarray]:
    """Put every published relation where the study says it is, each in directions of its own."""
    axis, random = np.eye(12), np.random.default_rng(1)
    tokens = {f"filler{n}": random.normal(size=12) for n in range(50)}
    for n, pair in enumerate(PUBLISHED_ALIASES.values()):
        tokens |= {token: axis[n] + 0.01 * random.normal(size=12) for token in pair}
    for n, group in enumerate(PUBLISHED_GROUPS.values()):
        tokens |= {token: axis[3 + n] + 0.01 * random.normal(size=12) for token in group}
    tokens |= {token: axis[5] + 0.01 * random.normal(size=12) for token in ("$i", "$j", "$k")}
    tokens |= {token: axis[6] + 0.01 * random.normal(size=12) for token in PUBLISHED_ODD["C08"][0][1:]}
    tokens |= {"$false": axis[7] + axis[9], "$true": axis[7] - axis[9]}
    for item in PUBLISHED_ANALOGIES.values():
        tokens.setdefault(item.first, random.normal(size=12))
        for token in (item.minus, item.plus):
            tokens.setdefault(token, random.normal(size=12))
        units = [tokens[t] / np.linalg.norm(tokens[t]) for t in (item.first, item.minus, item.plus)]
        tokens[item.expected[-1]] = units[0] - units[1] + units[2]
    return tokens


def test_ideal_vectors_answer_every_question():
    answers = replication.answers(place(ideal()))
    assert answers["missing"] == []
    assert {name: (a["rank"], a["reverse_rank"]) for name, a in answers["aliases"].items()} == {
        "iex": (1, 1), "iwr": (1, 1), "gci": (1, 1),
    }  # fmt: skip
    assert all(answer["odd"] == answer["expected"] for answer in answers["odd_one_out"].values())
    assert {claim: answer["rank"] for claim, answer in answers["analogies"].items()} == dict.fromkeys(
        ("C09", "C10", "C11", "C12", "C13"), 1
    )
    assert answers["analogies"]["C10"]["expected"] == "-ne"
    assert answers["groups"]["C03"]["policies"]["mean_rank"] == 2.0


def test_random_vectors_answer_hardly_any():
    random = np.random.default_rng(2)
    answers = replication.answers(place({token: random.normal(size=12) for token in ideal()}))
    assert sum(answer["rank"] == 1 for answer in answers["analogies"].values()) <= 1
    assert answers["groups"]["C03"]["policies"]["mean_rank"] > 10


@pytest.mark.parametrize("token", ["iex", "hidden", "low"])
def test_a_missing_token_is_named_and_nothing_is_put_in_its_place(token):
    tokens = ideal()
    del tokens[token]
    answers = replication.answers(place(tokens))
    assert answers["missing"] == [token]
    by_kind = [answers[kind].values() for kind in ("aliases", "odd_one_out", "analogies")]
    assert [answer for kind in by_kind for answer in kind if not answer] == [{}]
    assert token not in [t for family in replication.highlights(place(tokens)).values() for t in family]


def test_families_of_the_map_hold_commands_and_each_alias_is_joined_to_its_own():
    tokens = ideal()
    tokens |= {COMMAND + "iex": tokens.pop("iex"), COMMAND + "gci": np.ones(12)}
    vectors = place(tokens)
    pairs = {
        COMMAND + "iex": "invoke-expression",
        "iwr": "invoke-webrequest",
        COMMAND + "gci": "get-childitem",
    }
    assert replication.alias_pairs(vectors) == pairs
    families = replication.highlights(vectors)
    assert set(families["aliases and their commands"]) == {token for pair in pairs.items() for token in pair}
    assert len(families) == 4 and families["window styles"] == ["normal", "minimized", "maximized", "hidden"]
