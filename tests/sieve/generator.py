"""Scripts and messages made of a seed: odd, but such as people and programs write them."""

from __future__ import annotations

from random import Random

NAMES = """fileinto envelope copy body variables relational imap4flags subaddress date index editheader environment
encoded-character comparator-i;ascii-numeric ihave mailbox vacation mime foreverypart extracttext regex enotify duplicate
reject"""
REQUIRED = tuple(NAMES.split())

SUBJECTS = (
    "Hello World",
    "[list] Re: the plan",
    "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln?=",
    "=?iso-8859-1?B?R3L83GU=?= tail",
    "  spaced  out  ",
    "",
    "a*b?c\\d",
    "50% off!!! $$$",
    "folded\r\n subject line",
    "UPPER lower MiXed",
    "12 numbers 7",
)
ADDRESSES = (
    "Bob <bob@example.com>",
    "alice+work@Example.ORG",
    '"Last, First" <first.last@sub.example.net>',
    "me+detail@example.com",
    "Team: a@x.example, b@y.example;",
    "nobody@localhost",
    "<JOHN@EXAMPLE.COM>",
    "x@a.example, y+z@b.example (comment)",
)
DATES = (
    "Mon, 30 Nov 2026 08:15:30 +0100",
    "Sun, 29 Feb 2004 23:59:59 -0800",
    "1 Jan 2000 00:00:00 +0000",
    "Tue, 15 Jun 2021 12:00:00 GMT",
)
NUMBERS = ("0", "7", "10", "007", "42", "99x", "x99", "")
DIGITS = ("0", "7", "10", "007", "42")
FIELDS = ("Subject", "X-Number", "X-Empty", "X-Multi", "List-Id", "X-Missing", "subject", "X-Star")
ADDRESS_FIELDS = ("From", "To", "Cc", "Bcc", "Sender", "Reply-To", "to")
WORDS = ("hello", "World", "plan", "e", "list", "Köln", "ü", "10", "7", "*", "a", "", "example", "a*b")
PATTERNS = ("*", "?", "*o*", "Hello *", "*[list]*", "\\[list\\] *", "*\\**", "?*", "a\\*b?c*", "* *", "*ll?*", "")
ENDS = ("keep;", "discard;", "stop;", 'redirect "x@example.org";', 'reject "no";', 'notify "mailto:n@example.org";')
RELATIONS = ("gt", "ge", "lt", "le", "eq", "ne")
NUMERIC, OCTET, CASEMAP = "i;ascii-numeric", "i;octet", "i;ascii-casemap"

_TEXT = b"MIME-Version: 1.0\r\nContent-Type: text/plain"
_ENCODING = b"Content-Transfer-Encoding: "


