"""Images for boxes: used unchanged, completed, kept for offline starts, or refused in one sentence with the fix."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccterm.agents.claude import CLAUDE_VERSION
from ccterm.causes import Cause
from ccterm.errors import PreflightError, StepError
from ccterm.executors.dagger import image_spec
from ccterm.executors.dagger.build_log import BuildLog
from ccterm.executors.dagger.executor import DaggerExecutor
from ccterm.executors.dagger.image_store import ImageRecord
from ccterm.executors.dagger.records import LogRecord
from ccterm.models import RunId, new_id
from ccterm.output.own_text import remember
from ccterm.values import ImageChoice
from tests.dagger_engine.engine import FakeEngine
from tests.dagger_engine.images import BARE, TOOLS, FakeImage, whole
from tests.dagger_engine.tools import make_cli
from tests.executors.contract import Heard, shell_step
from tests.support.fake_engine import Fake, make_base

SLIM = "docker.io/library/node:20-slim"
MINE = "ghcr.io/acme/app:1"
Executors = Callable[[str], DaggerExecutor]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    """Return an engine whose registry has a bare Debian with npm, and a user's image."""
    with FakeEngine({SLIM: BARE, MINE: TOOLS}) as engine:
        yield Fake(engine, make_cli(tmp_path / "bin"), make_base(tmp_path / "base.tar"))


@pytest.fixture
def opened(fake: Fake, tmp_path: Path, bundles: Path) -> Executors:
    return lambda base: DaggerExecutor(fake.options(base=base), cache=tmp_path / "cache", bundles=bundles)


async def prepared(executor: DaggerExecutor, choice: ImageChoice | None = None) -> list[ImageRecord]:
    """Prepare an image, and return all records."""
    async with executor:
        await executor.prepare(choice or ImageChoice())
    return list(executor.images.all())


async def refusal(executor: DaggerExecutor, choice: ImageChoice | None = None) -> PreflightError:
    """Return the error with which an image is refused."""
    async with executor:
        with pytest.raises(PreflightError) as refused:
            await executor.prepare(choice or ImageChoice())
    assert "\n" not in refused.value.message
    assert refused.value.fix
    assert list(executor.images.all()) == []
    return refused.value


def scripts(engine: FakeEngine) -> set[str]:
    """Return the scripts that ran."""
    return {args[2] for args in engine.executed if args[:2] == ("sh", "-c")}


async def test_a_complete_image_is_used_unchanged(fake: Fake, opened: Executors) -> None:
    [record] = await prepared(opened(str(fake.base)))
    assert (record.tarball, record.claude_version, record.usable) == (fake.base, CLAUDE_VERSION, True)
    assert scripts(fake.engine) == {image_spec.PROBE, image_spec.FURNISH}


async def test_a_bare_image_is_completed_and_kept_for_offline_starts(fake: Fake, opened: Executors, tmp_path: Path) -> None:
    [record] = await prepared(opened(SLIM))
    assert {image_spec.INSTALL, image_spec.NPM.format(version=CLAUDE_VERSION)} <= scripts(fake.engine)
    assert (record.name, record.claude_version) == (SLIM, CLAUDE_VERSION)
    assert record.tarball.parent == tmp_path / "cache" / "images"
    assert record.base_digest.startswith(f"{SLIM}@sha256:")
    fake.engine.stop()
    fake.engine.forget(SLIM)
    fake.engine.start()
    async with opened(SLIM) as executor, executor.open_run(RunId(new_id()), ImageChoice()) as boxes:
        result = await boxes.execute(shell_step("true"), Heard().append)
        assert result.report
        assert boxes.image == record.digest
    assert image_spec.INSTALL not in scripts(fake.engine)


