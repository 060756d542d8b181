"""What is different between two configurations, and what of it is shown."""

from pathlib import Path

from mailnode.config.comparison import HIDDEN, MAX_SHOWN, differences
from mailnode.config.loader import read


def config(**sections):
    server = {"hostname": "mx.a.test", "data": "/d"} | sections.pop("server", {})
    listeners = sections.pop("listener", [{"protocol": "smtp", "endpoint": "tcp:25"}])
    return read({"server": server, "listener": listeners} | sections, Path("/"))


def told(before, after):
    return {one.key: (one.before, one.after, one.live) for one in differences(before, after)}


def test_each_key_is_told_with_both_values_and_whether_it_is_live():
    after = config(
        server={"grace": 5.0, "workers": 2},
        listener=[{"protocol": "smtp", "endpoint": "tcp:2525"}, {"protocol": "pop3", "endpoint": "tcp:110"}],
        domain=[{"name": "a.test"}],
        limits={"hops": 7},
        queue={"retry": [60.0], "smarthost": {"host": "h.test"}},
    )
    found = told(config(), after)
    assert found["server.grace"] == ("20.0", "5.0", True)
    assert found["server.workers"] == ("1", "2", False)
    assert found["listener[0].endpoint"] == ("tcp:25", "tcp:2525", False)
    assert found["listener[1].protocol"] == ("", "pop3", False)
    assert found["domain[0].name"] == ("", "a.test", True)
    assert found["limits.hops"] == ("50", "7", True)
    assert found["queue.retry"][1:] == ("[60.0]", False)
    assert found["queue.smarthost.host"] == ("", "h.test", False)
    assert told(after, after) == {}


def test_no_secret_is_shown():
    def with_secret(secret):
        return config(
            store={"url": f"postgresql://mail:{secret}@db/mail"},
            auth={"checkers": [f"memory:anna:{secret}", f"/plain{secret}"[:6]]},
            policy=[{"name": "x", "options": {"password": secret, "api_key": secret, "url": f"http://u:{secret}@h/"}}],
        )

    text = repr(differences(with_secret("first-one"), with_secret("other-one")))
    assert "first-one" not in text and "other-one" not in text and HIDDEN in text
    assert len(differences(with_secret("first-one"), with_secret("other-one"))) == 5


def test_no_secret_is_shown_in_odd_places():
    def with_secret(secret):
        options = {
            "dsn": f"host=h password={secret} user=u",
            "access_key": secret,
            "url": f"https://h/?token={secret}&a=b",
        }
        url = f"postgresql://mail:with/{secret}@db/mail?password={secret}"
        return config(store={"url": url}, policy=[{"name": "x", "options": options}])

    found = differences(with_secret("first-one"), with_secret("other-one"))
    assert "first-one" not in repr(found) and "other-one" not in repr(found) and len(found) == 4
    assert told(config(), with_secret("x"))["policy[0].options.dsn"][1].endswith(" user=u")


def test_a_value_is_one_short_line():
    after = config(policy=[{"name": "x", "options": {"text": "a\nb" * 1000}}])
    value = told(config(), after)["policy[0].options.text"][1]
    assert "\n" not in value and len(value) <= MAX_SHOWN + 4
