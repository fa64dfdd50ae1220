#!/usr/bin/env python3
"""Measures the gateway against bare Pingora: same mock, same cores, one run; prints ratios.

See README.md beside this file for what each figure means.
"""
import argparse
import json
import os
import signal
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import stand
from stand import BenchError, Binaries, Cores, Stand

HERE = Path(__file__).resolve().parent
HELD_STREAMS = 1000
# Above this share of a core used by others, a figure says more about them.
DISTURBED = 0.3
# Below this share of its own core, the proxy was waiting for load.
SATURATED = 0.9


# What is measured on one target in one round; "value" is the figure, the rest goes to the results file.

def chat_64(bench, target, seconds):
    run = bench.load(target, "unary", connections=64, seconds=seconds)
    return dict(run, value=run["rps"])


def latency(bench, target, seconds):
    run = bench.load(target, "unary", connections=1, seconds=seconds)
    return dict(run, value=run["p50_us"])


def sse(bench, target, seconds):
    run = bench.load(target, "stream", connections=64, events=200, seconds=seconds)
    return dict(run, value=run["cpu_s"] / run["events"] * 1e6)


def translated(target, upstream):
    """A chat client before the gateway; bare Pingora translates nothing, so its client speaks as the upstream does."""
    return {"upstream": upstream, "speaks": "chat" if target.name == "gateway" else upstream}


def translated_chat(upstream):
    def measure(bench, target, seconds):
        run = bench.load(target, "unary", connections=64, seconds=seconds, **translated(target, upstream))
        return dict(run, value=run["rps"])
    return measure


def translated_sse(upstream):
    def measure(bench, target, seconds):
        run = bench.load(target, "stream", connections=64, events=200, seconds=seconds, **translated(target, upstream))
        return dict(run, value=run["events_per_s"])
    return measure


def kept(bench, target, seconds):
    """The gateway against itself: in the place of bare Pingora it keeps nothing."""
    speaks = "kept" if target.name == "gateway" else "unkept"
    run = bench.load(bench.targets["gateway"], "unary", connections=1, seconds=seconds, upstream="anthropic", speaks=speaks)
    return dict(run, value=run["p50_us"])


def idle(_bench, target, _seconds):
    return {"value": stand.settled_rss_kib(target.pid) / 1024}


def held(bench, target, _seconds):
    run = bench.hold(target, HELD_STREAMS)
    return dict(run, value=run["kib_per_stream"])


