"""Addresses that a server must never request because they appear in a text.

Internal addresses, in each spelling that a parser or a resolver may accept, and schemes other than
the web's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

INSIDE = {
    "the cloud's metadata": "169.254.169.254",
    "a container's metadata": "169.254.170.2",
    "metadata elsewhere": "100.100.100.200",
    "this machine": "127.0.0.1",
    "also this machine": "127.255.255.254",
    "any address": "0.0.0.0",
    "private, large": "10.0.0.1",
    "private, middle": "172.16.0.1",
    "private, small": "192.168.1.1",
    "a carrier's": "100.64.0.1",
}
NAMES = (
    *("localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "ip6-localhost"),
    *("metadata.google.internal", "metadata", "instance-data", "instance-data.ec2.internal"),
    *("kubernetes.default.svc", "host.docker.internal", "gateway.docker.internal", "redis", "db"),
    *("127.0.0.1.nip.io", "169-254-169-254.sslip.io", "localtest.me", "evil.invalid"),
    *("xn--lcalhost-54a", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "１２７。０。０。１", "127。0。0。1", "a" * 64, ""),
)
IPV6 = (
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[fe80::1]", "[fe80::1%25eth0]", "[fd00:ec2::254]"),
    *("[fc00::1]", "[ff02::1]", "[2001:db8::1]", "[2001::1]", "[::ffff:0:127.0.0.1]"),
)
PORTS = (22, 25, 80, 111, 443, 2375, 3306, 5432, 6379, 8500, 9200, 11211, 27017)


def spellings(address: str) -> Iterator[str]:
    """Yield an IPv4 address in each notation that URLs allow, and embedded in IPv6."""
    number = int(ipaddress.IPv4Address(address))
    parts = address.split(".")
    a, b, c, d = (int(part) for part in parts)
    yield address
    yield str(number)
    yield f"0x{number:08x}"
    yield f"0{number:o}"
    yield ".".join(f"0{int(part):o}" for part in parts)
    yield ".".join(f"0x{int(part):x}" for part in parts)
    yield f"{a}.{b}.{c * 256 + d}"
    yield f"{address}."
    yield f"[::ffff:{address}]"
    yield f"[::ffff:{number >> 16:x}:{number & 0xFFFF:x}]"
    yield f"[64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}]"  # NAT64
    yield f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::1]"  # 6to4


def urls(trap: int, file: str) -> tuple[str, ...]:
    """Return about 200 URLs.

    Args:
        trap: a port of this machine with a listener that records connections.
        file: the path of a local file that must not be read.
    """
    hosts = [host for address in INSIDE.values() for host in spellings(address)]
    found = [f"http://{host}:{trap}/latest/meta-data/" for host in hosts]
    found += [f"https://{host}/" for host in (*NAMES, *IPV6)]
    found += [f"http://127.0.0.1:{port}/" for port in PORTS]
    here = f"127.0.0.1:{trap}"
    found += [
        f"http://{here}/redirect?to=http://169.254.169.254/",
        f"https://evil.invalid/redirect?to=http://{here}/",
        f"http://evil.invalid@{here}/",
        f"http://{here}#@evil.invalid/",
        f"http://{here}\\@evil.invalid/",
        f"http://evil.invalid:80\\@{here}/",
        f"http://{here}%23@evil.invalid/",
        f"http:{here}/",
        f"http:///{here}/",
        f"//{here}/",
        f"\\\\{here}\\share",
        f"ws://{here}/",
        f"wss://{here}/",
        f"ftp://{here}/",
        f"sftp://{here}/",
        f"tftp://{here}/",
        f"ldap://{here}/",
        f"gopher://{here}/_FLUSHALL%0d%0a",
        f"dict://{here}/info",
        f"redis://{here}/0",
        f"postgresql://{here}/x",
        f"smb://{here}/share",
        f"rtsp://{here}/",
        f"jar:http://{here}!/",
        f"url:http://{here}/",
        f"view-source:http://{here}/",
        f"file://{file}",
        f"file://localhost{file}",
        f"file:{file}",
        f"netdoc:{file}",
        f"unix:{file}",
        f"http+unix://{file.replace('/', '%2F')}/",
        f"php://filter/resource={file}",
        file,
        f"../../../../../../../..{file}",
        f"data:text/html,<img src=http://{here}/>",
        f"s3://{here}/x",
        f"git://{here}/x",
        f"ssh://{here}/x",
    ]
    return tuple(dict.fromkeys(found))


def in_markdown(url: str) -> str:
    """Return a text with the URL in each form that some Markdown renderer would load."""
    return "\n\n".join(
        (
            url,
            f"![image]({url}) ![image](<{url}> 'title') [![both]({url})]({url})",
            f"[link]({url}) <{url}> ![reference][1] [reference][1]",
            f"[1]: {url}",
            f'<img src="{url}" srcset="{url} 2x"> <iframe src="{url}"></iframe>',
            f'<link rel="stylesheet" href="{url}"> <script src="{url}"></script>',
            f'<object data="{url}"></object> <svg><image href="{url}"/></svg>',
            f'<meta http-equiv="refresh" content="0;url={url}"> <base href="{url}">',
            f"<!DOCTYPE x [<!ENTITY x SYSTEM '{url}'>]><x>&x;</x>",
            f"```html\n<img src='{url}'>\n```",
            f"$\\includegraphics{{{url}}} \\href{{{url}}}{{x}} \\input{{{url}}}$",
            f"```mermaid\nflowchart TD\n  A --> B\n  click A href '{url}'\n```",
            f"![inline]({url}){{width=1}} [^1]\n\n[^1]: {url}",
        )
    )
