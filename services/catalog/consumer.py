"""Catalog subscribes to no events: this is called by its schedule, and by operators who ask for parked events."""

from common.consumer import Consumer

consumer = Consumer()
handler = consumer.handler
