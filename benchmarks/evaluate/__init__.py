"""Evaluating in-process, without Kafka."""
