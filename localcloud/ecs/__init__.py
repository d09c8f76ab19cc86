"""The ECS design on one Linux machine, in namespaces of its own: `make run-ecs`."""
