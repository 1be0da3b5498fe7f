"""Talk to an agent while it works, look at its changes, and take them into the working copy."""

import asyncio
import sys
from datetime import UTC, datetime

from ccterm import AgentService, Draft, Run, Service
from ccterm.events import Finished, Said, Steered, Waiting


async def talk(service: Service, run: Run, answers: list[str]) -> None:
    """Answer the agent each time it waits for input; release it when there is nothing more to say."""
    async for event in service.follow(run.id):
        match event:
            case Said(text=text):
                print(f"agent: {text}")
            case Waiting(begins=True, until=datetime() as until):
                print(f"it waits, at most {(until - datetime.now(UTC)).total_seconds() / 60:.0f} minutes")
                if answers:
                    await service.steer(run.id, answers.pop(0))
                else:
                    await service.release(run.id)
            case Steered(taken=False, detail=why):
                print(f"not taken: {why}")
            case Finished(state=state):
                print(f"{run.label} {state}")
            case _:
                pass


async def main(repo: str, task: str, answers: list[str]) -> int:
    """Work in testing mode: there is no branch, so the changes come back into the working copy."""
    async with AgentService.open() as service:
        [run] = await service.submit([Draft(task=task, repo=repo, hold=True)])  # returns at once
        try:
            async with asyncio.timeout(600):
                await talk(service, run, answers)
        except TimeoutError:
            await service.cancel(run.id)  # what the agent has done is kept
        run = await service.wait(run.id)
        print((await service.patch(run.id) or b"").decode(errors="replace"))
        if run.awaits_apply:
            run = await service.apply(run.id)  # service.undo(run.id) takes them back
        return 0 if run.synced else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:])))
