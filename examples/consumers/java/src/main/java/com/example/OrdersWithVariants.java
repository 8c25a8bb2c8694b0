package com.example;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Adds to each of a shop's orders the variant that its buyer was given.
 *
 * <p>The shop's orders are JSON keyed by user id. anabranch's assignments are keyed {@code
 * unit|experiment}, with units such as {@code user:123}, and the topic is compacted: it is a table.
 * A global one, so that orders need not be partitioned alike.
 *
 * <p>Headers go through as they are: where orders carry a {@code traceparent}, what comes out does.
 */
public final class OrdersWithVariants {
    private OrdersWithVariants() {}

    /**
     * The topology.
     *
     * @param assignments topic, such as {@code anabranch.assignments.v1}
     * @param experiment whose variants are meant
     * @param orders topic that is read
     * @param enriched topic that is written
     */
    static Topology topology(String assignments, String experiment, String orders, String enriched) {
        StreamsBuilder builder = new StreamsBuilder();
        GlobalKTable<String, Assignment> given =
                builder.globalTable(
                        assignments, Consumed.with(Serdes.String(), Json.of(Assignment.class)));
        builder.stream(orders, Consumed.with(Serdes.String(), Json.of(ObjectNode.class)))
                .leftJoin(
                        given,
                        (user, order) -> "user:" + user + "|" + experiment,
                        OrdersWithVariants::enrich)
                .to(enriched, Produced.with(Serdes.String(), Json.of(ObjectNode.class)));
        return builder.build();
    }

    /** An order with the variant; null of buyers who take no part. */
    private static ObjectNode enrich(ObjectNode order, Assignment assignment) {
        return order.deepCopy().put("variant", assignment == null ? null : assignment.variant());
    }

    static Properties settings(String bootstrap) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "orders-with-variants");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        // Each order once, and of anabranch's outputs only what was committed: it reads
        // isolation.level=read_committed, for the global table too.
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        // -Dkafka.NAME=VALUE sets anything else, such as kafka.application.id.
        System.getProperties()
                .forEach(
                        (name, value) -> {
                            if (name.toString().startsWith("kafka.")) {
                                settings.put(name.toString().substring("kafka.".length()), value);
                            }
                        });
        return settings;
    }

    public static void main(String[] args) throws InterruptedException {
        if (args.length != 5) {
            System.err.println("takes BOOTSTRAP ASSIGNMENTS EXPERIMENT ORDERS ENRICHED");
            System.exit(2);
        }
        Topology topology = topology(args[1], args[2], args[3], args[4]);
        KafkaStreams streams = new KafkaStreams(topology, settings(args[0]));
        CountDownLatch ended = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(
                error -> {
                    error.printStackTrace();
                    ended.countDown();
                    return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
                });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        ended.await();
        System.exit(1);
    }
}
