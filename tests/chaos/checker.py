"""Compares three independent records of one run: the source's history, Kafka's topics and goalsync's tables.

Pure functions on plain data, so that the checker itself can be tested on records with planted faults.
"""
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction


@dataclass
class Records:
    # From Kafka, in the order of their partition. A link's messages are all in one partition.
    requested: list = field(default_factory=list)  # (batch, slot, [links])
    scheduled: dict = field(default_factory=dict)  # batch -> slots that were asked for
    asked_at: list = field(default_factory=list)  # moments at which a scheduler asked for something
    urgent: dict = field(default_factory=dict)  # link -> slots that a Sync now was given
    completed: list = field(default_factory=list)  # (batch, slot, [(link, ok, value or None)])
    events: list = field(default_factory=list)  # (goal, version, progress)
    # From goalsync's tables.
    goal_of: dict = field(default_factory=dict)  # link -> goal
    observations: list = field(default_factory=list)  # (goal, slot, value)
    goals: dict = field(default_factory=dict)  # goal -> (applied value, progress, version, last slot)
    edges: list = field(default_factory=list)  # (parent, child)
    stored: dict = field(default_factory=dict)  # partition -> next offset of fetch.completed
    ends: dict = field(default_factory=dict)  # partition -> end of fetch.completed
    outbox: int = 0
    dead_letters: int = 0
    # From the run.
    period: int = 0  # microseconds; 0: slots are not checked
    outages: list = field(default_factory=list)  # (from, to) in which Kafka or PostgreSQL may have been away
    presses: list = field(default_factory=list)  # (link, moment before) of each Sync now that was accepted
    # From the source.
    history: set = field(default_factory=set)  # (link, value): what the source ever held
    current: dict = field(default_factory=dict)  # link -> value at the end
    span: Fraction = Fraction(1000)  # target - start of every key result; start is 0


@dataclass
class Verdict:
    accepted: int = 0
    applied: int = 0
    lost: list = field(default_factory=list)
    duplicated: list = field(default_factory=list)


def replay(records):
    """What the writer had to do, from the log alone: observations and number of changes per link, answered slots."""
    last, value, wanted, answered = {}, {}, [], set()
    for _, slot, results in records.completed:
        for link, ok, number in results:
            if not ok:
                continue
            answered.add((link, slot))
            if slot <= last.get(link, -1):
                continue
            last[link] = slot
            if value.get(link) != number:
                value[link] = number
                wanted.append((records.goal_of[link], slot, number))
    return wanted, value, last, answered


def check_requests(records, verdict):
    """Every request that Kafka took was answered, well or badly."""
    done = {(batch, slot) for batch, slot, _ in records.completed}
    accepted = set()
    for batch, slot, links in records.requested:
        accepted.update((link, slot) for link in links)
        if (batch, slot) not in done:
            verdict.lost.append(f"request of batch {batch}, slot {slot}: never answered")
    verdict.accepted = len(accepted)


def check_slots(records, verdict):
    """No slot was passed over while a scheduler was at work: all batches that are due are claimed together."""
    tenth = records.period // 10

    def missed(slot):
        at_work = bisect_left(records.asked_at, slot + tenth) < bisect_left(records.asked_at, slot + records.period - tenth)
        return at_work and not any(a < slot + records.period and slot < b for a, b in records.outages)

    records.asked_at.sort()
    for batch, slots in records.scheduled.items():
        slots = sorted(set(slots))
        for before, after in zip(slots, slots[1:]):
            for slot in range(before + records.period, after, records.period):
                if missed(slot):
                    verdict.lost.append(f"batch {batch}: slot {slot} was never asked, though others were")


def check_presses(records, verdict):
    """Every accepted press of Sync now was asked for after it, alone or together with others."""
    for link, pressed in records.presses:
        if max(records.urgent.get(link, [0])) < pressed:
            verdict.lost.append(f"link {link}: Sync now at {pressed} was never asked")


