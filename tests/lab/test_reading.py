"""Shapes of JSON values, and what is said where a file has another."""

from __future__ import annotations

import math

import pytest

from autowarmup.lab.reading import MAYBE, NUMBER, mismatch, read_json, taken_from


@pytest.mark.parametrize(
    ("value", "shape", "words"),
    [
        (1, int, ""),
        (True, int, "true"),
        (True, (int, bool), ""),
        (1, NUMBER, ""),
        (math.nan, NUMBER, ""),
        (None, NUMBER, "null"),
        (None, MAYBE, ""),
        ("1", MAYBE, '"1"'),
        ([], [int], ""),
        ([1, None], [int], "one whose [1] is null, not a whole number"),
        ({"a": [{"b": 1}]}, {"a": [{"b": str}]}, "one whose a[0].b is 1, not a text"),
        ({"a": 1}, {"a": int, "b?": int}, ""),
        ({"a": 1, "b": "x"}, {"a": int, "b?": int}, 'one whose b is "x", not a whole number'),
        ({}, {"a": int}, "one without a"),
        ([1], {"a": int}, "[1]"),
        ({"a": [1]}, {"a": {"b": int}}, "one whose a is [1], not an object"),
        ({"a": {}}, {"a": [int]}, "one whose a is {}, not a list"),
        ({"a": "x" * 99}, {"a": MAYBE}, f'one whose a is "{"x" * 36}..., not a number or null'),
        ({(1, 2): 3}, list, "{}"),
    ],
)
def test_where_a_value_differs(value, shape, words):
    assert mismatch(value, shape) == words


def test_what_is_wrong_deeper_down_gets_the_name_of_the_file(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{}")
    read = read_json(path, {}, "a thing")
    missing = r"x\.json: expected a thing, .* \('K' is missing\)"
    with pytest.raises(ValueError, match=missing), taken_from(path, "a thing"):
        read["K"]
    nameless = r"x\.json: lower_bound: too high"
    with pytest.raises(ValueError, match=nameless), taken_from(path, "a thing"):
        raise ValueError("lower_bound: too high")
