"""What an image must have to serve as a box, and the errors when something is missing."""

import pytest

from ccterm.errors import PreflightError
from ccterm.executors.dagger.image_spec import ImageSpec, parse_probe, require, tools_missing

WHOLE = "python3=/usr/bin/python3\ngit=/usr/bin/git\nbash=/bin/bash\npython=3.11\nclaude-version=2.1.330\nagent=1001\n"


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in parse_probe(WHOLE).items() if name not in names}


def test_a_complete_image_is_accepted() -> None:
    require("image", parse_probe(WHOLE))
    assert tools_missing(parse_probe(WHOLE)) == []


@pytest.mark.parametrize(
    ("has", "said"),
    [
        (without("python3", "python"), "no python3"),
        (without("git"), "no git"),
        (without("git", "bash"), "no git and no bash"),
        (without("python"), "no json in its python3"),
        ({**parse_probe(WHOLE), "python": "3.9"}, "has Python 3.9; boxes need 3.11"),
        ({**parse_probe(WHOLE), "agent": "500"}, "user agent with uid 500"),
    ],
)
def test_a_missing_part_is_named_with_the_fix(has: dict[str, str], said: str) -> None:
    with pytest.raises(PreflightError) as error:
        require("corp/image:1", has)
    assert said in error.value.message
    assert "corp/image:1" in error.value.message
    assert error.value.fix


def test_the_key_depends_on_everything_the_image_is_made_of() -> None:
    spec = ImageSpec("base", "2.1.330")
    keys = {spec.key(), spec.key("linux/arm64"), ImageSpec("other", "2.1.330").key(), ImageSpec("base", "2.1.331").key()}
    assert len(keys) == 4
    assert spec.key("a", "b") != spec.key("ab")
    assert spec.key() == ImageSpec("base", "2.1.330").key()
