"""Draw the README's pictures: scenarios of the snapshot tests, in the real app."""

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ccterm.cli.demo import sample_repository
from ccterm.cli.demo_scripts import FILES
from ccterm.cli.demo_terminal import staged
from ccterm.executors.temporary import temporary
from ccterm.settings import load_settings
from ccterm.tui.app import CctermApp
from ccterm.tui.memory import Memory
from tests.tui.playing import play, scenario_app
from tests.tui.scenarios import SCENARIOS

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
FRAMES, FRAME_SECONDS = 14, 0.8
KEYS = {9: "enter", 11: "d"}
"""Number of the frame -> the key that is pressed before it."""


async def draw(name: str, scenario: str, size: tuple[int, int]) -> None:
    """Write one picture."""
    app = scenario_app()
    async with app.run_test(size=size) as pilot:
        with tempfile.TemporaryDirectory() as directory:
            await play(SCENARIOS[scenario], pilot, directory=Path(directory))
            picture = app.export_screenshot(title="ccterm")
    (DIRECTORY / f"{name}.svg").write_text(picture, "utf-8")
    print(DIRECTORY / f"{name}.svg")


async def film(name: str, size: tuple[int, int]) -> None:
    """Write a moving picture of `ccterm demo`, which really runs: the only one that is another each time."""
    settings = load_settings(None, os.environ, {"execution_mode": "local", "agent": "scripted"})
    app = CctermApp.provided_with(settings, memory=Memory(None), checks=False)
    frames: list[str] = []
    with temporary("demo") as place, sample_repository(place, FILES) as remote:
        async with app.run_test(size=size) as pilot, staged(place, remote) as service:
            app.connected(service)
            for number in range(FRAMES):
                if key := KEYS.get(number):
                    await pilot.press(key)
                await pilot.pause(FRAME_SECONDS)
                frames.append(app.export_screenshot(title="ccterm demo"))
            await service.cancel_all()
    (DIRECTORY / f"{name}.svg").write_text(moving(frames), "utf-8")
    print(DIRECTORY / f"{name}.svg")


def moving(frames: Sequence[str]) -> str:
    """Return one SVG that shows SVGs of one size in turn, for ever; each keeps its own styles, under names of its own."""
    (head, _, _), last = frames[0].partition("\n"), len(frames)
    own = [
        re.sub(r"terminal-\d+", f"frame-{number}", frame).partition("\n")[2].removesuffix("</svg>\n") for number, frame in enumerate(frames)
    ]
    shown = [f'<g class="frame" style="animation-delay: {number * FRAME_SECONDS:.2f}s">{frame}</g>' for number, frame in enumerate(own)]
    style = (
        f".frame {{ visibility: hidden; animation: turn {last * FRAME_SECONDS:.2f}s step-end infinite; }}"
        f" @keyframes turn {{ 0% {{ visibility: visible; }} {100 / last:.4f}% {{ visibility: hidden; }} }}"
    )
    return "\n".join([head, f"<style>{style}</style>", *shown, "</svg>", ""])


async def main() -> None:
    """Write all pictures, or those that are named."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, (scenario, size) in PICTURES.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            await draw(name, scenario, size)
    if not sys.argv[1:] or "demo" in sys.argv[1:]:
        await film("demo", (120, 34))


if __name__ == "__main__":
    asyncio.run(main())
