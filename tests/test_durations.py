"""Durations as people write them."""

from datetime import timedelta

import pytest

from ccterm.settings.units import duration, duration_text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90s", 90), ("45m", 2700), ("45 min", 2700), ("2h", 7200), ("1h30m", 5400), ("1h 30m", 5400), ("0.5h", 1800), (60, 3600), ("60", 3600), (0.5, 30), ("7d", 604800),
     ("30S", 30)],
)  # fmt: skip
def test_durations_read_as_people_write_them(value: object, seconds: float) -> None:
    assert duration(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["0.3s", "0.000001s", "1s", "90s", "1.5s", "2m", "90m", "2h", "25h", "7d"])
def test_durations_are_written_as_short_as_they_are_read(text: str) -> None:
    assert duration_text(duration(text)) == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "soon",
        "m",
        "1x",
        "-5m",
        "5m!",
        "1h-30m",
        "8d",
        0,
        -1,
        "0",
        1e300,
        float("nan"),
        True,
        None,
        [],
        "9" * 400,
        "9" * 30 + "h",
        "١٠m",
    ],
)
def test_anything_else_is_not_a_duration(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration(value)
