"""Fails loudly when an upgrade moves something private that the engine touches."""

from __future__ import annotations

import inspect
from importlib.metadata import version

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.producer.sender import Sender
from aiokafka.producer.transaction_manager import TransactionManager
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver


def test_the_versions_are_those_that_were_checked():
    assert version("faust-streaming") == "0.15.3"
    assert version("aiokafka") == "0.14.0"


def test_the_sender_task_and_the_wait_for_a_producer_id_are_where_they_were():
    assert "self._sender_task = create_task" in inspect.getsource(Sender.start)
    assert "_txn_manager" in inspect.getsource(AIOKafkaProducer.begin_transaction)
    assert inspect.iscoroutinefunction(TransactionManager.wait_for_pid)


def test_the_last_fetch_time_decides_whether_a_consumer_is_idle():
    assert "_last_fetch_ended" in inspect.getsource(SubscriptionState.fetcher_idle_time.fget)
    assert "self._subscription = SubscriptionState(" in inspect.getsource(AIOKafkaConsumer.__init__)


def test_fausts_consumer_still_delegates_to_a_thread():
    assert issubclass(driver.Consumer, ThreadDelegateConsumer)
    assert "self._thread = self._new_consumer_thread()" in inspect.getsource(ThreadDelegateConsumer)
    assert "_consumer" in inspect.getsource(driver.AIOKafkaConsumerThread.on_start)
    assert "resume_partitions" in dir(driver.Consumer)
