"""The ECS design: the same services in containers that call each other. The stacks are the templates beside this."""
