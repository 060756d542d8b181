"""One certification authority, as an account of it sees it (RFC 8555). Every call blocks, and runs in a thread.

What it answers is checked before anything is done with it. Its words reach the log and the operator, cut and in one line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

import requests
from acme import errors, messages
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.b64 import b64encode
from josepy.errors import Error as JoseError
from josepy.interfaces import JSONDeSerializable
from josepy.jwk import JWKEC

from mailnode.acme.keys import read_key
from mailnode.acme.network import AnswerTooLarge, AuthorityNetwork
from mailnode.acme.schedule import RenewalWindow, ask_again_after
from mailnode.errors import CertificateFailed
from mailnode.interfaces.runtime import IClock
from mailnode.values.acme import ExternalAccount

MAX_URL = 2048  # characters
MAX_WORDS = 300  # characters of what an authority says
MAX_AUTHORIZATIONS = 100
RATE_LIMITED = 3600.0  # seconds to wait where an authority takes no more and does not say for how long

P = ParamSpec("P")
T = TypeVar("T")

_WORDS = {
    "rateLimited": "it takes no more requests for a while",
    "caa": "CAA records in DNS do not allow it to issue",
    "dns": "it cannot look up the name in DNS",
    "connection": "it cannot connect to this server",
    "tls": "it cannot set up TLS with this server",
    "unauthorized": "it did not see the proof that it asked for",
    "incorrectResponse": "it saw something else than the proof that it asked for",
    "rejectedIdentifier": "it does not issue certificates for such a name",
    "externalAccountRequired": "it asks for an account of its own: eab_kid and eab_key_file",
    "userActionRequired": "it asks the operator to do something first",
    "serverInternal": "it has trouble of its own",
}


class AccountUnknown(CertificateFailed):
    """The authority does not know the account (any more)."""


class ReplacedAlready(CertificateFailed):
    """Another order has replaced the certificate that this one was to replace (RFC 9773 7.4)."""


@dataclass(frozen=True, slots=True)
class OfferedChallenge:
    """One way to prove one name (RFC 8555 7.1.5)."""

    kind: str
    url: str
    token: str
    status: str


@dataclass(frozen=True, slots=True)
class Authorization:
    """What is to be proved of one name (RFC 8555 7.1.4). ``name``: without "*."."""

    name: str
    status: str
    challenges: tuple[OfferedChallenge, ...]
    trouble: str  # why it became invalid, in words
    wait: float  # seconds until the authority wants to be asked again


@dataclass(frozen=True, slots=True)
class Order:
    """RFC 8555 7.1.3."""

    url: str
    status: str
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str  # "" until it is there
    trouble: str
    wait: float


class Payload(JSONDeSerializable):
    """The body of a request."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = dict(fields)

    def to_partial_json(self) -> dict[str, object]:
        """The fields as they are."""
        return self._fields

    @classmethod
    def from_json(cls, jobj: Mapping[str, object]) -> Payload:
        """Make one of fields."""
        return cls(jobj)


