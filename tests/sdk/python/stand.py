"""A gateway of the test's own with faulty channels, since the demo's are all well: `torouter simulate` behind
`torouter serve`. The channels' own headers tell the simulator what goes wrong."""

import os
import pathlib
import socket
import subprocess
import time
import urllib.request

import anthropic
import openai
from conftest import TIMEOUT_S
from google import genai
from translated import COMPATIBLE, GEMINI_3, GPT, ROUTER, SONNET

ROOT = pathlib.Path(__file__).resolve().parents[3]
# As in run.sh.
BINARY = os.environ.get("TOROUTER_BIN") or str(ROOT / "target/debug/torouter")
SECRET = "sk-stand"
# Each platform, and the model of it that all its channels run whatever they are asked for.
PLATFORMS = {
    "openai": GPT,
    "anthropic": SONNET,
    "gemini": GEMINI_3,
    "openrouter": ROUTER,
    "openai-compatible": COMPATIBLE,
}
START_S = 30


def free_ports(count):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


class Stand:
    """Models are told before the gateway starts."""

    def __init__(self, folder):
        self.folder = folder
        self.simulator, self.port, self.admin = free_ports(3)
        self.channels = []
        # Further keys: name, secret and group; a group has all channels.
        self.keys = []
        self.head = ""
        self.processes = []
        self.openai = self.anthropic = self.google = None

    def model(self, name, *channels):
        """A model that is served by these channels, in their order: `(platform, fault or "")`."""
        for priority, (platform, fault) in enumerate(channels):
            base = f"http://127.0.0.1:{self.simulator}" + ("/api" if platform == "openrouter" else "")
            self.channels.append(
                f'[[channels]]\nname = "{name}-{priority}"\nplatform = "{platform}"\nbase_url = "{base}"\n'
                f'api_key = {{ value = "sim-key" }}\nmodels = ["{name}"]\npriority = {priority + 1}\n'
                f'model_map = {{ "{name}" = "{PLATFORMS[platform]}" }}\n'
                + (f'headers = {{ x-sim-fail = "{fault}" }}\n' if fault else "")
            )
        return name

    def key(self, name, group="all"):
        """A further key; its secret."""
        secret = f"sk-stand-{name}"
        self.keys.append((name, secret, group))
        return secret

    def client(self, secret):
        """The `openai` SDK with another key."""
        return openai.OpenAI(
            base_url=f"http://127.0.0.1:{self.port}/v1", api_key=secret, max_retries=0, timeout=TIMEOUT_S
        )

    def start(self):
        names = [channel.split('"')[1] for channel in self.channels]
        config = self.folder / "torouter.toml"
        config.write_text(
            f'[server]\nlisten = ["127.0.0.1:{self.port}"]\nadmin = "127.0.0.1:{self.admin}"\ndrain_timeout = "1s"\n'
            '[log]\nformat = "text"\nrequests = false\n'
            + (self.head or '[store]\nurl = "sqlite::memory:"\n')
            + "".join(self.channels)
            + "".join(
                f'[[groups]]\nname = "{group}"\nchannels = {names}\n'
                for group in sorted({"all", *(group for _, _, group in self.keys)})
            )
            + "".join(
                f'[[keys]]\nname = "{name}"\ngroup = "{group}"\nsecret = {{ value = "{secret}" }}\n'
                for name, secret, group in [("stand", SECRET, "all"), *self.keys]
            )
        )
        self.run("simulate", "--listen", f"127.0.0.1:{self.simulator}")
        self.answers(f"http://127.0.0.1:{self.simulator}/healthz")
        self.run("serve", "--config", str(config))
        self.answers(f"http://127.0.0.1:{self.admin}/readyz")
        url = f"http://127.0.0.1:{self.port}"
        options = {"api_key": SECRET, "max_retries": 0, "timeout": TIMEOUT_S}
        self.openai = openai.OpenAI(base_url=f"{url}/v1", **options)
        self.anthropic = anthropic.Anthropic(base_url=url, **options)
        self.google = genai.Client(
            api_key=SECRET, vertexai=False, http_options={"base_url": url, "timeout": TIMEOUT_S * 1000}
        )

    def run(self, *arguments):
        with open(self.folder / f"{arguments[0]}.log", "wb") as log:
            self.processes.append(subprocess.Popen([BINARY, *arguments], stdout=log, stderr=log))

    def answers(self, url):
        """Waits until a process that was just started listens."""
        end = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5):
                    return
            except OSError as error:
                logs = [path.read_text(errors="replace") for path in self.folder.glob("*.log")]
                assert self.processes[-1].poll() is None, f"a process ended: {logs}"
                assert time.monotonic() < end, f"{url}: {error}: {logs}"
            time.sleep(0.05)

    def stop(self):
        for client in (self.openai, self.anthropic, self.google):
            client and client.close()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
