"""The only HTTP route of notifications: its health."""

from common.http import Resolver

app = Resolver("notifications", {})
handler = app.handler
