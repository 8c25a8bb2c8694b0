package anabranch.peers;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** Runs one topology on one stream thread, exactly once, until it is told to stop. */
public final class Contestant {
    private Contestant() {}

    public static void main(String[] given) throws IOException {
        Map<String, String> arguments = new HashMap<>();
        for (int i = 0; i < given.length; i += 2) {
            arguments.put(given[i].substring(2), given[i + 1]);
        }
        JsonNode work = new ObjectMapper().readTree(new File(arguments.get("work")));
        String source = arguments.get("source");
        String sink = arguments.get("sink");
        Topology topology =
                switch (arguments.get("job")) {
                    case "assign" -> Assign.topology(source, sink, work);
                    case "count" ->
                            Count.topology(source, sink, work, arguments.get("store"));
                    default -> throw new IllegalArgumentException(arguments.get("job"));
                };

        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.get("bootstrap"));
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments.get("group"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments.get("state"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments.get("commit-ms"));
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(
                StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");

        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.setUncaughtExceptionHandler(
                error -> {
                    error.printStackTrace();
                    Runtime.getRuntime().halt(1);
                    return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
                });
        Runtime.getRuntime()
                .addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
    }
}
