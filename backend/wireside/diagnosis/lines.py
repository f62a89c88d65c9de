"""Proxy configuration lines that fix each fault; ``docs/proxies.md`` has complete examples."""

from __future__ import annotations

from typing import Final, Literal

Proxy = Literal["nginx", "Caddy", "Traefik", "HAProxy"]
Fault = Literal[
    "reach", "upgrade", "host", "forwarded", "buffering", "compression", "large", "idle", "version"
]

PROXIES: Final[tuple[Proxy, ...]] = ("nginx", "Caddy", "Traefik", "HAProxy")

LINES: Final[dict[Fault, dict[Proxy, str]]] = {
    "reach": {
        "nginx": "proxy_pass http://127.0.0.1:8080;",
        "Caddy": "reverse_proxy 127.0.0.1:8080",
        "Traefik": "loadBalancer: { servers: [{ url: http://127.0.0.1:8080 }] }",
        "HAProxy": "server wireside 127.0.0.1:8080",
    },
    "upgrade": {
        "nginx": "proxy_http_version 1.1;\n"
        "proxy_set_header Upgrade $http_upgrade;\n"
        'proxy_set_header Connection "upgrade";',
        "Caddy": "reverse_proxy 127.0.0.1:8080  # without `header_up -Upgrade` or `-Connection`",
        "Traefik": "# no middleware `headers` that sets Connection or Upgrade",
        "HAProxy": "mode http  # without `http-request del-header upgrade` or `connection`",
    },
    "host": {
        "nginx": "proxy_set_header Host $http_host;",
        "Caddy": "# remove `header_up Host …`: Caddy passes it on by itself",
        "Traefik": "loadBalancer: { passHostHeader: true }",
        "HAProxy": "# remove `http-request set-header host …`: HAProxy passes it on by itself",
    },
    "forwarded": {
        "nginx": "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "Caddy": "# remove `header_up -X-Forwarded-*`: Caddy sets them by itself",
        "Traefik": "# no middleware `headers` that empties them; behind another proxy:\n"
        "entryPoints: { websecure: { forwardedHeaders: { trustedIPs: [ADDRESS] } } }",
        "HAProxy": "option forwardfor\n"
        "http-request set-header X-Forwarded-Proto https if { ssl_fc }\n"
        "http-request set-header X-Forwarded-Proto http unless { ssl_fc }",
    },
    "buffering": {
        "nginx": "proxy_buffering off;",
        "Caddy": "flush_interval -1  # and no `buffer_responses`, no `response_buffers`",
        "Traefik": "# no middleware `buffering`: Traefik passes streams on as they come",
        "HAProxy": "option http-no-delay  # and no `compression` of what streams",
    },
    "compression": {
        "nginx": "gzip off;",
        "Caddy": "@files path /assets/* /_nicegui/*\nencode @files gzip",
        "Traefik": "compress: { excludedContentTypes: [text/event-stream] }",
        "HAProxy": "# no text/event-stream in `compression type`, or no `compression algo`",
    },
    "large": {
        "nginx": "client_max_body_size 256m;",
        "Caddy": "request_body { max_size 256MB }",
        "Traefik": "# no middleware `buffering`: its `maxRequestBodyBytes` holds streams back, too",
        "HAProxy": "# no `http-request deny` that looks at req.body_size or content-length",
    },
    "idle": {
        "nginx": "proxy_read_timeout 75s;\nproxy_send_timeout 75s;",
        "Caddy": "# no `read_timeout`, `write_timeout` or `stream_timeout` below 75s",
        "Traefik": "# ends no WebSocket by itself: ask what is in front of it, a load balancer",
        "HAProxy": "timeout tunnel 1h",
    },
    "version": {
        "nginx": "proxy_http_version 1.1;",
        "Caddy": "# remove `transport http { versions … }`",
        "Traefik": "# speaks HTTP/1.1 to servers by itself",
        "HAProxy": "mode http  # HAProxy speaks HTTP/1.1 to servers by itself",
    },
}
