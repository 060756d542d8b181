"""One POST over HTTP/1.1 on a connection to a program; what the words are is h11's matter."""

from __future__ import annotations

import h11

from mailnode.interfaces.programs import HttpAnswer, HttpPost, IProgramLink, ProgramFailed

LARGEST_HEADER = 16_384  # octets of an answer besides its content
MOST_PIECES = 2000  # in which an answer may come
PIECE = 65_536  # octets of content that are sent at a time


async def post_on(link: IProgramLink, request: HttpPost) -> HttpAnswer:
    """Send a request and return the answer. :raises ProgramFailed: there is none, or more of it than is taken."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEADER)
    try:
        await _send(link, connection, request)
        return await _answer(link, connection, request.largest)
    except h11.RemoteProtocolError as error:
        raise ProgramFailed(f"no answer of HTTP: {error}") from None
    except h11.LocalProtocolError as error:
        raise ProgramFailed(f"no request of HTTP: {error}") from None


async def _send(link: IProgramLink, connection: h11.Connection, request: HttpPost) -> None:
    headers = [
        (b"Host", (request.endpoint.host if request.endpoint.port else "localhost").encode("ascii")),
        (b"Connection", b"close"),
        (b"Content-Length", b"%d" % request.size),
        *((name.encode("ascii"), value) for name, value in request.headers),
    ]
    await link.write(_words(connection, h11.Request(method="POST", target=request.path, headers=headers)))
    sent = 0
    while sent < request.size and not link.answered:
        piece = await request.read(sent, min(PIECE, request.size - sent))
        if not piece:
            raise ProgramFailed("the content is shorter than its size")
        sent += len(piece)
        await link.write(_words(connection, h11.Data(data=piece)))
    if sent == request.size:
        await link.write(_words(connection, h11.EndOfMessage()))


def _words(connection: h11.Connection, event: h11.Event) -> bytes:
    return connection.send(event) or b""


async def _answer(link: IProgramLink, connection: h11.Connection, largest: int) -> HttpAnswer:
    came, code, content = 0, 0, bytearray()
    for _ in range(MOST_PIECES):
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await link.read(PIECE)
            came += len(data)
            if came > largest + LARGEST_HEADER:
                raise ProgramFailed(f"an answer of more than {largest} octets")
            connection.receive_data(data)  # nothing: the end of the connection
        elif isinstance(event, h11.Response):
            code = event.status_code
        elif isinstance(event, h11.Data):
            content += event.data
        elif isinstance(event, h11.EndOfMessage):
            if len(content) > largest:
                raise ProgramFailed(f"an answer of more than {largest} octets")
            return HttpAnswer(code, bytes(content))
        elif not isinstance(event, h11.InformationalResponse):
            raise ProgramFailed("the connection was ended before an answer")
    raise ProgramFailed(f"an answer in more than {MOST_PIECES} pieces")
