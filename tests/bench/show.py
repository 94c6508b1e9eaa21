"""The report as tables on stderr."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.targets import divided
from rich.console import Console
from rich.table import Table

COLUMNS = {"events_per_second": "{:,.0f}", "cpu_us": "{:.1f}", "broker_cpu_us": "{:.1f}", "memory_mib": "{:.0f}"}
ABSENT = "–"


def show(report: Mapping[str, Any]) -> None:
    console = Console(stderr=True)
    for table in (_sides(report), _latency(report), _targets(report)):
        console.print(table)


def _sides(report: Mapping[str, Any]) -> Table:
    table = Table("side", "events/s", "CPU µs", "broker's", "MiB", "hub : it", "guarantees", title="the same job")
    for name, side in report["sides"].items():
        cells = [form.format(side[key]) if side.get(key) else ABSENT for key, form in COLUMNS.items()]
        ratio = divided(report["sides"], "hub", name, "events_per_second")
        table.add_row(
            name, *cells, f"{ratio:.2f}" if ratio else ABSENT, side.get("reason") or side.get("guarantees", "")
        )
    return table


def _latency(report: Mapping[str, Any]) -> Table:
    table = Table("side", "rate", "p50 ms", "p99 ms", "", title="from the intended send time to out.one, committed")
    for name, rates in report["latency"].items():
        for label, row in rates.items():
            cells = [f"{row[key]:.0f}" if row.get(key) is not None else ABSENT for key in ("p50", "p99")]
            table.add_row(
                name, f"{row.get('rate', 0):,.0f}" if row.get("rate") else label, *cells, row.get("void") or ""
            )
    return table


def _targets(report: Mapping[str, Any]) -> Table:
    table = Table("target", "bound", "measured", "", title="what it must show")
    for row in report["targets"]:
        verdict = {True: "[green]met[/green]", False: "[red]missed[/red]", None: "not measured"}[row["met"]]
        table.add_row(row["name"], str(row["bound"]), ABSENT if row["figure"] is None else str(row["figure"]), verdict)
    return table
