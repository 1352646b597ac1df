"""The wrapper is invisible: exit codes, signals and the terminal are those of the command alone; and it records."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from llmprof.collectors.launch import launch
from llmprof.collectors.wrappers import exit_code_of
from llmprof.errors import CommandError, InputError
from llmprof.timeline import rundir
from tests.collectors.launchers.commands import LOOP, ranks_of
from tests.collectors.live.conftest import read

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
# Not through PYTHONPATH: the recorded command must find llmprof by itself, wherever it runs.
WRAPPER = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from llmprof.collectors.launch import exit_like, launch
exit_like(launch(sys.argv[2:], Path(sys.argv[1]), {{"trace_steps": 0}}).returncode)
"""


def wrapped(run: Path, command: Sequence[str]) -> list[str]:
    return [PYTHON, "-c", WRAPPER, str(run), *command]


def environment(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more


def run(tmp_path: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        wrapped(tmp_path / "run", command),
        cwd=tmp_path,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def wait_for(condition: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# Exit codes and signals


@pytest.mark.parametrize("code", [0, 3, 77, 255])
def test_leaves_with_the_exit_code_of_the_command(tmp_path: Path, code: int) -> None:
    assert run(tmp_path, "sh", "-c", f"exit {code}").returncode == code
    assert rundir.read_json(tmp_path / "run" / rundir.RUN)["exit_code"] == code


@pytest.mark.parametrize(("name", "status"), [("TERM", -15), ("SEGV", -11), ("HUP", -1)])
def test_leaves_by_the_signal_that_ended_the_command(tmp_path: Path, name: str, status: int) -> None:
    assert run(tmp_path, "sh", "-c", f"kill -{name} $$").returncode == status
    record = rundir.read_json(tmp_path / "run" / rundir.RUN)
    assert (record["exit_code"], record["signal"]) == (128 - status, f"SIG{name}")


def test_sigkill_of_the_command_becomes_137(tmp_path: Path) -> None:
    assert run(tmp_path, "sh", "-c", "kill -KILL $$").returncode == 137


def test_exit_code_of_a_signal_is_that_of_the_shell() -> None:
    assert (exit_code_of(-15), exit_code_of(-9), exit_code_of(4)) == (143, 137, 4)


COUNT = """
import os, signal, sys, time
seen = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, lambda number, _: seen.append(number))
print("ready", flush=True)
while not seen:
    time.sleep(0.01)
time.sleep(0.3)  # a second copy would come now
print(*[signal.Signals(number).name for number in seen])
sys.exit(7)
"""


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_a_signal_arrives_once_whoever_sent_it(tmp_path: Path, name: str, whole_group: bool) -> None:
    command = wrapped(tmp_path / "run", [PYTHON, "-c", COUNT])
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    (os.killpg if whole_group else os.kill)(process.pid, getattr(signal, name))
    output, _ = process.communicate(timeout=30)
    assert (output, process.returncode) == (f"{name}\n", 7)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no /proc")
def test_wrapper_and_command_stop_and_continue_together(tmp_path: Path) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(2)"
    process = subprocess.Popen(
        wrapped(tmp_path / "run", [PYTHON, "-c", code]),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=os.setpgrp,
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    os.killpg(process.pid, signal.SIGTSTP)
    wait_for(lambda: (state_of(process.pid), state_of(child)) == ("T", "T"))
    os.killpg(process.pid, signal.SIGCONT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_no_process_of_ours_outlives_a_killed_wrapper(tmp_path: Path) -> None:
    """The witness of signals has the wrapper's command line, and would be found by it."""
    mark = f"mark-{os.getpid()}"
    process = subprocess.Popen(wrapped(tmp_path / mark, ["sleep", "2"]), env=environment())
    wait_for(lambda: (tmp_path / mark / "wrappers").exists())
    process.kill()
    process.wait()
    wait_for(lambda: not subprocess.run(["pgrep", "-f", mark], capture_output=True, check=False).stdout)


def in_terminal(tmp_path: Path, command: Sequence[str], keys: bytes = b"", after: bytes = b"ready") -> tuple[str, int]:
    """Run in a terminal of its own, press keys once `after` is on the screen; returns what it showed and the status."""
    pid, screen = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve(command[0], list(command), environment())
    shown = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([screen], [], [], 0.1)[0]:
            try:
                shown += os.read(screen, 4096)
            except OSError:  # the terminal is gone: everybody has left
                break
        if keys and after in shown:
            os.write(screen, keys)
            keys = b""
    os.close(screen)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_the_command_keeps_the_terminal(tmp_path: Path) -> None:
    code = "import os, sys; print([os.isatty(n) for n in (0, 1, 2)], os.tcgetpgrp(0) == os.getpgrp())"
    shown, status = in_terminal(tmp_path, wrapped(tmp_path / "run", [PYTHON, "-c", code]))
    assert ("[True, True, True] True" in shown, status) == (True, 0), shown


def test_ctrl_c_reaches_the_command_once_and_the_wrapper_waits(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(
        dedent("""
        import sys, time
        try:
            print("ready", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            time.sleep(0.3)
            print("checkpoint", flush=True)
            sys.exit(5)
        """)
    )
    shown, status = in_terminal(tmp_path, wrapped(tmp_path / "run", [PYTHON, "loop.py"]), keys=b"\x03")
    assert ("checkpoint" in shown, status) == (True, 5), shown
    assert "Traceback" not in shown


def test_ctrl_z_and_fg_are_those_of_the_command_alone(tmp_path: Path) -> None:
    code = "import sys, time; print('ready', flush=True); time.sleep(1); sys.exit(5)"
    for name, command in (
        ("plain", [PYTHON, "-c", code]),
        ("recorded", wrapped(tmp_path / "run", [PYTHON, "-c", code])),
    ):
        script = '"$@"; echo stopped $?; fg >/dev/null; echo done $?'
        shown, status = in_terminal(
            tmp_path, ["/bin/bash", "--norc", "-m", "-c", script, "bash", *command], keys=b"\x1a"
        )
        assert ("stopped 148" in shown, "done 5" in shown, status) == (True, True, 0), (name, shown)


def test_an_ignored_interrupt_stays_ignored(tmp_path: Path) -> None:
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *wrapped(tmp_path / "run", [PYTHON, "-c", code])]
    assert subprocess.run(command, capture_output=True, env=environment(), check=False).stdout == b"True\n"


# Errors and the run directory


@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), ("/tmp", 126), ("./plain-file", 126)])
def test_a_command_that_cannot_start_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain-file").touch()
    with pytest.raises(CommandError, match=command) as raised:
        launch([command], tmp_path / "run", {})
    assert raised.value.exit_code == code
    assert subprocess.run(["bash", "-c", command], capture_output=True, check=False).returncode == code
    assert list((tmp_path / "run").iterdir()) == []


def test_a_script_that_names_no_interpreter_is_run_by_sh(tmp_path: Path) -> None:
    (tmp_path / "go").write_text("echo $0 $1; exit 4\n")
    (tmp_path / "go").chmod(0o755)
    done = run(tmp_path, "./go", "a b")
    assert (done.stdout, done.returncode) == ("./go a b\n", 4)


def test_no_command_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no command"):
        launch([], tmp_path / "run", {})


def test_a_folder_that_pythonpath_cannot_carry_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="PYTHONPATH"):
        launch(["true"], tmp_path / "12:30", {})


LOOK = """
import os, resource, signal, sys, threading
for name, value in sorted(os.environ.items()):
    print("variable", name, value)
print("path", sys.path)
print("flags", sys.flags)
print("sitecustomize", sys.modules.get("sitecustomize"))
print("handlers", [signal.getsignal(number) for number in sorted(signal.valid_signals())])
print("mask", signal.pthread_sigmask(signal.SIG_BLOCK, ()))
print("open", sorted(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None)
print("limits", [resource.getrlimit(number) for number in range(10)])
print("where", os.getcwd(), os.getsid(0), os.getpgrp(), os.nice(0), os.umask(0))
print("threads", threading.active_count())
"""


def test_only_pythonpath_is_changed(tmp_path: Path) -> None:
    env = environment(PYTHONPATH="/somewhere")
    plain = subprocess.run([PYTHON, "-c", LOOK], env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    command = wrapped(tmp_path / "run", [PYTHON, "-c", LOOK])
    seen = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    before, after = plain.stdout.splitlines(), seen.stdout.splitlines()
    assert len(before) == len(after)
    assert [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]] == [
        ("variable PYTHONPATH /somewhere", f"variable PYTHONPATH {tmp_path / 'run' / 'bootstrap'}:/somewhere")
    ]


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc")
def test_the_wrapper_opens_no_port(tmp_path: Path) -> None:
    process = subprocess.Popen(wrapped(tmp_path / "run", ["sleep", "1"]), env=environment())
    wait_for(lambda: (tmp_path / "run" / "wrappers").exists())
    time.sleep(0.3)
    descriptors = [os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir()]
    assert process.wait() == 0
    assert descriptors and not [target for target in descriptors if target.startswith("socket:")]


# Recording. Importing torch is most of the time of these tests, so each run shows several things.


def test_records_a_script_with_workers_and_a_sitecustomize_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import builtins; builtins.ours = 'chained'")
    (tmp_path / "train.py").write_text(
        LOOP
        + dedent("""
        if __name__ == "__main__":
            train(20, num_workers=2, multiprocessing_context="fork")
            train(10, num_workers=1, multiprocessing_context="spawn")
            print(ours, sys.modules["sitecustomize"].__file__)
            print([name for name in ("pandas", "rich", "typer", "plotly") if name in sys.modules])
            print([entry for entry in sys.path if "bootstrap" in entry])
            sys.exit(3)
        """)
    )
    done = run(tmp_path, PYTHON, "train.py", PYTHONPATH=str(tmp_path / "own"))
    assert done.returncode == 3, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"chained {tmp_path}/own/sitecustomize.py", "[]", "[]"]
    assert ranks_of(tmp_path) == ["r00000"]
    recorded = read(tmp_path / "run")
    assert [step["n"] for step in recorded.steps] == list(range(30))
    assert recorded.rank["ended"] == "exit"
    assert all("queue" in step for step in recorded.steps[1:9])  # later steps are sampled
    assert not [event for event in recorded.events if event["kind"] == "disarmed"]


