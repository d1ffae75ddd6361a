import json
from collections import Counter
from pathlib import Path

import pytest

from agl_adapters.testing.room_choice import best_rooms
from agl_adapters.testing.room_rules import ANSWERING, RULES
from agl_adapters.testing.room_text import clock, read_needs
from agl_adapters.testing.room_world import SPLIT_SIZE, rooms_of, splits, tasks, world, write_data

EXAMPLE = Path(__file__).parents[3] / "examples" / "data" / "room_booking"
SPLITS = splits()


def test_the_example_files_are_what_the_generator_makes(tmp_path: Path) -> None:
    written = write_data(tmp_path)
    assert sorted(path.name for path in written) == sorted(p.name for p in EXAMPLE.iterdir())
    for path in written:
        assert path.read_bytes() == (EXAMPLE / path.name).read_bytes()


def test_splits_are_disjoint_and_of_one_size() -> None:
    inputs = [task["input"] for split in SPLITS.values() for task in split]
    assert list(SPLITS) == ["train", "val", "test"]
    assert len(inputs) == len(set(inputs)) == 3 * SPLIT_SIZE == 87


@pytest.mark.parametrize("split", SPLITS)
def test_rules_are_balanced(split: str) -> None:
    counts = Counter(rule for task in SPLITS[split] for rule in task["rules"])
    assert set(counts) == {rule.name for rule in RULES}
    assert min(counts.values()) >= SPLIT_SIZE // 4
    for rule in ("capacity", "day", "free", "smallest"):
        assert counts[rule] > SPLIT_SIZE // 2
    assert min(len(task["rules"]) for task in SPLITS[split]) >= 2


@pytest.mark.parametrize("split", SPLITS)
def test_each_task_has_one_right_room_that_its_text_leads_to(split: str) -> None:
    every = {rule.name for rule in ANSWERING}
    for task in SPLITS[split]:
        needs = read_needs(task["input"])
        assert needs is not None
        assert task["needs"] == {
            "day": needs.day,
            "start": clock(needs.slot[0]),
            "end": clock(needs.slot[1]),
            "people": needs.people,
            "equipment": sorted(needs.equipment),
            "step_free": needs.step_free,
            "building": needs.building,
        }
        (right,) = best_rooms(rooms_of(needs.building, needs.day), needs, every)
        assert right.name == task["expected_room"]


def test_fresh_tasks_are_drawn_from_their_seed() -> None:
    drawn = tasks(7, 20)
    assert drawn == tasks(7, 20)
    assert drawn[:5] == tasks(7, 5)
    assert not {t["input"] for t in drawn} & {t["input"] for t in tasks(8, 20)}
    excluded = {drawn[0]["input"]}
    assert not excluded & {task["input"] for task in tasks(7, 20, excluded)}
    assert json.loads(json.dumps(drawn)) == drawn


def test_no_room_is_booked_twice_at_once() -> None:
    for booked in (slots for rooms in world()["bookings"].values() for slots in rooms.values()):
        edges = [edge for slot in booked for edge in slot.split("-")]
        assert edges == sorted(edges)
