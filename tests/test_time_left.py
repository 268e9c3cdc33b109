"""The time left, on made-up events whose true length is known."""

import pytest

from ouroloop.backends.local import CellEvent
from ouroloop.time_left import TimeLeft

START, SHARED, LATER, LAST = 28.0, 0.5, 5.0, 10


def study(seeds=3, arms=3, workers=1, own_start=None):
    """(time, event) of a study whose arms share generation 0, as the local backend sends them."""
    events, free = [], [0.0] * workers
    starts = [(f"generation 0, seed {s}", 0) for s in range(seeds)]
    for phase in (starts, [(f"{a}, seed {s}", LAST) for a in range(arms) for s in range(seeds)]):
        free = [max(free)] * workers
        for name, last in phase:
            worker = free.index(min(free))
            now = free[worker]
            events.append((now, CellEvent(name, -1, last)))
            for t in range(last + 1):
                step = LATER if t else START if last == 0 else (own_start or SHARED)
                events.append((now + step / 2, CellEvent(name, t - 1, last, "fit", 1, 2)))
                now += step
                events.append((now, CellEvent(name, t, last, alarm=0)))
            events.append((now, CellEvent(name, last, last)))
            free[worker] = now
    return sorted(events, key=lambda e: e[0]), seeds + seeds * arms * (LAST + 1), max(free)


def estimates(events, total):
    left = TimeLeft(total, 0.0)
    for now, event in events:
        left.note(event, now)
        yield now, left.seconds()


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("own_start", [None, 20.0])
def test_a_long_generation_0_is_no_measure_of_the_others(workers, own_start):
    events, total, end = study(workers=workers, own_start=own_start)
    said = [(now, left) for now, left in estimates(events, total) if left is not None]
    assert said[0][0] < 0.3 * end  # as soon as one other generation is done
    assert all(left == pytest.approx(end - now, rel=0.2, abs=15) for now, left in said)
    assert said[-1] == (end, 0.0)


def test_nothing_is_said_before_another_generation_is_done():
    events, total, _ = study()
    early = [left for now, left in estimates(events, total) if now < 3 * START + SHARED + LATER]
    assert len(early) > 9
    assert set(early) == {None}


def test_what_an_earlier_process_did_is_no_measure():
    left = TimeLeft(22, 0.0)
    left.note(CellEvent("a", 10, 10), 1.0)
    left.note(CellEvent("b", 6, 10), 2.0)
    assert left.seconds() is None
    left.note(CellEvent("b", 7, 10, alarm=0), 6.0)
    assert left.seconds() == 12.0


def test_generations_that_an_early_stop_left_out_are_no_measure():
    left = TimeLeft(22, 0.0)
    left.note(CellEvent("a", -1, 10), 0.0)
    for t in range(3):
        left.note(CellEvent("a", t, 10, alarm=0), 10.0 * (t + 1))
    left.note(CellEvent("a", 10, 10), 30.0)
    assert left.seconds() == 110.0


def test_a_first_event_that_is_a_generation_counts_from_the_beginning():
    left = TimeLeft(4, 0.0)
    left.note(CellEvent("a", 0, 3, alarm=0), 50.0)
    assert left.seconds() is None
    left.note(CellEvent("a", 1, 3, alarm=0), 52.0)
    assert left.seconds() == 4.0


def test_steps_told_many_at_a_time():
    left = TimeLeft(200, 0.0)
    left.note(CellEvent("start", 1, 1), 0.0)
    left.note(CellEvent("x", -1, 98), 0.0)
    left.note(CellEvent("x", 39, 98), 20.0)
    assert left.seconds() == pytest.approx((200 - 2 - 40) / 2)
