"""Batches on a real cluster of worker processes: nothing lost, one rate, and no key where it must not be."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow.parquet
import pytest
from distributed import Client, LocalCluster
from support.batch_runs import KEY, asked, client_for, pictures
from support.loopback import Loopback, Reply, answer, problem

import nbvlm
from nbvlm.batches import register_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.loopback import Seen

COLUMNS = ["source", "prompt", "text", "error"]
REGISTERED = "nvapi-registered-with-the-scheduler"


class Telling(Loopback):
    """Answers with the prompt, and knows who asked with which key."""

    wait = 0.01

    def _model(self, seen: Seen) -> Reply:
        if self.replies:
            return super()._model(seen)
        return answer(
            "the answer to " + seen.json["messages"][0]["content"].partition(" <img")[0], wait=self.wait
        )


@pytest.fixture(scope="module")
def service() -> Iterator[Telling]:
    with Telling() as server:
        yield server


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two worker processes whose environment has no key."""
    with LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, dashboard_address="127.0.0.1:0", silence_logs=50
    ) as made:
        yield made


@pytest.fixture(scope="module")
def engine(cluster: LocalCluster, service: Telling) -> Iterator[Client]:
    with Client(cluster) as client:
        with pytest.raises(
            nbvlm.AuthenticationError, match="The workers of the cluster have no key"
        ) as caught:
            nbvlm.batch([b"x"], "caption en", client=client_for(service), engine=client, journal=None)
        assert "register_key" in str(caught.value)
        register_key(client, nbvlm.Client("nvidia", api_key=REGISTERED, base_url=service.url))
        yield client


@pytest.fixture(autouse=True)
def fresh(service: Telling) -> None:
    service.seen.clear()
    service.replies.clear()
    service.wait = 0.01


def run(
    service: Telling, engine: Client | None, images: Any, journal: Path | None, **options: Any
) -> pd.DataFrame:
    options = {"prompt": "detect {stem}", "client": client_for(service)} | options
    return nbvlm.batch(images, engine=engine, journal=journal, **options)


def test_the_same_table_as_on_one_machine(service: Telling, engine: Client, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 30), tmp_path / "run.jsonl"
    (folder / "007.png").write_text("no picture")
    here = run(service, None, folder, None)
    there = run(service, engine, folder, journal)
    assert there[COLUMNS].equals(here[COLUMNS])
    assert nbvlm.results(journal)[COLUMNS].equals(here[COLUMNS])
    assert asked(service) == 2 * 29
    keys = {seen.headers["authorization"].removeprefix("Bearer ") for seen in service.seen[29:]}
    assert keys == {REGISTERED}


def test_what_is_done_is_left_out_and_what_is_new_is_asked(
    service: Telling, engine: Client, tmp_path: Path
) -> None:
    folder, journal = pictures(tmp_path / "pictures", 12), tmp_path / "run.jsonl"
    run(service, None, f"{folder}/00[0-4].png", journal)
    table = run(service, engine, folder, journal)
    assert asked(service) == 12
    assert table.text.notna().all()
    assert run(service, engine, folder, journal)[COLUMNS].equals(table[COLUMNS])
    assert run(service, None, folder, journal)[COLUMNS].equals(table[COLUMNS])
    assert asked(service) == 12


def test_rows_tables_iterators_and_things_in_memory(service: Telling, engine: Client, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 5)
    paths = sorted(folder.glob("*.png"))
    frame = pd.DataFrame({"path": paths, "thing": list("abcde")}, index=list("vwxyz"))
    table = run(service, engine, frame, None, prompt=lambda row: f"detect {row['thing']}")
    assert table.index.tolist() == list("vwxyz")
    assert table.text["y"] == "the answer to detect d"
    mixed = [paths[0].read_bytes(), paths[1].open("rb"), nbvlm.Picture.load(paths[2]), paths[3]]
    assert run(service, engine, iter(mixed), None, prompt="caption en").error.isna().all()
    mixed[1].close()
    bad = run(service, engine, [{"image": paths[0]}], None, prompt="detect {thing}")
    assert bad.error[0].startswith("PromptError")


def test_one_rate_for_all_workers(service: Telling, engine: Client, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 16)
    times: list[float] = []

    def noted(seen: Seen) -> Reply:
        times.append(time.monotonic())
        return answer("fine")

    service.replies.extend([noted] * 16)
    run(service, engine, folder, None, rate=1200)
    assert times[-1] - times[0] >= 15 * 0.05 - 0.05
    service.replies.extend([answer("fine"), problem(429, retry_after="1"), *[noted] * 16])
    times.clear()
    table = run(service, engine, folder, None)
    assert table.error.isna().all()
    assert times[-1] - times[0] >= 0.8