KINDS = ("text/plain", "text/html", "application/octet-stream", "message/rfc822", "multipart/mixed")
EXPRESSIONS = (
    "^hello",
    "(h|H)el+o (.*)$",
    "[0-9]+",
    "([a-z]+)[^a-z]*([a-z]*)",
    "^\\[(.*)\\] *(Re:)?",
    "(a|ab)(c|bcd)*",
    "[[:upper:]]{2,}",
    "w(or)?",
    "^$",
    ".",
    "(bob|alice)(\\+work)?",
)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class MessageMaker:
    """Messages."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def message(self) -> bytes:
        pick, chance = self._random.choice, self._random.random
        lines = [
            f"Received: from a.example by b.example; {pick(DATES)}",
            f"From: {pick(ADDRESSES)}",
            f"To: {pick(ADDRESSES)}",
            f"Subject: {pick(SUBJECTS)}",
            f"Date: {pick(DATES)}",
            f"Message-ID: <{self._random.randrange(1000)}@example.com>",
        ]
        if chance() < 0.5:
            lines.append(f"Cc: {pick(ADDRESSES)},\r\n\t{pick(ADDRESSES)}")
        if chance() < 0.5:
            lines.append(f"X-Number: {pick(NUMBERS)}")
        if chance() < 0.3:
            lines.append("X-Empty:")
        lines += [f"X-Multi: {pick(WORDS)} {n}" for n in range(self._random.randrange(4))]
        if chance() < 0.3:
            lines.append("List-Id: The list <list.example.com>")
        if chance() < 0.3:
            lines.append("X-Star: a*b")
        self._random.shuffle(lines)
        return ("\r\n".join(lines) + "\r\n").encode() + self._body()

    def _body(self) -> bytes:
        kind = self._random.randrange(7)
        if kind > 4:
            return (
                b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
                b'Content-Type: multipart/alternative; boundary="i i"\r\n\r\n--i i\r\nContent-Type: text/plain; charset=utf-8'
                b"\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8gYmFzZTY0IHdvcmxk\r\n--i i\r\nContent-Type: text/html\r\n\r\n"
                b'<p>Hello</p>\r\n--i i--\r\n--o\r\nContent-Type: application/octet-stream; name="x.bin"\r\n'
                b'Content-Disposition: attachment; filename="x.bin"\r\n\r\nx\r\n--o--\r\n'
            )
        if kind == 0:
            return b"\r\nHello body,\r\nthis is plain.\r\n"
        if kind == 1:
            return (
                _TEXT + b"; charset=utf-8\r\n" + _ENCODING + b"quoted-printable\r\n\r\nHello K=C3=B6ln =\r\nin body\r\n"
            )
        if kind == 2:
            return _TEXT + b"\r\n" + _ENCODING + b"base64\r\n\r\nSGVsbG8gYmFzZTY0IHdvcmxk\r\n"
        if kind == 3:
            return (
                b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b1"\r\n\r\npreamble\r\n--b1\r\n'
                b"Content-Type: text/plain\r\n\r\nHello part one\r\n--b1\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--b1\r\nContent-Type: message/rfc822\r\n\r\n"
                b"Subject: inner World\r\n\r\ninner body plan\r\n--b1--\r\nepilogue\r\n"
            )
        return b"\r\n"


class ScriptMaker:
    """Scripts, most of which file into a mailbox for each test that holds."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._tests = {
            name.removeprefix("_test_"): getattr(self, name) for name in dir(self) if name.startswith("_test_")
        }

    def script(self) -> bytes:
        self._edited = False
        self._asked_before = False  # whether the script has a test duplicate: one is enough for Pigeonhole
        lines = [f"require [{', '.join(map(quoted, REQUIRED))}];"]
        for number in range(self._random.randrange(4, 12)):
            lines += self._statement(number)
        if self._random.random() < 0.3:
            lines.append(self._random.choice(ENDS))
        if self._random.random() < 0.2:
            lines.append(f'vacation :days {self._random.randrange(1, 40)} "gone {self._random.randrange(9)}";')
        return "\r\n".join([*lines, ""]).encode()

    def _statement(self, number: int) -> list[str]:
        random = self._random
        roll = random.random()
        if roll < 0.12:
            return [self._parts(number)]
        if roll < 0.2:
            return [self._expression(number)]
        if roll < 0.62:
            return [f"if {self._test(0)} {{ {self._action(number)} }}", *self._else(number)]
        if roll < 0.74:
            test = f"{random.choice(('header', 'header', 'address'))} :matches {self._on_field()} {quoted(random.choice(PATTERNS))}"
            return [f'if {test} {{ fileinto "M{number}-${{1}}x${{2}}x${{0}}"; }}']
        if roll < 0.86:
            tags = random.sample((":lower", ":upperfirst", ":length", ":quotewildcard", ""), 1)[0]
            value = random.choice((*WORDS, "${v1} x", "${v2}${v1}", "${nope}", "${hex:41 42}", "${unicode:e9}x"))
            return [f'set {tags} "v{random.randrange(3)}" {quoted(value)};']
        if roll < 0.95:
            command = random.choice(("setflag", "addflag", "removeflag"))
            flags = random.choice(('"\\\\Seen"', '["\\\\Flagged", "one"]', '"one two"', '"\\\\seen TWO"', '""'))
            return [f"{command} {flags};"]
        if roll < 0.98:
            return [self._edit()]
        if roll < 0.985 and not self._asked_before:
            self._asked_before = True
            return [f'if duplicate {{ fileinto "D{number}"; }}']
        return [random.choice(("keep;", 'redirect :copy "y@example.org";', "discard;"))]

    def _parts(self, number: int) -> str:
        """A loop over parts, or a test of them; not of a message that was edited."""
        if self._edited:
            return "keep;"
        kind = self._random.choice(KINDS)
        main, _, sub = kind.partition("/")
        test = self._random.choice(
            (
                f'header :mime :contenttype "content-type" "{kind}"',
                f'header :mime :type "Content-Type" "{main}"',
                f'header :mime :subtype :contains "content-type" "{sub[:3]}"',
                'header :mime :param "filename" :matches "content-disposition" "*.*"',
                'header :mime :param ["charset", "name"] :contains "content-type" ["utf", "x"]',
                'header :mime :contains "subject" "inner"',
                f'header :mime :anychild :contenttype "content-type" "{kind}"',
                'exists :mime "content-disposition"',
                'exists :mime :anychild ["content-type", "content-transfer-encoding"]',
                'address :mime :anychild :localpart "from" ["inner", "bob"]',
            )
        )
        action = self._random.choice(
            (
                f'fileinto "P{number}";',
                f'fileinto "P{number}"; break;',
                f'addflag "p{number}"; fileinto "P{number}";',
                f'set "v1" "${{v1}}{number}";',
                f'foreverypart {{ if {test} {{ fileinto "Q{number}"; break; }} }}',
            )
        )
        loop = self._random.choice(("foreverypart", "foreverypart", f'foreverypart :name "l{number}"'))
        extract = f'if header :mime :type "content-type" "text" {{ extracttext :first 5 "v{number % 3}"; }}'
        return self._random.choice(
            (
                f"{loop} {{ if {test} {{ {action} }} }}",
                f'if {test} {{ fileinto "P{number}"; }}',
                f"{loop} {{ {extract} }}",
            )
        )

    def _expression(self, number: int) -> str:
        expression = self._random.choice(EXPRESSIONS)
        comparator = self._random.choice(("", f':comparator "{OCTET}" '))
        on = self._random.choice(("header", "header", "address :localpart"))
        field = '"from"' if on != "header" else self._random.choice(('"subject"', '["subject", "x-multi"]', '"to"'))
        return f'if {on} {comparator}:regex {field} {quoted(expression)} {{ fileinto "R{number}-${{1}}x${{2}}"; }}'

    def _else(self, number: int) -> list[str]:
        if self._random.random() < 0.2:
            return [f'elsif {self._test(1)} {{ fileinto "E{number}"; }}', f'else {{ fileinto "L{number}"; }}']
        return []

    def _action(self, number: int) -> str:
        return self._random.choice(
            (
                f'fileinto "T{number}";',
                f'fileinto :copy "T{number}";',
                f'fileinto :flags "one \\\\Seen" "T{number}";',
                f'addflag "f{number}"; fileinto "T{number}";',
                f'fileinto :copy "T{number}"; fileinto "C{number}";',
            )
        )

    def _edit(self) -> str:
        self._edited = True
        return self._random.choice(
            (
                'addheader "X-Multi" "added value";',
                'addheader :last "X-Empty" "now full";',
                'deleteheader "X-Multi";',
                'deleteheader :index 1 "X-Multi";',
                'deleteheader :index 1 :last "X-Multi";',
                'deleteheader :contains "Subject" "e";',
                'deleteheader :matches "X-Multi" "*1";',
                'addheader "Subject" "new subject";',
            )
        )

    def _test(self, depth: int) -> str:
        roll = self._random.random()
        if depth < 2 and roll < 0.12:
            name = self._random.choice(("allof", "anyof"))
            return f"{name} ({', '.join(self._test(depth + 1) for _ in range(self._random.randrange(1, 4)))})"
        if depth < 2 and roll < 0.2:
            return f"not {self._test(depth + 1)}"
        name = self._random.choice(sorted(self._tests))
        return self._tests["true" if name == "body" and self._edited else name]()

    def _match(self) -> tuple[str, str]:
        """Return the match type with its comparator, and keys."""
        random = self._random
        roll = random.random()
        if roll < 0.2:
            comparator = random.choice(("", f':comparator "{OCTET}" '))
            return f"{comparator}:is", self._keys(WORDS + SUBJECTS)
        if roll < 0.45:
            comparator = random.choice(("", f':comparator "{OCTET}" ', f':comparator "{CASEMAP}" '))
            return f"{comparator}:contains", self._keys(WORDS)
        if roll < 0.65:
            return ":matches", self._keys(PATTERNS)
        if roll < 0.75:
            return f':comparator "{NUMERIC}" :is', self._keys(DIGITS)
        kind = random.choice(("value", "count"))
        comparator = random.choice((NUMERIC, NUMERIC, CASEMAP, OCTET) if kind == "value" else (NUMERIC,))
        keys = ("0", "1", "2", "3") if kind == "count" else NUMBERS
        return f':{kind} "{random.choice(RELATIONS)}" :comparator "{comparator}"', self._keys(keys)

    def _keys(self, words: tuple[str, ...], match: str = "") -> str:
        """Return keys; of numbers that are compared for equality only digits, see "Differences" in docs/sieve.rst."""
        if NUMERIC in match and ":is" in match:
            words = DIGITS
        plain = [word.replace("\r\n", "") for word in words]
        if self._random.random() < 0.7:
            return quoted(self._random.choice(plain))
        return f"[{', '.join(quoted(self._random.choice(plain)) for _ in range(self._random.randrange(1, 4)))}]"

    def _on_field(self) -> str:
        return quoted(self._random.choice(("To", "From")))

    def _test_header(self) -> str:
        match, keys = self._match()
        names = self._random.choice((quoted(self._random.choice(FIELDS)), '["subject", "x-multi"]', '["X-Number"]'))
        index = self._random.choice(("", "", "", ":index 1 ", ":index 2 ", ":last :index 1 "))
        if ":count" in match:  # of fields that are never empty
            names, index = '"X-Multi"', ""
        return f"header {index}{match} {names} {keys}"

    def _test_address(self) -> str:
        match, _ = self._match()
        part = self._random.choice((":all", ":localpart", ":domain", ":user", ":detail", ""))
        words = (
            "bob",
            "example.com",
            "*@example.com",
            "bob@example.com",
            "alice+work",
            "work",
            "me",
            "detail",
            "",
            "*",
            "1",
        )
        names = self._random.choice((quoted(self._random.choice(ADDRESS_FIELDS)), '["to", "cc"]'))
        return f"address {part} {match} {names} {self._keys(words, match)}"

    def _test_envelope(self) -> str:
        match, _ = self._match()
        part = self._random.choice((":all", ":localpart", ":domain", ":user", ":detail", ""))
        words = ("sender", "example.org", "*@*", "me+detail@example.com", "detail", "me", "1", "")
        names = self._random.choice(('"from"', '"TO"', '["from", "to"]'))
        return f"envelope {part} {match} {names} {self._keys(words, match)}"

    def _test_exists(self) -> str:
        return "exists " + self._random.choice((quoted(self._random.choice(FIELDS)), '["Subject", "X-Missing"]'))

    def _test_size(self) -> str:
        return f"size {self._random.choice((':over', ':under'))} {self._random.choice(('0', '300', '400', '500', '1K', '2M'))}"

    def _test_body(self) -> str:
        match, _ = self._match()
        words = ("hello", "Köln", "base64", "inner", "plan", "preamble", "*hello*", "epilogue", "1")
        kind = self._random.choice(
            (
                ':content "text"',
                ':content "text/plain"',
                ":raw",
                ':content ""',
                ':content "message/rfc822"',
                ':content "multipart"',
            )
        )
        if kind == ":raw":
            match = ":contains"
            words = ("hello", "inner", "plan", "*hello*")
        return f"body {kind} {match} {self._keys(words, match)}"

    def _test_string(self) -> str:
        match, keys = self._match()
        if "comparator" not in match:
            match = f':comparator "{CASEMAP}" {match}'
        source = self._random.choice(
            ('"${v1}"', '["${v0}", "${v2}"]', '"x${v1}y"', '"${1}"', '"Hello World"', '"${0}"')
        )
        return f"string {match} {source} {keys}"

    def _test_hasflag(self) -> str:
        match, _ = self._match()
        while ":value" in match:
            match, _ = self._match()
        words: tuple[str, ...] = ("one", "two", "f1", "1", "*", "o")
        if ":is" in match:
            words += ("ONE two",)
        return f"hasflag {match} {self._keys(words, match)}"

    def _test_date(self) -> str:
        part, keys = self._random.choice(
            (
                ("year", ("2026", "2004")),
                ("month", ("11", "02")),
                ("day", ("30", "29", "28")),
                ("date", ("2026-11-30",)),
                ("julian", ("61374", "53064")),
                ("hour", ("08", "07", "23")),
                ("minute", ("15", "59")),
                ("second", ("30",)),
                ("time", ("08:15:30", "07:15:30")),
                ("iso8601", ("2026-11-30T08:15:30+01:00", "2026-11-30T07:15:30Z")),
                ("zone", ("+0100", "-0800", "+0000")),
                ("weekday", ("0", "1", "2")),
                ("std11", ("Mon, 30 Nov 2026 08:15:30 +0100",)),
            )
        )
        zone = self._random.choice((":originalzone", ':zone "+0000"', ':zone "-0530"'))
        kind = self._random.choice((":is", ":contains", ':value "ge"'))
        field = self._random.choice(("Date", "Received", "Subject", "X-Missing"))
        return f'date {zone} {kind} "{field}" "{part}" {self._keys(keys)}'

    def _test_environment(self) -> str:
        kind, name, key = (self._random.choice(one) for one in ((":is", ":contains"), ("phase", "nothing"), ("", "x")))
        return f'environment {kind} "{name}" "{key}"'

    def _test_true(self) -> str:
        return self._random.choice(
            ("true", "false", 'mailboxexists "Nope"', 'ihave "fileinto"', 'ihave ["nothing", "copy"]')
        )
