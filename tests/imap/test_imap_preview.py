"""PREVIEW through a session (RFC 8970)."""

from imap_world import play

PLAIN = b'Subject: x\r\n\r\nHe said: "yes\\no"\r\n'
UMLAUTS = "Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n".encode()
PICTURE = b"Content-Type: image/png\r\n\r\nPNG\r\n"


# IMAP trap 38: PREVIEW
def test_previews(make_world):
    def make():
        world = make_world()
        for message in (PLAIN, UMLAUTS, PICTURE):
            world.put(message)
        world.connect(select="INBOX")
        return world

    play(
        make,
        r"""
        C: a FETCH 1 (PREVIEW)
        S: * 1 FETCH (PREVIEW "He said: \"yes\\no\"")
        S: a OK FETCH completed
        C: b UID FETCH 2:3 (UID PREVIEW (LAZY) RFC822.SIZE)
        S: * 2 FETCH (UID 2 PREVIEW {7}
        S: GrÃ¼Ã\x9fe RFC822.SIZE 52)
        S: * 3 FETCH (UID 3 PREVIEW "" RFC822.SIZE 32)
        S: b OK FETCH completed
        C: c FETCH 3 PREVIEW
        S: * 3 FETCH (PREVIEW "")
        S: c OK FETCH completed
        C: d FETCH 3 PREVIEW (LAZY)
        S: * 3 FETCH (PREVIEW "")
        S: d OK FETCH completed
        C: e FETCH 3 PREVIEW (LAZY LAZY)
        S: * 3 FETCH (PREVIEW "")
        S: e OK FETCH completed
        C: f FETCH 3 PREVIEW (BUSY)
        S: f BAD Unknown modifier of PREVIEW
        C: g FETCH 3 (PREVIEW ())
        S: g BAD …
        C: h FETCH 3 PREVIEW (CHANGEDSINCE 1)
        S: h BAD …
        """.replace(r"\x9f", "\x9f"),
    )
