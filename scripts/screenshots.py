"""Draw the README's pictures: scenarios of the snapshot tests, in the real app."""

import asyncio
import tempfile
from pathlib import Path

from tests.tui.scenarios import SCENARIOS, play, scenario_app

DIRECTORY = Path("screenshots")
PICTURES = {
    "launch": ("launch_several", (110, 28)),
    "fleet-4": ("fleet_of_four", (120, 34)),
    "fleet-12": ("fleet_of_twelve", (160, 48)),
    "run-diff": ("run_diff", (160, 36)),
    "preflight-failing": ("preflight_failing", (100, 20)),
    "preflight-fixed": ("preflight_fixed", (100, 20)),
    "preflight-building": ("preflight_building", (100, 24)),
    "usage-limit": ("usage_limit", (160, 40)),
}
"""File -> scenario, and the terminal's width and height."""


async def draw(name: str, scenario: str, size: tuple[int, int]) -> None:
    """Write one picture."""
    app = scenario_app()
    async with app.run_test(size=size) as pilot:
        with tempfile.TemporaryDirectory() as directory:
            await play(SCENARIOS[scenario], pilot, directory=Path(directory))
            picture = app.export_screenshot(title="ccterm")
    (DIRECTORY / f"{name}.svg").write_text(picture, "utf-8")
    print(DIRECTORY / f"{name}.svg")


async def main() -> None:
    """Write all pictures."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, (scenario, size) in PICTURES.items():
        await draw(name, scenario, size)


if __name__ == "__main__":
    asyncio.run(main())