async def test_an_image_build_reports_progress_and_keeps_its_log(opened: Executors, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ccterm.progress")
    executor = opened(SLIM)
    [record] = await prepared(executor)
    kept = "".join(path.read_text() for path in executor.images.log(record.key).iterdir() if path.is_file())
    assert "Reading package lists" in kept
    assert "added 3 packages" in kept
    assert "installing what boxes need" in caplog.text
    assert f"installing the Claude CLI {CLAUDE_VERSION}" in caplog.text


@pytest.mark.parametrize(
    ("has", "said"),
    [
        pytest.param({"bash": "/bin/bash", "git": "/usr/bin/git"}, "has no python3", id="no python3"),
        pytest.param({}, "no python3 and no git and no bash", id="nothing", marks=pytest.mark.slow),
        pytest.param(
            {**TOOLS.has, "python": "3.9", "npm": "/usr/bin/npm"},
            "has Python 3.9; boxes need 3.11",
            id="old python",
            marks=pytest.mark.slow,
        ),
        pytest.param({**TOOLS.has, "apt-get": "x"}, "no Claude CLI, and no npm", id="no claude"),
        pytest.param({**whole(CLAUDE_VERSION).has, "agent": "1234"}, "a user agent with uid 1234", id="other agent"),
    ],
)
async def test_an_image_that_cannot_be_completed_is_refused_with_the_reason(
    has: dict[str, str], said: str, opened: Executors, tmp_path: Path
) -> None:
    base = FakeImage({name: place for name, place in has.items() if name != "apt-get"}).tarball(tmp_path / "mine.tar")
    assert said in (await refusal(opened(str(base)))).message


async def test_a_run_with_an_image_that_cannot_be_used_fails_with_the_reason(fake: Fake, opened: Executors, tmp_path: Path) -> None:
    image = FakeImage({"bash": "/bin/bash", "git": "/usr/bin/git"}).tarball(tmp_path / "mine.tar")
    async with opened(str(fake.base)) as executor:
        with pytest.raises(StepError, match="has no python3") as failed:
            async with executor.open_run(RunId(new_id()), ImageChoice(reference=str(image))):
                pass
    assert (failed.value.cause, failed.value.reason) == (Cause.ENGINE, "image")


async def test_a_failed_installation_shows_its_last_lines_and_keeps_its_log(opened: Executors, tmp_path: Path) -> None:
    broken = FakeImage(BARE.has, broken=["Get:1 http://deb.debian.org bookworm", "E: Unable to locate package ripgrep"])
    error = await refusal(opened(str(broken.tarball(tmp_path / "broken.tar"))))
    assert "E: Unable to locate package ripgrep" in error.message
    [log] = (tmp_path / "cache" / "images").glob("*.log")
    assert "Unable to locate package ripgrep" in "".join(path.read_text() for path in log.iterdir() if path.is_file())


async def test_an_image_that_cannot_be_pulled_is_refused_with_the_offline_fix(opened: Executors) -> None:
    error = await refusal(opened("registry.invalid/none:1"))
    assert "registry.invalid/none:1" in error.message
    assert "CCTERM_BASE_IMAGE" in error.fix


async def test_a_full_engine_disk_is_reported_with_the_fix(opened: Executors, tmp_path: Path) -> None:
    full = FakeImage(BARE.has, full=True)
    error = await refusal(opened(str(full.tarball(tmp_path / "full.tar"))))
    assert "no space left on device" in error.message
    assert "prune" in error.fix


async def test_a_missing_tarball_is_named(opened: Executors, tmp_path: Path) -> None:
    assert f"{tmp_path}/nowhere.tar does not exist" in (await refusal(opened(str(tmp_path / "nowhere.tar")))).message


async def test_a_file_that_is_not_an_image_is_named(opened: Executors, tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("text")
    error = await refusal(opened(str(tmp_path / "text.tar")))
    assert str(tmp_path / "text.tar") in error.message


async def test_a_users_image_gets_our_claude_cli(fake: Fake, opened: Executors) -> None:
    records = {record.name: record for record in await prepared(opened(str(fake.base)), ImageChoice(reference=MINE))}
    assert records[MINE].claude_version == CLAUDE_VERSION
    assert FakeImage.read(records[MINE].tarball).has["claude"] == "/usr/local/bin/claude"


async def test_an_image_is_built_from_a_dockerfile(fake: Fake, opened: Executors, tmp_path: Path) -> None:
    place = tmp_path / "app" / "Dockerfile"
    place.parent.mkdir()
    place.write_text(f"FROM {MINE}\nRUN make\n")
    records = {record.name: record for record in await prepared(opened(str(fake.base)), ImageChoice(dockerfile=str(place)))}
    assert records[str(place)].claude_version == CLAUDE_VERSION


async def test_a_missing_dockerfile_is_named(fake: Fake, opened: Executors, tmp_path: Path) -> None:
    async with opened(str(fake.base)) as executor:
        with pytest.raises(PreflightError, match=r"Dockerfile .*nowhere does not exist"):
            await executor.prepare(ImageChoice(dockerfile=str(tmp_path / "nowhere")))


@pytest.mark.first_is_fast
@pytest.mark.parametrize("harm", ["record", pytest.param("tarball", marks=pytest.mark.slow), "short tarball"])
async def test_a_damaged_kept_image_is_built_again(harm: str, opened: Executors, tmp_path: Path) -> None:
    [record] = await prepared(opened(SLIM))
    if harm == "record":
        (tmp_path / "cache" / "images" / f"{record.key}.json").write_text('{"key": ')
    elif harm == "tarball":
        record.tarball.unlink()
    else:
        record.tarball.write_bytes(record.tarball.read_bytes()[:10])
    [anew] = await prepared(opened(SLIM))
    assert anew.usable
    assert FakeImage.read(anew.tarball).has["claude-version"] == CLAUDE_VERSION


async def test_a_build_log_holds_no_secret_however_its_pieces_cut_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    remember([("TOKEN", "tok-7Q2mWx9Zr4Lk5Tn8")])
    async with BuildLog.open(tmp_path / "log", "an image") as log:
        for text in ("npm ERR! proxy tok-7Q2m", "Wx9Zr4Lk5Tn8 refused\n", "and then tok-7Q2mWx9Zr4Lk5"):
            log.record(LogRecord("", "", 2, text, eof=False))
    written = b"".join(path.read_bytes() for path in (tmp_path / "log").iterdir()).decode()
    assert "[masked:TOKEN] refused" in written
    assert "7Q2mWx9Zr4Lk5" not in written
