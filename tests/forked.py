"""Processes that start in milliseconds: they fork from one that has imported all they need, and has used no device."""

import multiprocessing
import os
import socket
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import jax

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["jaxact.cli", "jaxact.compare.train", "sklearn.datasets", "tests.small_study", "tyro", "vl_convert"]
)

_QUICKLY = "jax_disable_most_optimizations"


def start(said: Path, call: Callable[..., int | None], *arguments: Any, devices: int = 1) -> ForkServerProcess:
    """Start a process of so many CPU devices, which exits with what `call` returns, and says what it says into a file.

    A warning is an error there, and it compiles as quickly as this process (see conftest.py).
    """
    settings = {"jax_platforms": "cpu", _QUICKLY: jax.config.read(_QUICKLY)}
    process = CONTEXT.Process(target=_run, args=(said, devices, settings, call, *arguments))
    process.start()
    return process


def _run(said: Path, devices: int, settings: dict[str, Any], call: Callable[..., int | None], *arguments: Any) -> None:
    file = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    warnings.simplefilter("error")
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    for name, value in settings.items():
        jax.config.update(name, value)
    sys.exit(call(*arguments))


def end(processes: list[ForkServerProcess], within: float) -> list[int | None]:
    """Wait so many seconds at most, and return the exit codes; None for a process that had to be killed."""
    deadline = time.monotonic() + within
    for process in processes:
        process.join(max(0, deadline - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
        process.join()
    return codes


def free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


def pair(directory: Path, calls: list[Callable[[list[str]], int]], devices: int) -> tuple[list[int | None], list[str]]:
    """Call each in a process of its own, with the words by which they meet; return exit codes and what they say."""
    meet = ["--processes.coordinator", f"127.0.0.1:{free_port()}", "--processes.count", "2", "--processes.id"]
    files = [directory / f"said-{len(list(directory.iterdir()))}-{number}" for number in (0, 1)]
    started = [start(files[i], calls[i], [*meet, str(i)], devices=devices) for i in (0, 1)]
    codes, said = end(started, within=120), [file.read_text() for file in files]
    assert None not in codes, said
    assert "Traceback" not in "".join(said)
    return codes, said
