"""Fails loudly when an upgrade moves something private that the engine touches."""

from __future__ import annotations

import inspect
import logging
from importlib.metadata import version

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import conn as aiokafka_conn
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.producer.sender import Sender
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol import admin
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver
from mode.threads import ServiceThread

from anabranch.engine.kafka import _private


def test_the_versions_are_those_that_were_checked():
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"


def test_an_admin_client_sends_whatever_request():
    assert list(inspect.signature(AIOKafkaAdminClient._send_request).parameters) == [
        "self",
        "request",
        "node_id",
    ]


def test_the_sender_task_and_the_wait_for_a_producer_id_are_where_they_were():
    assert "self._sender_task = create_task" in inspect.getsource(Sender.start)
    assert "_txn_manager" in inspect.getsource(AIOKafkaProducer.begin_transaction)
    assert inspect.iscoroutinefunction(TransactionManager.wait_for_pid)


def test_stopping_a_consumer_lets_out_the_cancellation_of_its_fetches():
    """What let_go is there for, and where it finds the connections."""
    assert "x.cancel()\n            await x" in inspect.getsource(Fetcher.close)
    assert "await self._client.close()" in inspect.getsource(AIOKafkaConsumer.stop)
    assert "await self.client.close()" in inspect.getsource(AIOKafkaProducer.stop)


def test_the_coordinator_of_a_group_is_asked_where_it_was():
    assert "self._coordinator = GroupCoordinator(" in inspect.getsource(AIOKafkaConsumer.start)
    assert inspect.iscoroutinefunction(GroupCoordinator._send_req)
    assert inspect.iscoroutinefunction(GroupCoordinator.ensure_coordinator_known)
    assert "response.error_code" not in inspect.getsource(GroupCoordinator._do_fetch_commit_offsets)


def test_the_last_fetch_time_decides_whether_a_consumer_is_idle():
    assert "_last_fetch_ended" in inspect.getsource(SubscriptionState.fetcher_idle_time.fget)
    assert "self._subscription = SubscriptionState(" in inspect.getsource(AIOKafkaConsumer.__init__)


def test_a_consumer_has_its_coordinator_once_it_is_connected():
    start = inspect.getsource(AIOKafkaConsumer.start)
    assert start.index("self._client.bootstrap()") < start.index("self._coordinator = ")
    assert "self._coordinator = None" in inspect.getsource(AIOKafkaConsumer)


def test_a_leader_that_finds_topics_later_assigns_again():
    """What the short age of the membership's metadata rests on."""
    assert "self._on_metadata_change()" in inspect.getsource(
        GroupCoordinator._handle_metadata_update
    )
    assert "request_rejoin" in inspect.getsource(GroupCoordinator._on_metadata_change)
    create = inspect.getsource(driver.AIOKafkaConsumerThread._create_worker_consumer)
    assert "metadata_max_age_ms=conf.consumer_metadata_max_age_ms" in create


def test_fausts_consumer_still_delegates_to_a_thread():
    assert issubclass(driver.Consumer, ThreadDelegateConsumer)
    assert "self._thread = self._new_consumer_thread()" in inspect.getsource(ThreadDelegateConsumer)
    assert "_consumer" in inspect.getsource(driver.AIOKafkaConsumerThread.on_start)
    assert "resume_partitions" in dir(driver.Consumer)


def test_faust_looks_for_fetches_where_it_did():
    """What MembershipConsumer.verify_event_path is there for."""
    assert "self.verify_event_path(now, tp)" in inspect.getsource(ThreadDelegateConsumer.mro()[1])
    assert "self._thread.verify_event_path(now, tp)" in inspect.getsource(driver.Consumer)


