"""The gateway: programs of the vendors' own clients, governed by changing one address. A plain ASGI application."""

from aegis.web.gateway.gateway import Gateway

__all__ = ["Gateway"]
