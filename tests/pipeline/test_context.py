"""What a run's boxes print or leave behind is cleaned with all that is secret at that moment."""

from pathlib import Path

from pydantic import SecretStr

from ccterm.output.mask import Masker
from ccterm.pipeline.context import RunOutput
from ccterm.state_dir import StateDir
from tests.pipeline.parts import recorder_of, task


async def test_a_secret_that_comes_while_a_step_runs_is_masked_in_its_output(state_dir: Path) -> None:
    recorder = recorder_of(StateDir(state_dir).prepare(), task(Path("unused"), ""))
    output = RunOutput(Masker([("FIRST", "the-first-login")]), recorder)
    cleaner = output.cleaner()
    output.mask([("SECOND", SecretStr("the-second-login"))])
    assert cleaner.text("the-first-login, the-second-login") == "[masked:FIRST], [masked:SECOND]"
    await recorder.close()
