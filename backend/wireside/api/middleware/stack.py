"""The middlewares in front of authentication, and their order.

Pure ASGI around everything, including the sockets of other packages: NiceGUI's own accepts any
Origin and Host. None of these classes keeps a frame on the call stack of a WebSocket that it has
nothing to do for.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from wireside.api.middleware.access_log import AccessLog
from wireside.api.middleware.client_address import PeerAddress
from wireside.api.middleware.connection_limit import ConnectionLimit
from wireside.api.middleware.cors import CrossOrigin
from wireside.api.middleware.host_origin import HostOriginCheck
from wireside.api.middleware.rate_limit import AddressRateLimit
from wireside.api.middleware.refusals import RefusalCounter
from wireside.api.middleware.replica_cookie import ReplicaCookie
from wireside.api.middleware.request_ids import RequestIds
from wireside.api.middleware.root_path import RootPath
from wireside.api.middleware.route_policy import RoutePolicyLookup
from wireside.api.middleware.security_headers import SecurityHeaders
from wireside.api.middleware.transport import TransportCheck
from wireside.api.policy import RoutePolicies, RoutePolicy
from wireside.limits.networks import TrustedNetworks
from wireside.limits.token_buckets import TokenBuckets
from wireside.protocol.handshake import HandshakePolicy
from wireside.settings.model import Settings


class Guards:
    """All of them: root path, policy of the path, address, ids, log, headers, rate limit, Host and
    Origin, transport, connection limit.

    ``door`` has the rules for Host and Origin; images of ``image_hosts`` load without a click.
    ``routes`` and ``declared`` are those of ``RoutePolicies``, which is made when the application
    starts, so that routes added until then have their policy.

    Raises:
        ValueError: a host or an origin in the settings is invalid, or two policies of a path
            differ; the text is a sentence.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings,
        door: HandshakePolicy,
        image_hosts: Iterable[str],
        telemetry: RefusalCounter,
        routes: Sequence[BaseRoute],
        declared: Mapping[str, RoutePolicy],
    ) -> None:
        app = ConnectionLimit(
            app,
            connections_per_address=settings.connections_per_address,
            refusals=telemetry,
        )
        app = TransportCheck(app)
        app = HostOriginCheck(app, door=door, refusals=telemetry)
        app = AddressRateLimit(
            app,
            allowances=TokenBuckets(settings.requests_per_minute_address),
            refusals=telemetry,
            clock=time.monotonic,
        )
        app = CrossOrigin(app, door)
        app = SecurityHeaders(
            app,
            image_hosts=image_hosts,
            frame_ancestors=settings.csp_frame_ancestors,
            is_https=settings.is_https,
        )
        if settings.replicas:
            app = ReplicaCookie(app, name=settings.effective_replica_name)
        app = RequestIds(AccessLog(app))
        # uvicorn declares separate ASGI types.
        app = ProxyHeadersMiddleware(app, list(settings.trusted_proxies))  # type: ignore[arg-type,assignment]
        app = RoutePolicyLookup(PeerAddress(app), RoutePolicies(routes, declared))
        self.app = RootPath(
            app,
            root_path=settings.effective_root_path,
            trusted_proxies=TrustedNetworks.parse_list(settings.trusted_proxies),
        )

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Call the outermost middleware."""
        return self.app(scope, receive, send)
