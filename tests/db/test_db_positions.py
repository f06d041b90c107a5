from __future__ import annotations

import json

import pytest

from scalekit.db.pins import Pin, load_pins, merged
from scalekit.db.positions import (
    Position,
    end_of_last_record,
    format_lsn,
    parse_lsn,
    parse_timeline,
    read_position,
)

MB = 1 << 20


@pytest.mark.parametrize(
    ("insert", "end"),
    [
        ("0/3040018", "0/3040000"),  # a page header further
        ("0/3000028", "0/3000000"),  # a segment header further
        ("0/3040028", "0/3040028"),
        ("0/3040020", "0/3040020"),
        ("A/FFFFE018", "A/FFFFE000"),
    ],
)
def test_a_record_that_ends_with_its_page_ends_before_the_next_header(insert, end):
    assert format_lsn(end_of_last_record(parse_lsn(insert), 8192, 16 * MB)) == end


def test_an_lsn_keeps_all_its_bits():
    assert parse_lsn("FFFFFFFF/FFFFFFFF") == (1 << 64) - 1
    assert parse_lsn("1/0") == 1 << 32
    assert parse_timeline("0000000A0000000100000002") == 10


def test_a_position_counts_on_its_own_timeline_and_cluster_alone():
    here = Position(7, 1, 100)
    assert here.reaches(Position(7, 1, 100))
    assert not here.reaches(Position(7, 1, 101))
    assert not Position(7, 2, 999).reaches(here)
    assert not Position(8, 1, 999).reaches(here)


@pytest.mark.parametrize("raw", [(1 << 64, 1, 1), (1, 0, 1), (1, 1, 1 << 60), (1, 1, -1)])
def test_a_position_beyond_any_log_is_refused(raw):
    with pytest.raises(ValueError, match="beyond"):
        read_position(*raw)


@pytest.mark.parametrize("raw", [("1", 1, 1), (True, 1, 1), (1, 1.5, 1)])
def test_a_position_that_is_no_integers_is_refused(raw):
    with pytest.raises(TypeError):
        read_position(*raw)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Pin(9, 7, 1, 5), Pin(8, 7, 1, 6), Pin(9, 7, 1, 6)),
        (Pin(9, 7, 1, 6), Pin(8, 7, 2, 5), Pin(9, 7, 2, 5)),
        (Pin(9, 7, 1, 6), Pin(8, 6, 3, 9), Pin(9, 7, 1, 6)),
        (Pin(9, 7, 1, 6), Pin(8), Pin(9)),
        (Pin(9), Pin(8), Pin(9)),
    ],
)
def test_pins_move_forward_only_in_either_order(one, other, both):
    assert one.merged(other) == other.merged(one) == both


def test_pins_of_different_databases_stand_side_by_side():
    assert merged({"a": Pin(9)}, {"b": Pin(8), "a": Pin(10)}) == {"a": Pin(10), "b": Pin(8)}


def test_pins_travel_as_json():
    pins = {"default": Pin(9.5, 7, 1, 1 << 59), "other": Pin(9)}
    assert load_pins(json.loads(json.dumps(pins)), now=5, life=5) == pins
