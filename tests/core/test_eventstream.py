"""AWS' framing: what is written is read again however it is cut, and what is damaged is refused."""

from __future__ import annotations

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from aegis.core.errors import BadInput
from aegis.core.eventstream import Frame, read, split, write

WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
FRAMES = st.lists(st.tuples(st.dictionaries(WORD, WORD, max_size=3), st.binary(max_size=60)), max_size=4)


@given(FRAMES, st.integers(1, 50))
def test_frames_come_whole_out_of_any_pieces_and_awss_own_reader_agrees(
    frames: list[tuple[dict[str, str], bytes]], size: int
) -> None:
    data = b"".join(write(headers, payload) for headers, payload in frames)
    found: list[Frame] = []
    tail = b""
    for at in range(0, len(data), size):
        whole, tail = split(tail + data[at : at + size])
        found.extend(read(frame) for frame in whole)
    assert tail == b""
    assert [(dict(frame.headers), frame.payload) for frame in found] == frames
    theirs = EventStreamBuffer()
    theirs.add_data(data)
    assert [(event.headers, event.payload) for event in theirs] == frames


@given(st.binary(min_size=12, max_size=200))
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        split(data)


@given(st.data())
def test_a_frame_with_one_byte_changed_is_refused(draw: st.DataObject) -> None:
    frame = bytearray(write({":event-type": "metadata"}, b'{"usage":{}}'))
    at = draw.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(BadInput):
        read(split(bytes(frame))[0][0])