def test_records_a_module_that_a_shell_script_starts_and_that_raises(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(LOOP + "\ntrain(12)\nraise ValueError('out of data')\n")
    (tmp_path / "job.sh").write_text(f"{PYTHON} --version\n{PYTHON} -m package\n")
    done = run(tmp_path, "bash", "job.sh")
    assert done.returncode == 1
    assert "ValueError: out of data" in done.stderr
    recorded = read(tmp_path / "run")
    assert len(recorded.steps) == 12
    assert (recorded.rank["ended"], recorded.rank["reason"]) == ("exception", "ValueError: out of data")


def test_a_killed_process_leaves_its_steps(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(
        LOOP + "\ntrain(150, pause=0.02)\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert run(tmp_path, PYTHON, "train.py").returncode == 137
    recorded = read(tmp_path / "run")
    assert len(recorded.steps) >= 40
    assert recorded.rank["ended"] == "running"


def test_training_outlives_a_killed_wrapper(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(LOOP + "\ntrain(100, pause=0.01)\nopen('finished', 'w').close()\n")
    process = subprocess.Popen(wrapped(tmp_path / "run", [PYTHON, "train.py"]), cwd=tmp_path, env=environment())
    wait_for((tmp_path / "run" / "ranks" / "r00000" / "rank.json").exists)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    wait_for((tmp_path / "finished").exists)
    wait_for(lambda: read(tmp_path / "run").rank["ended"] == "exit")
    assert len(read(tmp_path / "run").steps) == 100


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="no /proc")
def test_the_wrapper_samples_the_host_and_the_training_starts_no_process(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(
        LOOP + "\ntrain(150, pause=0.03)\nimport threading\nprint([t.name for t in threading.enumerate()])\n"
    )
    done = run(tmp_path, PYTHON, "train.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "['MainThread', 'llmprof-writer']\n"
    node = rundir.node_dir(tmp_path / "run", os.uname().nodename)
    header, *lines = (node / "host.csv").read_text().splitlines()
    found = [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]
    assert {(line["rank"], line["processes"]) for line in found} == {("0", "1")}
    states = rundir.read_json(node / "telemetry.json")
    assert states["host"] == {"status": "armed", "reason": None}
    assert states["device"]["status"] == "armed" or states["device"]["reason"].startswith("no device telemetry: ")
    assert read(tmp_path / "run").rank["collectors"]["telemetry"]["status"] == "absent"


DDP = """
import os, sys, time, torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

def train(rank, steps):
    net = DistributedDataParallel(nn.Linear(8, 8))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(steps):
        net(torch.randn(2, 8)).sum().backward()
        optimizer.step()
    time.sleep(0.2)  # gloo's threads let go of the last gradients; an interpreter that ends before them may abort
    dist.destroy_process_group()
"""


def test_records_every_rank_of_torchrun(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(DDP + "\ndist.init_process_group('gloo')\ntrain(dist.get_rank(), 20)\n")
    done = run(tmp_path, PYTHON, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", "train.py")
    assert done.returncode == 0, done.stderr
    assert ranks_of(tmp_path) == ["r00000", "r00001"]
    for rank in (0, 1):
        recorded = read(tmp_path / "run", rank)
        assert len(recorded.steps) == 20
        assert (recorded.rank["local_rank"], recorded.rank["world_size"]) == (rank, 2)


def test_records_every_rank_of_multiprocessing_spawn(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(
        DDP
        + dedent("""
        def start(rank, steps):
            dist.init_process_group("gloo", init_method=f"file://{os.getcwd()}/meet", rank=rank, world_size=2)
            train(rank, steps)

        if __name__ == "__main__":
            torch.multiprocessing.spawn(start, args=(20,), nprocs=2)
        """)
    )
    done = run(tmp_path, PYTHON, "train.py")
    assert done.returncode == 0, done.stderr
    assert ranks_of(tmp_path) == ["r00000", "r00001"]
    assert [len(read(tmp_path / "run", rank).steps) for rank in (0, 1)] == [20, 20]


def test_nothing_is_written_where_nobody_trains(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = run(tmp_path, PYTHON, "-c", "import torch; torch.zeros(3, requires_grad=True).sum().backward()")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert ranks_of(tmp_path) == []
    assert not (tmp_path / "run" / "nodes").exists()
