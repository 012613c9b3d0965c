"""A query is bound, held, watched and billed by Athena's own rules, and nothing is asked twice."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cost_optimization.aws import MB, Clients
from tests.cost_optimization.conftest import Make

from aegis.core.errors import BadInput, BudgetExceeded, ServiceError
from aegis.cost_optimization import CostOptimizer, FreeTierLimits, ServiceType
from aegis.cost_optimization.athena_sql import bind, literal
from aegis.cost_optimization.models import GB

pytestmark = pytest.mark.anyio

QUERY = "SELECT * FROM events WHERE severity = :severity AND day > :day -- :not this"


def scanned(optimizer: CostOptimizer) -> int:
    return optimizer.usage_tracker.get_current_usage(ServiceType.ATHENA).units["bytes_scanned"]


async def test_parameters_are_bound_by_athena(make: Make, shared: Path) -> None:
    clients = Clients(shared)
    optimizer = make(aws_clients=clients)
    await optimizer.execute_athena_query(QUERY, {"severity": "HIGH' OR ''='", "day": date(2026, 11, 1), "other": 1})
    [request] = clients.athena.requests("StartQueryExecution")
    assert request["QueryString"] == "SELECT * FROM events WHERE severity = ? AND day > ? -- :not this"
    assert request["ExecutionParameters"] == ["'HIGH'' OR ''''='''", "DATE '2026-11-01'"]
    assert 32 <= len(request["ClientRequestToken"]) <= 128


@given(st.text(alphabet="'\";-:? a\\\n", max_size=40))
def test_a_text_parameter_never_ends_its_own_string(text: str) -> None:
    sql = literal(text)
    assert sql[0] == sql[-1] == "'"
    assert sql[1:-1].replace("''", "") == text.replace("'", "")
    assert sql[1:-1].replace("''", "'") == text


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, "NULL"),
        (True, "TRUE"),
        (7, "7"),
        (1.5, "DOUBLE '1.5'"),
        (Decimal("1.10"), "DECIMAL '1.10'"),
        (datetime(2026, 11, 1, 2, 3, 4, tzinfo=UTC), "TIMESTAMP '2026-11-01 02:03:04.000 +00:00'"),
    ],
)
def test_values_become_literals(value: object, sql: str) -> None:
    assert literal(value) == sql


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"x", ["a"], "x" * 2_000, "a\x00b"])
def test_a_value_without_a_literal_is_refused(value: object) -> None:
    with pytest.raises(BadInput):
        literal(value)


def test_names_in_strings_comments_and_casts_are_no_parameters() -> None:
    sql = """SELECT ':a', ":a", x::int /* :a */ FROM t -- :a"""
    assert bind(sql, {"a": 1}) == (sql, [])
    with pytest.raises(BadInput, match=":missing"):
        bind("SELECT :missing", {})
    assert bind("SELECT ?, ?", [1, "b"]) == ("SELECT ?, ?", ["1", "'b'"])


@pytest.mark.parametrize(
    ("read", "billed"), [(0, 10 * MB), (3 * MB, 10 * MB), (25 * MB, 25 * MB), (25 * MB + 1, 26 * MB)]
)
async def test_a_query_is_billed_by_the_megabyte_and_ten_at_least(
    make: Make, clients: Clients, read: int, billed: int
) -> None:
    clients.athena.scanned = read
    optimizer = make()
    answer = await optimizer.execute_athena_query("SELECT 1")
    assert (answer["billed_bytes"], scanned(optimizer)) == (billed, billed)


async def test_reused_results_ddl_and_failed_queries_cost_nothing(make: Make, clients: Clients) -> None:
    optimizer = make()
    clients.athena.extra = {"Statistics": {"ResultReuseInformation": {"ReusedPreviousResult": True}}}
    assert (await optimizer.execute_athena_query("SELECT 1"))["reused"]
    clients.athena.extra = {"StatementType": "DDL"}
    await optimizer.execute_athena_query("DROP TABLE t")
    clients.athena.extra, clients.athena.ends = {}, "FAILED"
    clients.athena.status = {"StateChangeReason": "SYNTAX_ERROR: line 1", "AthenaError": {"ErrorCategory": 2}}
    with pytest.raises(ServiceError, match="SYNTAX_ERROR") as failed:
        await optimizer.execute_athena_query("SELEC 1")
    assert not failed.value.retryable
    assert scanned(optimizer) == 0


async def test_a_query_over_the_cutoff_is_stopped_and_billed_for_what_it_scanned(make: Make, clients: Clients) -> None:
    athena = clients.athena
    athena.cutoff, athena.looks, athena.scanning, athena.scanned = 100 * MB, 50, [50 * MB, 120 * MB], 130 * MB
    optimizer = make()
    with pytest.raises(ServiceError, match="stopped"):
        await optimizer.execute_athena_query("SELECT * FROM everything")
    assert len(athena.requests("StopQueryExecution")) == 1
    assert scanned(optimizer) == 130 * MB


async def test_a_query_that_takes_too_long_is_stopped(make: Make, clients: Clients) -> None:
    clients.athena.looks = 10_000
    with pytest.raises(ServiceError, match="stopped"):
        await make().execute_athena_query("SELECT 1")
    assert len(clients.athena.requests("StopQueryExecution")) == 1


async def test_a_caller_that_goes_away_stops_its_query_and_pays_what_it_scanned(make: Make, clients: Clients) -> None:
    clients.athena.looks = 10_000_000
    clients.athena.scanned = 30 * MB
    optimizer = make(clock=None)  # the real clock: the query is under way while the caller leaves
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(optimizer.execute_athena_query, "SELECT 1")
            while not clients.athena.requests("GetQueryExecution"):
                await anyio.sleep(0.001)
            scope.cancel()
    assert len(clients.athena.requests("StopQueryExecution")) == 1
    assert scanned(optimizer) == 30 * MB


async def test_a_query_over_the_quota_is_refused_and_never_started(make: Make, clients: Clients) -> None:
    optimizer = make(limits=FreeTierLimits(athena_data_scanned_gb_monthly=5))
    with pytest.raises(BudgetExceeded):
        await optimizer.execute_athena_query("SELECT 1")
    await optimizer.execute_athena_query("SELECT 1", max_bytes_scanned=4 * GB)
    assert len(clients.athena.requests("StartQueryExecution")) == 1


async def test_equal_queries_are_asked_once_and_other_parameters_again(make: Make, clients: Clients) -> None:
    optimizer = make()
    answers = [await optimizer.execute_athena_query("SELECT 1", {"timeframe": span}) for span in ("1h", "1h", "2h")]
    assert [answer["from_cache"] for answer in answers] == [False, True, False]
    assert answers[0]["rows"] == answers[1]["rows"] == [{"source_ip": "10.0.0.1", "severity": "HIGH"}]
    await optimizer.execute_athena_query("SELECT 1", {"timeframe": "1h"}, use_cache=False)
    assert len(clients.athena.requests("StartQueryExecution")) == 3
    assert "ResultReuseConfiguration" not in clients.athena.requests("StartQueryExecution")[-1]


async def test_a_start_that_nobody_knows_the_end_of_is_sent_again_under_the_same_token(
    make: Make, clients: Clients
) -> None:
    class Losing(type(clients.athena)):  # type: ignore[misc]
        lost = False

        def start_query_execution(self, **request: object) -> dict[str, object]:
            answer: dict[str, object] = super().start_query_execution(**request)
            if not self.lost:
                self.lost = True
                raise ConnectionResetError("cut")
            return answer

    losing = Losing()
    await make(aws_clients=clients | {"athena": losing}).execute_athena_query("SELECT 1")
    first, second = losing.requests("StartQueryExecution")
    assert first == second