def test_without_a_rate_all_workers_pause_when_one_is_refused(
    service: Telling, engine: Client, tmp_path: Path
) -> None:
    times: list[float] = []

    def noted(seen: Seen) -> Reply:
        times.append(time.monotonic())
        if len(times) == 20:
            return problem(429, retry_after="2")
        return answer("fine", wait=0.05)

    service.replies.extend([noted] * 200)
    table = run(service, engine, pictures(tmp_path / "pictures", 60), None, concurrency=1)
    assert table.error.isna().all()
    assert len(times) == 61
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert max(gaps) > 1  # two workers: the one that was not refused pauses too


def test_a_killed_worker_loses_nothing(service: Telling, engine: Client, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 60), tmp_path / "run.jsonl"
    service.wait = 0.05
    victim = min(worker["pid"] for worker in engine.run(lambda: {"pid": os.getpid()}).values())
    killed: list[int] = []

    def kill(progress: Any) -> None:
        if progress.done >= 15 and not killed:
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)

    table = run(service, engine, folder, journal, concurrency=2, progress=kill)
    assert killed == [victim]
    assert len(table) == 60
    assert table.error.isna().all()
    assert table.text.tolist() == [f"the answer to detect {number:03d}" for number in range(60)]
    assert asked(service) <= 60 + 3 * 4  # the chunks of both of its threads, and one that was on its way
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sorted(line["index"] for line in lines) == list(range(60))
    engine.wait_for_workers(2, timeout=30)


