"""The checker of the chaos run finds what it is there to find: faults planted into good records, one at a time."""
import copy
import sys
from decimal import Decimal
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "chaos"))
from checker import Records, check  # noqa: E402


def good():
    """One link of one key result under one objective: 10, again 10, then 20."""
    a, b = Decimal(10), Decimal(20)
    return Records(
        requested=[(1, 100, [7]), (1, 200, [7]), (1, 300, [7])], urgent={7: [300]}, presses=[(7, 250)],
        scheduled={1: [100, 200], 2: [110, 210]}, asked_at=[101, 111, 150, 201, 211, 301, 311], period=100, outages=[(310, 350)],
        completed=[(1, 100, [(7, True, a)]), (1, 200, [(7, True, a)]), (1, 200, [(7, True, b)]), (1, 300, [(7, True, b)])],
        events=[(5, 1, "1"), (6, 1, "1"), (5, 2, "2"), (6, 2, "2"), (6, 2, "2")], goal_of={7: 5},
        observations=[(5, 100, a), (5, 300, b)], goals={5: (b, Decimal(2), 2, 300), 6: (None, Decimal(2), 2, None)},
        edges=[(6, 5)], stored={0: 4}, ends={0: 4}, history={(7, a), (7, b)}, current={7: b})


def test_good_records_are_good():
    verdict = check(good())
    assert (verdict.lost, verdict.duplicated) == ([], [])
    assert (verdict.accepted, verdict.applied) == (3, 3)


FAULTS = {
    "a request nobody answered": ("lost", lambda r: r.requested.append((1, 400, [7]))),
    "a slot passed over": ("lost", lambda r: r.scheduled.update({2: [10, 210]})),
    "a press nobody asked for": ("lost", lambda r: r.presses.append((7, 301))),
    "an answer that is not in the history": ("lost", lambda r: r.observations.pop()),
    "an answer applied twice": ("duplicated", lambda r: r.observations.append((5, 300, Decimal(20)))),
    "an old answer applied again": ("duplicated", lambda r: r.observations.append((5, 200, Decimal(20)))),
    "a version too many": ("duplicated", lambda r: r.goals.update({5: (Decimal(20), Decimal(2), 3, 300)})),
    "a goal left behind": ("lost", lambda r: r.goals.update({5: (Decimal(10), Decimal(1), 2, 100)})),
    "a roll-up left behind": ("lost", lambda r: r.goals.update({6: (None, Decimal(1), 2, None)})),
    "an event that was never told": ("lost", lambda r: r.events.pop(0)),
    "a number the source never held": ("duplicated", lambda r: r.history.remove((7, Decimal(10)))),
    "a source that went on": ("lost", lambda r: r.current.update({7: Decimal(30)})),
    "messages left unread": ("lost", lambda r: r.ends.update({0: 5})),
    "an outbox left full": ("lost", lambda r: setattr(r, "outbox", 1)),
    "a dead letter": ("lost", lambda r: setattr(r, "dead_letters", 1)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault):
    kind, plant = FAULTS[fault]
    records = copy.deepcopy(good())
    plant(records)
    assert getattr(check(records), kind), fault
