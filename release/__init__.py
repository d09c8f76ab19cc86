"""The commands that bring an environment to AWS and take it away again: `make deploy`, `make image`, `make smoke`,
`make destroy`."""


class Refused(Exception):
    """What was asked cannot be done as things are; the message says what to do first."""
