#!/usr/bin/env python3
"""Tries config/monitoring/ with Debian's Prometheus, and compares its names with what a daemon serves.

usage: monitoring.py watch ADDRESS [ALERT...]   a Prometheus on HOST:PORT; these alerts must fire, and no other
       monitoring.py names METRICS...           every metric and label of rules and dashboard is in these texts of /metrics
       monitoring.py rules                      `promtool check rules` and `promtool test rules`

HYCLUS_PROMETHEUS names the server, HYCLUS_PROMTOOL its tool; else they are looked for in PATH. Needs pyyaml."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "config" / "monitoring"
RULES = FOLDER / "hyclus.rules.yml"
DASHBOARD = FOLDER / "dashboard.json"
# Between scrapes and between evaluations.
INTERVAL = "500ms"
# Longest wait for anything, s.
PATIENCE_S = 60.0
# How long it is looked for alerts that should not fire, s: several scrapes, evaluations and shortened delays.
WATCHED_S = 4.0
# Labels that Prometheus adds.
TARGET_LABELS = {"job", "instance"}
# Labels whose values are known from the start: an alert on another value would never fire.
CLOSED_LABELS = {"state", "part", "reason", "outcome", "axis", "route"}


class Failed(Exception):
    """What is wrong, for a person."""


def until(what: str, holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Waits until something holds. Raises Failed with `what` after `patience_s`."""
    deadline = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"not within {patience_s:.0f} s: {what}")
        time.sleep(0.1)


def program(variable: str, name: str) -> str:
    """Path of a program: by a variable of the environment, else in PATH."""
    found = os.environ.get(variable) or shutil.which(name)
    if not found or not os.access(found, os.X_OK):
        raise Failed(f"there is no {name}; unpack Debian's package prometheus, and name usr/bin/{name} by {variable}")
    return found


def shortened(rules: str) -> str:
    """The rules as they are tried: delays (`for:`) of up to a minute are one second, longer ones eight, and ranges of a minute six seconds.
    All else is as it was."""
    short = re.sub(
        r"(?m)^(\s+for:) (\d+)(s|m|h)$",
        lambda found: f"{found[1]} {'1s' if found[3] == 's' or found[2] + found[3] == '1m' else '8s'}",
        rules,
    )
    return short.replace("[1m]", "[6s]")


