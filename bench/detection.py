"""How many events a second the detection engine matches on one core, with SigmaHQ's Windows rules over real logs.

Parsing of the JSON is inside every figure except `unique process creations`, which starts from parsed events. A figure
per CPU second is what one free core does; the wall figure also holds what else the machine was doing. Cold begins with
an engine that has seen no event, so it also compiles every bucket. `parse only` is what reading the JSON alone costs on
the same machine at the same time: compare machines by it. As a service would after its start, the benchmark freezes
what is loaded (`gc.freeze`), so that the collector does not walk the rules again and again.
"""

import gc
import lzma
import resource
import tarfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from aegis.sigma import Engine, Rule, parse_rules

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "detection"
FOLDERS = ("rules/windows/", "rules-emerging-threats/", "rules-threat-hunting/windows/")
STREAM, WINDOWS = "mordor_stream", "mordor_windows"
EVENTS = {STREAM: 100_000, WINDOWS: 22_497}
AFRESH_EVENTS = 15_000
PARSED_EVENTS = 10_000
UNIQUE_EVENTS = 10_000
BATCH = 1_000
PATHS = ("Image", "ParentImage", "CurrentDirectory")


class Stopwatch:
    """Adds up wall and CPU time over many short stretches, so that reading the file is not counted."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self.events = self.matches = 0

    def run(self, engine: Engine, lines: Iterable[bytes], *, wrapped: bool) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        match, loads = engine.match, orjson.loads
        for line in lines:
            event = loads(line)
            self.matches += len(match(event["event"] if wrapped else event))
            self.events += 1
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu

    def parse(self, lines: Iterable[bytes]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        for line in lines:
            orjson.loads(line)
            self.events += 1
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu

    def figures(self) -> dict[str, int]:
        return {
            "events": self.events,
            "matches": self.matches,
            "events_per_s": round(self.events / self.wall),
            "events_per_cpu_s": round(self.events / self.cpu),
        }


def batches(corpus: str, most: int, *, stride: int = 1) -> Iterator[list[bytes]]:
    with lzma.open(SHARED / f"{corpus}.jsonl.xz") as lines:
        wanted = islice(lines, 0, most * stride, stride)
        while batch := list(islice(wanted, BATCH)):
            yield batch


def over(engine: Engine, corpus: str, most: int, *, stride: int = 1) -> dict[str, int]:
    watch = Stopwatch()
    for batch in batches(corpus, most, stride=stride):
        watch.run(engine, batch, wrapped=corpus != STREAM)
    return watch.figures()


def load() -> tuple[list[Rule], dict[str, Any]]:
    with tarfile.open(SHARED / "sigmahq_rules.tar.xz") as archive:
        texts = [
            (member.name, opened.read().decode())
            for member in archive
            if member.name.startswith(FOLDERS) and (opened := archive.extractfile(member))
        ]
    cpu = time.process_time()
    rules = [
        rule
        for name, text in texts
        for rule in parse_rules(text, origin=name).rules
        if rule.logsource.product == "windows"
    ]
    parsed = time.process_time() - cpu
    engine = Engine(rules)
    compiled = time.process_time() - cpu - parsed
    used = len(rules) - len(engine.problems)
    return rules, {"rules": used, "parse_cpu_s": round(parsed, 2), "compile_cpu_s": round(compiled, 2)}


def unique(rules: list[Rule]) -> dict[str, int]:
    """Process creations in which no text was ever seen before, as an attacker who varies everything would send."""
    lines = [line for batch in batches(WINDOWS, EVENTS[WINDOWS]) for line in batch if b'"EventID":1,' in line]
    parsed = [orjson.loads(line)["event"] for line in lines]
    events = [event for event in parsed if "CommandLine" in event and "sysmon" in str(event.get("Channel")).lower()]
    engine = Engine(rules)
    for event in events:  # compiles what these events need: cold starts are measured above
        engine.match(event)
    made = [varied(events[number % len(events)], number) for number in range(UNIQUE_EVENTS)]
    wall, cpu = time.perf_counter(), time.process_time()
    matches = sum(len(engine.match(event)) for event in made)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "events": len(made),
        "matches": matches,
        "events_per_s": round(len(made) / wall),
        "events_per_cpu_s": round(len(made) / cpu),
    }


def varied(event: dict[str, Any], number: int) -> dict[str, Any]:
    """The event with every text changed, but so that it still starts and ends as such a text does."""
    out = dict(event)
    for name, value in event.items():
        if isinstance(value, str) and name != "Channel":
            out[name] = f"C:\\{number}{value[2:]}" if name in PATHS else f"{value} {number}"
    return out


def run() -> dict[str, Any]:
    """Every figure, or why there is none."""
    if not SHARED.is_dir():
        return {"skipped": "the evidence folder ../shared is not beside this checkout"}
    rules, loading = load()
    gc.collect()
    gc.freeze()
    out: dict[str, Any] = {"load": loading}
    for corpus in (STREAM, WINDOWS):
        watch = Stopwatch()
        for batch in batches(corpus, PARSED_EVENTS):
            watch.parse(batch)
        out[f"{corpus} parse only"] = watch.figures()
        engine = Engine(rules)
        out[f"{corpus} cold"] = over(engine, corpus, EVENTS[corpus])
        out[f"{corpus} warm"] = over(engine, corpus, AFRESH_EVENTS)
    out["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    afresh = Engine(rules, caches=None)
    for corpus in (STREAM, WINDOWS):
        over(afresh, corpus, 2_000)
        out[f"{corpus} without memos"] = over(afresh, corpus, AFRESH_EVENTS)
    out["unique process creations"] = unique(rules)
    return out