class Authority:
    """Talks to one directory with one account key. :meth:`begin` comes first."""

    def __init__(self, directory: str, key: bytes, authorities: str, agent: str, clock: IClock, steady: IClock) -> None:
        """:param directory: its URL. :param key: of the account, in PEM. :param authorities: see :class:`AuthorityNetwork`.
        :param steady: its seconds never step."""
        self._url = directory
        self._clock = clock
        account_key = read_key(key)
        assert isinstance(account_key, ec.EllipticCurvePrivateKey)
        self._key = JWKEC(key=account_key)
        self._network = AuthorityNetwork(self._key, authorities, agent, steady)
        self._directory: Mapping[str, object] = {}

    def begin(self) -> None:
        """Read the directory (RFC 8555 7.1.1). :raises CertificateFailed:"""
        self._directory = self._told(lambda: _fields(self._network.get(self._url)))
        for name in ("newNonce", "newAccount", "newOrder"):
            _link(self._directory, name)

    @property
    def profiles(self) -> tuple[str, ...]:
        """The profiles that it offers (draft-ietf-acme-profiles 3)."""
        meta = self._directory.get("meta")
        offered = meta.get("profiles") if isinstance(meta, dict) else None
        return tuple(map(str, offered)) if isinstance(offered, dict) else ()

    @property
    def suggests(self) -> bool:
        """Whether it says when to renew (RFC 9773)."""
        return isinstance(self._directory.get("renewalInfo"), str)

    def authorization_for(self, token: str) -> str:
        """Return the key authorization of a token (RFC 8555 8.1)."""
        thumbprint: bytes = self._key.thumbprint()
        return f"{token}.{b64encode(thumbprint).decode('ascii')}"

    def use_account(self, url: str) -> None:
        """Go by an account that was registered before."""
        self._network.account = messages.RegistrationResource(uri=url, body=messages.Registration())

    def register(self, contact: str, external: ExternalAccount | None) -> str:
        """Register the key, or find the account that it has; return the account's URL (RFC 8555 7.3). The operator has agreed to
        the terms. :raises CertificateFailed:"""
        fields: dict[str, object] = {"termsOfServiceAgreed": True}
        if contact:
            fields["contact"] = [f"mailto:{contact}"]
        if external is not None:
            fields["externalAccountBinding"] = self._binding(external)
        self._network.account = None
        response = self._post(_link(self._directory, "newAccount"), fields)
        url = _checked_url(response.headers.get("Location"))
        self.use_account(url)
        return url

    def order(self, names: Sequence[str], profile: str = "", replaces: str = "") -> Order:
        """Order a certificate (RFC 8555 7.4). :param replaces: see :attr:`mailnode.acme.keys.Leaf.id`.

        :raises AccountUnknown: :raises ReplacedAlready: :raises CertificateFailed:"""
        fields: dict[str, object] = {"identifiers": [{"type": "dns", "value": name} for name in names]}
        if profile:
            if profile not in self.profiles:
                offered = ", ".join(self.profiles) or "none"
                raise CertificateFailed(
                    f"{self._host} does not offer the profile {profile}; it offers {_line(offered)}"
                )
            fields["profile"] = profile
        if replaces and self.suggests:
            fields["replaces"] = replaces
        response = self._post(_link(self._directory, "newOrder"), fields)
        return self._order(_checked_url(response.headers.get("Location")), response)

    def look_at_order(self, url: str) -> Order:
        """Return how an order stands. :raises CertificateFailed:"""
        return self._order(url, self._post(url, None))

    def look_at_authorization(self, url: str) -> Authorization:
        """Return what is to be proved. :raises CertificateFailed:"""
        response = self._post(url, None)
        fields = self._checked(response)
        identifier, challenges = fields.get("identifier"), fields.get("challenges")
        if not isinstance(identifier, dict) or not isinstance(challenges, list):
            raise self._nonsense()
        name = str(identifier.get("value", "")).lower().removeprefix("*.")
        read = [one for one in challenges if isinstance(one, dict)]
        errors = [one["error"] for one in read if isinstance(one.get("error"), dict)]
        trouble = self._problem(errors[0]) if errors else ""
        return Authorization(name, _text(fields, "status"), tuple(map(_challenge, read)), trouble, self._wait(response))

    def answer(self, challenge: OfferedChallenge) -> None:
        """Have it look at the proof (RFC 8555 7.5.1). :raises CertificateFailed:"""
        self._post(_checked_url(challenge.url), {})

    def finalize(self, order: Order, request: bytes) -> Order:
        """Ask for the certificate (RFC 8555 7.4). :param request: in DER. :raises CertificateFailed:"""
        csr = b64encode(request).decode("ascii")
        return self._order(order.url, self._post(_checked_url(order.finalize), {"csr": csr}))

    def download(self, order: Order) -> bytes:
        """Return the chain in PEM, which nobody has checked (RFC 8555 7.4.2). :raises CertificateFailed:"""
        return self._post(_checked_url(order.certificate), None).content

    def renewal_window(self, certificate: str) -> RenewalWindow:
        """Return when a certificate should be renewed (RFC 9773 4). :raises CertificateFailed: nothing that is valid was said."""
        url = f"{_link(self._directory, 'renewalInfo').rstrip('/')}/{certificate}"
        response = self._told(lambda: self._network.get(url))
        fields = self._checked(response)
        window = fields.get("suggestedWindow")
        if not isinstance(window, dict):
            raise self._nonsense()
        start, end = _moment(window.get("start")), _moment(window.get("end"))
        if start is None or end is None or end <= start:
            raise self._nonsense()
        explanation = fields.get("explanationURL")
        said = _seconds(response.headers.get("Retry-After"), self._clock.seconds())
        return RenewalWindow(
            start, end, ask_again_after(said), _line(explanation) if isinstance(explanation, str) else ""
        )

    # How it is asked

    @property
    def _host(self) -> str:
        return urlsplit(self._url).netloc

    def _post(self, url: str, fields: Mapping[str, object] | None) -> requests.Response:
        payload = None if fields is None else Payload(fields)
        new_nonce = _link(self._directory, "newNonce")
        return self._told(lambda: self._network.post(url, payload, new_nonce_url=new_nonce))

    def _told(self, ask: Callable[[], T]) -> T:
        """Ask, and say in words what went wrong. :raises CertificateFailed:"""
        host = self._host
        try:
            return ask()
        except messages.Error as error:
            code = str(error.typ).rpartition(":")[2]
            if code == "accountDoesNotExist":
                raise AccountUnknown(f"{host} does not know our account") from None
            if code == "alreadyReplaced":
                raise ReplacedAlready(f"{host} says that the certificate has been replaced") from None
            asked = _seconds(self._network.retry_after, self._clock.seconds())
            wait = RATE_LIMITED if asked is None and code == "rateLimited" else asked or 0.0
            raise CertificateFailed(f"{host}: {_problem_words(code, error.detail)}", wait) from None
        except errors.ConflictError:
            raise ReplacedAlready(f"{host} says that the certificate has been replaced") from None
        except AnswerTooLarge:
            raise CertificateFailed(f"{host} gave an answer that is too large") from None
        except requests.exceptions.SSLError:
            raise CertificateFailed(f"{host}: its own certificate is not trusted, or TLS failed") from None
        except requests.exceptions.Timeout:
            raise CertificateFailed(f"{host} did not answer in time") from None
        except requests.exceptions.RequestException:
            raise CertificateFailed(f"{host} cannot be reached, or it ended the connection") from None
        except (errors.Error, JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise CertificateFailed(f"{host} gave an answer that makes no sense") from None

    def _checked(self, response: requests.Response) -> Mapping[str, object]:
        return self._told(lambda: _fields(response))

    def _nonsense(self) -> CertificateFailed:
        return CertificateFailed(f"{self._host} gave an answer that makes no sense")

    def _order(self, url: str, response: requests.Response) -> Order:
        fields = self._checked(response)
        links = fields.get("authorizations")
        if not isinstance(links, list) or not 0 < len(links) <= MAX_AUTHORIZATIONS:
            raise self._nonsense()
        error, certificate = fields.get("error"), fields.get("certificate")
        return Order(
            url,
            _text(fields, "status"),
            tuple(map(_checked_url, links)),
            _checked_url(fields.get("finalize")),
            _checked_url(certificate) if certificate else "",
            self._problem(error) if isinstance(error, dict) else "",
            self._wait(response),
        )

    def _problem(self, error: Mapping[str, object]) -> str:
        return _problem_words(str(error.get("type", "")), error.get("detail"))

    def _wait(self, response: requests.Response) -> float:
        return _seconds(response.headers.get("Retry-After"), self._clock.seconds()) or 0.0

    def _binding(self, external: ExternalAccount) -> dict[str, object]:
        try:
            found: dict[str, object] = messages.ExternalAccountBinding.from_data(
                self._key.public_key(),
                external.id,
                external.secret,
                self._directory,  # type: ignore[arg-type]  # asked for one of its URLs alone
            )
        except (JoseError, ValueError):
            raise CertificateFailed("the key of the external account is not base64url") from None
        return found


def _problem_words(code: str, detail: object) -> str:
    code = code.rpartition(":")[2]
    words = _WORDS.get(code, f"it refuses ({_line(code)})" if code else "it refuses")
    return f"{words}; it says: {_line(detail)}" if isinstance(detail, str) and detail else words


def _line(text: str) -> str:
    """Return words of others as one line of visible ASCII."""
    shown = "".join(letter if " " <= letter <= "~" else "?" for letter in text[: MAX_WORDS + 1])
    return shown if len(shown) <= MAX_WORDS else shown[:MAX_WORDS] + "..."


def _fields(response: requests.Response) -> Mapping[str, object]:
    """:raises ValueError: no object of JSON."""
    found = json.loads(response.content)
    if not isinstance(found, dict):
        raise ValueError
    return found


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _link(fields: Mapping[str, object], name: str) -> str:
    return _checked_url(fields.get(name))


def _checked_url(value: object) -> str:
    """:raises CertificateFailed: not an https URL."""
    if isinstance(value, str) and value.startswith("https://") and len(value) <= MAX_URL and value.isascii():
        return value
    raise CertificateFailed("the authority gave an answer that makes no sense: a URL that is missing, or not https")


def _challenge(fields: Mapping[str, object]) -> OfferedChallenge:
    return OfferedChallenge(
        _text(fields, "type"), _text(fields, "url"), _text(fields, "token"), _text(fields, "status")
    )


def _seconds(value: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After field (RFC 9110 10.2.3); None: there is none that can be read. :param now: UTC."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _moment(value: object) -> float | None:
    """Return UTC seconds of a time (RFC 3339)."""
    try:
        moment = datetime.fromisoformat(str(value))
        return moment.timestamp() if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