def test_fausts_thread_is_stopped_as_it_was():
    """What MembershipThread is there for: a thread that hears of no stop before it has begun."""
    assert "if self._started.is_set():" in inspect.getsource(ServiceThread.stop)
    assert "self._thread = self.Worker(self)" in inspect.getsource(ServiceThread.start)
    assert "self.set_shutdown()" in inspect.getsource(ServiceThread._shutdown_thread)
    thread = driver.AIOKafkaConsumerThread
    assert "await self._consumer.stop()" in inspect.getsource(thread.on_thread_stop)
    make = inspect.getsource(driver.Consumer._new_consumer_thread)
    assert "AIOKafkaConsumerThread(self, loop=self.loop, beacon=self.beacon)" in make


def test_a_coordinator_that_is_closed_waits_for_the_answer_to_its_joining():
    """What _leave_while_joining is there for."""
    close = inspect.getsource(GroupCoordinator.close)
    assert "await self._coordination_task" in close
    assert "LeaveGroupRequest(self.group_id, self.member_id)" in inspect.getsource(GroupCoordinator)
    parameters = inspect.signature(AIOKafkaClient.send).parameters
    assert list(parameters)[1:3] == ["node_id", "request"]
    assert parameters["group"].default is ConnectionGroup.DEFAULT
    assert "group=ConnectionGroup.COORDINATION" in inspect.getsource(GroupCoordinator._send_req)


def test_a_batch_is_filled_past_its_own_append_to_the_same_bytes():
    entries = [
        (b"a", b"1", [("h", b"x")], 1_000),
        (None, b"2", (("h", b""),), 2_000),
        (b"c", None, [], 3_000),
    ]
    one, other = BatchBuilder(1 << 14, 0), BatchBuilder(1 << 14, 0)
    for key, value, headers, timestamp in entries:
        one.append(key=key, value=value, headers=list(headers), timestamp=timestamp)
    one.close()
    assert _private.fill(other, entries) == len(entries)
    assert (other.record_count(), other.closed()) == (one.record_count(), True)
    assert bytes(other._build()) == bytes(one._build())


def test_a_full_batch_says_how_many_records_it_took():
    entries = [(None, b"x" * 600, [], 1)] * 4
    batch = BatchBuilder(1_024, 0)
    assert _private.fill(batch, entries) == 1
    assert batch.record_count() == 1


def test_a_first_record_is_taken_whatever_its_size():
    batch = BatchBuilder(1_024, 0)
    assert _private.fill(batch, [(None, b"x" * 5_000, [], 1)]) == 1


def test_the_answer_to_a_token_is_given_to_the_authenticator_and_heard():
    assert "authenticator.step(auth_bytes)" in inspect.getsource(AIOKafkaConnection)
    assert "return OAuthAuthenticator(" in inspect.getsource(AIOKafkaConnection.authenticator_oauth)
    assert aiokafka_conn.OAuthAuthenticator is _private._HeardOut
    assert "if self._token_sent:" in inspect.getsource(_private._HeardOut.__mro__[1].step)


def test_a_connection_says_when_its_socket_is_closed():
    assert "return self._closed_fut" in inspect.getsource(AIOKafkaConnection.close)
    assert "self._protocol = reader, writer, protocol" in inspect.getsource(
        AIOKafkaConnection.connect
    )


def test_logins_are_logged_by_their_requests_alone():
    source = inspect.getsource(aiokafka_conn)
    assert "class SaslAuthenticateRequest_v1" in inspect.getsource(admin)
    assert "log = logging.getLogger(__name__)" in source
    assert _private._NoLogins in map(type, logging.getLogger(aiokafka_conn.__name__).filters)


def test_the_coordinator_keeps_why_the_group_does_not_take_us():
    source = inspect.getsource(GroupCoordinator)
    assert "self._pending_exception = " in source
    assert "self._coordination_task = create_task" in source
    assert "self._coordinator = GroupCoordinator(" in inspect.getsource(AIOKafkaConsumer.start)


def test_an_open_transaction_keeps_its_end_where_it_was():
    source = inspect.getsource(TransactionManager)
    assert "self._transaction_waiter = create_future()" in source
    assert "self._transaction_waiter.set_exception(exc)" in source
