"""The test stand: the mock provider and the proxies in front of it, as processes of our own, and what is read off them.

Knows how to start, load and watch processes; does not know what a good figure is.
"""
import json
import os
import resource
import select
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

KEY = "sk-bench-0001"
START_LIMIT_S = 20
# The load client ends by itself 20 s after the asked time; this is for a client that does not.
LOAD_GRACE_S = 40

CONFIG = """\
[server]
listen = ["127.0.0.1:{port}"]
admin = "127.0.0.1:{admin_port}"
threads = 1

[store]
url = "{store}"

[[channels]]
name = "mock"
platform = "openai-compatible"
base_url = "http://127.0.0.1:{mock_port}"
api_key = {{ value = "sk-mock" }}
models = ["bench-*"]

[[channels]]
name = "claude"
platform = "anthropic"
base_url = "http://127.0.0.1:{mock_port}"
api_key = {{ value = "sk-mock" }}
models = ["claude-*"]

[[channels]]
name = "gemini"
platform = "gemini"
base_url = "http://127.0.0.1:{mock_port}"
api_key = {{ value = "sk-mock" }}
models = ["gemini-*"]

[[groups]]
name = "default"
channels = ["mock", "claude", "gemini"]

[[keys]]
name = "bench"
group = "default"
secret = {{ value = "{key}" }}
"""


class BenchError(Exception):
    """A figure could not be measured; the text says why."""


@dataclass(frozen=True)
class Binaries:
    gateway: Path
    mock: Path
    load: Path
    bare: Path


@dataclass(frozen=True)
class Cores:
    proxy: int
    load: int


@dataclass
class Target:
    name: str
    port: int
    process: subprocess.Popen

    @property
    def pid(self):
        return self.process.pid


