package anabranch.peers;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/** A context in, the assignment of one experiment out, byte for byte as anabranch writes it. */
final class Assign extends ContextualProcessor<byte[], byte[], byte[], byte[]> {
    /** A context as it is on the wire; a field that is not declared here is an error. */
    record Context(
            String experiment,
            String version,
            String userId,
            String organizationId,
            String sessionId,
            Map<String, Object> attributes,
            Map<String, Object> flags,
            Boolean exposure) {}

    private static final ObjectReader CONTEXTS = new ObjectMapper().readerFor(Context.class);
    private static final JsonStringEncoder JSON = JsonStringEncoder.getInstance();
    private static final byte[] JSON_TYPE = bytes("application/json");
    private static final byte[] SPEC_VERSION = bytes("1.0");
    private static final byte[] TYPE = bytes("anabranch.assignment.v1");
    private static final byte[] SOURCE = bytes("anabranch/assign");

    private final String salt;
    private final byte[] suffix;
    private final String run;
    private final long[] sums;
    private final byte[][] heads;
    private long second = Long.MIN_VALUE;
    private String secondText = "";

    private Assign(JsonNode work) {
        salt = work.get("salt").asText() + ":";
        suffix = bytes("|" + work.get("experiment").asText());
        run = " " + work.get("experiment").asText() + "@" + work.get("version").asText();
        sums = new long[work.get("sums").size()];
        heads = new byte[sums.length][];
        for (int i = 0; i < sums.length; i++) {
            sums[i] = work.get("sums").get(i).asLong();
            heads[i] = bytes(work.get("heads").get(i).asText());
        }
    }

    static Topology topology(String source, String sink, JsonNode work) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(source, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                .process(() -> new Assign(work))
                .to(sink, Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));
        return builder.build();
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        Context context;
        try {
            context = CONTEXTS.readValue(record.value());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        String unit = "user:" + context.userId();
        byte[] unitBytes = bytes(unit);
        int variant = Murmur3.choose(Murmur3.x86_32(bytes(salt + unit)), sums);

        RecordMetadata at = context().recordMetadata().orElseThrow();
        String id = at.topic() + "/" + at.partition() + "/" + at.offset();
        byte[] hash = Murmur3.hexOf128(bytes("5 kafka " + id + run));

        byte[] head = heads[variant];
        byte[] quoted = JSON.quoteAsUTF8(unit);
        ByteArrayOutputStream value = new ByteArrayOutputStream(head.length + quoted.length + 2);
        value.write(head, 0, head.length);
        value.write(quoted, 0, quoted.length);
        value.write('"');
        value.write('}');

        Headers headers = new RecordHeaders();
        headers.add("content-type", JSON_TYPE);
        headers.add("ce_specversion", SPEC_VERSION);
        headers.add("ce_type", TYPE);
        headers.add("ce_source", SOURCE);
        headers.add("ce_id", join(bytes("assignment-"), hash));
        headers.add("ce_time", time(record.timestamp()));
        context()
                .forward(
                        new Record<>(
                                join(unitBytes, suffix),
                                value.toByteArray(),
                                record.timestamp(),
                                headers));
    }

    /** RFC 3339 with milliseconds; the second's text is kept, since many records share it. */
    private byte[] time(long ms) {
        long now = Math.floorDiv(ms, 1000L);
        if (now != second) {
            second = now;
            secondText = Instant.ofEpochSecond(now).toString().substring(0, 19) + ".";
        }
        long rest = Math.floorMod(ms, 1000L);
        String padded = rest < 10 ? "00" : rest < 100 ? "0" : "";
        return bytes(secondText + padded + rest + "Z");
    }

    private static byte[] join(byte[] first, byte[] second) {
        byte[] joined = new byte[first.length + second.length];
        System.arraycopy(first, 0, joined, 0, first.length);
        System.arraycopy(second, 0, joined, first.length, second.length);
        return joined;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
