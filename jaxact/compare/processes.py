"""Several processes that train together: how they meet, agree and share data, and how they end if one is lost."""

import contextlib
import dataclasses
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxact.compare.errors import Invalid, ProcessLost, check_integer, invalid

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds that a process waits for the others to start."""

HEARTBEAT = 30
"""Seconds without a sign of life after which a process counts as lost, unless its connection breaks earlier."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Processes:
    """Train in several processes, usually one on each host, with the same command and the same directory.

    By default there is only one process, which uses all devices of its host.
    """

    find: bool = False
    """Let JAX find the other processes: on TPU pods, under SLURM, Open MPI and Kubernetes."""
    coordinator: str | None = None
    """Elsewhere, a host and port of process 0, such as 10.0.0.1:1234."""
    count: int | None = None
    """Elsewhere, how many processes there are."""
    id: int | None = None
    """Elsewhere, the number of this process, counted from 0."""

    def check(self) -> None:
        """Raise a `ValueError` that says what is wrong, if anything is."""
        given = {"coordinator": self.coordinator, "count": self.count, "id": self.id}
        missing = [f"processes.{name}" for name, value in given.items() if value is None]
        if self.find and len(missing) < len(given):
            raise invalid("processes.find or the processes' coordinator, count and id", "both", "choose one of them")
        if self.coordinator is None or self.count is None or self.id is None:
            if len(missing) < len(given):
                advice = "give all three, or processes.find alone"
                together = "processes.coordinator, processes.count and processes.id together"
                raise invalid(together, f"no {' and no '.join(missing)}", advice)
            return
        host, _, port = self.coordinator.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise invalid("processes.coordinator to be host:port", repr(self.coordinator), "try 10.0.0.1:1234")
        check_integer("processes.count", self.count, least=1)
        if not 0 <= self.id < self.count:
            most = f"processes.id from 0 to {self.count - 1}, for {self.count} processes"
            raise invalid(most, self.id, "choose another id")

    def join(self) -> None:
        """Meet the other processes, if there are any and they have not met before.

        Raises:
          ValueError: there is no cluster to be found, or the coordinator can't be used.
        """
        self.check()
        if not (self.find or self.coordinator) or jax.distributed.is_initialized():
            return
        # With it JAX would take SIGTERM for a notice that can wait, and the process would not end.
        jax.config.update("jax_enable_preemption_service", False)
        if self.coordinator is not None:
            print(f"Process {self.id} of {self.count} waits up to {PATIENCE:g} s for the others.", file=sys.stderr)
            self._reach()
        try:
            jax.distributed.initialize(
                self.coordinator,
                self.count,
                self.id,
                initialization_timeout=int(PATIENCE),
                heartbeat_timeout_seconds=HEARTBEAT,
                shutdown_timeout_seconds=HEARTBEAT,
            )
        except ValueError as error:
            advice = "give processes.coordinator, processes.count, processes.id"
            raise invalid("a cluster that JAX finds", f"none ({error})", advice) from None
        except RuntimeError as error:
            raise invalid("a Python that has not used JAX's devices yet", f"another ({error})", "start anew") from None
        print(
            f"Process {jax.process_index()} of {jax.process_count()} has met the others. If one is lost, all end: "
            "the same commands with --resume DIRECTORY go on from the last checkpoint.",
            file=sys.stderr,
        )

    def _reach(self) -> None:
        """Raise an error where JAX would abort the program: the port is taken, or nobody answers there."""
        assert self.coordinator is not None
        host, port = self.coordinator.rsplit(":", 1)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if self.id == 0:
                    return socket.create_server(("", int(port))).close()
                return socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            except OSError as error:
                if self.id == 0:
                    advice = "choose another port, the same in every process"
                    raise invalid(f"port {port} to be free for the coordinator", str(error), advice) from None
                if time.monotonic() > end:
                    who = f"process 0 to answer at {self.coordinator} within {PATIENCE:g} s"
                    raise invalid(who, str(error), "start it, or correct processes.coordinator") from None
                time.sleep(0.2)


def first() -> bool:
    """Whether this is the process that writes files and talks."""
    return jax.process_index() == 0


