"""The supervisor's parts by themselves: how soon it starts a worker again, its sockets, its words, its weight."""

import os
import select
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.serve.backoff import MOST_SECONDS, STEADY_SECONDS, Backoff
from palaver.serve.listening import Listener, bound_for
from palaver.serve.orders import Order, Ready, decode_order, decode_ready, encode_order, encode_ready

HOST = "127.0.0.1"


def test_worker_is_started_again_at_once_and_then_ever_later() -> None:
    backoff = Backoff()
    assert [backoff.after(0) for _ in range(8)] == [0, 0.5, 1, 2, 4, 8, 10, 10]


def test_worker_that_has_served_for_a_while_is_started_again_at_once() -> None:
    backoff = Backoff()
    assert [backoff.after(served) for served in (0, 1, STEADY_SECONDS, STEADY_SECONDS, 1)] == [0, 0.5, 0, 0, 0.5]


@pytest.mark.proof("faults")
@given(st.integers(1, 5000))
def test_worker_that_never_comes_is_tried_for_ever(deaths: int) -> None:
    backoff = Backoff()
    assert [backoff.after(0) for _ in range(deaths)][-1] <= MOST_SECONDS


def inode(listener: Listener) -> int:
    return os.fstat(listener.fileno()).st_ino


def accepting(listener: Listener) -> socket.socket:
    """As a worker does: its own copy of the socket, which it makes listen."""
    copy = socket.socket(fileno=os.dup(listener.fileno()))
    copy.listen()
    copy.settimeout(5)
    return copy


def test_every_slot_has_a_socket_of_its_own_at_one_port() -> None:
    with bound_for(HOST, 0, 3, shared=False) as (address, listeners):
        assert len({inode(listener) for listener in listeners}) == 3
        for listener in listeners:
            with accepting(listener) as there:
                assert there.getsockname() == address


def test_slots_share_a_socket_where_the_system_does_not_spread_connections() -> None:
    with bound_for(HOST, 0, 3, shared=True) as (_, listeners):
        assert len({inode(listener) for listener in listeners}) == 1
        before = inode(listeners[0])
        listeners[0].renew()
        assert inode(listeners[0]) == before


def test_nobody_is_connected_before_a_worker_listens() -> None:
    with (
        bound_for(HOST, 0, 2) as (address, _),
        pytest.raises(ConnectionRefusedError),
        socket.create_connection(address),
    ):
        pass


def test_renewed_socket_takes_no_connection_until_a_worker_listens_and_then_its_share() -> None:
    with bound_for(HOST, 0, 2, shared=False) as (address, (first, second)):
        with accepting(first), accepting(second) as there:
            pass
        second.renew()
        first.renew()
        with accepting(second) as there:
            for _ in range(20):
                with socket.create_connection(address), there.accept()[0]:
                    pass
            with accepting(first) as back:
                assert {_who_accepts(address, back, there) for _ in range(60)} == {"back", "there"}


def _who_accepts(address: tuple[str, int], back: socket.socket, there: socket.socket) -> str:
    with socket.create_connection(address):
        [chosen], _, _ = select.select([back, there], [], [], 5)
        chosen.accept()[0].close()
        return "back" if chosen is back else "there"


@pytest.mark.parametrize("order", ["drain", "leave", "now"])
def test_order_is_heard_as_it_was_given(order: Order) -> None:
    assert decode_order(encode_order(order)) == order


@pytest.mark.parametrize("code", [None, "a-code_of_A_link"])
def test_readiness_is_heard_as_it_was_said(code: str | None) -> None:
    assert decode_ready(encode_ready(Ready(code))) == Ready(code)


def test_word_of_another_version_is_no_order_and_the_end_no_readiness() -> None:
    assert decode_order(b"dance\n") is None
    assert decode_ready(b"") is None


def test_supervisor_does_not_carry_the_app() -> None:
    heavy = ("palaver.app", "palaver.chat", "palaver.store", "uvicorn", "uvloop", "aiohttp", "asyncpg", "apsw")
    program = (
        f"import sys, palaver.cli.serve, palaver.serve.supervisor; print(*[n for n in {heavy} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
