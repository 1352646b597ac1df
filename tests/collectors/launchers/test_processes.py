"""Processes that a training starts: ranks record, helpers are left alone."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from tests.collectors.launchers.commands import LOOP, PYTHON, ranks_of, record, recorded

pytest.importorskip("torch")


@pytest.mark.parametrize(
    "method",
    ["fork", pytest.param("spawn", marks=pytest.mark.slow), pytest.param("forkserver", marks=pytest.mark.slow)],
)
def test_ranks_of_multiprocessing(tmp_path: Path, method: str) -> None:
    (tmp_path / "train.py").write_text(
        LOOP
        + dedent(f"""
        def rank(number):
            os.environ.update(RANK=str(number), WORLD_SIZE="2")
            train(12)

        if __name__ == "__main__":
            context = torch.multiprocessing.get_context("{method}")
            processes = [context.Process(target=rank, args=(number,)) for number in range(2)]
            for process in processes:
                process.start()
            for process in processes:
                process.join()
            print([process.exitcode for process in processes])
        """)
    )
    done = record([PYTHON, "train.py"], tmp_path)
    assert (done.returncode, done.stdout) == (0, "[0, 0]\n"), done.stderr
    assert ranks_of(tmp_path) == ["r00000", "r00001"]
    assert [len(recorded(tmp_path, rank).steps) for rank in (0, 1)] == [12, 12]
    assert [recorded(tmp_path, rank).rank["ended"] for rank in (0, 1)] == ["exit", "exit"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_a_loader_have_no_thread_and_no_file_of_ours(tmp_path: Path, method: str) -> None:
    (tmp_path / "train.py").write_text(
        LOOP
        + dedent(f"""
        import threading

        class Looking(torch.utils.data.Dataset):
            def __len__(self):
                return 24

            def __getitem__(self, index):
                names = [thread.name for thread in threading.enumerate() if "llmprof" in thread.name]
                files = [os.path.realpath(f"/proc/self/fd/{{number}}") for number in os.listdir("/proc/self/fd")]
                ours = [name for name in files if "/run/ranks/" in name]
                assert not names and not ours, (names, ours)
                return torch.zeros(8)

        if __name__ == "__main__":
            net = nn.Linear(8, 8)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
            for batch in DataLoader(Looking(), batch_size=2, num_workers=2, multiprocessing_context="{method}"):
                net(batch).sum().backward()
                optimizer.step()
            print("trained")
        """)
    )
    done = record([PYTHON, "train.py"], tmp_path)
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
    assert ranks_of(tmp_path) == ["r00000"]
    assert len(recorded(tmp_path).steps) == 12


@pytest.mark.slow
def test_compile_workers_and_probes_are_left_alone(tmp_path: Path) -> None:
    """Each Python that starts leaves its command line beside the script; those of Inductor must not know of us."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text(
        "import os, sys\n"
        "names = [type(finder).__name__ for finder in sys.meta_path]\n"
        "with open(os.environ['SEEN'] + f'/{os.getpid()}', 'w') as file:\n"
        '    file.write(f\'{"TorchFinder" in names} {" ".join(sys.orig_argv)[:200]!r}\')\n'
    )
    (tmp_path / "seen").mkdir()
    (tmp_path / "train.py").write_text(
        LOOP
        + dedent("""
        net = torch.compile(nn.Sequential(nn.Linear(8, 8), nn.GELU()))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(12):
            optimizer.zero_grad()
            net(torch.randn(4, 8)).sum().backward()
            optimizer.step()
        print("trained", torch._dynamo.utils.counters["stats"]["unique_graphs"])
        """)
    )
    done = record(
        [PYTHON, "train.py"],
        tmp_path,
        PYTHONPATH=str(tmp_path / "own"),
        SEEN=str(tmp_path / "seen"),
        TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"),
    )
    if "Compiler" in done.stderr or "compiler" in done.stderr:
        pytest.skip("no C++ compiler for Inductor here")
    assert (done.returncode, done.stdout) == (0, "trained 1\n"), done.stderr
    seen = [path.read_text() for path in (tmp_path / "seen").iterdir()]
    assert [line for line in seen if line.startswith("True")] == [line for line in seen if line.endswith("train.py'")]
    assert any("compile_worker" in line for line in seen), seen
    assert ranks_of(tmp_path) == ["r00000"]
    assert len(recorded(tmp_path).steps) == 12
