"""Kernels forked from a process that has imported what all of them import of other libraries.

Each would otherwise spend seconds on importing torch and timm. Nothing of the package is imported
beforehand, and no code has run.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

IMPORTED = ["ipykernel.kernelapp", "torchvision", "timm", "anywidget", "matplotlib.figure"]
NAME = "forked"

_ENTRY_POINT = f"[jupyter_client.kernel_provisioners]\n{NAME} = tests.browser.forked:Forked\n"


def announce(folder: Path) -> None:
    """Let a Jupyter server that has this folder on its path know of the provisioner."""
    about = folder / "forked_kernels-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: forked-kernels\nVersion: 0\n")
    (about / "entry_points.txt").write_text(_ENTRY_POINT)


class Forked(LocalProvisioner):
    """A kernel as Jupyter starts it, but for its imports."""

    process: Any

    async def launch_kernel(self, cmd: list[str], **how: Any) -> KernelConnectionInfo:
        """Fork it, and let it read its connection file."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        options = cmd[cmd.index("ipykernel_launcher") + 1 :]
        place = how.get("cwd") or os.getcwd()
        self.process = context.Process(target=_run, args=(options, place, how["env"]))
        await asyncio.to_thread(self.process.start)  # the first waits for what is imported
        self.pid = self.process.pid
        return self.connection_info

    async def send_signal(self, signum: int) -> None:
        """To the kernel and what it has started; nothing where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signum)

    async def poll(self) -> int | None:
        """How it ended; None while it runs."""
        return self.process.exitcode if self.process else 0

    async def wait(self) -> int | None:
        """Wait for its end."""
        while (code := await self.poll()) is None:
            await asyncio.sleep(0.1)
        self.process = None
        return code


def _run(options: Sequence[str], place: str, environment: Mapping[str, str]) -> None:
    """What the launcher of ipykernel does, in a process of its own group."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment, JPY_PARENT_PID=str(os.getppid()))
    os.chdir(place)
    del sys.path[0]  # the place of the server
    from ipykernel.kernelapp import launch_new_instance

    sys.argv = ["ipykernel_launcher", *options]
    launch_new_instance()
