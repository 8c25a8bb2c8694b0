"""Raw aiokafka doing the same work: a context decoded, its unit hashed, an assignment encoded.

What :mod:`benchmarks.assign.passthrough` does, with the least that assigning takes and nothing
around it: no transaction, no offset, no dead letter, no header, no check of the input, one
experiment of two halves.
"""

from __future__ import annotations

import asyncio

import mmh3
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.assign.passthrough import BATCH_BYTES, RECORDS
from benchmarks.assign.work import EXPERIMENT
from benchmarks.contestants import Clock, arguments


class Asked(msgspec.Struct):
    """What is read of a context."""

    user_id: str = msgspec.field(name="userId")


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
    decode = msgspec.json.Decoder(Asked).decode
    encode = msgspec.json.Encoder().encode
    hash_ = mmh3.hash
    key = EXPERIMENT.meta.key
    constants = {"experiment": key, "version": EXPERIMENT.version, "digest": EXPERIMENT.digest}
    clock = Clock(given.records)
    count = 0
    while not clock.passed(count):
        polled = await consumer.getmany(timeout_ms=100, max_records=RECORDS)
        sent = []
        for tp, records in polled.items():
            batch = producer.create_batch()
            for record in records:
                unit = f"user:{decode(record.value).user_id}"
                variant = "green" if hash_(f"{key}:{unit}", signed=False) & 1 else "control"
                value = encode({**constants, "variant": variant, "reason": "random", "unit": unit})
                line = f"{unit}|{key}".encode()
                if batch.append(key=line, value=value, timestamp=record.timestamp) is None:
                    batch.close()
                    sent.append(
                        await producer.send_batch(batch, given.sink, partition=tp.partition)
                    )
                    batch = producer.create_batch()
                    batch.append(key=line, value=value, timestamp=record.timestamp)
            batch.close()
            sent.append(await producer.send_batch(batch, given.sink, partition=tp.partition))
            count += len(records)
        await asyncio.gather(*sent)
    clock.print_figures(count)
    await consumer.stop()
    await producer.stop()


if __name__ == "__main__":
    asyncio.run(main())
