"""What a container needs around a service, whatever the service is about."""
