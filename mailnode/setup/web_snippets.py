"""What nginx, Caddy and Apache need to lead the pages of mail to this server: those pages and no others, so that nobody sees its
health and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = "127.0.0.1:8080"  # the http listener that setup configures
WEB_HOSTS = ("mta-sts", "autoconfig", "autodiscover")  # labels below the domain, under which pages are asked for
PATHS = ("/.well-known/mta-sts.txt", "/.well-known/autoconfig/", "/mail/config-v1.1.xml", "/autodiscover/")


@dataclass(frozen=True, slots=True)
class WebPlaces:
    """What snippets are made of."""

    host: str
    domains: tuple[str, ...]
    webroot: Path
    certificate: Path
    key: Path
    certified: bool  # whether these two are there: no server starts on a certificate that is not

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which these pages are asked for."""
        return (self.host, *(name for domain in self.domains for name in web_hosts(domain)))


def web_hosts(domain: str) -> tuple[str, ...]:
    """Return the names of a domain under which pages are asked for."""
    return tuple(f"{label}.{domain}" for label in WEB_HOSTS)


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _nginx_word(path: Path) -> str:
    """Return a path as nginx reads it: in quotes where it has signs of nginx's own."""
    return f'"{_escaped(path)}"' if any(sign in str(path) for sign in " \t;{}\"'\\#") else str(path)


def _nginx(places: WebPlaces) -> str:
    paths = "|".join(path.replace(".", "\\.") for path in PATHS)
    insecure = f"""\
# nginx: in a file of /etc/nginx/conf.d, then: nginx -t && systemctl reload nginx
server {{
    listen 80;
    listen [::]:80;
    server_name {" ".join(places.names)};
    location /.well-known/acme-challenge/ {{ root {_nginx_word(places.webroot)}; }}
    location ~ ^({paths}) {{ proxy_pass http://{HERE}; proxy_set_header Host $host; }}
}}
"""
    if not places.certified:
        return insecure
    return f"""\
{insecure}server {{
    listen 443 ssl;
    listen [::]:443 ssl;
    server_name {" ".join(places.names)};
    ssl_certificate {_nginx_word(places.certificate)};
    ssl_certificate_key {_nginx_word(places.key)};
    location ~ ^({paths}) {{ proxy_pass http://{HERE}; proxy_set_header Host $host; }}
}}
"""


def _apache(places: WebPlaces) -> str:
    passed = "\n".join(f'    ProxyPass "{path}" "http://{HERE}{path}"' for path in PATHS)
    names = f"    ServerName {places.host}\n    ServerAlias {' '.join(places.names[1:])}\n    ProxyPreserveHost On"
    insecure = f"""\
# Apache: in a file of /etc/apache2/sites-enabled, then: a2enmod proxy proxy_http ssl && apachectl configtest && apachectl graceful
<VirtualHost *:80>
{names}
    Alias "/.well-known/acme-challenge" "{_escaped(places.webroot)}/.well-known/acme-challenge"
    <Directory "{_escaped(places.webroot)}">
        Require all granted
    </Directory>
{passed}
</VirtualHost>
"""
    if not places.certified:
        return insecure
    return f"""\
{insecure}<VirtualHost *:443>
{names}
    SSLEngine on
    SSLCertificateFile "{_escaped(places.certificate)}"
    SSLCertificateKeyFile "{_escaped(places.key)}"
{passed}
</VirtualHost>
"""


def _caddy(places: WebPlaces) -> str:
    paths = " ".join(f"{path}*" if path.endswith("/") else path for path in PATHS)
    return f"""\
# Caddy: in the Caddyfile, then: caddy reload. Caddy gets certificates for these names by itself; the server's own proofs are shown
# over port 80.
http://{places.host} {{
    root * "{_escaped(places.webroot)}"
    @proofs path /.well-known/acme-challenge/*
    file_server @proofs
}}
{", ".join(places.names[1:])} {{
    @mail path {paths}
    reverse_proxy @mail {HERE}
}}
"""


SNIPPETS: Mapping[str, Callable[[WebPlaces], str]] = {"nginx": _nginx, "apache": _apache, "caddy": _caddy}
