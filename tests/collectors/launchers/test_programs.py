"""The launchers that people use, each with one training loop: nothing of the command is changed, every rank records."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from llmprof.timeline import rundir
from tests.collectors.launchers.commands import (
    DDP,
    LOOP,
    PYTHON,
    environment,
    needed,
    ranks_of,
    record,
    recorded,
    start,
    under_llmprof,
)

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

TRAIN_DDP = DDP + "\ndist.init_process_group('gloo')\nlist(train(12))\ndist.destroy_process_group()\n"


def assert_every_rank_recorded(folder: Path, world_size: int, steps: int = 12) -> None:
    assert ranks_of(folder) == [f"r{rank:05d}" for rank in range(world_size)]
    for rank in range(world_size):
        found = recorded(folder, rank)
        assert len(found.steps) == steps
        assert (found.rank["local_rank"], found.rank["world_size"]) == (rank, world_size)
        assert found.rank["ended"] == "exit"


def test_accelerate_launch(tmp_path: Path) -> None:
    """One process: without a GPU, Accelerate starts several through MPI only."""
    pytest.importorskip("accelerate", reason="Accelerate is not installed")
    (tmp_path / "train.py").write_text(LOOP + "\ntrain(12)\n")
    options = [
        "--cpu",
        "--num_processes",
        "1",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
    ]
    done = record([needed("accelerate"), "launch", *options, "train.py"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert_every_rank_recorded(tmp_path, 1)


def test_deepspeed(tmp_path: Path) -> None:
    pytest.importorskip("deepspeed", reason="DeepSpeed is not installed")
    (tmp_path / "train.py").write_text(
        "import argparse\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--local_rank', type=int)\nparser.parse_args()\n" + TRAIN_DDP
    )
    command = [needed("deepspeed"), "--num_accelerators", "2", "--master_port", str(free_port()), "train.py"]
    done = record(command, tmp_path, DS_ACCELERATOR="cpu", DS_BUILD_OPS="0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_every_rank_recorded(tmp_path, 2)


def test_uv_run(tmp_path: Path) -> None:
    uv = needed("uv")
    (tmp_path / "train.py").write_text(LOOP + "\ntrain(12)\nprint('trained')\n")
    command = [uv, "run", "--no-project", "--offline", "--python", PYTHON, "python", "train.py"]
    done = record(command, tmp_path, VIRTUAL_ENV=sys.prefix)
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
    assert_every_rank_recorded(tmp_path, 1)


def venv_with_torch(folder: Path, *, llmprof: bool) -> str:
    """The Python of a new environment that sees the packages of this one; llmprof only when asked for."""
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    packages = next((folder / "lib").glob("python*/site-packages"))
    paths = [str(Path(torch.__file__).parents[1])]
    if llmprof:
        paths.append(str(Path(__file__).resolve().parents[3]))
    (packages / "others.pth").write_text("\n".join(paths) + "\n")
    return str(folder / "bin" / "python")


@pytest.mark.parametrize("llmprof", [True, False])
def test_another_environments_python(tmp_path: Path, llmprof: bool) -> None:
    """Without llmprof it is the copy in the run directory that records."""
    python = venv_with_torch(tmp_path / "venv", llmprof=llmprof)
    code = "import llmprof; print(llmprof.__file__.startswith(os.environ['PYTHONPATH'].split(':')[0]))"
    (tmp_path / "train.py").write_text(f"{LOOP}\ntrain(12)\n{code}\n")
    done = record([python, "train.py"], tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{not llmprof}\n"), done.stderr
    assert_every_rank_recorded(tmp_path, 1)


def test_a_python_that_is_too_old_says_so(tmp_path: Path) -> None:
    old = next((path for name in ("3.9", "3.8") if (path := shutil.which(f"python{name}"))), None)
    if old is None or subprocess.run([old, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip("no Python before 3.10 here")
    done = start(under_llmprof([old, "-c", "print('trained')"]), tmp_path)
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert "the recorder needs 3.10" in done.stderr and done.stderr.count("\n") == 1


# More than one node: two torchrun agents, each under its own wrapper, with host names of their own.


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def named_host(name: str) -> list[str]:
    """What gives the command a host name of its own: a UTS namespace, as a container has one."""
    words = ["unshare", "--uts"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--uts"]
    words += ["sh", "-c", f'hostname {name} && exec "$@"', "sh"]
    try:
        usable = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        usable = False
    if not usable:
        pytest.skip("this system gives no UTS namespace (unshare --uts)")
    return words


def two_nodes(folder: Path, script: list[str], *options: str) -> list[subprocess.CompletedProcess[str]]:
    """Run the script under torchrun on two nodes, recorded into folder/run; the results of both wrappers."""
    agent = [PYTHON, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "0"]
    agent += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{free_port()}", "--local-addr", "127.0.0.1"]
    started = []
    for name in ("node-a", "node-b"):
        command = [*named_host(name), *under_llmprof([*agent, *script], "run", *options)]
        started.append(
            subprocess.Popen(
                command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    results = []
    for process in started:
        output, errors = process.communicate(timeout=150)
        results.append(subprocess.CompletedProcess(process.args, process.returncode, output, errors))
    return results


def test_two_nodes_of_torchrun_make_one_run(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        DDP + "\ndist.init_process_group('gloo')\nlist(train(150, 0.02))\ndist.destroy_process_group()\n"
    )
    done = two_nodes(tmp_path, ["train.py"], "--trace-steps", "2", "--burst-at", "30")
    errors = "".join(one.stderr for one in done)
    assert [one.returncode for one in done] == [0, 0], errors
    assert ranks_of(tmp_path) == ["r00000", "r00001"]
    hosts = {recorded(tmp_path, rank).rank["host"] for rank in (0, 1)}
    assert hosts == {"node-a", "node-b"}
    assert {path.name for path in (tmp_path / "run" / "nodes").iterdir()} == hosts
    assert [recorded(tmp_path, rank).rank["collectors"]["telemetry"]["status"] for rank in (0, 1)] == ["absent"] * 2
    assert errors.count("reading the recording") == 1
    assert errors.count("it is diagnosed when") == 1
    document = json.loads((tmp_path / "run" / "analysis.json").read_text())
    assert (document["source"]["ranks"], document["source"]["world_size"]) == ([0, 1], 2)
    traced = [recorded(tmp_path, rank).rank["trace"]["steps"] for rank in (0, 1)]
    assert traced == [[30, 31]] * 2
    assert rundir.read_json(tmp_path / "run" / rundir.RUN)["exit_code"] == 0


def test_the_first_rank_that_was_killed_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        DDP
        + "\nimport signal\ndist.init_process_group('gloo')\nfor step in train(1000, 0.02):\n"
        + "    if step == 250 and dist.get_rank() == 1:\n        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "train.py"]
    done = start(under_llmprof(command), tmp_path)
    assert done.returncode == 1, done.stderr
    document = json.loads((tmp_path / "run" / "analysis.json").read_text())
    [sentence] = [text for text in document["capture"]["warnings"] if "died" in text]
    assert sentence.startswith("2 ranks died: first rank 1 (killed by SIGKILL, after step "), sentence
    assert len(recorded(tmp_path, 1).steps) > 100
    assert (tmp_path / "run" / "report.html").is_file()
