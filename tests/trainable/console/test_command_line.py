"""A command whose standard streams are closed, lose their reader or are full: each in a process of its own."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from trainable.console.command_line import error_line, error_with_next_step, unnamed_errors_name

ROOT = Path(__file__).parents[3]
WRITER = """
import subprocess, sys
from pathlib import Path
from trainable.console.command_line import run_main

def main():
    record = Path(sys.argv[1]).open("w")
    for number in range(20000):
        print("line", number)
    print("a note", file=sys.stderr)
    subprocess.run(["echo", "of another process"], check=True)
    record.write("all is done")
    record.close()
    return 0

sys.exit(run_main(main))
"""


def run(shell_suffix: str, tmp_path: Path) -> subprocess.CompletedProcess:
    command = f'"$0" -c "$1" "$2" {shell_suffix}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command, sys.executable, WRITER, str(tmp_path / "record")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def test_whole_output_arrives_where_it_can_be_written(tmp_path):
    ended = run("", tmp_path)
    assert ended.returncode == 0
    lines = ended.stdout.splitlines()
    assert "of another process" in lines
    assert [line for line in lines if line.startswith("line")] == [f"line {number}" for number in range(20000)]
    assert ended.stderr == "a note\n"


@pytest.mark.parametrize("suffix", [">&-", "2>&-", ">&- 2>&- <&-", "| head -1"])
def test_a_closed_stream_or_a_reader_that_leaves_does_not_end_a_command(suffix, tmp_path):
    ended = run(suffix, tmp_path)
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "record").read_text() == "all is done"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_output_on_a_full_disk_is_an_error_at_the_end_of_the_command(tmp_path):
    ended = run("> /dev/full", tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == "a note\nerror: standard output could not be written: No space left on device\n"
    assert (tmp_path / "record").read_text() == "all is done"


def test_every_command_runs_this_way():
    sources = {path: path.read_text() for name in ("trainable", "tuner") for path in (ROOT / name).rglob("*.py")}
    # Streamlit, not a shell, runs the two pages.
    commands = {
        path for path, text in sources.items() if 'if __name__ == "__main__"' in text and "_page" not in path.name
    }
    assert len(commands) > 10
    assert {path.name for path in commands if "run_main(main)" not in sources[path]} <= {"page_view.py"}


def test_an_os_error_is_printed_with_its_file_and_without_its_number():
    assert error_line(OSError(28, "No space left on device", "a/b")) == (
        "error: a/b: No space left on device; make room there, and run the command again.\n"
    )
    assert error_line(OSError(28, "No space left on device"), remedy="") == "error: No space left on device\n"
    assert error_line(OSError(13, "Permission denied", "a/b")) == "error: a/b: Permission denied\n"
    assert error_line(ValueError("--trials is 0")) == "error: --trials is 0\n"


@pytest.mark.parametrize(("number", "own", "named"), [(28, None, "results"), (28, "a/b", "a/b"), (None, None, None)])
def test_an_error_that_names_no_file_names_the_folder(number, own, named):
    raised = OSError("the store is away") if number is None else OSError(number, "No space left on device", own)
    with suppress(OSError), unnamed_errors_name(Path("results")):
        raise raised
    assert raised.filename == named


@pytest.mark.parametrize("text", ["The store can't be reached", "The store can't be reached."])
def test_what_to_do_next_is_a_sentence_of_its_own(text):
    assert error_with_next_step(OSError(text), "Run it again.") == f"error: {text.removesuffix('.')}. Run it again.\n"
