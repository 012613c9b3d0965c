"""The sandbox's CloudWatch reads what AWS clients write, and refuses what AWS refuses."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sandbox.places import Client

from aegis.sandbox.cbor import read_cbor, write_cbor
from aegis.sandbox.exchange import Unreadable

pytestmark = pytest.mark.anyio

SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=AKID/x, Signature=abc"}
PUT = "/cloudwatch/service/GraniteServiceVersion20100801/operation/PutMetricData"


async def put(client: Client, value: object, **headers: str) -> tuple[int, str]:
    answer = await client.post(PUT, value, **{**SIGNED, **headers})
    return answer.status, answer.headers.get("x-amzn-errortype", "")


async def test_metrics_are_kept_by_name_and_dimensions(client: Client) -> None:
    datum = {"MetricName": "m", "Value": 2, "Unit": "Count", "Dimensions": [{"Name": "service", "Value": "slack"}]}
    assert await put(client, {"Namespace": "Aegis", "MetricData": [datum]}) == (200, "")
    assert client.world.documents("cloudwatch", "metric") == [
        {"metric": "Aegis|m|service=slack", "value": 2, "unit": "Count"}
    ]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"Namespace": "AWS/EC2", "MetricData": [{"MetricName": "m", "Value": 1}]},
        {"Namespace": "Aegis", "MetricData": []},
        {"Namespace": "Aegis", "MetricData": [{"Value": 1}]},
        {"Namespace": "Aegis", "MetricData": [{"MetricName": "m", "Value": "1"}]},
        {"Namespace": "Aegis", "MetricData": [{"MetricName": "m", "Value": 1}] * 1_001},
        {
            "Namespace": "Aegis",
            "MetricData": [{"MetricName": "m", "Value": 1, "Dimensions": [{"Name": "a", "Value": ""}]}],
        },
    ],
)
async def test_what_aws_refuses_is_refused(client: Client, value: object) -> None:
    assert await put(client, value) == (400, "InvalidParameterValueException")


async def test_a_request_that_is_not_signed_is_refused(client: Client) -> None:
    assert (await client.post(PUT, {})).status == 403


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"\xa0", {}),
        (b"\xbf\x61a\x01\xff", {"a": 1}),
        (b"\xa1\x61a\x82\x01\x38\x63", {"a": [1, -100]}),
        (b"\xc1\xfb\x41\xd4\x00\x00\x00\x00\x00\x00", 1_342_177_280.0),
        (b"\x9f\xf5\xf6\xff", [True, None]),
        (b"\x7f\x61a\x61b\xff", "ab"),
        (b"\x19\x03\xe8", 1_000),
    ],
)
def test_cbor_is_read(text: bytes, value: object) -> None:
    assert read_cbor(text) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_what_is_written_is_read_again(value: object) -> None:
    assert read_cbor(write_cbor(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_unreadable(text: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert repr(read_cbor(text))


def test_deep_nesting_and_false_lengths_are_refused() -> None:
    for text in (b"\x81" * 10_000, b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x5a\xff\xff\xff\xff", b""):
        with pytest.raises(Unreadable):
            read_cbor(text)