def make_mesh(platform: str | None = None) -> Mesh:
    """Arrange the devices of all processes in a line, over which a batch is split.

    Raises:
      ValueError: JAX has no such devices.
    """
    try:
        return Mesh(np.array(jax.devices(platform)), ("batch",))
    except (RuntimeError, AssertionError) as error:  # JAX asserts that there is any
        if platform is None:
            got = f"none ({' '.join(str(error).split()) or 'JAX finds no device'})"
            raise invalid("a platform that JAX has here", got, "correct JAX_PLATFORMS") from None
        advice = f"install JAX for {platform}, or leave platform out"
        raise invalid(f"a platform that JAX has here ({jax.default_backend()})", repr(platform), advice) from None


def spread(tree: Any, sharding: NamedSharding) -> Any:
    """Make arrays over all processes from whole arrays that each process holds: each fills its own devices."""

    def one(x: Any) -> jax.Array:
        x = np.asarray(x)
        split = sharding if x.ndim >= len(sharding.spec) else sharding.update(spec=PartitionSpec())
        return jax.make_array_from_callback(x.shape, split, lambda index: x[index])

    return with_keys(tree, jax.tree.leaves(jax.tree.map(one, without_keys(tree))))


def stack(trees: list[Any]) -> Any:
    """Stack the leaves of equal trees. The structure is that of the first, since others may hold other closures."""
    leaves = zip(*(jax.tree.leaves(without_keys(tree)) for tree in trees), strict=True)
    return with_keys(trees[0], [np.stack(list(map(np.asarray, each))) for each in leaves])


def without_keys(tree: Any) -> Any:
    """Give PRNG keys as their bits, since no NumPy array holds keys."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if _is_key(x) else x, tree)


def with_keys(like: Any, leaves: list[Any]) -> Any:
    """Make a tree like another from leaves that come from `without_keys`."""
    kinds, structure = jax.tree.flatten(like)
    wrap = jax.random.wrap_key_data
    made = [wrap(x, impl=jax.random.key_impl(k)) if _is_key(k) else x for k, x in zip(kinds, leaves, strict=True)]
    return jax.tree.unflatten(structure, made)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def gather(text: str) -> list[str]:
    """Return the text of every process, by id, in every process. No process goes on before all have arrived."""
    data = text.encode()
    longest = int(multihost_utils.process_allgather(np.int32(len(data))).max())
    rows = multihost_utils.process_allgather(np.frombuffer(data.ljust(longest + 1, b"\0"), np.uint8))
    return [bytes(row).rstrip(b"\0").decode() for row in rows]


def agree(decide: Callable[[], T]) -> T:
    """Return the result of `decide`. If it raises a `ValueError` in any process, raise that in every process."""
    try:
        decided, problem = decide(), ""
    except ValueError as error:
        decided, problem = None, str(error)
    for said in gather(problem):
        if said:
            raise Invalid(said)
    return cast(T, decided)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Raise `ProcessLost` for the error that JAX raises in a with block when another process is gone."""
    try:
        yield
    except Invalid:
        raise
    except (ValueError, jax.errors.JaxRuntimeError) as error:
        if jax.process_count() == 1:
            raise
        raise ProcessLost(
            f"jaxact.compare: process {jax.process_index()} of {jax.process_count()} can't go on, most likely because "
            f"another one is lost ({str(error).splitlines()[0]}); start all of them again, with --resume DIRECTORY"
        ) from error


def exit_code(command: str, do: Callable[[], int | None]) -> int:
    """Run a command and return its exit code: its own or 0, 2 for bad input, 130 if interrupted, 1 if one is lost.

    A process that fails among others ends at once, since JAX would wait for them, and they for it.
    """
    try:
        return do() or 0
    except (ValueError, ImportError) as error:
        code, message = 2, f"{command}: error: {error}"
    except ProcessLost as error:
        code, message = 1, f"{command}: error: {error}"
    except KeyboardInterrupt as stop:
        code, message = 130, f"\nInterrupted. {stop}".rstrip()
    print(message, file=sys.stderr, flush=True)
    if jax.distributed.is_initialized():
        sys.stdout.flush()
        os._exit(code)
    return code
