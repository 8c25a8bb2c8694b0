package anabranch.peers;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/** Records counted by key in tumbling windows of event time, in a changelogged store. */
final class Count {
    private Count() {}

    static Topology topology(String source, String sink, JsonNode work, String store) {
        Duration size = Duration.ofMillis(work.get("windowMs").asLong());
        Duration grace = Duration.ofMillis(work.get("graceMs").asLong());
        Duration retention = size.plus(grace);
        Materialized<byte[], Long, WindowStore<Bytes, byte[]>> materialized =
                switch (store) {
                    case "rocksdb" -> Materialized.as("counts");
                    case "memory" ->
                            Materialized.as(
                                    Stores.inMemoryWindowStore("counts", retention, size, false));
                    default -> throw new IllegalArgumentException(store);
                };
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(source, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .groupByKey()
                .windowedBy(TimeWindows.ofSizeAndGrace(size, grace))
                .count(
                        materialized
                                .withKeySerde(Serdes.ByteArray())
                                .withValueSerde(Serdes.Long())
                                .withRetention(retention))
                .toStream()
                .map((window, count) -> KeyValue.pair(name(window), text(count)))
                .to(sink, Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
        return builder.build();
    }

    private static byte[] name(Windowed<byte[]> window) {
        String key = new String(window.key(), StandardCharsets.UTF_8);
        return (key + "@" + window.window().start()).getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] text(long count) {
        return Long.toString(count).getBytes(StandardCharsets.US_ASCII);
    }
}
