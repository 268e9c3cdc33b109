import numpy as np
import pytest

from ouroloop import options
from ouroloop.correction import Correction
from ouroloop.correctors.chain import Chain
from ouroloop.correctors.cluster import Cluster
from ouroloop.correctors.nearest_real import NearestReal
from ouroloop.correctors.strength import Strength
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

KEY = Key(0, ("test",))
REFERENCE = Reference(Samples.of(np.arange(6.0)[:, None]))
ROWS = Samples.of(np.array([[0.0], [1.0], [2.0], [3.0]]))


def drop_above(limit):
    def judge(samples):
        verdict = np.where(samples.x[:, 0] > limit, Verdict.DROPPED, Verdict.KEPT)
        return Correction(samples, samples, verdict, np.zeros(len(samples)))

    return judge


def run(*parts):
    return Chain(parts=parts).fit(REFERENCE, key=KEY).correct(ROWS, key=KEY)


def test_parts_see_what_the_one_before_left():
    shown = []

    def remember(x):
        shown.append(x[:, 0].tolist())
        return x

    answer = run(lambda x: x + 1, drop_above(2.5), remember, lambda x: x * 10, drop_above(15))
    assert shown == [[1.0, 2.0]]
    assert answer.verdict.tolist() == [Verdict.CHANGED, Verdict.DROPPED, Verdict.DROPPED, Verdict.DROPPED]
    assert answer.survivors().x.tolist() == [[10.0]]
    assert answer.distance.tolist() == [10.0, 0.0, 0.0, 0.0]


def test_a_row_changed_once_stays_changed_when_the_next_part_keeps_it():
    answer = run(lambda x: np.maximum(x, 2.0), drop_above(100))
    assert answer.verdict.tolist() == [Verdict.CHANGED, Verdict.CHANGED, Verdict.KEPT, Verdict.KEPT]
    assert answer.survivors().x[:, 0].tolist() == [2.0, 2.0, 2.0, 3.0]
    assert answer.survivors().parent.tolist() == [0, 1, -1, -1]


def test_everything_dropped_leaves_nothing_to_the_next():
    answer = run(drop_above(-1), lambda x: x[:, [0]] + 1)
    assert len(answer.survivors()) == 0


def test_parts_have_streams_of_their_own():
    def jitter(x, rng):
        return x + rng.standard_normal(x.shape)

    once, twice = run(jitter).proposed.x - ROWS.x, run(jitter, jitter).proposed.x - ROWS.x
    assert not np.allclose(twice, 2 * once)


def test_whole_shard_if_any_part_is():
    assert not Chain(parts=(NearestReal(),)).whole_shard
    assert Strength(corrector=Chain(parts=(NearestReal(), Cluster(mode="moments")))).whole_shard


def test_built_from_a_specification():
    given = {"kind": "chain", "parts": ["nearest_real", {"kind": "cluster", "blend": 0.25}]}
    resolved, problems = options.resolve_options("correctors", given, ("corrector",))
    assert problems == []
    assert options.build("correctors", resolved) == Chain(parts=(NearestReal(), Cluster(blend=0.25)))


@pytest.mark.parametrize(
    ("given", "path"),
    [({"kind": "cluster", "blend": 2}, ("parts", 0, "blend")), ("clutser", ("parts", 0, "kind"))],
)
def test_mistakes_in_a_part_are_found_in_their_place(given, path):
    _, problems = options.resolve_options("correctors", {"kind": "chain", "parts": [given]}, ("corrector",))
    assert [p for p, _ in problems] == [("corrector", *path)]
