"""Raw aiokafka: batches read and written as fast as it can, no transactions, nothing decoded.

The upper bound of what a Python stage on aiokafka can do. It keeps what makes it fast, whole
record batches, and gives up what costs: no transaction, no offset, no dead letter, no header.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.contestants import Clock, arguments

RECORDS = 4_000
BATCH_BYTES = 1 << 20


async def main() -> None:
    given = arguments()
    producer = AIOKafkaProducer(
        bootstrap_servers=given.bootstrap, linger_ms=0, max_batch_size=BATCH_BYTES, acks="all"
    )
    consumer = AIOKafkaConsumer(
        bootstrap_servers=given.bootstrap,
        enable_auto_commit=False,
        max_partition_fetch_bytes=2 * BATCH_BYTES,
    )
    await producer.start()
    await consumer.start()
    sources = [
        TopicPartition(given.source, n)
        for n in range(len(await producer.partitions_for(given.source)))
    ]
    consumer.assign(sources)
    await consumer.seek_to_beginning(*sources)
    clock = Clock(given.records)
    count = 0
    while not clock.passed(count):
        polled = await consumer.getmany(timeout_ms=100, max_records=RECORDS)
        sent = []
        for tp, records in polled.items():
            batch = producer.create_batch()
            for record in records:
                args = {"key": record.key, "value": record.value, "timestamp": record.timestamp}
                if batch.append(**args) is None:
                    batch.close()
                    sent.append(
                        await producer.send_batch(batch, given.sink, partition=tp.partition)
                    )
                    batch = producer.create_batch()
                    batch.append(**args)
            batch.close()
            sent.append(await producer.send_batch(batch, given.sink, partition=tp.partition))
            count += len(records)
        await asyncio.gather(*sent)
    clock.print_figures(count)
    await consumer.stop()
    await producer.stop()


if __name__ == "__main__":
    asyncio.run(main())
