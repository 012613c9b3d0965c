"""How the governor stands, as gauges that are read at the scrape: budgets, throttles, queues, stops."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from aegis.core.budgets import MONEY, Balance
from aegis.core.calls import Priority
from aegis.core.ledger import Switch
from aegis.core.money import USD
from aegis.governor.gates import ServiceStatus


class Standing:
    """The gauges. A budget on money is told in dollars, one on a meter in units; a part of a budget stands behind its name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        line, levels, metered = ["budget", "window"], ["budget", "window", "level"], ["budget", "window", "unit"]

        def gauge(name: str, text: str, labels: list[str]) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self.limit = gauge("aegis_budget_limit_usd", "What each level of a budget is set to", levels)
        self.spent = gauge("aegis_budget_spent_usd", "Settled in its window", line)
        self.held = gauge("aegis_budget_reserved_usd", "Held by calls under way", line)
        self.limit_units = gauge("aegis_budget_limit_units", "The limit of a budget on a meter", metered)
        self.spent_units = gauge("aegis_budget_spent_units", "Settled in its window", metered)
        self.held_units = gauge("aegis_budget_reserved_units", "Held by calls under way", metered)
        self.throttle = gauge("aegis_throttle_level", "0 none, 1 light, 2 moderate, 3 heavy, 4 block", ["service"])
        self.depth = gauge("aegis_queue_depth", "Calls that wait", ["service", "priority"])
        self.stop = gauge(
            "aegis_kill_switch", "1 while calls of the scope are stopped or slowed by hand", ["scope", "grade"]
        )

    def budgets(self, balances: Iterable[Balance]) -> None:
        """Set the gauges of every budget line."""
        for gauge in (self.limit, self.spent, self.held, self.limit_units, self.spent_units, self.held_units):
            gauge.clear()
        for line in balances:
            name = f"{line.budget} {line.part}".strip()
            if line.unit != MONEY:
                labels = (name, line.window, line.unit)
                self.limit_units.labels(*labels).set(line.limit)
                self.spent_units.labels(*labels).set(line.settled)
                self.held_units.labels(*labels).set(line.held)
                continue
            for level, amount in {**line.levels, "emergency": line.limit}.items():
                self.limit.labels(name, line.window, str(level)).set(amount / USD)
            self.spent.labels(name, line.window).set(line.settled / USD)
            self.held.labels(name, line.window).set(line.held / USD)

    def gates(self, statuses: Iterable[ServiceStatus], switches: Iterable[Switch]) -> None:
        """Set the gauges of throttles and queues, and of the stops that hold."""
        for gauge in (self.throttle, self.depth, self.stop):
            gauge.clear()
        for status in statuses:
            self.throttle.labels(status.service).set(int(status.throttle))
            for priority in Priority:
                self.depth.labels(status.service, priority.name).set(status.depths.get(priority, 0))
        self.stop.labels("all", "none").set(0)
        for switch in switches:
            scope = ",".join(f"{name}={value}" for name, value in sorted(switch.scope.items())) or "all"
            self.stop.labels(scope, f"G{switch.grade}").set(1)