class Stand:
    """Mock, bare Pingora and gateway, started and idle; `close` ends them."""

    def __init__(self, binaries, cores, store):
        self.binaries, self.cores, self.store = binaries, cores, store
        self.children = []
        self.dir = Path(tempfile.mkdtemp(prefix="torouter-bench-"))
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self):
        mock_port, bare_port, port, admin_port = free_ports(4)
        upstream = f"127.0.0.1:{mock_port}"
        self._spawn("mock", [self.binaries.mock, upstream], self.cores.load, mock_port)
        bare = self._spawn("bare", [self.binaries.bare, f"127.0.0.1:{bare_port}", upstream], self.cores.proxy, bare_port)
        config = self.dir / "torouter.toml"
        config.write_text(CONFIG.format(port=port, admin_port=admin_port, mock_port=mock_port, key=KEY,
                                        store=self.store.replace("{dir}", str(self.dir))))
        gateway = self._spawn("gateway", [self.binaries.gateway, "serve", "--config", config], self.cores.proxy, port)
        self.targets = {"bare": Target("bare", bare_port, bare), "gateway": Target("gateway", port, gateway)}

    def _spawn(self, name, command, core, port):
        # What a process says (the gateway: a line a request) goes to a file, as it would go to a journal.
        with open(self.dir / f"{name}.log", "wb") as log:
            process = subprocess.Popen(pinned(core, command), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir)
        self.children.append(process)
        try:
            wait_until_it_accepts(process, port)
        except BenchError as error:
            raise BenchError(f"{name} {error}{self.log_tail(name)}") from None
        return process

    def close(self):
        for process in self.children:
            # Killed, not asked: a graceful end would wait for connections, and nothing here is worth saving.
            process.kill()
        for process in self.children:
            process.wait()
        self.children = []
        shutil.rmtree(self.dir, ignore_errors=True)

    def log_tail(self, name):
        try:
            text = (self.dir / f"{name}.log").read_text(errors="replace")
        except OSError:
            return ""
        return f"; its log ends with:\n{text[-1500:]}" if text.strip() else ""

    def load(self, target, mode, **flags):
        """One run of the load client: its own figures, and what the target used meanwhile."""
        command = self._load_command(target, mode, flags)
        before, started = Usage.now(self), time.monotonic()
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=flags.get("seconds", 0) + LOAD_GRACE_S)
        except subprocess.TimeoutExpired:
            raise BenchError(f"the load client on {target.name} did not end{self.log_tail(target.name)}") from None
        took = time.monotonic() - started
        used = Usage.now(self) - before
        figures = self._figures(target, run.stdout, run.stderr, run.returncode)
        figures["cpu_s"] = used.of[target.pid]
        # How much of its core the target had to itself: well below 1, the load client was the limit and not the proxy.
        figures["busy"] = round(used.of[target.pid] / took, 3)
        figures["foreign_cores"] = round(max(0.0, used.elsewhere / took), 3)
        return figures

    def hold(self, target, connections):
        """Memory with so many streams open and idle, and before."""
        before_kib = settled_rss_kib(target.pid)
        client = subprocess.Popen(self._load_command(target, "hold", {"connections": connections}), text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            if not select.select([client.stdout], [], [], LOAD_GRACE_S)[0]:
                raise BenchError(f"{connections} streams on {target.name} did not all open{self.log_tail(target.name)}")
            first = client.stdout.readline()
            during_kib = settled_rss_kib(target.pid) if first == "ready\n" else 0
            rest, errors = client.communicate("\n", timeout=LOAD_GRACE_S)
        except subprocess.TimeoutExpired:
            raise BenchError(f"the load client on {target.name} did not end") from None
        finally:
            if client.poll() is None:
                client.kill()
                client.wait()
        figures = self._figures(target, rest if first == "ready\n" else first, errors, client.returncode)
        figures.update(before_kib=before_kib, during_kib=during_kib, kib_per_stream=(during_kib - before_kib) / connections)
        return figures

    def _load_command(self, target, mode, flags):
        command = [self.binaries.load, mode, "--to", f"127.0.0.1:{target.port}", "--key", KEY]
        for name, value in flags.items():
            command += [f"--{name.replace('_', '-')}", value]
        return pinned(self.cores.load, command)

    def _figures(self, target, stdout, stderr, code):
        if code != 0:
            raise BenchError(f"the load client on {target.name} ended with {code}: {stderr.strip()}")
        figures = json.loads(stdout)
        if figures["errors"]:
            raise BenchError(f"{figures['errors']} errors on {target.name}, the first: {figures['first_error']}"
                             f"{self.log_tail(target.name)}")
        return figures


class Usage:
    """CPU seconds so far: of each process of the stand, and of everybody else."""

    def __init__(self, of, elsewhere):
        self.of, self.elsewhere = of, elsewhere

    @classmethod
    def now(cls, stand):
        of = {process.pid: cpu_s(process.pid) for process in stand.children}
        own = os.times()
        ours = sum(of.values()) + own.user + own.system + own.children_user + own.children_system
        return cls(of, machine_cpu_s() - ours)

    def __sub__(self, before):
        return Usage({pid: cpu - before.of[pid] for pid, cpu in self.of.items()}, self.elsewhere - before.elsewhere)


def pinned(core, command):
    return ["taskset", "-c", str(core), *map(str, command)]


def free_ports(count):
    """Ports that were free a moment ago, all different because all are held until the last is found."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_until_it_accepts(process, port):
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise BenchError(f"ended with {process.returncode} instead of starting")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            # Refused: a listener that is not there yet gives nothing to wait on.
            time.sleep(0.005)
    raise BenchError(f"did not listen on port {port} within {START_LIMIT_S} s")


def cpu_s(pid):
    """User and system time of all threads, also of those that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_cpu_s():
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, stat.readline().split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def rss_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise BenchError(f"process {pid} has ended")


def settled_rss_kib(pid, limit_s=3.0):
    """RSS once it has stood still for a while: an allocator gives pages back a little after the work."""
    end, still = time.monotonic() + limit_s, 0
    last = rss_kib(pid)
    while still < 4 and time.monotonic() < end:
        time.sleep(0.1)
        now = rss_kib(pid)
        still = still + 1 if abs(now - last) <= 16 else 0
        last = now
    return last


def allow_many_files(needed):
    """Raises our limit of open files, which the children inherit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = hard if hard != resource.RLIM_INFINITY and hard < 65536 else 65536
    if limit < needed:
        raise BenchError(f"{needed} open files are needed, the hard limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