def check_observations(records, verdict):
    wanted, value, last, answered = replay(records)
    verdict.applied = len(answered)
    have = defaultdict(list)
    for goal, slot, number in records.observations:
        have[goal, slot].append(number)
    want = {(goal, slot): number for goal, slot, number in wanted}
    for key, number in want.items():
        if number not in have.get(key, []):
            verdict.lost.append(f"goal {key[0]}, slot {key[1]}: {number} was answered and is not in the history {have.get(key)}")
    for key, numbers in have.items():
        extra = len(numbers) - (1 if want.get(key) in numbers else 0)
        if extra:
            verdict.duplicated.append(f"goal {key[0]}, slot {key[1]}: history holds {numbers}, the log gives {want.get(key)}")
    changes = defaultdict(int)
    for goal, _, _ in wanted:
        changes[goal] += 1
    for link, goal in records.goal_of.items():
        applied, _, version, slot = records.goals[goal]
        # Changes that fall into one transaction are told as one version.
        if version > changes[goal]:
            verdict.duplicated.append(f"goal {goal}: version {version} after {changes[goal]} changes")
        elif changes[goal] and not version:
            verdict.lost.append(f"goal {goal}: no version after {changes[goal]} changes")
        if applied != value.get(link) or slot != last.get(link):
            verdict.lost.append(f"goal {goal}: holds {applied} of slot {slot}, the log ends with {value.get(link)} of {last.get(link)}")


def check_source(records, verdict):
    for link, goal in records.goal_of.items():
        if records.goals[goal][0] != records.current[link]:
            verdict.lost.append(f"goal {goal}: holds {records.goals[goal][0]}, its source {records.current[link]}")
    held = {(records.goal_of[link], value) for link, value in records.history}
    for goal, slot, number in records.observations:
        if (goal, number) not in held:
            verdict.duplicated.append(f"goal {goal}, slot {slot}: {number} never stood in the source")


def check_roll_up(records, verdict):
    """Progress from the source's numbers alone: key results scaled and clamped, objectives the plain mean."""
    children, linked = defaultdict(list), {goal: link for link, goal in records.goal_of.items()}
    for parent, child in records.edges:
        children[parent].append(child)

    def progress(goal):
        if goal in linked:
            share = 100 * Fraction(records.current[linked[goal]]) / records.span
            return max(Fraction(0), min(Fraction(100), share))
        return sum(map(progress, children[goal])) / len(children[goal])

    for goal, (_, shown, _, _) in records.goals.items():
        if abs(Fraction(shown) - progress(goal)) > Fraction(1, 10**9):
            verdict.lost.append(f"goal {goal}: shows {shown}, its sources give {float(progress(goal))}")


def check_events(records, verdict):
    """Every version of every goal was told once or more, in order; the last one says what the goal shows."""
    versions, last = defaultdict(set), {}
    for goal, version, progress in records.events:
        if version > last.get(goal, (0, None))[0] + 1:
            verdict.lost.append(f"goal.changed of goal {goal}: version {version} after {last.get(goal, (0, None))[0]}")
        versions[goal].add(version)
        if version > last.get(goal, (0, None))[0]:
            last[goal] = (version, progress)
    for goal, (_, shown, version, _) in records.goals.items():
        for missing in set(range(1, version + 1)) - versions[goal]:
            verdict.lost.append(f"goal.changed of goal {goal}: version {missing} is missing")
        if any(v > version for v in versions[goal]):
            verdict.duplicated.append(f"goal.changed of goal {goal}: version {max(versions[goal])} of {version}")
        if version and last.get(goal, (0, None))[1] is not None and Decimal(last[goal][1]) != Decimal(shown):
            verdict.lost.append(f"goal.changed of goal {goal} ends with {last[goal][1]}, it shows {shown}")


def check_rest(records, verdict):
    for partition, end in records.ends.items():
        if records.stored.get(partition, 0) != end:
            verdict.lost.append(f"fetch.completed/{partition}: applied up to {records.stored.get(partition)}, ends at {end}")
    if records.outbox:
        verdict.lost.append(f"{records.outbox} rows wait in the outbox")
    if records.dead_letters:
        verdict.lost.append(f"{records.dead_letters} messages became dead letters")


def check(records):
    verdict = Verdict()
    for part in (check_requests, check_slots, check_presses, check_observations, check_source, check_roll_up, check_events, check_rest):
        part(records, verdict)
    return verdict
