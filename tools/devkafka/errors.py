"""What can go wrong with a development broker."""


class DevKafkaError(Exception):
    """A development broker did not start, or did not do as told."""


class DevKafkaMissingError(DevKafkaError):
    """There is nothing on this machine to run a broker with; the message says what to install."""
