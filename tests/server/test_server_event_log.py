from twisted.logger import Logger

from mailnode.interfaces.log import EventLog


def test_an_event_is_what_twisted_would_hand_on():
    seen = []
    for kind in (Logger, EventLog):
        kind(namespace="mailnode.smtp.session", observer=seen.append).info("{event}", event="session.close", fields={})
    theirs, ours = seen
    assert abs(ours.pop("log_time") - theirs.pop("log_time")) < 60
    assert isinstance(ours.pop("log_logger"), EventLog)
    del theirs["log_logger"]
    assert ours == theirs
    assert ours["fields"] == {}


def test_it_is_named_by_the_module_that_makes_it():
    assert EventLog().namespace == __name__