class Prometheus:
    """A Prometheus server on a free port, whose targets come and go. Ends with its `with` block."""

    def __init__(self, folder: Path, rules: Path = RULES) -> None:
        self.targets: dict[str, dict[str, str]] = {}
        self.lock = threading.Lock()
        self.file = folder / "targets.json"
        self.file.write_text("[]")
        (folder / "hyclus.rules.yml").write_text(shortened(rules.read_text()))
        config = {
            "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": ["hyclus.rules.yml"],
            "scrape_configs": [{"job_name": "hyclus", "file_sd_configs": [{"files": [str(self.file)], "refresh_interval": "1s"}]}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.log = folder / "prometheus.log"
        # It does not tell which port it took, so one is chosen. Another program may be faster, hence several tries.
        for _ in range(5):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.address = f"127.0.0.1:{free.getsockname()[1]}"
            options = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
            with self.log.open("w") as log:
                command = [program("HYCLUS_PROMETHEUS", "prometheus"), *options, f"--web.listen-address={self.address}"]
                self.process = subprocess.Popen(command, stdout=log, stderr=log)
            until("Prometheus is ready or ended", lambda: self.process.poll() is not None or self._ready())
            if self.process.poll() is None:
                return
        raise Failed(f"Prometheus does not start:\n{self.log.read_text()}")

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _change(self, address: str, labels: dict[str, str] | None) -> None:
        with self.lock:
            self.targets.pop(address, None)
            if labels is not None:
                self.targets[address] = labels
            groups = [{"targets": [one], "labels": of} for one, of in sorted(self.targets.items())]
            new = self.file.with_suffix(".new")
            new.write_text(json.dumps(groups))
            # Prometheus never reads it half written.
            new.rename(self.file)

    def watch(self, address: str, **labels: str) -> None:
        """Adds a target, and waits for its second scrape: before it, no step of a counter is seen."""
        self._change(address, labels)
        query = f'count_over_time(hyclus_state{{state="idle", instance="{address}"}}[1h]) >= 2'
        until(f"Prometheus scrapes {address}", lambda: bool(self.query(query)))

    def forget(self, address: str) -> None:
        """Takes a target away."""
        self._change(address, None)

    def get(self, path: str) -> Any:
        """`data` of an answer of its interface."""
        with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now."""
        found: list[dict[str, Any]] = self.get(f"query?{urllib.parse.urlencode({'query': expression})}")["result"]
        return found

    def firing(self, address: str) -> set[str]:
        """Names of the alerts of a target that fire."""
        alerts = self.get("alerts")["alerts"]
        return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing" and a["labels"].get("instance") == address}

    def fired(self, address: str) -> set[str]:
        """Names of the alerts of a target that fired at any time."""
        series = self.query(f'max_over_time(ALERTS{{alertstate="firing", instance="{address}"}}[1h])')
        return {one["metric"]["alertname"] for one in series}

    def check(self, address: str, expected: set[str], may: frozenset[str] | set[str] = frozenset()) -> None:
        """Waits until the expected alerts fired, and fails where one fires that neither must nor `may`, then or a little later."""
        fired: set[str] = set()

        def all_fired() -> bool:
            fired.clear()
            fired.update(self.fired(address))
            return expected <= fired or bool(fired - expected - may)

        try:
            until("", all_fired)
        except Failed:
            raise Failed(f"{', '.join(sorted(expected - fired))} did not fire; {', '.join(sorted(fired)) or 'nothing'} did") from None
        end = time.monotonic() + WATCHED_S
        while True:
            wrong = self.fired(address) - expected - may
            if wrong:
                raise Failed(f"{', '.join(sorted(wrong))} fired, and should not: {self.why(wrong, address)}")
            if time.monotonic() > end:
                return
            time.sleep(0.2)

    def empty_panels(self) -> list[str]:
        """Queries of the dashboard that gave nothing within ten minutes for any target."""
        empty = []
        for panel in panels(json.loads(DASHBOARD.read_text())):
            for target in panel.get("targets", []):
                query = target["expr"].replace('instance="$rig"', 'instance=~".+"').replace("$__rate_interval", "30s")
                if not self.query(f"last_over_time(({query})[10m:1s])"):
                    empty.append(f"panel {panel['title']!r}: {target['expr']}")
        return empty

    def why(self, alerts: set[str], address: str) -> str:
        """The labels and values of alerts that fire."""
        named = (a for a in self.get("alerts")["alerts"] if a["labels"]["alertname"] in alerts and a["labels"].get("instance") == address)
        return "; ".join(f"{a['labels']} is {a['value']}" for a in named) or "it is over"


# --- Names. ---


class Families:
    """What texts of /metrics hold: type, label names, and values of labels of each metric."""

    def __init__(self, texts: list[str]) -> None:
        self.types: dict[str, str] = {}
        self.labels: dict[str, set[str]] = {}
        self.values: dict[tuple[str, str], set[str]] = {}
        for line in "\n".join(texts).splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.types[name] = kind
            elif match := re.match(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$", line):
                labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")
                self.labels.setdefault(match[1], set()).update(name for name, _ in labels)
                for name, value in labels:
                    self.values.setdefault((match[1], name), set()).add(value)
        # Names of a histogram or summary are those of its samples: _bucket, _sum and _count.
        if not self.labels:
            raise Failed("no metric is in the texts")

    def type_of(self, name: str) -> str:
        """Type of a sample's family."""
        return self.types.get(name) or self.types.get(re.sub(r"_(bucket|sum|count)$", "", name), "untyped")


def expressions(rules: Any, dashboard: Any) -> Iterator[tuple[str, str, list[str]]]:
    """Place, expression, and the texts that name labels of its result, of every rule and every query."""
    for group in rules["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            yield name, rule["expr"], [*rule.get("annotations", {}).values()]
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            yield f"panel {panel['title']!r}", target["expr"], [target.get("legendFormat", "")]
    for variable in dashboard["templating"]["list"]:
        query = variable.get("query")
        if variable["type"] == "query":
            yield f"variable {variable['name']}", query["query"] if isinstance(query, dict) else query, []


def panels(dashboard: Any) -> Iterator[Any]:
    """Every panel, also those within folded rows."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def faults(place: str, expression: str, texts: list[str], known: Families, recorded: dict[str, set[str]]) -> Iterator[str]:
    """What of an expression is not in the metrics."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    names = set(re.findall(r"\b(?:hyclus[\w:]*|up|ALERTS)\b(?!\")", bare)) - {"hyclus"}
    result = set(TARGET_LABELS)
    for name in sorted(names):
        if name in ("up", "ALERTS"):
            result |= {"alertname", "alertstate", "severity"}
        elif name in recorded:
            result |= recorded[name]
        elif name in known.labels:
            result |= known.labels[name]
        else:
            yield f"{place}: {name} is not in /metrics"
    for name, inside in re.findall(r"\b(hyclus[\w:]*)\s*\{((?:[^}\"]|\"(?:[^\"\\]|\\.)*\")*)\}", expression):
        has = TARGET_LABELS | recorded.get(name, set()) | known.labels.get(name, set())
        for label, operator, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"', inside):
            if label not in has:
                yield f"{place}: {name} has no label {label}"
            elif label in CLOSED_LABELS and "$" not in value and name not in recorded:
                values = known.values.get((name, label), set())
                for one in [value] if operator in ("=", "!=") else re.sub(r"\(([^()]*)\|([^()]*)\)", r"\1", value).split("|"):
                    if one not in values:
                        yield f"{place}: {label} of {name} is never {one!r}"
    # What label_replace writes.
    result |= set(re.findall(r'label_replace\(.*?,\s*"(\w+)"', expression, re.DOTALL)) | set(
        re.findall(r',\s*"(\w+)", "[^"]*", "', expression)
    )
    for labels in re.findall(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)", bare):
        for label in filter(None, (one.strip() for one in labels.split(","))):
            if label not in result:
                yield f"{place}: nothing in it has the label {label}"
    for text in texts:
        for label in re.findall(r"\$labels\.(\w+)", text) + re.findall(r"\{\{\s*(\w+)\s*\}\}", text):
            if label not in result:
                yield f"{place}: a text names the label {label}, which nothing in it has"
    for function, name in re.findall(r"\b(\w+)\(\s*(hyclus_\w+)", bare):
        needs = (
            "counter"
            if function in ("rate", "irate", "increase", "resets")
            else "gauge"
            if function in ("deriv", "delta", "predict_linear")
            else None
        )
        if needs and name in known.labels and known.type_of(name) != needs:
            yield f"{place}: {function} needs a {needs}, and {name} is a {known.type_of(name)}"


def check_names(texts: list[str]) -> int:
    """Compares rules and dashboard with texts of /metrics, and gives the number of expressions. Raises Failed with all that is wrong."""
    known = Families(texts)
    rules, dashboard = yaml.safe_load(RULES.read_text()), json.loads(DASHBOARD.read_text())
    recorded: dict[str, set[str]] = {}
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "record" in rule:
                inside = re.findall(r"\bhyclus_\w+", rule["expr"])
                recorded[rule["record"]] = TARGET_LABELS.union(*(known.labels.get(name, set()) for name in inside))
    all_of = list(expressions(rules, dashboard))
    wrong = [fault for place, expression, more in all_of for fault in faults(place, expression, more, known, recorded)]
    wrong += [
        f"panel {panel['title']!r} is empty"
        for panel in panels(dashboard)
        if panel["type"] not in ("row", "text") and not panel.get("targets")
    ]
    page = (FOLDER.parents[1] / "docs" / "operate.md").read_text()
    anchors = {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in re.findall(r"(?m)^#+ (.*)$", page)}
    for group in rules["groups"]:
        for rule in (rule for rule in group["rules"] if "alert" in rule):
            document, _, anchor = rule["annotations"]["runbook"].partition("#")
            if document != "docs/operate.md" or anchor not in anchors:
                wrong.append(f"{rule['alert']}: {rule['annotations']['runbook']} is no section")
            if rule["labels"].get("severity") not in ("page", "warning", "info"):
                wrong.append(f"{rule['alert']}: its severity is none of page, warning and info")
    if wrong:
        raise Failed("\n".join(wrong))
    return len(all_of)


def check_rules() -> None:
    """Has promtool check the rules, and run their tests, which must have each alert fire."""
    promtool = program("HYCLUS_PROMTOOL", "promtool")
    for command in (["check", "rules", str(RULES)], ["test", "rules", str(FOLDER / "hyclus.test.yml")]):
        done = subprocess.run([promtool, *command], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"promtool {' '.join(command)}:\n{done.stdout}{done.stderr}")
    alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule}
    tests = yaml.safe_load((FOLDER / "hyclus.test.yml").read_text())["tests"]
    fires: set[str] = set()
    quiet: set[str] = set()
    for test in tests:
        for look in test.get("promql_expr_test", []):
            found = {name for sample in look["exp_samples"] for name in re.findall(r'alertname="(\w+)"', sample["labels"])}
            fires |= found
            quiet |= alerts - found
    if missing := alerts - fires:
        raise Failed(f"hyclus.test.yml has no case in which {', '.join(sorted(missing))} fires")
    if missing := alerts - quiet:
        raise Failed(f"hyclus.test.yml has no case in which {', '.join(sorted(missing))} is quiet")


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["watch"] and len(arguments) >= 2:
        with tempfile.TemporaryDirectory() as folder, Prometheus(Path(folder)) as prometheus:
            address, expected = arguments[1], set(arguments[2:])
            prometheus.watch(address)
            prometheus.check(address, expected)
            print(f"{address}: {', '.join(sorted(expected)) or 'nothing'} fired, and nothing else")
    elif arguments[:1] == ["names"] and len(arguments) >= 2:
        number = check_names([Path(name).read_text() for name in arguments[1:]])
        print(f"{number} expressions name what is in /metrics")
    elif arguments == ["rules"]:
        check_rules()
        print("promtool accepts the rules, and each alert fires and is quiet")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as failed:
        sys.exit(str(failed))
