"""The stages' processors by themselves: batches in, outputs and state out, without Kafka."""
