package com.example;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** JSON to and from what Jackson knows; no value stays none, which takes a record back. */
final class Json {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private Json() {}

    static <T> Serde<T> of(Class<T> type) {
        return Serdes.serdeFrom(Json::write, (topic, bytes) -> read(topic, bytes, type));
    }

    private static byte[] write(String topic, Object value) {
        try {
            return value == null ? null : MAPPER.writeValueAsBytes(value);
        } catch (JsonProcessingException error) {
            throw new SerializationException("a value of " + topic + " is no JSON", error);
        }
    }

    private static <T> T read(String topic, byte[] bytes, Class<T> type) {
        try {
            return bytes == null ? null : MAPPER.readValue(bytes, type);
        } catch (IOException error) {
            throw new SerializationException("a value of " + topic + " is not as it should be", error);
        }
    }
}
