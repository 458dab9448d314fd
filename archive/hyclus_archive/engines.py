"""What runs tasks: processes of this machine, Dask, or Spark. Each runs the same function, and may run a task more than once."""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from .encoding import Encoded, Task
from .errors import ArchiveError

Function = Callable[[Task], Encoded]
ENGINES = ("local", "dask", "spark")
# Times that a task may be running while its worker dies.
MOST_DEATHS = 3


def run(engine: str, tasks: Iterable[Task], function: Function, workers: int, scheduler: str | None = None) -> Iterator[Encoded]:
    """Runs tasks, and gives results as they come, in any order. Tasks are taken as they are needed.

    workers: processes of this machine, where no scheduler is given. scheduler: address of a Dask scheduler, or a Spark master.
    Raises ArchiveError where the engine is missing or cannot be reached.
    """
    if engine == "local":
        if scheduler is not None:
            raise ArchiveError("--scheduler is for --engine dask and --engine spark")
        return _local(tasks, function, workers)
    if engine == "dask":
        return _dask(tasks, function, workers, scheduler)
    if engine == "spark":
        return _spark(tasks, function, workers, scheduler)
    raise ArchiveError(f"no engine {engine}; choose from {', '.join(ENGINES)}")


def lost(task: Task) -> Encoded:
    """The result of a task whose workers die."""
    return Encoded(task, error=f"its worker died {MOST_DEATHS} times; is memory short? give fewer --workers")


def _end_with_parent() -> None:
    """Ends this worker when the driver is gone, even by kill -9. It would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _local(tasks: Iterable[Task], function: Function, workers: int) -> Iterator[Encoded]:
    # A forked deltalake hangs.
    context = multiprocessing.get_context("spawn")

    def start(count: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent)

    source = iter(tasks)
    # A death breaks the pool for all that ran. Suspects then run one by one, so that a task that kills is found, and it alone.
    suspects: list[Task] = []
    deaths: dict[str, int] = {}
    pool = start(workers)
    running: dict[Future[Encoded], Task] = {}
    try:
        while True:
            limit = 1 if suspects else 2 * workers
            while len(running) < limit:
                task = suspects.pop(0) if suspects else next(source, None)
                if task is None:
                    break
                running[pool.submit(function, task)] = task
                limit = 1 if suspects else limit
            if not running:
                return
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            broken = False
            for future in ended:
                task = running.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    broken = True
                    suspects.append(task)
            if not broken:
                continue
            # Every task of a broken pool fails, but for results that arrived before.
            wait(running)
            for future, task in running.items():
                if future.exception() is None:
                    yield future.result()
                else:
                    suspects.append(task)
            running.clear()
            pool.shutdown(wait=False)
            for task in suspects:
                deaths[task.app_id] = deaths.get(task.app_id, 0) + 1
            for task in [task for task in suspects if deaths[task.app_id] >= MOST_DEATHS]:
                suspects.remove(task)
                yield lost(task)
            pool = start(workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _dask(tasks: Iterable[Task], function: Function, workers: int, scheduler: str | None) -> Iterator[Encoded]:
    try:
        import distributed
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise ArchiveError("Dask is missing; run: pip install 'hyclus-archive[dask]'") from None
    cluster = None
    try:
        if scheduler is None:
            # A dashboard would listen on a fixed port.
            cluster = distributed.LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None)
        client = distributed.Client(cluster if cluster is not None else scheduler, timeout="15s", set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        if cluster is not None:
            cluster.close()
        raise ArchiveError(f"cannot reach the Dask scheduler {scheduler}: {error}; start one by: dask scheduler") from error
    try:
        source = iter(tasks)
        running: dict[Any, Task] = {}
        ended = distributed.as_completed(loop=client.loop, raise_errors=False)
        while True:
            limit = 2 * max(1, sum(client.nthreads().values()))
            for task in itertools.islice(source, max(0, limit - len(running))):
                # Keys by name would let a second driver take the results of a first one.
                future = client.submit(function, task, pure=False, retries=0)
                running[future] = task
                ended.add(future)
            if not running:
                return
            future = next(ended)
            task = running.pop(future)
            problem = future.exception()
            if problem is None:
                yield future.result()
            elif isinstance(problem, KilledWorker):
                yield lost(task)
            else:
                yield Encoded(task, error=f"{type(problem).__name__}: {problem}; have the workers the same hyclus-archive?")
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def _spark(tasks: Iterable[Task], function: Function, workers: int, scheduler: str | None) -> Iterator[Encoded]:
    try:
        import pyspark
        from pyspark import SparkConf, SparkContext
    except ImportError:
        raise ArchiveError("Spark is missing; run: pip install 'hyclus-archive[spark]'") from None
    if not (Path(pyspark.__file__).parent / "jars").is_dir() and "SPARK_HOME" not in os.environ:
        raise ArchiveError("only Spark's client is there; run: pip install 'hyclus-archive[spark]', or set SPARK_HOME")
    settings = SparkConf().setAppName("hyclus-archive reencode").setMaster(scheduler or f"local[{workers},{MOST_DEATHS}]")
    settings.set("spark.ui.enabled", "false").set("spark.task.maxFailures", str(MOST_DEATHS)).set("spark.ui.showConsoleProgress", "false")
    try:
        context = SparkContext(conf=settings)
    except Exception as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ArchiveError(
            f"Spark does not start: {text}; it needs Java 17 or newer, such as: apt-get install default-jre-headless"
        ) from error
    try:
        context.setLogLevel("ERROR")
        source = iter(tasks)
        # A wave is short enough that a driver that is killed loses little, and long enough that its slowest task costs little.
        while wave := list(itertools.islice(source, 4 * max(1, context.defaultParallelism))):
            try:
                yield from context.parallelize(wave, len(wave)).map(function).collect()
            except Exception as error:
                text = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise ArchiveError(f"Spark gave up: {text}; what was encoded is kept, so run the command again") from error
    finally:
        context.stop()