def memory_after_load(bench, target, seconds):
    runs = [bench.load(target, "unary", connections=64, seconds=seconds),
            bench.load(target, "stream", connections=64, events=200, seconds=seconds),
            bench.hold(target, HELD_STREAMS // 4)]
    foreign = max(run.get("foreign_cores", 0.0) for run in runs)
    return {"value": stand.settled_rss_kib(target.pid) / 1024, "foreign_cores": foreign, "runs": runs}


# How the rounds of a scenario become the figures that are held against its target.

def ratios(rounds):
    return [each["gateway"]["value"] / each["bare"]["value"] for each in rounds]


def differences(rounds):
    return [each["gateway"]["value"] - each["bare"]["value"] for each in rounds]


def own_figures(rounds):
    return [each["gateway"]["value"] for each in rounds]


def growth(rounds):
    # The first round is left out: it fills pools and caches once, which is no growth from load to load.
    return [rounds[-1]["gateway"]["value"] / rounds[1]["gateway"]["value"]]


@dataclass(frozen=True)
class Scenario:
    name: str
    what: str
    unit: str
    measure: Callable
    compare: Callable
    # How the compared figure is written, and what it must come to.
    shown: str
    target: float
    more_is_better: bool = False
    # Proxy, mock and client on one core: latency without the time in which another core wakes up.
    one_core: bool = False
    # Anew for every round, for figures that the round before would spoil.
    new_processes: bool = False
    warm_up: bool = True
    # Where the gateway keeps what it keeps, if not where the options say.
    store: str = ""

    def met(self, figure):
        return figure >= self.target if self.more_is_better else figure <= self.target


# One row a scenario. A translated chat or stream of another platform is one more row, a channel of it in stand.CONFIG, and
# its voice in the mock.
SCENARIOS = [
    Scenario("chat", "unstreamed 1 KB chat, 64 connections", "req/s", chat_64, ratios, "{:.2f} x", 0.75, more_is_better=True),
    Scenario("latency", "p50 of a chat, 1 connection, all on one core", "us", latency, differences, "{:+.1f} us", 20.0, one_core=True),
    Scenario("sse", "CPU of 64 streams x 200 events, no gap", "s/1M events", sse, ratios, "{:.2f} x", 1.4),
    Scenario("chat-anthropic", "the same chat, translated for an Anthropic channel", "req/s", translated_chat("anthropic"), ratios,
             "{:.2f} x", 0.60, more_is_better=True),
    Scenario("chat-gemini", "the same chat, translated for a Gemini channel", "req/s", translated_chat("gemini"), ratios,
             "{:.2f} x", 0.60, more_is_better=True),
    Scenario("sse-anthropic", "64 streams x 200 events of an Anthropic channel, translated for chat clients", "events/s",
             translated_sse("anthropic"), ratios, "{:.2f} x", 0.50, more_is_better=True),
    Scenario("kept", "p50 of a response over an Anthropic channel that is kept in SQLite, against one that is not", "us", kept,
             differences, "{:+.0f} us", 1000.0, store="sqlite:{dir}/torouter.db"),
    Scenario("idle", "memory after start", "MiB", idle, own_figures, "{:.1f} MiB", 25.0, new_processes=True, warm_up=False),
    Scenario("hold", f"memory of an open idle stream ({HELD_STREAMS})", "KiB", held, own_figures, "{:.1f} KiB", 64.0,
             new_processes=True, warm_up=False),
    # 5 %: what an allocator keeps back swings by a MiB or two; a leak of 100 bytes a request shows as far more.
    Scenario("growth", "memory after the last round of load / after the second", "MiB", memory_after_load, growth, "{:.2f} x", 1.05,
             warm_up=False),
]


def run_scenario(scenario, binaries, cores, options):
    """All rounds of one scenario; both targets in turn within each, in the other order every time."""
    if scenario.one_core:
        cores = Cores(cores.proxy, cores.proxy)
    rounds, bench = [], None
    count = max(3, options.rounds) if scenario.compare is growth else options.rounds
    try:
        for number in range(0 if scenario.warm_up else 1, count + 1):
            if bench and scenario.new_processes:
                bench.close()
                bench = None
            if not bench:
                bench = Stand(binaries, cores, scenario.store or options.store)
            figures = one_round(scenario, bench, number, options.seconds)
            if number > 0:
                rounds.append(figures)
    finally:
        if bench:
            bench.close()
    return rounds


def one_round(scenario, bench, number, seconds):
    order = ["bare", "gateway"] if number % 2 else ["gateway", "bare"]
    figures = {name: scenario.measure(bench, bench.targets[name], seconds) for name in order}
    said = ", ".join(f"{name} {figures[name]['value']:.1f}" for name in ("bare", "gateway"))
    print(f"{scenario.name} {f'round {number}' if number else 'warm-up'}: {said} {scenario.unit}", file=sys.stderr, flush=True)
    return figures


def judged(scenario, rounds):
    compared = scenario.compare(rounds)
    figure = statistics.median(compared)
    return {
        "scenario": scenario.name, "what": scenario.what, "unit": scenario.unit,
        "bare": statistics.median(each["bare"]["value"] for each in rounds),
        "gateway": statistics.median(each["gateway"]["value"] for each in rounds),
        "figure": figure, "least": min(compared), "most": max(compared),
        "target": scenario.target, "ok": scenario.met(figure),
        "bare_busy": min(each["bare"].get("busy", 1.0) for each in rounds),
        "foreign_cores": max(each[name].get("foreign_cores", 0.0) for each in rounds for name in each),
        "rounds": rounds,
    }


def print_table(results):
    rows = [("scenario", "bare", "gateway", "unit", "figure (least to most)", "target", "")]
    for scenario, result in results:
        if "error" in result:
            rows.append((scenario.name, "-", "-", scenario.unit, "not measured", "", "MISS"))
            continue
        figure = scenario.shown.format(result["figure"])
        if result["least"] != result["most"]:
            figure += f" ({scenario.shown.format(result['least'])} to {scenario.shown.format(result['most'])})"
        sign = ">=" if scenario.more_is_better else "<="
        target = f"{sign} {scenario.shown.format(scenario.target).lstrip('+')}"
        values = [f"{result[name]:,.0f}" if result[name] >= 1000 else f"{result[name]:.2f}" for name in ("bare", "gateway")]
        rows.append((scenario.name, *values, scenario.unit, figure, target, "ok" if result["ok"] else "MISS"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.rjust(width) if column in (1, 2) else cell.ljust(width)
                        for column, (cell, width) in enumerate(zip(row, widths))).rstrip())
    print()
    for scenario, result in results:
        print(f"{scenario.name}: {scenario.what}")
        for note in notes(scenario, result):
            print(f"  {note}")


def notes(scenario, result):
    """What a reader must know before believing a figure."""
    if "error" in result:
        yield f"not measured: {result['error']}"
        return
    if result["foreign_cores"] > DISTURBED:
        yield f"disturbed: other processes used up to {result['foreign_cores']:.2f} cores meanwhile; measure again"
    # Where the load client is the limit, a slow proxy looks like a fast one.
    if scenario.more_is_better and result["bare_busy"] < SATURATED:
        yield f"bare Pingora had work for only {result['bare_busy']:.2f} of its core, so the ratio flatters the gateway"


def parsed_options():
    names = [scenario.name for scenario in SCENARIOS]
    build = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")) / "release"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gateway", type=Path, required=True, help="the torouter binary")
    parser.add_argument("--bin-dir", type=Path, default=build, help="where bench-mock, bench-load and bare-pingora are (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one run of load (%(default)s)")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"may be repeated: {', '.join(names)}")
    parser.add_argument("--store", default="sqlite::memory:", help="the gateway's store; {dir} is a temporary folder (%(default)s)")
    parser.add_argument("--out", type=Path, help="write every round's figures to this file, as JSON")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    options = parser.parse_args()
    if options.rounds < 1 or not 0 < options.seconds <= 600:
        parser.error("--rounds must be at least 1, --seconds above 0 and at most 600")
    return options