def test_no_key_in_graph_pickle_dashboard_log_or_events(
    service: Telling, engine: Client, cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, journal = pictures(tmp_path / "pictures", 6), tmp_path / "run.jsonl"
    sent: list[Any] = []
    submit = Client.submit
    monkeypatch.setattr(
        Client, "submit", lambda self, *args, **more: sent.append((args, more)) or submit(self, *args, **more)
    )
    records: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    for name in ("distributed", "distributed.core", "distributed.comm", "distributed.scheduler"):
        logging.getLogger(name).addHandler(listener)
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
    register_key(engine, nbvlm.Client("nvidia", api_key=REGISTERED, base_url=service.url))
    run(service, engine, folder, journal)
    for name in ("distributed", "distributed.core", "distributed.comm", "distributed.scheduler"):
        logging.getLogger(name).removeHandler(listener)
    assert sent
    address = cluster.dashboard_link.rpartition("/")[0]
    paths = ("/json/counts.json", "/json/index.html", "/sitemap.json", "/health")
    pages = [urllib.request.urlopen(address + path, timeout=20).read().decode() for path in paths]
    state = engine.run_on_scheduler(lambda dask_scheduler: repr(vars(dask_scheduler)))
    events = engine.run_on_scheduler(lambda dask_scheduler: repr(dask_scheduler.get_events()))
    graph = b"".join(cloudpickle.dumps(one) + pickle.dumps(repr(one)) for one in sent)
    for key in (KEY, REGISTERED):
        assert key.encode() not in graph
        assert key not in journal.read_text()
        assert not [page for page in (*pages, state, events, *records) if key in page]
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(client_for(service).settings.api_key)


@pytest.mark.heavy
def test_the_environment_of_the_workers_is_enough(service: Telling, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 3)
    code = """
import os, sys
from distributed import Client, LocalCluster
import nbvlm
if __name__ == "__main__":
    key = os.environ["NVIDIA_API_KEY"]
    alone = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with alone, Client(alone) as engine:
        client = nbvlm.Client("nvidia", base_url=sys.argv[2])
        table = nbvlm.batch(sys.argv[1], "caption en", client=client, engine=engine, journal=None)
        print(table.error.isna().all())
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = os.environ | {"NVIDIA_API_KEY": "nvapi-from-the-environment"}
    command = [sys.executable, str(script), str(folder), service.url]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "True"
    assert {seen.headers["authorization"] for seen in service.seen} == {"Bearer nvapi-from-the-environment"}


def test_stop_and_a_refused_key_leave_no_worker_asking(
    service: Telling, engine: Client, tmp_path: Path
) -> None:
    async def threads_left() -> list[str]:
        """Ours on a worker, but for the package's loop; those that read pictures are on their way out."""
        ours = [thread for thread in threading.enumerate() if thread.name.startswith("nbvlm-")]
        for thread in ours:
            await asyncio.to_thread(thread.join, 10)
        return [thread.name for thread in ours if thread.is_alive()]

    folder, journal = pictures(tmp_path / "pictures", 80), tmp_path / "run.jsonl"
    service.wait = 0.05
    for row in nbvlm.ibatch(
        folder, "caption en", client=client_for(service), engine=engine, concurrency=2, journal=journal
    ):
        assert row.error is None
        break
    before = asked(service)
    assert before < 80
    assert engine.run(threads_left) == {address: [] for address in engine.nthreads()}
    assert asked(service) == before
    assert len(journal.read_text().splitlines()) >= before - 2 * 2  # all but those under way at the end
    service.replies.extend(problem(401, "no") for _ in range(200))
    with pytest.raises(nbvlm.AuthenticationError):
        run(service, engine, folder, journal, concurrency=1)
    service.replies.clear()
    assert run(service, engine, folder, journal, prompt="caption en").error.isna().all()


def test_columns_of_a_lazy_table_have_the_types_they_promise(
    service: Telling, engine: Client, tmp_path: Path
) -> None:
    folder = pictures(tmp_path / "pictures", 8)
    frame = pd.DataFrame({"path": sorted(map(str, folder.glob("*.png"))), "thing": list("abcdefgh")})
    ddf = dd.from_pandas(frame, npartitions=3)
    service.replies.append(problem(422, "no"))
    lazy = nbvlm.map_partitions(ddf, "path", "detect {thing}", client=client_for(service))
    assert asked(service) == 0
    assert lazy.columns.tolist() == [
        "path", "thing", "prompt", "text", "detections", "error", "seconds", "tokens", "request_id",
        "model", "endpoint", "notices",
    ]  # fmt: skip
    lazy.to_parquet(tmp_path / "answers")
    assert asked(service) == 8
    for back in (
        pyarrow.parquet.read_table(tmp_path / "answers").to_pandas(),
        pd.read_parquet(tmp_path / "answers"),
    ):
        assert len(back) == 8
        assert back.error.notna().sum() == 1
        assert back.text.dropna().str.startswith("the answer to detect").all()
        assert json.loads(back.detections.dropna().iloc[0]) == []
    computed = nbvlm.map_partitions(ddf, "path", "caption en", client=client_for(service)).compute()
    assert computed.dtypes.astype(str).to_dict() == lazy.dtypes.astype(str).to_dict()
    assert computed.index.tolist() == frame.index.tolist()
    empty = nbvlm.map_partitions(ddf[ddf.thing == "none"], "path", "caption en", client=client_for(service))
    assert len(empty.compute()) == 0
    assert KEY.encode() not in cloudpickle.dumps(lazy.dask)


def test_a_lazy_table_without_a_cluster(service: Telling, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 4)
    frame = pd.DataFrame({"path": sorted(map(str, folder.glob("*.png")))})
    ddf = dd.from_pandas(frame, npartitions=2)
    lazy = nbvlm.map_partitions(ddf, "path", "caption en", client=client_for(service))
    assert lazy.compute(scheduler="threads").text.notna().all()
    assert {seen.headers["authorization"] for seen in service.seen} == {f"Bearer {KEY}"}
    with pytest.raises(nbvlm.ParameterError, match="The column 'paht' does not exist"):
        nbvlm.map_partitions(ddf, "paht", "caption en", client=client_for(service))
    with pytest.raises(nbvlm.ParameterError, match="column 'prompt' already"):
        nbvlm.map_partitions(lazy, "path", "caption en", client=client_for(service))
    with pytest.raises(nbvlm.PromptError, match=r"\{thing\}"):
        nbvlm.map_partitions(ddf, "path", "detect {thing}", client=client_for(service))
    with pytest.raises(nbvlm.ParameterError, match="ddf must be a Dask DataFrame"):
        nbvlm.map_partitions(frame, "path", "caption en", client=client_for(service))


def test_the_embedded_model_is_loaded_once_a_worker(engine: Client, tmp_path: Path) -> None:
    from nbvlm.demo import scenes

    for seed in range(12):
        scenes.sample(seed).picture.save(tmp_path / f"{seed:02d}.png")
    demo = nbvlm.Client("demo")
    there = nbvlm.batch(tmp_path, "caption en", client=demo, engine=engine, concurrency=2, journal=None)
    here = nbvlm.batch(tmp_path, "caption en", client=demo, concurrency=2, journal=None)
    assert there.text.notna().all()
    assert there.source.tolist() == here.source.tolist()

    def loads() -> int:
        from nbvlm.demo.model import model

        return model.load.cache_info().currsize if hasattr(model.load, "cache_info") else 1

    assert max(engine.run(loads).values()) <= 1


def test_what_is_no_engine_is_told(service: Telling, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 1)
    with pytest.raises(nbvlm.ParameterError, match=r"engine must be a distributed\.Client.*, got int"):
        run(service, 7, folder, None)  # type: ignore[arg-type]
    recorded = nbvlm.Client("nvidia", transport=nbvlm.record(tmp_path / "r.jsonl"), api_key=KEY)
    with pytest.raises(nbvlm.ParameterError, match="cannot travel"):
        nbvlm.batch(folder, "caption en", client=recorded, engine="tcp://127.0.0.1:1", journal=None)


@contextlib.contextmanager
def processes(*, worker: Path | None = None, scheduler: Path | None = None) -> Iterator[tuple[str, Any]]:
    """Start a scheduler and a worker as programs, with a folder first on their path; yield the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"

    def started(program: str, *arguments: str, first: Path | None) -> subprocess.Popen[bytes]:
        path = str(first or Path(nbvlm.__file__).parents[1])
        command = [sys.executable, "-m", f"distributed.cli.{program}", "--no-dashboard", *arguments]
        environment = os.environ | {"PYTHONPATH": path, "NVIDIA_API_KEY": "nvapi-of-a-worker"}
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, cwd="/")

    port = address.rpartition(":")[2]
    one = started("dask_scheduler", "--host", "127.0.0.1", "--port", port, first=scheduler)
    two = started("dask_worker", address, "--no-nanny", "--nthreads", "1", first=worker)
    try:
        with Client(address) as client:
            client.wait_for_workers(1, timeout=60)
            yield address, one
    finally:
        for process in (two, one):
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("where", "metadata", "words"),
    [
        ("worker", "Name: nbvlm\n", "has no nbvlm"),
        ("scheduler", "Name: nbvlm\nVersion: 0.0.9\n", "has nbvlm 0.0.9, and this process"),
    ],
)
def test_a_cluster_without_this_nbvlm_is_named(
    service: Telling, tmp_path: Path, where: Any, metadata: str, words: str
) -> None:
    other = tmp_path / "other" / "nbvlm-0.0.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text(metadata)
    with processes(**{where: other.parent}) as (address, _):
        with pytest.raises(nbvlm.Error, match=f"The cluster's {where}.* {words}") as caught:
            run(service, address, pictures(tmp_path / "pictures", 1), None)  # type: ignore[arg-type]
        assert f'pip install "nbvlm[dask]=={nbvlm.__version__}"' in str(caught.value)
    assert asked(service) == 0


def test_a_scheduler_that_is_not_there_is_named(service: Telling, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 1)
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):
        for address in ("tcp://127.0.0.1:9", "tcp://no-such-host.invalid:8786", "nonsense"):
            with pytest.raises(nbvlm.Error, match="The cluster does not answer") as caught:
                run(service, address, folder, tmp_path / "run.jsonl")  # type: ignore[arg-type]
            assert "Check that its scheduler runs" in str(caught.value)
        with pytest.raises(nbvlm.Error, match="The cluster does not answer"):
            register_key("tcp://127.0.0.1:9", nbvlm.Client("nvidia", api_key=KEY))
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        client = Client(cluster)
        client.close()
        with pytest.raises(nbvlm.Error, match="The Dask client is closed"):
            run(service, client, folder, None)
    with pytest.raises(nbvlm.Error, match="The cluster does not answer"):
        run(service, cluster, folder, None)  # type: ignore[arg-type]


def test_a_scheduler_that_dies_ends_the_run_and_keeps_what_came(service: Telling, tmp_path: Path) -> None:
    folder, journal = pictures(tmp_path / "pictures", 60), tmp_path / "run.jsonl"
    service.wait = 0.2
    with processes() as (address, scheduler):
        rows = nbvlm.ibatch(
            folder,
            "detect {stem}",
            client=client_for(service),
            engine=address,
            journal=journal,
            concurrency=1,
        )
        came = [next(rows)]
        scheduler.kill()
        with pytest.raises(nbvlm.Error, match="The cluster does not answer") as caught:
            came.extend(rows)
    assert "The finished rows are in the journal" in "".join(caught.value.__notes__)
    assert 1 <= len(came) < 60
    assert len(nbvlm.results(journal)) >= len(came)
    before, known = asked(service), len(nbvlm.results(journal))
    assert run(service, None, folder, journal).text.notna().all()
    assert asked(service) == before + 60 - known
