"""Makes salvage of what reached the host of a run whose boxes are gone. No engine, login or token has to be there for it."""

import asyncio
from pathlib import Path

from ccterm.events import Salvaged, SideKept
from ccterm.pipeline import judgement
from ccterm.pipeline.checkpoints import CheckpointStore
from ccterm.pipeline.context import WorkContext
from ccterm.pipeline.continuation import CONVERSATION
from ccterm.pipeline.judgement import CommittedWork
from ccterm.pipeline.reports import CommitResult
from ccterm.proof import Kept, NothingThere, Proof
from ccterm.record import Recorder
from ccterm.state_dir import StateDir
from ccterm.values import Changes
from ccterm.workspace.salvage import TREE, keep_work
from ccterm.workspace.work import Work, forget

PARTIAL = "tree.partial"
"""In a run's directory: what was collected of the agent's tree when the engine went away; it may be newer than the checkpoint."""


def _make_room(salvage: Path, partial: Path, state: StateDir) -> Path | None:
    """Remove what an attempt that broke off left in the salvage directory; the checkpoint holds it. Move a tree away, and return where to."""
    moved = None
    if (salvage / TREE).is_dir() and not partial.exists():
        state.storage.rename(salvage / TREE, partial)
        moved = partial
    if not (salvage / TREE).exists():
        forget(salvage)
    return moved


async def keep_collected(context: WorkContext, recorder: Recorder, state: StateDir) -> Proof | None:
    """Put the commit, and what is beside it, into salvage that a run had made and brought to the host when its daemon died; return None if it had not.

    Raises StepError, OSError and ValueError; the commit stays where it is then.
    """
    run, directory = recorder.run, state.work(recorder.run.id)
    if not (run.commit or run.side) or not (directory / ("work.bundle" if run.commit else "side.bundle")).exists():
        return None
    work = await asyncio.to_thread(Work.read, directory, run.commit, run.changes or Changes(), run.side)
    if run.commit and run.verdict is None:
        await judgement.judge(CommittedWork(work, None, run.base_sha), context, recorder)
    proof = await asyncio.to_thread(keep_work, work, state.salvage(run.id), recorder.run, state.storage)
    recorder.emit([Salvaged(directory=str(state.salvage(run.id)), commit=run.commit)])
    return proof


async def keep_checkpoint(context: WorkContext, recorder: Recorder, state: StateDir) -> Proof | None:
    """Put the last checkpoint of a run into salvage; return None if there is none.

    Raises StepError, OSError and ValueError; the checkpoint stays where it is then.
    """
    run = recorder.run
    store = CheckpointStore(state.checkpoint(run.id), state.storage)
    checkpoint = await asyncio.to_thread(store.read)
    if checkpoint is None:
        return None
    report = CommitResult.model_validate(context.output.cleaner().value(checkpoint.report))
    proof: Proof | None = NothingThere()
    for note in (*report.notes, *report.unread):
        recorder.notice(note, "warn")
    if report.commit or report.refusals or report.side:
        await asyncio.to_thread(forget, state.work(run.id))
        await asyncio.to_thread(store.unpack, checkpoint, state.work(run.id))
        committed = await asyncio.to_thread(CommittedWork.read, state.work(run.id), report, run.base_sha)
        recorder.change(commit=report.commit, changes=committed.work.changes if committed.in_tree else None)
        if committed.work.side:
            recorder.emit([SideKept(refs=committed.work.side)])
        if committed.in_tree:
            await judgement.judge(committed, context, recorder)
        else:
            await asyncio.to_thread(context.output.write_masks, committed.work)
        salvage = state.salvage(run.id)
        if partial := await asyncio.to_thread(_make_room, salvage, state.run(run.id) / PARTIAL, state):
            recorder.notice(f"what could be taken of the agent's tree itself is in {partial}", "warn")
        proof = await asyncio.to_thread(keep_work, committed.work, salvage, recorder.run, state.storage) or Kept(salvage)
        recorder.emit([Salvaged(directory=str(salvage), commit=report.commit, checkpoint=checkpoint.moment)])
    if checkpoint.conversation:  # a hint for later: the work is kept already
        await asyncio.to_thread(store.keep_conversation, checkpoint, state.run(run.id) / CONVERSATION)
    return proof