def found(path):
    path = path.resolve()
    if not os.access(path, os.X_OK):
        raise BenchError(f"{path} is not there or cannot be run; build it first (see README.md)")
    return path


def chosen_cores():
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        print("only one core may be used: throughput is then that of proxy, mock and client together", file=sys.stderr)
    return Cores(allowed[0], allowed[1 % len(allowed)])


def measured(scenario, binaries, cores, options):
    try:
        return judged(scenario, run_scenario(scenario, binaries, cores, options))
    except (BenchError, OSError) as error:
        print(f"{scenario.name}: {error}", file=sys.stderr, flush=True)
        return {"scenario": scenario.name, "ok": False, "error": str(error)}


def main():
    options = parsed_options()
    # So that the children are taken down too when we are told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        binaries = Binaries(found(options.gateway), *(found(options.bin_dir / name) for name in ("bench-mock", "bench-load", "bare-pingora")))
        stand.allow_many_files(2 * HELD_STREAMS + 200)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 3
    cores = chosen_cores()
    chosen = [scenario for scenario in SCENARIOS if not options.only or scenario.name in options.only]
    results = [(scenario, measured(scenario, binaries, cores, options)) for scenario in chosen]
    print_table(results)
    if options.out:
        options.out.write_text(json.dumps([result for _, result in results], indent=1) + "\n")
    if any("error" in result for _, result in results):
        return 3
    return 1 if options.check and not all(result["ok"] for _, result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
