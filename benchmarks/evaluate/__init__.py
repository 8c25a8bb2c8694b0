"""Evaluating in-process, as an application does, without Kafka."""
