"""A stand-in for every outside service, on loopback: it checks, answers, remembers and can be told to fail.

`world.World` is the state (no sockets), `face.asgi(world)` its ASGI application, `server.serve(world)` runs it.
"""
